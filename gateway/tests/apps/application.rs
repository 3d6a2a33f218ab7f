//! Applications that run in a workspace: as the process driver isolates nothing, any
//! listener of this host is one.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// An application that can do what others do.
pub(crate) struct Application {
    pub(crate) port: u16,
    /// Sends an event to whoever follows `/events`.
    pub(crate) events: mpsc::Sender<String>,
    /// Bytes that `/big` has handed on.
    pub(crate) sent: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    events: Arc<Mutex<mpsc::Receiver<String>>>,
    sent: Arc<AtomicU64>,
}

impl Application {
    pub(crate) async fn start() -> Self {
        let (events, receiver) = mpsc::channel(1);
        let sent = Arc::new(AtomicU64::new(0));
        let shared = Shared {
            events: Arc::new(Mutex::new(receiver)),
            sent: Arc::clone(&sent),
        };
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/x", get(async || "x"))
            .route("/request", any(request))
            .route("/echo", post(async |request: Request| request.into_body()))
            .route("/sink", post(sink))
            .route("/big", get(big))
            .route("/events", get(follow))
            .route("/ws", any(socket))
            .route("/set-cookie", get(set_cookie))
            .route(
                "/redirect",
                get(async || [("location", "/x")].into_response()),
            )
            .with_state(shared);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            port,
            events,
            sent,
            _tasks: tasks,
        }
    }
}

/// Answers with what was asked, a line each: `METHOD TARGET`, then `name: value`.
async fn request(request: Request) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
    }
    text
}

async fn sink(request: Request) -> String {
    let mut body = request.into_body().into_data_stream();
    let mut count = 0;
    while let Some(chunk) = body.next().await {
        count += chunk.unwrap().len();
    }
    count.to_string()
}

#[derive(serde::Deserialize)]
struct Size {
    bytes: u64,
}

async fn big(State(shared): State<Shared>, Query(size): Query<Size>) -> Response {
    const CHUNK: u64 = 64 * 1024;
    let chunks = stream::iter(0..size.bytes.div_ceil(CHUNK)).map(move |index| {
        let length = CHUNK.min(size.bytes - index * CHUNK);
        shared.sent.fetch_add(length, Ordering::SeqCst);
        let byte = u8::try_from(index % 251).unwrap();
        Ok::<_, std::io::Error>(Bytes::from(vec![byte; usize::try_from(length).unwrap()]))
    });
    Body::from_stream(chunks).into_response()
}

async fn follow(State(shared): State<Shared>) -> Response {
    let events = stream::unfold(shared.events, async |events| {
        let event = events.lock().await.recv().await?;
        Some((
            Ok::<_, std::io::Error>(format!("data: {event}\n\n")),
            events,
        ))
    });
    let kind = [("content-type", "text/event-stream")];
    (kind, Body::from_stream(events)).into_response()
}

async fn socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Text(_) | Message::Binary(_))
                && socket.send(message).await.is_err()
            {
                break;
            }
        }
    })
}

async fn set_cookie() -> Response {
    let mut response = "set".into_response();
    for cookie in [
        "a=1; Path=/; Domain=localhost",
        "__Host-devgate=evil; Path=/; Secure",
        "__host-devgate-app=evil; Path=/; Secure",
        "b=2",
    ] {
        response
            .headers_mut()
            .append("set-cookie", cookie.parse().unwrap());
    }
    response
        .headers_mut()
        .insert("clear-site-data", "\"cookies\"".parse().unwrap());
    response
}

/// An application that speaks byte by byte, as `talk` has it, on each connection.
pub(crate) struct Raw {
    pub(crate) port: u16,
    /// How many connections it took.
    pub(crate) taken: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Raw {
    pub(crate) async fn start<F>(talk: impl Fn(TcpStream, u64) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&taken);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counter.fetch_add(1, Ordering::SeqCst);
                connections.spawn(talk(stream, number));
            }
        });
        Self {
            port,
            taken,
            _tasks: tasks,
        }
    }
}

/// Reads the head of a request; `None` at the end of the connection.
pub(crate) async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// Answers with 200 and a text.
pub(crate) async fn answer(stream: &mut TcpStream, text: &str) {
    let length = text.len();
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}");
    stream.write_all(response.as_bytes()).await.unwrap();
}
