//! Dials the gateway, for an agent that the gateway can't reach.
//!
//! One control connection and a pool of spare data connections make a tunnel.
//! A data connection becomes a stream when the gateway sends its header; from
//! then on it lives by itself, also when its tunnel is gone.

mod backoff;
mod connect;
mod identity;
mod spares;
mod tunnel;

use std::path::PathBuf;
use std::time::Duration;

use devgate_protocol::config::DataTransport;
use devgate_protocol::{Open, Stream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::notices::Notices;
use crate::secrets::Secrets;
use crate::session::Passing;
use backoff::Backoff;
use identity::Identity;
use tunnel::{End, Tunnel};

/// How long streams have to end once the agent stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait before the next look at a gateway that is shutting down: the one that
/// takes its place is about to come.
const SUCCESSOR_WAIT: Duration = Duration::from_secs(5);

/// Silence after which a gateway counts as gone: three of its pings.
pub const DEAD_AFTER: Duration = Duration::from_secs(45);

/// How and where an agent dials.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Id of the workspace that it serves.
    pub workspace: String,
    /// The gateway's HTTPS addresses, `host:port`, tried in turn.
    pub gateways: Vec<String>,
    /// PEM file with the gateway's CA.
    pub ca: PathBuf,
    /// PEM file with the agent's certificate chain; replaced on renewal.
    pub certificate: PathBuf,
    /// PEM file with the agent's private key; replaced on renewal.
    pub key: PathBuf,
    /// How data connections are carried.
    pub data: DataTransport,
    /// Silence after which a gateway counts as gone; see [`DEAD_AFTER`].
    pub dead_after: Duration,
    /// Takes what the gateway tells for the workspace's programs.
    pub secrets: Secrets,
    /// Takes what reaches sessions past their streams.
    pub passing: Passing,
    /// What the agent tells by itself.
    pub notices: Notices,
}

/// Keeps a tunnel to one of the gateways until `stop`, dialling again whenever it
/// breaks, and hands each stream with its header to `serve`.
///
/// After `stop`, the streams have [`DRAIN_TIMEOUT`] to end; what still runs then
/// ends with the process. Dropping the future ends the tunnel and detaches the
/// streams.
pub async fn run<S, F>(dial: Dial, serve: S, stop: CancellationToken)
where
    S: Fn(Stream, Open) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let streams = TaskTracker::new();
    let mut backoff = Backoff::default();
    let mut last_failure = String::new();
    for gateway in dial.gateways.iter().cycle() {
        let tunnel = Tunnel {
            dial: &dial,
            gateway,
            streams: &streams,
            serve: &serve,
        };
        let ended = tokio::select! {
            ended = one(&tunnel) => ended,
            () = stop.cancelled() => break,
        };
        let mut longest = Duration::MAX;
        match ended {
            Ok(end) => {
                backoff = Backoff::default();
                last_failure.clear();
                info!(gateway, why = %end, "the tunnel ended, dialling again");
            }
            Err(error) => {
                if error.is_shutting_down() {
                    longest = SUCCESSOR_WAIT;
                }
                let text = with_causes(&error);
                // Said once, not every fifteen seconds of a long night.
                if text == last_failure {
                    debug!(gateway, error = text, "still can't reach the gateway");
                } else {
                    warn!(
                        gateway,
                        error = text,
                        "can't reach the gateway, trying again"
                    );
                }
                last_failure = text;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next().min(longest)) => {}
            () = stop.cancelled() => break,
        }
    }
    streams.close();
    if timeout(DRAIN_TIMEOUT, streams.wait()).await.is_err() {
        info!(
            streams = streams.len(),
            "leaving streams that are still open"
        );
    }
}

async fn one<S, F>(tunnel: &Tunnel<'_, S>) -> Result<End, tunnel::DialError>
where
    S: Fn(Stream, Open) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    // Read anew each time: the gateway may have put a new certificate there.
    let identity = Identity::load(tunnel.dial)?;
    tunnel.run(&identity).await
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
