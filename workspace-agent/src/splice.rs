//! Joins two connections, with half-close.
//!
//! EOF ends one direction. A write that fails ends its direction too, but what the
//! other side had sent still arrives. A read that fails, a reset say, ends both.
//! Buffers exist only while bytes are under way.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::time::Duration;

use devgate_protocol::{ReadHalf, Stream};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest};
use tokio::time::sleep;
use tokio_util::io::poll_read_buf;

/// How much is read at once, in bytes.
const READ_SIZE: usize = 128 * 1024;

/// How often a stream that ended its direction is asked whether it is still there:
/// a peer that closed altogether sends no event of its own.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// Copies both ways until both directions ended or one side broke.
pub(crate) async fn splice(
    stream: Stream,
    target: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let (mut from_gateway, mut to_gateway) = stream.split();
    let (mut from_target, mut to_target) = target;
    let mut inward = Box::pin(copy(&mut from_gateway, &mut to_target));
    let outward = copy(&mut from_target, &mut to_gateway);
    tokio::pin!(outward);
    tokio::select! {
        ended = &mut outward => {
            ended?;
            inward.await
        }
        ended = &mut inward => {
            ended?;
            drop(inward);
            tokio::select! {
                ended = outward => ended,
                () = gone(&from_gateway) => Ok(()),
            }
        }
    }
}

/// Copies one direction to its end, and ends it at the other side.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut writable = true;
    while read(from, &mut buffer).await? > 0 {
        // What can't be delivered is still read, so that the source's end is noticed.
        writable = writable && deliver(to, &buffer).await.is_ok();
        buffer.clear();
    }
    if writable {
        // The other side may be gone by now; its own direction tells.
        let _ = to.shutdown().await;
    }
    Ok(())
}

/// Writes all, and leaves nothing in a stream's own buffer.
async fn deliver(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Reads into an empty buffer, which has memory only once there is something to read.
async fn read(from: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<usize> {
    poll_fn(|cx| {
        buffer.reserve(READ_SIZE);
        let polled = poll_read_buf(Pin::new(&mut *from), cx, buffer);
        if polled.is_pending() {
            *buffer = Vec::new();
        }
        polled
    })
    .await
}

/// Waits until the gateway has closed its end altogether, where that can be told: TCP
/// tells a close from a half-close only when it is written to.
async fn gone(from_gateway: &ReadHalf) {
    let ReadHalf::Local(local) = from_gateway else {
        return pending().await;
    };
    while let Ok(ready) = local.ready(Interest::WRITABLE).await
        && !ready.is_write_closed()
    {
        sleep(PROBE_INTERVAL).await;
    }
}
