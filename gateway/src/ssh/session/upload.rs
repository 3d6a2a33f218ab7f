//! From the client to the program.

use std::io;

use devgate_protocol::WriteHalf;
use devgate_protocol::frame::{self, Kind};
use devgate_protocol::pipe::Feed;
use russh::ChannelMsg;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tracing::debug;

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
/// `unread` is notified when the client throws away what it gets.
///
/// A program that doesn't read its stdin stops the client's data once the feed is full, but
/// neither signals nor new window sizes. Where data goes in frames they wait behind it.
pub(super) async fn upload(
    mut incoming: Incoming,
    writer: &mut WriteHalf,
    (asked, unread, visit): (&Asked, &Notify, &Visit),
    mut feed: Option<Feed>,
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
                frame::write_pieces(writer, Kind::Data, &pieces).await
            }
            (Some(Came::Message(message)), feed) => {
                if matches!(message, ChannelMsg::Eof) {
                    eof = ClientEof::Sent;
                    feed.iter_mut().for_each(Feed::end);
                }
                if matches!(message, ChannelMsg::EndOfWrite) {
                    unread.notify_one();
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
