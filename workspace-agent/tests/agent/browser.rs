//! A browser's side of the agent's HTTP, as small as tests need it.

use std::time::Instant;

use devgate_protocol::{Answer, Open};
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::{DEADLINE, Workspace, within};

/// A response, and the connection that it comes over.
pub(crate) struct Response {
    pub(crate) response: http::Response<Incoming>,
    connection: JoinSet<()>,
}

/// Sends a request on a stream of that kind.
pub(crate) async fn request(
    workspace: &Workspace,
    open: &Open,
    request: Request<Full<bytes::Bytes>>,
) -> Response {
    let (stream, answer) = workspace.open(open).await;
    assert_eq!(answer, Answer::Opened);
    let (mut sender, running) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut connection = JoinSet::new();
    connection.spawn(async move {
        let _ = running.await;
    });
    let response = within(sender.send_request(request)).await.unwrap();
    Response {
        response,
        connection,
    }
}

impl Response {
    pub(crate) async fn text(mut self) -> String {
        let body = within(self.response.body_mut().collect()).await.unwrap();
        self.connection.abort_all();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    /// Reads events until one of the data makes `wanted` true.
    pub(crate) async fn event(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut text = String::new();
        loop {
            let frame = within(self.response.body_mut().frame()).await.unwrap();
            let Ok(data) = frame.unwrap().into_data() else {
                continue;
            };
            text.push_str(str::from_utf8(&data).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let value = data.and_then(|data| serde_json::from_str(data).ok());
                let rest = rest.to_owned();
                if let Some(value) = value.filter(&wanted) {
                    return value;
                }
                text = rest;
            }
        }
    }
}

impl Workspace {
    /// Sends a request to the agent's HTTP server.
    pub(crate) async fn http(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let wanted = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "agent")
            .body(Full::from(body))
            .unwrap();
        let response = request(self, &Open::Http, wanted).await;
        let status = response.response.status();
        let kind = response.response.headers().get(header::CONTENT_TYPE);
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(kind.unwrap(), "application/problem+json");
        }
        let text = response.text().await;
        let value = serde_json::from_str(&text).unwrap_or(Value::Null);
        (status, value)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, value) = self.http(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{value}");
        value
    }

    /// Asks again and again until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let value = self.get(path).await;
            if wanted(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "it stays {value}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Starts a terminal, and returns its id.
    pub(crate) async fn terminal(&self, body: Value) -> String {
        let (status, value) = self.http(Method::POST, "/terminals", body).await;
        assert_eq!(status, StatusCode::CREATED, "{value}");
        value.pointer("/id").unwrap().as_str().unwrap().to_owned()
    }

    pub(crate) async fn attach(&self, id: &str, size: &str) -> Tab {
        let (stream, answer) = self.open(&Open::Http).await;
        assert_eq!(answer, Answer::Opened);
        let address = format!("ws://agent/terminals/{id}/attach{size}");
        let (socket, _) = within(client_async(address, stream)).await.unwrap();
        Tab {
            socket,
            shown: Vec::new(),
            said: Vec::new(),
            messages: 0,
        }
    }
}

/// A browser's tab with a terminal.
pub(crate) struct Tab {
    socket: WebSocketStream<UnixStream>,
    /// Output since the last that a test waited for.
    shown: Vec<u8>,
    /// What the agent said beside output.
    pub(crate) said: Vec<Value>,
    /// Output messages so far.
    messages: usize,
}

impl Tab {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let message = Message::Binary(bytes.to_vec().into());
        within(self.socket.send(message)).await.unwrap();
    }

    pub(crate) async fn say(&mut self, value: Value) {
        let message = Message::Text(value.to_string().into());
        within(self.socket.send(message)).await.unwrap();
    }

    /// Receives one message without acknowledging it; `None` once the agent closed.
    pub(crate) async fn receive(&mut self) -> Option<usize> {
        match within(self.socket.next()).await {
            Some(Ok(Message::Binary(bytes))) => {
                self.shown.extend_from_slice(&bytes);
                self.messages += 1;
                if self.messages == 1 {
                    assert!(
                        bytes.starts_with(b"\x1bc"),
                        "the first one paints everything"
                    );
                }
                Some(bytes.len())
            }
            Some(Ok(Message::Text(text))) => {
                self.said.push(serde_json::from_str(&text).unwrap());
                Some(0)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Some(0),
            _ => None,
        }
    }

    pub(crate) async fn ack(&mut self, bytes: usize) {
        if bytes > 0 {
            self.say(json!({"type": "ack", "bytes": bytes})).await;
        }
    }

    /// Draws output until it holds `text`, and forgets it.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let mut searched = 0;
        loop {
            let new = self.shown.get(searched..).unwrap_or_default();
            if new.windows(text.len()).any(|part| part == text.as_bytes()) {
                let shown = std::mem::take(&mut self.shown);
                return String::from_utf8_lossy(&shown).into_owned();
            }
            searched = self.shown.len().saturating_sub(text.len());
            let Some(bytes) = self.receive().await else {
                let shown = String::from_utf8_lossy(&self.shown);
                panic!("the terminal was closed instead of {text:?}, after {shown:?}");
            };
            self.ack(bytes).await;
        }
    }

    /// Draws what is painted first, and forgets it.
    pub(crate) async fn first(&mut self) -> String {
        while self.messages == 0 {
            let bytes = self.receive().await.expect("it isn't closed");
            self.ack(bytes).await;
        }
        let shown = std::mem::take(&mut self.shown);
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// Draws until the agent said something of that type.
    pub(crate) async fn told(&mut self, kind: &str) -> Value {
        loop {
            if let Some(place) = self.said.iter().position(|said| said["type"] == kind) {
                return self.said.remove(place);
            }
            let bytes = self.receive().await.expect("it isn't closed");
            self.ack(bytes).await;
        }
    }
}
