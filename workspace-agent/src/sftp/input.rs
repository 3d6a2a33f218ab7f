//! The packets that come in.
//!
//! Frames are taken off the bytes as they are read: the rest of the frame at hand
//! goes straight to where its packet is put together, and only a short look-ahead
//! beyond it is copied. So a packet lies in one piece however many frames it came
//! in, and bulk data is copied once, by the kernel.

use std::io::{self, IoSliceMut, Read};

use devgate_protocol::frame::{HEADER, Kind, MAX_FRAME};

use super::wire::MAX_PACKET;

/// Length of a packet's length, in bytes.
const LENGTH: usize = 4;

/// Room for packets, in bytes: the longest one, and the frame that follows while
/// it is still unread. Pages that were never used cost nothing.
const ROOM: usize = LENGTH + MAX_PACKET + 64 * 1024;

/// How much is read beyond the frame at hand, in bytes: dozens of small requests.
const AHEAD: usize = 2048;

/// A client that can't be understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    /// The connection broke.
    #[error("the stream broke")]
    Io(#[from] io::Error),
    /// A packet without a type, or one that is too long.
    #[error("a packet of {0} bytes; 1 to {MAX_PACKET} are possible")]
    Length(u32),
    /// A frame that is too long.
    #[error("a frame of {0} bytes; at most {MAX_FRAME} are possible")]
    Frame(u32),
}

/// Reads packets from the frames of a stream.
#[derive(Debug)]
pub(super) struct Input<R> {
    inner: R,
    /// Payload of data frames; between `start` and `end` it is not yet taken.
    packets: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes as they were read; between these marks their frames are still to be
    /// parsed.
    ahead: [u8; AHEAD],
    ahead_start: usize,
    ahead_end: usize,
    /// What is missing of the frame at hand, in bytes.
    missing: usize,
    /// Whether the frame at hand carries data.
    is_data: bool,
    /// Whether the last frame is through.
    ended: bool,
}

impl<R: Read> Input<R> {
    /// Reads from `inner`, from its next frame on.
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            packets: vec![0; ROOM],
            start: 0,
            end: 0,
            ahead: [0; AHEAD],
            ahead_start: 0,
            ahead_end: 0,
            missing: 0,
            is_data: false,
            ended: false,
        }
    }

    /// Takes the next packet, without its length, where it is here as a whole.
    pub(super) fn take(&mut self) -> Result<Option<&[u8]>, InputError> {
        let Some(length) = self.next_length()? else {
            return Ok(None);
        };
        let begin = self.start + LENGTH;
        if self.end < begin + length {
            return Ok(None);
        }
        self.start = begin + length;
        Ok(self.packets.get(begin..begin + length))
    }

    /// Reads more; `false` where the client has ended its direction.
    pub(super) fn fill(&mut self) -> Result<bool, InputError> {
        self.make_room()?;
        if self.ahead_start == self.ahead_end && !self.ended {
            self.read()?;
        }
        self.parse()?;
        Ok(!self.ended || self.ahead_start < self.ahead_end)
    }

    /// Length of the packet that comes next, where that much is here.
    fn next_length(&self) -> Result<Option<usize>, InputError> {
        let waiting = self.packets.get(self.start..self.end).unwrap_or_default();
        let Some(&length) = waiting.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(length);
        match usize::try_from(length) {
            Ok(bytes @ 1..=MAX_PACKET) => Ok(Some(bytes)),
            _ => Err(InputError::Length(length)),
        }
    }

    /// Moves what waits to the front where its packet wouldn't fit otherwise.
    fn make_room(&mut self) -> Result<(), InputError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            return Ok(());
        }
        let needed = LENGTH + self.next_length()?.unwrap_or_default();
        if self.start + needed > self.packets.len() || self.end == self.packets.len() {
            self.packets.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        Ok(())
    }

    /// Reads the rest of the frame at hand to its place, and a little more.
    fn read(&mut self) -> io::Result<()> {
        let room = self.packets.get_mut(self.end..).unwrap_or_default();
        let wanted = if self.is_data {
            self.missing.min(room.len())
        } else {
            0
        };
        // What follows must not overtake a frame that doesn't fit.
        let ahead_wanted = if self.is_data && wanted < self.missing {
            0
        } else {
            AHEAD
        };
        let rest = room.get_mut(..wanted).unwrap_or_default();
        let ahead = self.ahead.get_mut(..ahead_wanted).unwrap_or_default();
        let mut slices = [IoSliceMut::new(rest), IoSliceMut::new(ahead)];
        let read = loop {
            match self.inner.read_vectored(&mut slices) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.ended = read == 0;
        let direct = read.min(wanted);
        self.end += direct;
        if self.is_data {
            self.missing -= direct;
        }
        (self.ahead_start, self.ahead_end) = (0, read - direct);
        Ok(())
    }

    /// Takes the frames apart that were read ahead, as far as there is room.
    fn parse(&mut self) -> Result<(), InputError> {
        loop {
            let waiting = self
                .ahead
                .get(self.ahead_start..self.ahead_end)
                .unwrap_or_default();
            if self.missing > 0 {
                let room = self.packets.get_mut(self.end..).unwrap_or_default();
                let mut part = self.missing.min(waiting.len());
                if self.is_data {
                    part = part.min(room.len());
                    if let (Some(to), Some(from)) = (room.get_mut(..part), waiting.get(..part)) {
                        to.copy_from_slice(from);
                    }
                    self.end += part;
                }
                self.missing -= part;
                self.ahead_start += part;
                if part == 0 {
                    return Ok(());
                }
            } else if let Some(&[kind, a, b, c, d]) = waiting.first_chunk::<HEADER>() {
                self.ahead_start += HEADER;
                self.begin(kind, u32::from_be_bytes([a, b, c, d]))?;
            } else {
                return self.complete_header();
            }
        }
    }

    /// Reads the rest of a frame's header that was cut off by the look-ahead's end.
    fn complete_header(&mut self) -> Result<(), InputError> {
        let have = self.ahead_end - self.ahead_start;
        if have == 0 || self.ended {
            self.ahead_start = self.ahead_end;
            return Ok(());
        }
        self.ahead.copy_within(self.ahead_start..self.ahead_end, 0);
        let header = self.ahead.get_mut(..HEADER).unwrap_or_default();
        match self
            .inner
            .read_exact(header.get_mut(have..).unwrap_or_default())
        {
            Ok(()) => {
                (self.ahead_start, self.ahead_end) = (HEADER, HEADER);
                if let Some(&[kind, a, b, c, d]) = self.ahead.first_chunk::<HEADER>() {
                    self.begin(kind, u32::from_be_bytes([a, b, c, d]))?;
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                (self.ahead_start, self.ahead_end) = (0, 0);
                self.ended = true;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Begins with a frame. Those that don't matter to a subsystem, such as
    /// `window-change` and `signal`, are passed over.
    fn begin(&mut self, kind: u8, length: u32) -> Result<(), InputError> {
        self.missing = usize::try_from(length)
            .ok()
            .filter(|&length| length <= MAX_FRAME)
            .ok_or(InputError::Frame(length))?;
        self.is_data = kind == Kind::Data as u8;
        if kind == Kind::Eof as u8 {
            self.ended = true;
            self.ahead_start = self.ahead_end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most so many bytes at once.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let limit = self.1.min(buffer.len());
            self.0.read(&mut buffer[..limit])
        }
    }

    fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut frame = devgate_protocol::frame::header(kind, payload.len())
            .unwrap()
            .to_vec();
        frame.extend_from_slice(payload);
        frame
    }

    fn packet(length: usize, seed: u8) -> Vec<u8> {
        let mut packet = u32::try_from(length).unwrap().to_be_bytes().to_vec();
        packet.extend((0..length).map(|i| u8::try_from(i % 251).unwrap() ^ seed));
        packet
    }

    fn all<R: Read>(mut input: Input<R>) -> Result<Vec<Vec<u8>>, InputError> {
        let mut packets = Vec::new();
        loop {
            while let Some(packet) = input.take()? {
                packets.push(packet.to_vec());
            }
            if !input.fill()? {
                while let Some(packet) = input.take()? {
                    packets.push(packet.to_vec());
                }
                return Ok(packets);
            }
        }
    }

    #[test]
    fn packets_come_whole_however_they_are_cut_into_frames_and_reads() {
        let lengths = [
            1, 30, MAX_PACKET, 5000, 70_000, 1, MAX_PACKET, MAX_PACKET, 3,
        ];
        let packets: Vec<_> = (0..).zip(lengths).map(|(i, n)| packet(n, i)).collect();
        let bytes: Vec<u8> = packets.concat();
        for frame_size in [3, 100, 2043, 4096, 32 * 1024, 300_000, MAX_FRAME] {
            let mut stream = Vec::new();
            for part in bytes.chunks(frame_size) {
                stream.extend(frame(Kind::Data, part));
                stream.extend(frame(Kind::WindowChange, b"{}"));
            }
            stream.extend(frame(Kind::Eof, b""));
            for read_size in [1, 7, 2048, 65_536, usize::MAX] {
                if frame_size.saturating_mul(read_size) < 1000 {
                    continue;
                }
                let got = all(Input::new(Drip(&stream, read_size))).unwrap();
                assert!(
                    got.iter()
                        .eq(packets.iter().map(|packet| &packet[LENGTH..])),
                    "frames of {frame_size}, reads of {read_size}"
                );
            }
        }
    }

    #[test]
    fn a_packet_without_a_type_and_one_that_is_too_long_are_refused() {
        for length in [0, u32::try_from(MAX_PACKET).unwrap() + 1, u32::MAX] {
            let stream = frame(Kind::Data, &length.to_be_bytes());
            let error = all(Input::new(&stream[..])).unwrap_err();
            assert!(matches!(error, InputError::Length(n) if n == length));
        }
        let error = all(Input::new(&[0, 0xff, 0, 0, 0][..])).unwrap_err();
        assert!(matches!(error, InputError::Frame(0xff00_0000)));
    }

    #[test]
    fn what_is_cut_off_by_the_end_is_dropped() {
        let mut stream = frame(Kind::Data, &packet(10, 0));
        stream.extend(frame(Kind::Data, &packet(10, 1)[..7]));
        assert_eq!(all(Input::new(&stream[..])).unwrap().len(), 1);
        stream.truncate(stream.len() - 9);
        assert_eq!(all(Input::new(&stream[..])).unwrap().len(), 1);
        assert!(all(Input::new(&b""[..])).unwrap().is_empty());
    }
}
