//! What gzip made, read to its end: one member after another, each with its checksum, and at
//! most zeros behind the last one, as tapes and `tar` leave them.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::PIECE;

/// A compressed archive as it was before. It ends where the last member has been checked
/// (RFC 1952 §2.3.1); what follows and is neither a member nor zeros fails.
#[derive(Debug)]
pub(super) struct Members<R> {
    member: Option<GzDecoder<BufReader<R>>>,
}

impl<R: Read> Members<R> {
    pub(super) fn new(from: R) -> Self {
        let from = BufReader::with_capacity(PIECE, from);
        Self {
            member: Some(GzDecoder::new(from)),
        }
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let ended = self.member.take();
            let Some(mut from) = ended.map(GzDecoder::into_inner) else {
                break;
            };
            match from.fill_buf()?.first() {
                None => {}
                Some(0) => only_zeros(&mut from)?,
                Some(_) => self.member = Some(GzDecoder::new(from)),
            }
        }
        Ok(0)
    }
}

fn only_zeros(from: &mut BufReader<impl Read>) -> io::Result<()> {
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(io::Error::other("what follows its end is no gzip"));
        }
        let length = bytes.len();
        from.consume(length);
    }
}
