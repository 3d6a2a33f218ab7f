use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use futures_util::stream;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::{self, protocol};
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::ServiceExt as _;

use super::*;

/// Room on the way from the server to its client, in bytes.
const ROOM: usize = 1024;

/// A server whose streams tell the same for ever, and its one client.
struct Served {
    live: Live,
    signed_in: CancellationToken,
    tenure: CancellationToken,
    /// How many events were asked for.
    asked: Arc<AtomicUsize>,
    socket: WebSocketStream<DuplexStream>,
    _connection: JoinSet<()>,
}

impl Served {
    /// Serves events of that data, `most` of them.
    async fn start(data: Value, most: usize) -> Self {
        let live = Live {
            keep_alive: Duration::from_millis(1),
            ..Live::new(CancellationToken::new())
        };
        let (signed_in, tenure) = (CancellationToken::new(), CancellationToken::new());
        let asked = Arc::new(AtomicUsize::new(0));
        let given = (
            live.clone(),
            signed_in.clone(),
            tenure.clone(),
            Arc::clone(&asked),
        );
        let handler = async move |Asked(way): Asked| {
            let (live, signed_in, tenure, asked) = given;
            let event = move |()| {
                let id = asked.fetch_add(1, Ordering::SeqCst);
                LiveEvent {
                    event: "told".into(),
                    id: Some(id.to_string()),
                    data: data.clone(),
                }
            };
            let events = stream::repeat(()).take(most).map(event);
            let events = events.chain(stream::pending().take(usize::from(most == 0)));
            let until = Until { signed_in, tenure };
            live.answer(way.unwrap(), until, events).unwrap()
        };
        let router = Router::new().route("/", get(handler));
        let (client, server) = duplex(ROOM);
        let mut connection = JoinSet::new();
        connection.spawn(async move {
            let service = service_fn(move |request| router.clone().oneshot(request));
            let serving = http1::Builder::new().serve_connection(TokioIo::new(server), service);
            serving.with_upgrades().await.unwrap();
        });
        let (socket, _) = client_async("ws://devgate.example/", client).await.unwrap();
        Self {
            live,
            signed_in,
            tenure,
            asked,
            socket,
            _connection: connection,
        }
    }

    async fn next(&mut self) -> tungstenite::Message {
        self.socket.next().await.unwrap().unwrap()
    }

    /// Returns the code and the reason with which it is closed.
    async fn end(mut self) -> (u16, String) {
        loop {
            if let tungstenite::Message::Close(frame) = self.next().await {
                let protocol::CloseFrame { code, reason } = frame.unwrap();
                return (code.into(), reason.to_string());
            }
        }
    }
}

#[test]
fn events_are_asked_for_by_their_media_type() {
    for (accept, wanted) in [
        ("text/event-stream", true),
        ("application/json, Text/Event-Stream;q=0.5", true),
        ("text/event-streams", false),
        ("application/json", false),
        ("*/*", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        assert_eq!(wants_events(&headers), wanted, "{accept}");
    }
}

#[tokio::test]
async fn a_message_is_an_event_and_after_the_last_the_socket_is_closed() {
    let mut served = Served::start(json!({ "a": [1, null] }), 2).await;
    for id in ["0", "1"] {
        let message = loop {
            match served.next().await {
                tungstenite::Message::Ping(_) => {}
                message => break message,
            }
        };
        let told: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        let expected = json!({ "event": "told", "id": id, "data": { "a": [1, null] } });
        assert_eq!(told, expected);
    }
    assert_eq!(served.end().await.0, 1000);
}

#[tokio::test]
async fn whoever_reads_slowly_has_nothing_queued() {
    let line = Value::String("x".repeat(10 * ROOM));
    let mut served = Served::start(line, usize::MAX).await;
    for read in 1..50 {
        while !served.next().await.is_text() {}
        // One more is on the way, and one waits for room.
        let asked = served.asked.load(Ordering::SeqCst);
        assert!(asked <= read + 2, "{asked} of which {read} were read");
    }
}

#[tokio::test]
async fn who_hears_nothing_new_is_pinged() {
    let mut served = Served::start(Value::Null, 0).await;
    for _ in 0..3 {
        assert!(served.next().await.is_ping());
    }
}

#[tokio::test]
async fn what_ends_a_stream_is_said() {
    type Ends = fn(&Served) -> &CancellationToken;
    let all: [(Ends, u16); 3] = [
        (|it| &it.signed_in, 3000),
        (|it| &it.tenure, 3003),
        (|it| &it.live.stop, 1001),
    ];
    // Also to somebody who hasn't read what came before.
    for most in [0, usize::MAX] {
        for (ends, expected) in all {
            let served = Served::start(Value::String("x".repeat(10 * ROOM)), most).await;
            ends(&served).cancel();
            let (code, reason) = served.end().await;
            assert_eq!(code, expected, "{reason}");
            assert!(!reason.is_empty());
        }
    }
}

#[tokio::test]
async fn the_gateway_ends_after_its_sockets_and_opens_none_any_more() {
    let served = Served::start(Value::Null, 0).await;
    let live = served.live.clone();
    let ending = live.clone().run();
    live.stop.cancel();
    let ((), (code, _)) = tokio::join!(ending, served.end());
    assert_eq!(code, 1001);
    let until = Until {
        signed_in: CancellationToken::new(),
        tenure: CancellationToken::new(),
    };
    let refused = live.answer(Way::Events, until, stream::empty());
    assert!(matches!(refused, Err(OpenError::ShuttingDown)));
}
