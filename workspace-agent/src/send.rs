//! Writes frames that arrive at once.
//!
//! A stream over TLS may keep what was written until the next write; a session's next
//! write may be hours away.

use std::io;

use devgate_protocol::WriteHalf;
use devgate_protocol::frame::{self, Kind};
use serde::Serialize;
use tokio::io::AsyncWriteExt;

/// Sends a frame of raw payload. Not cancel-safe.
pub(crate) async fn send(writer: &mut WriteHalf, kind: Kind, payload: &[u8]) -> io::Result<()> {
    frame::write(writer, kind, payload).await?;
    writer.flush().await
}

/// Sends a frame whose payload is JSON. Not cancel-safe.
pub(crate) async fn send_json(
    writer: &mut WriteHalf,
    kind: Kind,
    payload: &impl Serialize,
) -> io::Result<()> {
    frame::write_json(writer, kind, payload).await?;
    writer.flush().await
}
