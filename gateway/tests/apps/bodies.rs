//! How bodies get through: whole, as they come, and no faster than they are taken.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::application::{Application, Raw, read_head};
use crate::client::soon;
use crate::gateway::Gateway;
use devgate::config::HttpConfig;
use devgate::http::Limits;
use devgate::store::Visibility;

const MIB: u64 = 1024 * 1024;

/// Waits until a count stands still, and returns it. It doesn't before it is `at_least`:
/// so what is slow to go on isn't taken for what is held. Nothing tells that nothing
/// happens any more, so it has to be the same at several looks.
async fn stands_still(at_least: u64, read: impl Fn() -> u64) -> u64 {
    let still = async {
        let (mut last, mut looks) = (0, 0);
        loop {
            let now = read();
            looks = if now == last { looks + 1 } else { 0 };
            last = now;
            if now >= at_least && looks >= 5 {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    soon(still).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_any_length_come_through_whole_both_ways() {
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    for (size, known) in [(0, true), (1, true), (100_000, false), (5_000_000, true)] {
        let sent: Vec<u8> = (0..size)
            .map(|n: u32| n.to_le_bytes()[usize::try_from(n % 3).unwrap()])
            .collect();
        let body = if known {
            Body::from(sent.clone())
        } else {
            let chunks: Vec<_> = sent
                .chunks(777)
                .map(|c| Ok::<_, std::io::Error>(c.to_vec()))
                .collect();
            Body::from_stream(stream::iter(chunks))
        };
        let request = Request::post("/echo").body(body).unwrap();
        let answer = gateway.ask(&host, request).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer.bytes().await == sent,
            "{size} bytes came back changed"
        );
    }
    let head = Request::head("/").body(Body::empty()).unwrap();
    let answer = gateway.ask(&host, head).await;
    assert_eq!(
        (answer.header("content-length"), answer.status.as_u16()),
        ("5", 200)
    );
    assert!(answer.bytes().await.is_empty());
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_unknown_length_comes_through_with_any_method() {
    const BODY: &str = "4\r\nbody\r\n0\r\n\r\n";
    let application = Raw::start(async |mut stream, _| {
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        let mut body = vec![0; BODY.len()];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(body, BODY.as_bytes());
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    for method in ["GET", "HEAD", "DELETE", "POST", "REPORT"] {
        let mut tls = gateway.connect(&host).await;
        let request = format!(
            "{method} / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{BODY}"
        );
        soon(tls.write_all(request.as_bytes())).await.unwrap();
        let mut answer = String::new();
        soon(tls.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 204"), "{method}: {answer}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cant_be_handed_on_is_the_clients_to_mend() {
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    for (coding, body, status) in [
        ("chunked", "x\r\nbody\r\n0\r\n\r\n", 400),
        ("gzip, chunked", "4\r\nbody\r\n0\r\n\r\n", 501),
    ] {
        let mut tls = gateway.connect(&host).await;
        let request = format!(
            "POST /sink HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: {coding}\r\n\r\n{body}"
        );
        soon(tls.write_all(request.as_bytes())).await.unwrap();
        let mut answer = String::new();
        soon(tls.read_to_string(&mut answer)).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains("problem+json"),
            "{coding}: {answer}"
        );
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_pauses_holds_the_application_back() {
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let size = 200 * MIB;
    let mut answer = gateway.get(&host, &format!("/big?bytes={size}"), &[]).await;
    let mut read = 0;
    while read < MIB {
        let frame = soon(answer.body.frame()).await.unwrap().unwrap();
        read += u64::try_from(frame.into_data().unwrap().len()).unwrap();
    }
    // It goes on until all buffers on the way are full, and no further.
    let sent = || application.sent.load(Ordering::SeqCst);
    let before = stands_still(read + 128 * 1024, sent).await;
    // The kernel's own, on three sockets, may hold 32 MiB each.
    assert!(before < 120 * MIB, "{before} bytes wait on the way");
    while let Some(frame) = soon(answer.body.frame()).await {
        read += u64::try_from(frame.unwrap().into_data().unwrap().len()).unwrap();
    }
    assert_eq!(read, size);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_is_cut_and_one_that_waits_is_not() {
    let (broken, mut breaks) = mpsc::channel(1);
    let endless = Raw::start(move |mut stream, _| {
        let broken = broken.clone();
        async move {
            let Some(_) = read_head(&mut stream).await else {
                return;
            };
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
            stream.write_all(head).await.unwrap();
            while stream.write_all(&[0; 16 * 1024]).await.is_ok() {}
            broken.send(()).await.unwrap();
        }
    })
    .await;
    let application = Application::start().await;
    let limits = Limits {
        stall: Duration::from_secs(1),
        ..Limits::default()
    };
    let gateway = Gateway::start_as(HttpConfig::default(), limits).await;
    for port in [application.port, endless.port] {
        gateway.share(port, Visibility::Public).await;
    }
    let host = gateway.host(application.port);
    let mut events = gateway.get(&host, "/events", &[]).await;
    assert_eq!(events.status, 200);
    let host = gateway.host(endless.port);
    let mut stalled = gateway.connect(&host).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    soon(stalled.write_all(request.as_bytes())).await.unwrap();
    soon(breaks.recv()).await.unwrap();
    application.events.send("late".to_owned()).await.unwrap();
    let event = soon(events.body.frame()).await.unwrap().unwrap();
    assert_eq!(event.into_data().unwrap(), "data: late\n\n");
    drop(stalled);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_is_not_gathered() {
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let chunk = Bytes::from(vec![7; 64 * 1024]);
    let chunks = stream::iter(0..3200).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
    let request = Request::post("/sink")
        .body(Body::from_stream(chunks))
        .unwrap();
    let before = resident();
    let text = gateway.ask(&host, request).await.text().await;
    assert_eq!(text, (200 * MIB).to_string());
    assert!(
        resident() < before + 64 * MIB,
        "memory grew with the upload"
    );
    gateway.end().await;
}

/// This process's memory, in bytes: gateway, client and application are in it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one() {
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let mut answer = gateway.get(&host, "/events", &[]).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    for event in ["one", "two", "three"] {
        application.events.send(event.to_owned()).await.unwrap();
        let frame = soon(answer.body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), format!("data: {event}\n\n"));
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_the_request_has_is_handed_on() {
    let application = Raw::start(async |mut stream, _| {
        if read_head(&mut stream).await.is_none() {
            return;
        }
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n";
        stream.write_all(head).await.unwrap();
        // The request's body is one chunk of four bytes and the last one.
        let mut body = [0; 14];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"4\r\nlate\r\n0\r\n\r\n");
        stream.write_all(b"4\r\nlate\r\n0\r\n\r\n").await.unwrap();
    })
    .await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    let chunks = stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let body = Body::from_stream(chunks.map(Ok::<_, std::io::Error>));
    let mut answer = gateway
        .ask(&host, Request::post("/").body(body).unwrap())
        .await;
    let first = soon(answer.body.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "early");
    sender.send(Bytes::from_static(b"late")).await.unwrap();
    drop(sender);
    assert_eq!(answer.text().await, "late");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_and_informational_answers_come_through_or_are_passed_over() {
    let application = Raw::start(async |mut stream, _| {
        if let Some(head) = read_head(&mut stream).await {
            assert!(head.contains("te: trailers\r\n"), "{head}");
            let answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
                HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\
                Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\n\
                2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let headers = [("te", "trailers"), ("connection", "te")];
    let mut answer = gateway.get(&host, "/", &headers).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("x-hop"));
    assert!(!answer.headers.contains_key("keep-alive"));
    assert!(answer.headers.contains_key("date"));
    let data = soon(answer.body.frame()).await.unwrap().unwrap();
    assert_eq!(data.into_data().unwrap(), "ok");
    let trailers = soon(answer.body.frame()).await.unwrap().unwrap();
    assert_eq!(trailers.into_trailers().unwrap()["x-sum"], "42");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let mut tls = gateway.connect(&host).await;
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\
         Connection: close\r\n\r\n"
    );
    tls.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    soon(tls.read_exact(&mut interim)).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    tls.write_all(b"body").await.unwrap();
    let mut answer = String::new();
    soon(tls.read_to_string(&mut answer)).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("body"),
        "{answer}"
    );
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_refused_is_taken_to_its_end_and_answered() {
    const PIECES: usize = 256;
    let piece = vec![0; 64 * 1024];
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let (ada, _) = gateway.sign_in(&gateway.ada).await;
    let cookie = gateway.enter(application.port, &ada).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nothing = closed.local_addr().unwrap().port();
    drop(closed);
    gateway.share(nothing, Visibility::Public).await;
    let foreign = format!("Cookie: {cookie}\r\nOrigin: https://evil.example\r\n");
    for (port, header, status) in [
        (nothing, "", 502),
        (application.port, "", 401),
        (application.port, foreign.as_str(), 403),
    ] {
        let host = gateway.host(port);
        let length = PIECES * piece.len();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{header}\r\n"
        );
        let mut tls = gateway.connect(&host).await;
        soon(tls.write_all(head.as_bytes())).await.unwrap();
        for _ in 0..PIECES {
            soon(tls.write_all(&piece)).await.unwrap();
        }
        let mut answer = String::new();
        soon(tls.read_to_string(&mut answer)).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains("problem+json"),
            "{answer}"
        );
    }
    gateway.end().await;
}
