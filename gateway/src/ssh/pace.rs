//! How much of a channel's output is under way to a client that has others open.
//!
//! What is under way, in the network and in the client, can't be overtaken: behind a full
//! window of a fast download each keystroke's echo would wait for megabytes. A channel
//! that isn't alone keeps no more under way than the path needs to stay full.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use russh::ChannelWriteHalf;
use russh::server::Msg;
use tokio::time::{Instant, timeout};

use super::connection::Connection;

/// Largest piece of data that is queued for the client at once, in bytes: it leaves other
/// channels their turn.
const PIECE: usize = 32 * 1024;

/// What is under way at the most, in bytes, where the path needs less: as much as keeps a
/// client busy that is next door.
const LEAST: u32 = 128 * 1024;

/// The same farther away, where round trips vary.
const LEAST_FAR: u32 = 512 * 1024;

/// From which round trip on a client isn't next door.
const FAR: Duration = Duration::from_millis(2);

/// Over how long the speed is measured, where the path isn't longer.
const INTERVAL: Duration = Duration::from_millis(10);

/// A silence after which an old speed means nothing.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a client may return no window before the limit is lifted, where the path
/// isn't longer.
const PATIENCE: Duration = Duration::from_millis(200);

/// Sends one channel's output.
pub(super) struct Pace<'a> {
    connection: &'a Connection,
    tx: &'a ChannelWriteHalf<Msg>,
    /// What was sent since when.
    bytes: u64,
    since: Instant,
    interval: Duration,
}

impl<'a> Pace<'a> {
    pub(super) fn new(connection: &'a Connection, tx: &'a ChannelWriteHalf<Msg>) -> Self {
        Self {
            connection,
            tx,
            bytes: 0,
            since: Instant::now(),
            interval: INTERVAL,
        }
    }

    /// Sends data, in pieces.
    pub(super) async fn send(&mut self, mut data: Bytes) -> Result<(), russh::Error> {
        while data.len() > PIECE {
            self.send_piece(data.split_to(PIECE)).await?;
        }
        self.send_piece(data).await
    }

    async fn send_piece(&mut self, piece: Bytes) -> Result<(), russh::Error> {
        self.bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let mut sending = pin!(self.tx.data_bytes(piece));
        let patience = PATIENCE.max(self.interval * 2);
        if let Ok(sent) = timeout(patience, sending.as_mut()).await {
            sent?;
        } else {
            // The client may wait for more, and return window for nothing less.
            self.tx.limit_under_way(u32::MAX);
            sending.await?;
        }
        let elapsed = self.since.elapsed();
        if elapsed >= self.interval {
            self.adapt(elapsed);
        }
        Ok(())
    }

    fn adapt(&mut self, elapsed: Duration) {
        let round_trip = self.connection.round_trip();
        let silence = SILENCE.max(self.interval * 2);
        let limit = match round_trip {
            Some(round_trip) if self.connection.channels() > 1 && elapsed <= silence => {
                under_way(self.bytes, elapsed, round_trip)
            }
            _ => u32::MAX,
        };
        self.tx.limit_under_way(limit);
        self.bytes = 0;
        self.since = Instant::now();
        self.interval = INTERVAL.max(round_trip.unwrap_or_default() * 2);
    }
}

/// Returns how many bytes may be under way on a path of this round trip, which has lately
/// carried `bytes` in `elapsed`: twice what it holds, so that it can get faster.
fn under_way(bytes: u64, elapsed: Duration, round_trip: Duration) -> u32 {
    let held = u128::from(bytes) * round_trip.as_nanos() / elapsed.as_nanos().max(1);
    let least = if round_trip < FAR { LEAST } else { LEAST_FAR };
    u32::try_from(held * 2).unwrap_or(u32::MAX).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_kept_full_and_a_short_one_is_not_overfilled() {
        let second = Duration::from_secs(1);
        let next_door = under_way(1_000_000_000, second, Duration::from_micros(50));
        assert_eq!(next_door, LEAST);
        let far_away = under_way(20_000_000, second, Duration::from_millis(100));
        assert_eq!(far_away, 4_000_000);
        assert_eq!(under_way(u64::MAX, second, second), u32::MAX);
        assert_eq!(under_way(0, Duration::ZERO, Duration::ZERO), LEAST);
        assert_eq!(under_way(0, second, Duration::from_millis(50)), LEAST_FAR);
    }
}
