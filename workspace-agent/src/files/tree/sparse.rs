//! Sparse files in tar archives of the POSIX format, as GNU tar and bsdtar write them: what
//! they hold is packed without its holes, and where it belongs is said in attributes of the
//! entry or before its content (versions 0.0, 0.1 and 1.0 of GNU's format).

use std::collections::VecDeque;
use std::io::{self, Read};

use tar::Entry;

use super::broken;
use crate::files::error::FileError;

/// The unit of tar archives, in bytes.
const BLOCK: usize = 512;

/// Most blocks that say where the parts of a file are.
const MAX_BLOCKS: usize = 4096;

/// Where a part of a file is: its offset and its length, in bytes.
type Part = (u64, u64);

/// What an archive says of a sparse file.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    /// Its own path; that of the entry is made up then.
    pub(super) path: Option<Vec<u8>>,
    /// Its size with its holes, in bytes.
    pub(super) size: u64,
    parts: Vec<Part>,
    place: Place,
}

/// Where it is said what the parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Attributes,
    Content,
}

impl Sparse {
    /// Reads what an entry says of itself; `None` where it is no such file.
    pub(super) fn of<R: Read>(entry: &mut Entry<'_, R>) -> Result<Option<Self>, FileError> {
        let Some(said) = entry.pax_extensions().map_err(|error| broken(&error))? else {
            return Ok(None);
        };
        let mut sparse = Self::default();
        let (mut size, mut offset) = (None, None);
        for attribute in said {
            let attribute = attribute.map_err(|error| broken(&error))?;
            let Some(name) = attribute.key_bytes().strip_prefix(b"GNU.sparse.") else {
                continue;
            };
            let value = attribute.value_bytes();
            match name {
                b"name" => sparse.path = Some(value.to_vec()),
                b"size" | b"realsize" => size = Some(number(value)?),
                b"major" => match number(value)? {
                    0 => {}
                    1 => sparse.place = Place::Content,
                    _ => return Err(refused("it has a sparse file of an unknown version")),
                },
                b"offset" => offset = Some(number(value)?),
                b"numbytes" => {
                    let offset = offset.take().ok_or_else(|| refused(BAD))?;
                    sparse.parts.push((offset, number(value)?));
                }
                b"map" => {
                    let numbers = value.split(|byte| *byte == b',').map(number);
                    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
                    let (pairs, rest) = numbers.as_chunks();
                    if !rest.is_empty() {
                        return Err(refused(BAD));
                    }
                    sparse.parts = pairs.iter().map(|[at, length]| (*at, *length)).collect();
                }
                _ => {}
            }
        }
        let Some(size) = size else {
            return Ok(None);
        };
        sparse.size = size;
        Ok(Some(sparse))
    }

    /// Returns what reads the file with its holes.
    pub(super) fn content<'a>(&self, from: &'a mut dyn Read) -> Result<Expanding<'a>, FileError> {
        let parts = match self.place {
            Place::Attributes => self.parts.clone(),
            Place::Content => parts(from)?,
        };
        let mut end = 0;
        for &(offset, length) in &parts {
            if offset < end {
                return Err(refused(BAD));
            }
            end = offset.checked_add(length).ok_or_else(|| refused(BAD))?;
        }
        if end > self.size {
            return Err(refused(BAD));
        }
        let parts = parts.into_iter().filter(|(_, length)| *length > 0);
        Ok(Expanding {
            from,
            parts: parts.collect(),
            at: 0,
            size: self.size,
        })
    }
}

/// Reads the parts from the beginning of the content: how many there are and then their
/// numbers, each in a line of its own, in whole blocks.
fn parts(from: &mut dyn Read) -> Result<Vec<Part>, FileError> {
    let mut lines = Lines {
        from,
        block: [0; BLOCK],
        at: BLOCK,
        blocks: 0,
    };
    let mut parts = Vec::new();
    for _ in 0..lines.number()? {
        parts.push((lines.number()?, lines.number()?));
    }
    Ok(parts)
}

struct Lines<'a> {
    from: &'a mut dyn Read,
    block: [u8; BLOCK],
    /// What was read of the block.
    at: usize,
    blocks: usize,
}

impl Lines<'_> {
    fn number(&mut self) -> Result<u64, FileError> {
        let mut digits = Vec::new();
        // No number is longer.
        while digits.len() <= 20 {
            match self.byte()? {
                b'\n' => return number(&digits),
                digit => digits.push(digit),
            }
        }
        Err(refused(BAD))
    }

    fn byte(&mut self) -> Result<u8, FileError> {
        if self.at == BLOCK {
            if self.blocks == MAX_BLOCKS {
                return Err(refused("a sparse file in it has too many parts"));
            }
            self.blocks += 1;
            let filled = self.from.read_exact(&mut self.block);
            filled.map_err(|error| broken(&error))?;
            self.at = 0;
        }
        let byte = self.block.get(self.at).copied();
        self.at += 1;
        byte.ok_or_else(|| refused(BAD))
    }
}

/// A sparse file that is read with its holes, as zeros: what is read at once is never of
/// both, a hole and a part.
pub(super) struct Expanding<'a> {
    from: &'a mut dyn Read,
    /// What comes, none of it empty; the first one may have been read in part.
    parts: VecDeque<Part>,
    at: u64,
    size: u64,
}

impl Read for Expanding<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (begin, end) = match self.parts.front() {
            Some(&(offset, length)) => (offset, offset + length),
            None => (self.size, self.size),
        };
        let in_hole = self.at < begin;
        let left = if in_hole { begin } else { end } - self.at;
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let (buffer, _) = buffer.split_at_mut(most);
        let read = if in_hole {
            buffer.fill(0);
            most
        } else {
            self.from.read(buffer)?
        };
        self.at += u64::try_from(read).unwrap_or_default();
        if !in_hole && self.at == end {
            self.parts.pop_front();
        }
        Ok(read)
    }
}

/// What is wrong where the parts make no sense.
const BAD: &str = "it says of a sparse file what can't be";

fn refused(why: &str) -> FileError {
    FileError::Archive(why.to_owned())
}

fn number(digits: &[u8]) -> Result<u64, FileError> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| refused(BAD))
}
