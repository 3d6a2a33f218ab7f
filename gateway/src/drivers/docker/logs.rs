//! A container's output, as the engine keeps it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;

use super::containers::Containers;
use super::spec;
use crate::drivers::{DriverError, Follow, Logs};
use crate::names::WorkspaceId;

/// How often a workspace whose container has ended is looked for the next one.
const POLL: Duration = Duration::from_millis(500);

type Output = BoxStream<'static, Result<LogOutput, Error>>;

/// What a reader of logs is at.
struct Reader {
    containers: Arc<Containers>,
    id: WorkspaceId,
    follow: Follow,
    /// When the container was started whose output is read, in the engine's words.
    started: Option<String>,
    output: Output,
}

/// Returns the last lines of a workspace's container, then what follows; where it is
/// started again, that too.
pub(super) async fn read(
    containers: Arc<Containers>,
    id: &WorkspaceId,
    lines: usize,
    follow: Follow,
) -> Result<Logs, DriverError> {
    let started = started(&containers, id).await?;
    let output = match &started {
        Some(_) => output(&containers, id, (&lines.to_string(), 0), follow).await?,
        None => stream::empty().boxed(),
    };
    let reader = Reader {
        containers,
        id: id.clone(),
        follow,
        started,
        output,
    };
    Ok(Box::pin(stream::unfold(reader, next)))
}

async fn next(mut reader: Reader) -> Option<(io::Result<Bytes>, Reader)> {
    loop {
        match (reader.output.next().await, reader.follow) {
            (Some(Ok(output)), _) => return Some((Ok(output.into_bytes()), reader)),
            (Some(Err(error)), Follow::No) => {
                reader.output = stream::empty().boxed();
                return Some((Err(io::Error::other(error)), reader));
            }
            (None, Follow::No) => return None,
            (None | Some(Err(_)), Follow::Yes) => reader.resume().await,
        }
    }
}

impl Reader {
    /// Waits until the workspace is started again, and reads on from there.
    async fn resume(&mut self) {
        loop {
            sleep(POLL).await;
            // An engine that is away comes back.
            let Ok(started) = started(&self.containers, &self.id).await else {
                continue;
            };
            if started.is_none() || started == self.started {
                continue;
            }
            let since = started.as_deref().map_or(0, seconds);
            let output = output(&self.containers, &self.id, ("all", since), self.follow).await;
            if let Ok(output) = output {
                self.started = started;
                self.output = output;
                return;
            }
        }
    }
}

async fn started(containers: &Containers, id: &WorkspaceId) -> Result<Option<String>, DriverError> {
    let state = containers.state(id).await?;
    Ok(state.and_then(|state| state.started_at))
}

/// Returns that many of the last lines since a time, in seconds, and what follows.
async fn output(
    containers: &Containers,
    id: &WorkspaceId,
    (tail, since): (&str, i32),
    follow: Follow,
) -> Result<Output, DriverError> {
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .follow(follow == Follow::Yes)
        .tail(tail)
        .since(since)
        .build();
    let client = containers.engine().client().await?;
    Ok(client.logs(&spec::container(id), Some(options)).boxed())
}

fn seconds(time: &str) -> i32 {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok();
    let seconds = time.and_then(|time| i32::try_from(time.unix_timestamp()).ok());
    seconds.unwrap_or_default().max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_times_are_seconds() {
        assert_eq!(seconds("1970-01-01T00:01:00.123456789Z"), 60);
        assert_eq!(seconds("0001-01-01T00:00:00Z"), 0);
        assert_eq!(seconds("soon"), 0);
    }
}
