//! Joins a forwarding channel to a raw stream, both ways, byte for byte.
//!
//! EOF ends one direction, CLOSE ends both (RFC 4254 §5.3). What a client sent
//! before its CLOSE is still delivered. Backpressure is the kernel's on one side
//! and the channel's window on the other; memory is one buffer a direction.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use devgate_protocol::{ReadHalf, Stream, WriteHalf, frame};
use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connection::Connection;
use super::incoming::{Came, Incoming};
use super::pace::Pace;
use crate::activity::Visit;

/// How much is read from a stream at once, in bytes.
const READ_SIZE: usize = 128 * 1024;

/// How long data that a client sent before its CLOSE may take to be delivered.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Carries bytes until both directions have ended or the channel is closed.
///
/// `closed` is cancelled when the client closed the channel or its connection
/// ended. Dropping the future drops the stream, which resets the agent's side.
pub(super) async fn splice(
    connection: &Connection,
    channel: Channel<Msg>,
    (stream, mut visit): (Stream, Visit),
    closed: &CancellationToken,
) {
    let (rx, tx) = channel.split();
    let (reader, writer) = stream.split();
    let up = upload(rx, writer, &mut visit);
    let down = download(reader, Pace::new(connection, &tx));
    let drained = drained(closed);
    tokio::pin!(up, down, drained);
    let (mut up_ended, mut down_ended) = (false, false);
    let mut rest = None;
    while !(up_ended && down_ended) {
        tokio::select! {
            end = &mut up, if !up_ended => match end {
                UploadEnd::Eof(rx) | UploadEnd::Broken(rx) => {
                    up_ended = true;
                    rest = Some(rx);
                }
                UploadEnd::Closed => break,
            },
            result = &mut down, if !down_ended => {
                down_ended = true;
                if let Err(error) = result {
                    debug!(%error, "forwarded stream broke");
                    break;
                }
                if tx.eof().await.is_err() {
                    break;
                }
            }
            () = until_closed(rest.as_mut()), if up_ended => break,
            () = closed.cancelled(), if up_ended => break,
            () = &mut drained => break,
        }
    }
    // It fails only where the connection has ended.
    let _ = tx.close().await;
}

/// Returns [`DRAIN_TIMEOUT`] after `closed` was cancelled.
pub(super) async fn drained(closed: &CancellationToken) {
    closed.cancelled().await;
    tokio::time::sleep(DRAIN_TIMEOUT).await;
}

/// Waits for the client's CLOSE; what comes before has no receiver. Cancel-safe.
async fn until_closed(rx: Option<&mut ChannelReadHalf>) {
    if let Some(rx) = rx {
        while !matches!(rx.wait().await, None | Some(ChannelMsg::Close)) {}
    }
}

/// How the direction from the client ended.
enum UploadEnd {
    /// The client sent EOF, and it was passed on.
    Eof(ChannelReadHalf),
    /// The client sent CLOSE; all that came before was delivered.
    Closed,
    /// The stream takes no more; it may still have something to say.
    Broken(ChannelReadHalf),
}

async fn upload(rx: ChannelReadHalf, mut writer: WriteHalf, visit: &mut Visit) -> UploadEnd {
    let mut incoming = Incoming::new(rx);
    while let Some(came) = incoming.next().await {
        let result = match came {
            Came::Data(pieces) => {
                visit.sent(pieces.iter().map(Bytes::len).sum());
                match frame::write_all(&mut writer, &[], &pieces).await {
                    Ok(()) => writer.flush().await,
                    error => error,
                }
            }
            Came::Message(ChannelMsg::Eof) => match writer.shutdown().await {
                Ok(()) => return UploadEnd::Eof(incoming.into_inner()),
                Err(error) => Err(error),
            },
            Came::Message(ChannelMsg::Close) => break,
            Came::Message(_) => continue,
        };
        if let Err(error) = result {
            debug!(%error, "forwarded stream takes no more");
            return UploadEnd::Broken(incoming.into_inner());
        }
    }
    UploadEnd::Closed
}

/// TLS keeps what it hasn't sent: hence the flush.
pub(super) async fn write(writer: &mut WriteHalf, data: &[u8]) -> io::Result<()> {
    writer.write_all(data).await?;
    writer.flush().await
}

async fn download(mut reader: ReadHalf, mut pace: Pace<'_>) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ_SIZE);
        if reader.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        pace.send(buffer.split().freeze())
            .await
            .map_err(io::Error::other)?;
    }
}
