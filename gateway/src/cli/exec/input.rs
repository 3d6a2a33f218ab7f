//! What is read on stdin: no more of it is under way than the other side has room for, so
//! that signals pass it.

use std::future::pending;

use bytes::{BufMut as _, Bytes, BytesMut};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, stdin};
use tokio::sync::{mpsc, watch};

use super::{LOST, signals};
use crate::cli::failure::Failure;

/// The channel of stdin.
const STDIN: u8 = 0;

/// How much is read ahead, and sent at once, in bytes.
const PIECE: usize = 32 * 1024;

/// What becomes of stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stdin {
    /// It is a terminal, and the command reads what is typed.
    Typed,
    /// The command reads it.
    Read,
    /// Nobody does.
    Left,
}

/// Reads ahead; returns where the command is left. What is typed is looked at as long as
/// some room is there, whether or not anything is sent.
pub(super) async fn read(reads: Stdin, to: mpsc::Sender<Bytes>) -> Failure {
    if reads == Stdin::Left {
        // An end would be one that is sent.
        let _open = to;
        return pending().await;
    }
    let (mut input, mut escape) = (stdin(), Escape::default());
    let (mut piece, mut ahead) = (BytesMut::new(), BytesMut::new());
    let mut ended = false;
    while !ended || !ahead.is_empty() {
        piece.reserve(PIECE);
        tokio::select! {
            // One that can't be read has no more to say.
            read = input.read_buf(&mut piece), if !ended && ahead.len() < PIECE => {
                ended = read.unwrap_or(0) == 0;
                match reads {
                    // Only one that goes away ends.
                    Stdin::Typed if ended => return signals::left(Signal::SIGHUP),
                    Stdin::Typed => {
                        if escape.pass(&piece, &mut ahead) == Typed::Leaves {
                            let message = "left with `~.`: the command gets SIGHUP there";
                            return Failure::ended(LOST, Some(message.to_owned()));
                        }
                        piece.clear();
                    }
                    Stdin::Read | Stdin::Left => ahead.unsplit(piece.split()),
                }
            }
            room = to.reserve(), if !ahead.is_empty() => match room {
                Ok(room) => room.send(ahead.split().freeze()),
                Err(_) => break,
            },
        }
    }
    drop(to);
    pending().await
}

/// What somebody who types wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typed {
    Goes,
    Leaves,
}

/// Looks for `~.` at the beginning of a line, as ssh(1) does: it leaves. `~~` is one `~`.
#[derive(Debug, Default)]
enum Escape {
    #[default]
    LineStart,
    /// After a `~` there, which isn't passed yet.
    Tilde,
    Within,
}

impl Escape {
    fn pass(&mut self, typed: &[u8], to: &mut BytesMut) -> Typed {
        for &byte in typed {
            match (&self, byte) {
                (Self::LineStart, b'~') => {
                    *self = Self::Tilde;
                    continue;
                }
                (Self::Tilde, b'.') => return Typed::Leaves,
                (Self::Tilde, b'~') | (Self::LineStart | Self::Within, _) => {}
                (Self::Tilde, _) => to.put_u8(b'~'),
            }
            to.put_u8(byte);
            *self = match byte {
                b'\r' | b'\n' => Self::LineStart,
                _ => Self::Within,
            };
        }
        Typed::Goes
    }
}

/// What is sent of what was read, as far as it may be.
pub(super) struct Allowed {
    pieces: mpsc::Receiver<Bytes>,
    /// How much may be sent by now, from the beginning on.
    limit: watch::Receiver<u64>,
    sent: u64,
    piece: Bytes,
    ended: bool,
}

impl Allowed {
    pub(super) fn new(pieces: mpsc::Receiver<Bytes>, limit: watch::Receiver<u64>) -> Self {
        Self {
            pieces,
            limit,
            sent: 0,
            piece: Bytes::new(),
            ended: false,
        }
    }

    /// Returns the next message, once it may be sent; none comes after the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Bytes {
        if self.ended {
            return pending().await;
        }
        if self.piece.is_empty() {
            let Some(piece) = self.pieces.recv().await else {
                self.ended = true;
                // A channel alone is its end.
                return Bytes::from_static(&[STDIN]);
            };
            self.piece = piece;
        }
        let sent = self.sent;
        let limit = self.limit.wait_for(|limit| *limit > sent).await;
        let Ok(limit) = limit.map(|limit| *limit) else {
            return pending().await;
        };
        let room = usize::try_from(limit - sent).unwrap_or(usize::MAX);
        let piece = self.piece.split_to(room.min(self.piece.len()));
        self.sent += u64::try_from(piece.len()).unwrap_or_default();
        let mut message = BytesMut::with_capacity(1 + piece.len());
        message.put_u8(STDIN);
        message.put(piece);
        message.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn a_tilde_and_a_dot_leave_at_the_beginning_of_a_line_alone() {
        for (typed, passed, wanted) in [
            ("a~.b\r", "a~.b\r", Typed::Goes),
            ("~~.\r~~~\n", "~.\r~~\n", Typed::Goes),
            ("~a~.\r~\r", "~a~.\r~\r", Typed::Goes),
            ("~", "", Typed::Goes),
            ("~.", "", Typed::Leaves),
            ("ls\r~.ls", "ls\r", Typed::Leaves),
            ("ls\n~\r~.", "ls\n~\r", Typed::Leaves),
        ] {
            // Whether it comes at once or byte for byte.
            for size in [1, typed.len()] {
                let (mut escape, mut to) = (Escape::default(), BytesMut::new());
                let mut pieces = typed.as_bytes().chunks(size);
                let leaves = pieces.any(|piece| escape.pass(piece, &mut to) == Typed::Leaves);
                assert_eq!(leaves, wanted == Typed::Leaves, "{typed:?}");
                assert_eq!(to, passed, "{typed:?}");
            }
        }
    }

    #[test]
    fn no_more_is_sent_than_there_is_room_for() {
        let (pieces, given) = mpsc::channel(4);
        let (limit, allowed) = watch::channel(0);
        let mut allowed = Allowed::new(given, allowed);
        let mut next = || allowed.next().now_or_never();
        pieces.try_send(Bytes::from_static(b"abcdef")).unwrap();
        pieces.try_send(Bytes::from_static(b"gh")).unwrap();
        assert_eq!(next(), None);
        limit.send_replace(4);
        assert_eq!(next().as_deref(), Some(&b"\0abcd"[..]));
        assert_eq!(next(), None);
        limit.send_replace(7);
        assert_eq!(next().as_deref(), Some(&b"\0ef"[..]));
        assert_eq!(next().as_deref(), Some(&b"\0g"[..]));
        limit.send_replace(8);
        assert_eq!(next().as_deref(), Some(&b"\0h"[..]));
        // Its end needs no room.
        drop(pieces);
        assert_eq!(next().as_deref(), Some(&b"\0"[..]));
        limit.send_replace(u64::MAX);
        assert_eq!(next(), None);
    }
}
