//! From the client to the program.

use std::io;
use std::pin::pin;

use bytes::Bytes;
use devgate_protocol::WriteHalf;
use devgate_protocol::frame::{self, Kind};
use devgate_protocol::pipe::Feed;
use russh::ChannelMsg;
use tokio::io::AsyncWriteExt;
use tracing::debug;

use super::aside::Aside;
use super::asked::Asked;
use super::requests::push;
use crate::activity::Visit;
use crate::ssh::incoming::{Came, Incoming};

/// Whether a client had sent EOF before its CLOSE.
#[derive(Clone, Copy, Default)]
pub(super) enum ClientEof {
    Sent,
    #[default]
    NotSent,
}

/// How the direction from the client ended.
pub(super) enum UploadEnd {
    /// With its CLOSE, and what the program hasn't read yet.
    Closed(ClientEof, Option<Feed>),
    /// The agent takes no more; it may still have something to say.
    Broken,
}

/// Carries what the client sends: data through `feed` where the program has a pipe, and
/// everything else in frames.
///
/// A program that doesn't read its stdin stops the client's data once the feed or the stream
/// is full, but neither signals nor new window sizes: where data goes in frames they go past
/// it, as far as there is a way.
pub(super) async fn upload(
    mut incoming: Incoming,
    writer: &mut WriteHalf,
    (asked, visit): (&Asked, &Visit),
    (mut feed, mut aside): (Option<Feed>, Aside<'_>),
) -> UploadEnd {
    let mut eof = ClientEof::default();
    loop {
        let has_room = feed.as_ref().is_none_or(Feed::has_room);
        let next = async {
            if has_room {
                incoming.next().await
            } else {
                // Data stays where it is: its window is returned only once it is taken.
                Some(Came::Message(incoming.next_overtaking().await))
            }
        };
        let came = tokio::select! {
            came = next => came,
            flowed = flow(feed.as_mut()) => {
                note(flowed);
                continue;
            }
        };
        if matches!(came, Some(Came::Data(_))) {
            visit.typed();
        }
        let result = match (came, &mut feed) {
            (None | Some(Came::Message(ChannelMsg::Close)), _) => {
                return UploadEnd::Closed(eof, feed);
            }
            (Some(Came::Data(pieces)), Some(feed)) => {
                for piece in pieces {
                    note(feed.push(piece));
                }
                continue;
            }
            (Some(Came::Data(pieces)), None) => {
                write(writer, &pieces, (&mut incoming, &mut aside)).await
            }
            (Some(Came::Message(message)), feed) => {
                let Some(message) = aside.send(message).await else {
                    continue;
                };
                if matches!(message, ChannelMsg::Eof) {
                    eof = ClientEof::Sent;
                    feed.iter_mut().for_each(Feed::end);
                }
                if !asked.note(&message) {
                    continue;
                }
                let mut frames = Vec::new();
                match push(&mut frames, message) {
                    Ok(()) => writer.write_all(&frames).await,
                    Err(error) => Err(error),
                }
            }
        };
        // TLS keeps what it hasn't sent.
        let result = match result {
            Ok(()) => writer.flush().await,
            error => error,
        };
        if let Err(error) = result {
            debug!(%error, "session stream takes no more");
            return UploadEnd::Broken;
        }
    }
}

/// Writes data, and lets pass what overtakes it meanwhile.
async fn write(
    writer: &mut WriteHalf,
    pieces: &[Bytes],
    (incoming, aside): (&mut Incoming, &mut Aside<'_>),
) -> io::Result<()> {
    let left = {
        let mut writing = pin!(async {
            frame::write_pieces(writer, Kind::Data, pieces).await?;
            // TLS keeps what it hasn't sent.
            writer.flush().await
        });
        loop {
            tokio::select! {
                written = &mut writing => return written,
                message = incoming.next_overtaking(), if aside.is_open() => {
                    if let Some(left) = aside.send(message).await {
                        writing.await?;
                        break left;
                    }
                }
            }
        }
    };
    let mut frames = Vec::new();
    push(&mut frames, left)?;
    writer.write_all(&frames).await
}

/// Writes some of what is queued for the program; waits for ever where nothing is.
/// Cancel-safe.
pub(super) async fn flow(feed: Option<&mut Feed>) -> io::Result<()> {
    match feed {
        Some(feed) => feed.flow().await,
        None => std::future::pending().await,
    }
}

fn note(fed: io::Result<()>) {
    if let Err(error) = fed {
        debug!(%error, "the program doesn't read any more");
    }
}
