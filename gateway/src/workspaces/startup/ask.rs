//! Asks an agent's HTTP server: the lifecycle's own questions, not people's.

use std::time::Duration;

use bytes::Bytes;
use devgate_protocol::{Open, StreamError};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::names::WorkspaceId;
use crate::tunnel::{TunnelError, Tunnels};

/// How long an agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Silence after which an agent counts as gone: it shows every 15 seconds that it lives.
const SILENCE: Duration = Duration::from_mins(1);

/// Longest event, in bytes.
const MAX_EVENT: usize = 128 * 1024;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// Server-Sent Events of an agent.
pub(super) struct Events {
    body: Incoming,
    rest: Vec<u8>,
    /// Runs the connection, until this is dropped.
    _connection: JoinSet<()>,
}

impl Events {
    /// Begins to follow what is at a path.
    pub(super) async fn open(
        tunnels: &Tunnels,
        id: &WorkspaceId,
        path: &str,
    ) -> Result<Self, TunnelError> {
        let (body, connection) = ask(tunnels, id, path, "text/event-stream").await?;
        Ok(Self {
            body,
            rest: Vec::new(),
            _connection: connection,
        })
    }

    /// Returns the data of the next event; `None` at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let end = self.rest.windows(2).position(|two| two == b"\n\n");
            if let Some(end) = end {
                let event: Vec<u8> = self.rest.drain(..end + 2).collect();
                if let Some(data) = data(&event) {
                    return Some(data);
                }
                continue;
            }
            if self.rest.len() > MAX_EVENT {
                return None;
            }
            let frame = timeout(SILENCE, self.body.frame()).await.ok()??.ok()?;
            if let Ok(bytes) = frame.into_data() {
                self.rest.extend_from_slice(&bytes);
            }
        }
    }
}

/// Returns the text at a path.
pub(super) async fn text(
    tunnels: &Tunnels,
    id: &WorkspaceId,
    path: &str,
) -> Result<String, TunnelError> {
    let (body, _connection) = ask(tunnels, id, path, "text/plain").await?;
    let whole = timeout(PATIENCE, Limited::new(body, MAX_ANSWER).collect());
    let whole = whole.await.map_err(|_| TunnelError::TimedOut)?;
    let bytes = whole
        .map_err(|_| TunnelError::from(StreamError::NotOurs))?
        .to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn ask(
    tunnels: &Tunnels,
    id: &WorkspaceId,
    path: &str,
    accept: &str,
) -> Result<(Incoming, JoinSet<()>), TunnelError> {
    let not_ours = || TunnelError::from(StreamError::NotOurs);
    let asking = async {
        let (stream, _) = tunnels.open(id, &Open::Http).await?;
        let made = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, running) = made.map_err(|_| not_ours())?;
        let mut connection = JoinSet::new();
        connection.spawn(async move {
            // What breaks it is told to the request, too.
            let _ = running.await;
        });
        let request = Request::builder()
            .uri(path)
            .header(header::HOST, "agent")
            .header(header::ACCEPT, accept)
            .body(Empty::<Bytes>::new())
            .map_err(|_| not_ours())?;
        let answer = sender.send_request(request).await.map_err(|_| not_ours())?;
        if answer.status() != StatusCode::OK {
            return Err(not_ours());
        }
        Ok((answer.into_body(), connection))
    };
    timeout(PATIENCE, asking)
        .await
        .map_err(|_| TunnelError::TimedOut)?
}

/// Returns the data of an event, if it has any.
fn data(event: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(event);
    let lines = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let lines: Vec<_> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_an_event_is_read_and_comments_are_not() {
        assert_eq!(data(b"event: log\ndata: a b\n\n").as_deref(), Some("a b"));
        assert_eq!(data(b"data: a\ndata: b\n\n").as_deref(), Some("a\nb"));
        assert_eq!(data(b"event: log\ndata: \n\n").as_deref(), Some(""));
        assert_eq!(data(b": \n\n"), None);
    }
}
