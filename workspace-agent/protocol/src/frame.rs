//! Frames: what a `session` stream and the listening streams carry.
//!
//! A frame is one byte of kind, four bytes of length (big-endian) and that many
//! bytes of payload. Data frames carry their bytes as they are; the payloads of
//! requests are JSON, but for `exec` and `exit-status`.

use std::io::{self, IoSlice};

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Accepted, Refusal};

/// Largest payload of a frame, in bytes.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Length of a frame's kind and length, in bytes.
pub const HEADER: usize = 5;

/// How much is read from the stream at once, in bytes.
const READ_SIZE: usize = 128 * 1024;

/// What a frame is. Numbers are never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Both ways: channel data, stdin or stdout.
    Data = 0,
    /// To the gateway: stderr (`SSH_EXTENDED_DATA_STDERR`).
    Stderr = 1,
    /// Both ways: no more data in this direction.
    Eof = 2,

    /// To the agent: `pty-req`, JSON of [`PtyRequest`].
    Pty = 16,
    /// To the agent: `window-change`, JSON of [`Size`].
    WindowChange = 17,
    /// To the agent: `env`, JSON of [`Variable`].
    Environment = 18,
    /// To the agent: `shell`, empty.
    Shell = 19,
    /// To the agent: `exec`, the command line as it came.
    Exec = 20,
    /// To the agent: `subsystem`, its name.
    Subsystem = 21,
    /// To the agent: `signal`, its name without `SIG` (RFC 4254 §6.10).
    Signal = 22,
    /// To the agent: `auth-agent-req@openssh.com`, empty.
    AuthAgent = 23,
    /// To the agent: `x11-req`, JSON of [`X11Request`].
    X11 = 24,
    /// To the agent: what the program still writes is thrown away
    /// (`eow@openssh.com`), empty.
    EndOfWrite = 25,

    /// To the gateway: `exit-status`, four bytes, big-endian.
    ExitStatus = 32,
    /// To the gateway: `exit-signal`, JSON of [`ExitSignal`].
    ExitSignal = 33,
    /// To the gateway: the program couldn't be started, JSON of [`Refusal`].
    Failed = 34,
    /// To the gateway: a connection waits to be collected, JSON of [`Accepted`].
    Accepted = 35,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Data,
            1 => Self::Stderr,
            2 => Self::Eof,
            16 => Self::Pty,
            17 => Self::WindowChange,
            18 => Self::Environment,
            19 => Self::Shell,
            20 => Self::Exec,
            21 => Self::Subsystem,
            22 => Self::Signal,
            23 => Self::AuthAgent,
            24 => Self::X11,
            25 => Self::EndOfWrite,
            32 => Self::ExitStatus,
            33 => Self::ExitSignal,
            34 => Self::Failed,
            35 => Self::Accepted,
            _ => return None,
        })
    }
}

/// Size of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Columns, in cells.
    pub columns: u32,
    /// Rows, in cells.
    pub rows: u32,
    /// Width, in pixels; 0 where unknown.
    pub width: u32,
    /// Height, in pixels; 0 where unknown.
    pub height: u32,
}

/// `pty-req` (RFC 4254 §6.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtyRequest {
    /// Value of `TERM`.
    pub term: String,
    /// Initial size.
    pub size: Size,
    /// Terminal modes, opcode and argument (RFC 4254 §8), in the client's order.
    pub modes: Vec<(u8, u32)>,
}

/// `env` (RFC 4254 §6.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// `x11-req` (RFC 4254 §6.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct X11Request {
    /// Whether the listener ends after its first connection.
    pub single_connection: bool,
    /// Name of the authentication protocol.
    pub protocol: String,
    /// Its cookie, hexadecimal.
    pub cookie: String,
    /// Screen number.
    pub screen: u32,
}

/// `exit-signal` (RFC 4254 §6.10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitSignal {
    /// The signal's name without `SIG`.
    pub signal: String,
    /// Whether a core was dumped.
    pub core_dumped: bool,
}

/// One frame with its payload read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Channel data.
    Data(Bytes),
    /// stderr.
    Stderr(Bytes),
    /// No more data in this direction.
    Eof,
    /// `pty-req`.
    Pty(PtyRequest),
    /// `window-change`.
    WindowChange(Size),
    /// `env`.
    Environment(Variable),
    /// `shell`.
    Shell,
    /// `exec`, with the command line as it came.
    Exec(Bytes),
    /// `subsystem`, with its name.
    Subsystem(String),
    /// `signal`, with its name without `SIG`.
    Signal(String),
    /// `auth-agent-req@openssh.com`.
    AuthAgent,
    /// `x11-req`.
    X11(X11Request),
    /// The program's output is thrown away from now on (`eow@openssh.com`).
    EndOfWrite,
    /// `exit-status`.
    ExitStatus(u32),
    /// `exit-signal`.
    ExitSignal(ExitSignal),
    /// The program couldn't be started.
    Failed(Refusal),
    /// A connection waits to be collected.
    Accepted(Accepted),
    /// A kind that this version doesn't know; to be ignored.
    Unknown(u8),
}

/// Reads frames from a stream.
#[derive(Debug)]
pub struct FrameReader<R> {
    inner: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads frames from `inner`, from its next byte on.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: BytesMut::new(),
        }
    }

    /// Returns the next frame, or `None` where the stream ended between two.
    ///
    /// Cancel-safe: what was read stays in the buffer.
    ///
    /// # Errors
    /// `UnexpectedEof` where the stream ended inside a frame, `InvalidData` where a
    /// payload is too long or can't be read.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if self.buffer.capacity() - self.buffer.len() < HEADER {
                self.buffer.reserve(READ_SIZE);
            }
            if self.inner.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// Returns the stream and what was read of it beyond the last frame, for a
    /// reader that goes on in its own way.
    pub fn into_parts(self) -> (R, BytesMut) {
        (self.inner, self.buffer)
    }

    /// Gives the buffer's memory back; for a stream that has fallen idle.
    pub fn shrink(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    fn take(&mut self) -> io::Result<Option<Frame>> {
        let Some(&[kind, a, b, c, d]) = self.buffer.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(invalid(format!("a frame of {length} bytes is too long")));
        }
        if self.buffer.len() < HEADER + length {
            let missing = HEADER + length - self.buffer.len();
            self.buffer.reserve(missing.max(READ_SIZE));
            return Ok(None);
        }
        let frame = self
            .buffer
            .split_to(HEADER + length)
            .freeze()
            .split_off(HEADER);
        parse(kind, frame).map(Some)
    }
}

/// Writes a frame of raw payload: data, stderr, `exec`, `subsystem`, `signal`, or
/// an empty one.
///
/// Not cancel-safe: a frame that was begun must be finished.
///
/// # Errors
/// `InvalidInput` where the payload is longer than [`MAX_FRAME`].
pub async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    payload: &[u8],
) -> io::Result<()> {
    write_all(stream, &header(kind, payload.len())?, &[payload]).await
}

/// Writes a frame of raw payload that lies in several pieces.
///
/// Not cancel-safe: a frame that was begun must be finished.
///
/// # Errors
/// `InvalidInput` where the payload is longer than [`MAX_FRAME`].
pub async fn write_pieces(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    pieces: &[Bytes],
) -> io::Result<()> {
    let header = header(kind, pieces.iter().map(Bytes::len).sum())?;
    write_all(stream, &header, pieces).await
}

/// Writes `first` and then all pieces, in as few system calls as they fit. Not
/// cancel-safe.
pub async fn write_all(
    stream: &mut (impl AsyncWrite + Unpin),
    first: &[u8],
    pieces: &[impl AsRef<[u8]>],
) -> io::Result<()> {
    let mut slices = Vec::with_capacity(1 + pieces.len());
    slices.push(IoSlice::new(first));
    slices.extend(pieces.iter().map(|piece| IoSlice::new(piece.as_ref())));
    let mut rest = slices.as_mut_slice();
    // Skips what is empty, so that nothing is written of nothing.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let written = stream.write_vectored(rest).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

/// Writes a frame whose payload is JSON.
///
/// Not cancel-safe: a frame that was begun must be finished.
pub async fn write_json(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    payload: &impl Serialize,
) -> io::Result<()> {
    write(stream, kind, &serde_json::to_vec(payload)?).await
}

/// Returns the five bytes that precede a payload.
///
/// # Errors
/// `InvalidInput` where the payload is longer than [`MAX_FRAME`].
pub fn header(kind: Kind, length: usize) -> io::Result<[u8; HEADER]> {
    let length = u32::try_from(length)
        .ok()
        .filter(|_| length <= MAX_FRAME)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "frame too long"))?;
    let [a, b, c, d] = length.to_be_bytes();
    Ok([kind as u8, a, b, c, d])
}

fn parse(kind: u8, payload: Bytes) -> io::Result<Frame> {
    let Some(known) = Kind::from_byte(kind) else {
        return Ok(Frame::Unknown(kind));
    };
    Ok(match known {
        Kind::Data => Frame::Data(payload),
        Kind::Stderr => Frame::Stderr(payload),
        Kind::Eof => Frame::Eof,
        Kind::Pty => Frame::Pty(json(&payload)?),
        Kind::WindowChange => Frame::WindowChange(json(&payload)?),
        Kind::Environment => Frame::Environment(json(&payload)?),
        Kind::Shell => Frame::Shell,
        Kind::Exec => Frame::Exec(payload),
        Kind::Subsystem => Frame::Subsystem(text(&payload)?),
        Kind::Signal => Frame::Signal(text(&payload)?),
        Kind::AuthAgent => Frame::AuthAgent,
        Kind::X11 => Frame::X11(json(&payload)?),
        Kind::EndOfWrite => Frame::EndOfWrite,
        Kind::ExitStatus => {
            let bytes = <[u8; 4]>::try_from(&payload[..])
                .map_err(|_| invalid("exit-status isn't four bytes".to_owned()))?;
            Frame::ExitStatus(u32::from_be_bytes(bytes))
        }
        Kind::ExitSignal => Frame::ExitSignal(json(&payload)?),
        Kind::Failed => Frame::Failed(json(&payload)?),
        Kind::Accepted => Frame::Accepted(json(&payload)?),
    })
}

fn json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> io::Result<T> {
    serde_json::from_slice(payload).map_err(|error| invalid(error.to_string()))
}

fn text(payload: &[u8]) -> io::Result<String> {
    String::from_utf8(payload.to_vec()).map_err(|error| invalid(error.to_string()))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_arrive_in_order_through_a_pipe_smaller_than_one() {
        let (mut near, far) = tokio::io::duplex(7);
        let sent = async {
            write(&mut near, Kind::Data, &[7; 1000]).await.unwrap();
            write(&mut near, Kind::Eof, &[]).await.unwrap();
            let size = Size {
                columns: 80,
                rows: 24,
                width: 0,
                height: 0,
            };
            write_json(&mut near, Kind::WindowChange, &size)
                .await
                .unwrap();
            drop(near);
        };
        let read = async {
            let mut frames = FrameReader::new(far);
            assert_eq!(
                frames.next().await.unwrap(),
                Some(Frame::Data(vec![7; 1000].into()))
            );
            assert_eq!(frames.next().await.unwrap(), Some(Frame::Eof));
            assert!(matches!(
                frames.next().await.unwrap(),
                Some(Frame::WindowChange(Size { columns: 80, .. }))
            ));
            assert_eq!(frames.next().await.unwrap(), None);
        };
        tokio::join!(sent, read);
    }

    #[tokio::test]
    async fn an_unknown_kind_is_passed_on_and_a_torn_frame_is_an_error() {
        let bytes: &[u8] = &[200, 0, 0, 0, 1, 9, 0, 0, 0, 0, 5, 1];
        let mut frames = FrameReader::new(bytes);
        assert_eq!(frames.next().await.unwrap(), Some(Frame::Unknown(200)));
        assert_eq!(
            frames.next().await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[tokio::test]
    async fn a_frame_longer_than_the_limit_is_refused_by_both_sides() {
        let bytes: &[u8] = &[0, 0xff, 0, 0, 0];
        let error = FrameReader::new(bytes).next().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(header(Kind::Data, MAX_FRAME + 1).is_err());
    }
}
