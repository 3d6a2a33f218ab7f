//! What an agent says of the ports that something listens on, each port once.

use axum::body::{Body, BodyDataStream};
use axum::response::Response;
use bytes::{Buf as _, BytesMut};
use futures_util::StreamExt as _;
use http::{HeaderValue, Request, header};
use serde::Deserialize;
use tracing::debug;

use crate::http::proxy::gather;

/// Largest list of an agent, in bytes: some thousand ports.
const MAX_LIST: usize = 1024 * 1024;

/// A port that something listens on, as the agent tells it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listening {
    pub(super) port: u16,
    #[serde(default)]
    pub(super) address: Option<String>,
    #[serde(default)]
    pub(super) process: Option<String>,
    #[serde(default)]
    pub(super) pid: Option<u32>,
    #[serde(default)]
    pub(super) since: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Listed {
    items: Vec<Listening>,
}

impl Listed {
    /// Returns each port once: a program may listen on several addresses, as those of IPv4
    /// and of IPv6.
    fn ports(self) -> Vec<Listening> {
        let mut ports = self.items;
        ports.sort_by_key(|found| found.port);
        ports.dedup_by_key(|found| found.port);
        ports
    }
}

/// Waits for the agent's next word; for ever where it isn't heard. Cancel-safe.
pub(super) async fn hear(agent: &mut Option<Events>) -> Option<Vec<Listening>> {
    match agent {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// Lists that an agent sends as events.
pub(super) struct Events {
    body: BodyDataStream,
    buffer: BytesMut,
}

impl Events {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body: body.into_data_stream(),
            buffer: BytesMut::new(),
        }
    }

    /// Returns the next list; `None` at the end, and where an event is too long or
    /// can't be read. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Vec<Listening>> {
        loop {
            while let Some(length) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let event = self.buffer.split_to(length);
                self.buffer.advance(2);
                if let Some(data) = data(&event) {
                    let listed: Result<Listed, _> = serde_json::from_str(&data);
                    return listed.ok().map(Listed::ports);
                }
            }
            let chunk = self.body.next().await?.ok()?;
            if self.buffer.len() + chunk.len() > MAX_LIST {
                return None;
            }
            self.buffer.extend_from_slice(&chunk);
        }
    }
}

/// Returns the data of an event, its lines joined (HTML standard §9.2.6).
fn data(event: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(event).ok()?;
    let lines: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Reads a whole list; an agent that says nothing of use has none.
pub(super) async fn read(response: Response) -> Vec<Listening> {
    if !response.status().is_success() {
        debug!(status = %response.status(), "an agent reports no ports");
        return Vec::new();
    }
    match gather(response.into_body(), MAX_LIST).await {
        Ok(bytes) => serde_json::from_slice::<Listed>(&bytes)
            .inspect_err(|error| debug!(%error, "an agent's ports can't be read"))
            .unwrap_or_default()
            .ports(),
        Err(error) => {
            debug!(%error, "an agent's ports broke off");
            Vec::new()
        }
    }
}

/// Returns what an agent is asked.
pub(super) fn question(accept: &'static str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static("/ports");
    let accept = HeaderValue::from_static(accept);
    request.headers_mut().insert(header::ACCEPT, accept);
    request
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_port_that_listens_on_several_addresses_is_one() {
        let text = r#"{"items":[{"port":80,"address":"127.0.0.1"},{"port":22,"address":"::"},
                      {"port":80,"address":"::1"},{"port":22,"address":"0.0.0.0"}]}"#;
        let event = format!("data: {}\n\n", text.replace('\n', ""));
        let once = [(22, Some("::")), (80, Some("127.0.0.1"))];
        let all = |ports: &[Listening]| {
            let all = ports.iter().map(|it| (it.port, it.address.clone()));
            all.collect::<Vec<_>>()
        };
        let once = once.map(|(port, address)| (port, address.map(str::to_owned)));
        assert_eq!(all(&read(text.into_response()).await), once);
        let mut events = Events::new(Body::from(event));
        assert_eq!(all(&events.next().await.unwrap()), once);
    }

    #[tokio::test]
    async fn events_are_read_however_they_are_cut() {
        let text = ":\n\nevent: ports\ndata: {\"items\":[{\"port\":3000,\"pid\":7}]}\n\n\
                    data: {\"items\":\ndata: []}\n\n";
        for size in [1, 7, 1000] {
            let chunks: Vec<_> = text
                .as_bytes()
                .chunks(size)
                .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
                .collect();
            let mut events = Events::new(Body::from_stream(stream::iter(chunks)));
            let first = events.next().await.unwrap();
            assert_eq!((first[0].port, first[0].pid), (3000, Some(7)));
            assert!(events.next().await.unwrap().is_empty());
            assert!(events.next().await.is_none());
        }
    }
}
