//! `WebSockets` of a program that uses the API.

use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// A WebSocket.
pub struct Socket(WebSocketStream<TlsStream<TcpStream>>);

/// What comes over a WebSocket.
#[derive(Debug)]
pub enum Said {
    /// JSON.
    Text(Value),
    /// A channel, and data.
    Data(u8, Bytes),
    /// Its end, with the code that it was closed with.
    Closed(Option<u16>),
}

impl Socket {
    pub(super) fn of(socket: WebSocketStream<TlsStream<TcpStream>>) -> Self {
        Self(socket)
    }

    /// Says something in JSON.
    pub async fn say(&mut self, value: &Value) {
        let sent = self.0.send(Message::text(value.to_string())).await;
        sent.expect("the socket is open");
    }

    /// Sends data on a channel.
    pub async fn data(&mut self, channel: u8, data: &[u8]) {
        let message = [&[channel], data].concat();
        let sent = self.0.send(Message::binary(message)).await;
        sent.expect("the socket is open");
    }

    /// Returns what comes next.
    pub async fn next(&mut self) -> Said {
        said(&mut self.0).await
    }

    /// Returns the next text.
    pub async fn text(&mut self) -> Value {
        match self.next().await {
            Said::Text(value) => value,
            other => panic!("no text: {other:?}"),
        }
    }

    /// Reads to the end: what came on channels 1 and 2, and the last text.
    pub async fn rest(&mut self) -> ([Vec<u8>; 2], Value) {
        rest(&mut self.0).await
    }

    /// Sends data, which may not be taken to its end, and returns what comes next.
    pub async fn answer_to(self, data: &[u8]) -> Said {
        let (mut sink, mut stream) = self.0.split();
        let message = Message::binary([&[0], data].concat());
        tokio::join!(sink.send(message), said(&mut stream)).1
    }

    /// Gives data and its end while it reads to the end.
    pub async fn give(self, data: &[u8]) -> ([Vec<u8>; 2], Value) {
        let (mut sink, mut stream) = self.0.split();
        let giving = async {
            for piece in data.chunks(100_000).chain([&[][..]]) {
                let message = Message::binary([&[0], piece].concat());
                sink.send(message).await.expect("the socket is open");
            }
        };
        tokio::join!(giving, rest(&mut stream)).1
    }
}

/// A message, or why there is none.
type Heard = Result<Message, tokio_tungstenite::tungstenite::Error>;

async fn said(stream: &mut (impl Stream<Item = Heard> + Unpin)) -> Said {
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => {
                return Said::Text(serde_json::from_str(&text).expect("text is JSON"));
            }
            Some(Ok(Message::Binary(bytes))) => {
                let channel = *bytes.first().expect("there is a channel");
                return Said::Data(channel, bytes.slice(1..));
            }
            Some(Ok(Message::Close(frame))) => {
                return Said::Closed(frame.map(|frame| frame.code.into()));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Said::Closed(None),
        }
    }
}

async fn rest(stream: &mut (impl Stream<Item = Heard> + Unpin)) -> ([Vec<u8>; 2], Value) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut last = Value::Null;
    loop {
        match said(stream).await {
            Said::Text(value) => last = value,
            Said::Data(1, data) => stdout.extend_from_slice(&data),
            Said::Data(2, data) => stderr.extend_from_slice(&data),
            Said::Data(channel, _) => panic!("there is no channel {channel}"),
            Said::Closed(code) => {
                assert_eq!(code, Some(1000), "{last}");
                return ([stdout, stderr], last);
            }
        }
    }
}
