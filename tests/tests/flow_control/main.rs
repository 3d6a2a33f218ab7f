//! Flow control of our russh (`patches/`) as a server that bridges channels:
//! between channels that are busy, stalled, or gone, against the OpenSSH client
//! and against russh's own. All of it is over loopback or in memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod client;
mod ends;
mod fairness;
mod openssh;
mod path;
mod server;
mod stalls;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The window of each channel, in bytes.
const WINDOW: usize = 2 << 20;
/// What is still moving by then is stuck.
const DEADLINE: Duration = Duration::from_mins(2);

/// Fails if `work` does not come to its end.
async fn ends<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("stuck")
}

/// Sends `blocks` numbered MiB to `writer` and expects them back from `reader`.
async fn echo(
    mut writer: impl AsyncWrite + Unpin,
    mut reader: impl AsyncRead + Unpin,
    blocks: u64,
) {
    let pattern = pattern();
    let sending = async {
        let mut block = pattern.clone();
        for number in 0..blocks {
            block[..8].copy_from_slice(&number.to_be_bytes());
            writer.write_all(&block).await.unwrap();
        }
        writer.shutdown().await.unwrap();
        drop(writer);
    };
    let receiving = async {
        let mut block = pattern.clone();
        for number in 0..blocks {
            reader.read_exact(&mut block).await.unwrap();
            assert!(
                block[..8] == number.to_be_bytes() && block[8..] == pattern[8..],
                "block {number} differs"
            );
        }
        assert_eq!(reader.read(&mut block).await.unwrap(), 0);
    };
    ends(async { tokio::join!(sending, receiving) }).await;
}

/// One MiB that no compression or repetition can imitate.
fn pattern() -> Vec<u8> {
    use rand::RngExt;
    let mut block = vec![0; 1 << 20];
    rand::rng().fill(&mut block[..]);
    block
}
