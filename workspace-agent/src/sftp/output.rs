//! The answers that go out.
//!
//! Answers are put together behind room for one frame's header, several in a
//! frame, and written in one call. The buffer is bounded: where an answer doesn't
//! fit, what waits is written first, and that blocks until the client reads.
//!
//! The first error of the stream is kept until [`Output::flush`] returns it, so
//! that whoever answers a request need not care.

use std::io::{self, Write};

use devgate_protocol::frame::{self, HEADER, Kind};

use super::failure::Failure;
use super::wire::{MAX_DATA, MAX_PACKET, Status, kind};

/// Room for answers, in bytes: the longest one with its length, and as much
/// before it as waits at most.
const ROOM: usize = HEADER + 4 + MAX_PACKET + FLUSH_AT;

/// What waits is written when it is that much, in bytes, even while there are
/// more requests.
const FLUSH_AT: usize = 64 * 1024;

/// Length of what precedes the data of a `DATA` answer: length, type, id and the
/// data's length.
const DATA_HEADER: usize = 4 + 1 + 4 + 4;

/// Writes answers as data frames.
#[derive(Debug)]
pub(super) struct Output<W> {
    inner: W,
    buffer: Vec<u8>,
    /// End of what waits; [`HEADER`] where nothing does.
    end: usize,
    /// Begin of the answer that is being put together.
    begin: usize,
    /// Whether that answer didn't fit.
    overflowed: bool,
    /// What has gone wrong; nothing is written from then on.
    broken: Option<io::Error>,
}

impl<W: Write> Output<W> {
    /// Writes to `inner`.
    pub(super) fn new(inner: W) -> Self {
        Self {
            inner,
            buffer: vec![0; ROOM],
            end: HEADER,
            begin: HEADER,
            overflowed: false,
            broken: None,
        }
    }

    /// Writes what waits, and returns the first error since the last call.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.write();
        self.broken.take().map_or(Ok(()), Err)
    }

    fn write(&mut self) {
        if self.end > HEADER
            && self.broken.is_none()
            && let Err(error) = self.try_write()
        {
            self.broken = Some(error);
        }
        (self.begin, self.end) = (HEADER, HEADER);
    }

    fn try_write(&mut self) -> io::Result<()> {
        let header = frame::header(Kind::Data, self.end - HEADER)?;
        if let Some(room) = self.buffer.first_chunk_mut() {
            *room = header;
        }
        let waiting = self.buffer.get(..self.end).unwrap_or_default();
        self.inner.write_all(waiting)?;
        self.inner.flush()
    }

    /// Begins an answer; everything until [`Self::finish`] belongs to it.
    pub(super) fn start(&mut self, kind: u8, id: u32) {
        self.begin = self.end;
        self.overflowed = false;
        self.u32(0);
        self.put(&[kind]);
        self.u32(id);
    }

    /// Ends the answer.
    pub(super) fn finish(&mut self) {
        let length = self.end.saturating_sub(self.begin + 4);
        if self.overflowed || length > MAX_PACKET {
            // Callers bound what they put together.
            self.abandon();
            self.broken = Some(io::Error::other("an answer is too long"));
            return;
        }
        self.set_u32(self.begin, u32::try_from(length).unwrap_or(u32::MAX));
        self.begin = self.end;
        if self.end >= FLUSH_AT {
            self.write();
        }
    }

    /// Drops the answer that was begun and not finished, if there is one.
    pub(super) fn abandon(&mut self) {
        self.end = self.begin;
    }

    /// Bytes that are put together for the answer that was begun.
    pub(super) fn pending(&self) -> usize {
        self.end - self.begin
    }

    /// Position of a `uint32` that is known later; see [`Self::set_u32`].
    pub(super) fn later_u32(&mut self) -> usize {
        let position = self.end;
        self.u32(0);
        position
    }

    /// Sets what [`Self::later_u32`] left open.
    pub(super) fn set_u32(&mut self, position: usize, value: u32) {
        if let Some(room) = self.buffer.get_mut(position..position + 4) {
            room.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// Adds bytes as they are. What would go beyond the buffer's end is left out,
    /// and [`Self::finish`] refuses the answer.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let end = self.end + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.end..end) {
            room.copy_from_slice(bytes);
            self.end = end;
        } else {
            self.overflowed = true;
        }
    }

    /// Adds a `uint32`.
    pub(super) fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Adds a `uint64`.
    pub(super) fn u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    /// Adds a `string`.
    pub(super) fn string(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.put(bytes);
    }

    /// Answers with a status.
    pub(super) fn status(&mut self, id: u32, status: Status, message: &str) {
        self.start(kind::STATUS, id);
        self.u32(status as u32);
        self.string(message.as_bytes());
        self.string(b"");
        self.finish();
    }

    /// Answers that a request was done.
    pub(super) fn done(&mut self, id: u32) {
        self.status(id, Status::Ok, "Success");
    }

    /// Answers with one name and no attributes.
    pub(super) fn name(&mut self, id: u32, name: &[u8]) {
        self.start(kind::NAME, id);
        self.u32(1);
        self.string(name);
        self.string(name);
        self.u32(0);
        self.finish();
    }

    /// Answers with data that `read` puts straight into the buffer, at most
    /// `length` bytes and never more than [`MAX_DATA`]. Where it fails, nothing is
    /// answered and its failure is returned.
    pub(super) fn data(
        &mut self,
        id: u32,
        length: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, Failure>,
    ) -> Result<(), Failure> {
        let begin = self.end + DATA_HEADER;
        let end = begin + length.min(MAX_DATA);
        let read = read(self.buffer.get_mut(begin..end).unwrap_or_default())?;
        self.start(kind::DATA, id);
        self.u32(u32::try_from(read).unwrap_or(u32::MAX));
        self.end += read;
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_share_a_frame_and_leave_when_they_are_flushed() {
        let mut written = Vec::new();
        let mut output = Output::new(&mut written);
        output.done(7);
        let read = |room: &mut [u8]| {
            room.fill(9);
            Ok(room.len())
        };
        output.data(8, 3, read).unwrap();
        let failed = output.data(9, 3, |_| Err(Failure::end()));
        assert_eq!(failed.unwrap_err().status, Status::Eof);
        output.flush().unwrap();
        output.flush().unwrap();
        let expected = b"\0\0\0\0\x2c\
            \0\0\0\x18\x65\0\0\0\x07\0\0\0\0\0\0\0\x07Success\0\0\0\0\
            \0\0\0\x0c\x67\0\0\0\x08\0\0\0\x03\x09\x09\x09";
        assert_eq!(written, expected);
    }

    #[test]
    fn a_full_buffer_is_written_without_being_asked() {
        let mut written = Vec::new();
        let mut output = Output::new(&mut written);
        let most = |room: &mut [u8]| Ok(room.len());
        for id in 0..3 {
            output.done(id);
            output.data(id, MAX_DATA, most).unwrap();
        }
        assert_eq!(output.end, HEADER);
        assert!(written.len() > 3 * MAX_DATA);
    }
}
