//! How requests and answers get through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::application::{Application, Raw, answer, read_head};
use crate::client::soon;
use crate::gateway::Gateway;
use devgate::store::Visibility;

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_told_who_asks_and_not_what_is_claimed() {
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let claims = [
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("connection", "x-secret, x-forwarded-proto"),
        ("x-secret", "1"),
        ("x-mine", "2"),
        ("cookie", "__Host-devgate-app=x; mine=1; __Host-devgate=y"),
    ];
    let text = gateway
        .get(&host, "/request?a=b%20c", &claims)
        .await
        .text()
        .await;
    let mut lines: Vec<_> = text.lines().collect();
    let passed = lines.extract_if(.., |line| line.starts_with("cdn-loop: devgate-"));
    assert_eq!(passed.count(), 1);
    lines.sort_unstable();
    let mut expected = vec![
        "GET /request?a=b%20c".to_owned(),
        "cookie: mine=1".to_owned(),
        format!("host: {host}"),
        "x-forwarded-for: 127.0.0.1".to_owned(),
        format!("x-forwarded-host: {host}"),
        "x-forwarded-proto: https".to_owned(),
        "x-mine: 2".to_owned(),
        "x-real-ip: 127.0.0.1".to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_an_application_sends_back_ends_there() {
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let text = gateway.get(&host, "/request", &[]).await.text().await;
    let mut lines = text.lines();
    let passed = lines.find_map(|line| line.strip_prefix("cdn-loop: "));
    let again = [("cdn-loop", passed.unwrap()), ("accept", "text/html")];
    let answer = gateway.get(&host, "/request", &again).await;
    assert_eq!(answer.status, 508);
    assert!(answer.text().await.contains("<!doctype html>"));
    let others = [("cdn-loop", "another; by=\"devgate\"")];
    assert_eq!(gateway.get(&host, "/request", &others).await.status, 200);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_at_once_are_answered_and_connections_are_used_again() {
    let application = Raw::start(async |mut stream, _| {
        while let Some(head) = read_head(&mut stream).await {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            answer(&mut stream, &path).await;
        }
    })
    .await;
    let gateway = Arc::new(Gateway::public(application.port).await);
    let host = gateway.host(application.port);
    let mut requests = JoinSet::new();
    for number in 0..100 {
        let (gateway, host) = (Arc::clone(&gateway), host.clone());
        requests.spawn(async move {
            let path = format!("/{number}");
            let text = gateway.get(&host, &path, &[]).await.text().await;
            assert_eq!(text, path);
        });
    }
    while let Some(done) = soon(requests.join_next()).await {
        done.unwrap();
    }
    let taken = application.taken.load(Ordering::SeqCst);
    for _ in 0..20 {
        gateway.get(&host, "/again", &[]).await.text().await;
    }
    assert_eq!(application.taken.load(Ordering::SeqCst), taken);
    Arc::into_inner(gateway).unwrap().end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_closes_kept_connections_is_asked_again() {
    // Each connection answers once, says nothing of its end, and is gone.
    let posts = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&posts);
    let application = Raw::start(move |mut stream, number| {
        let posts = Arc::clone(&counter);
        async move {
            let count = |first| posts.fetch_add(u64::from(first == b'P'), Ordering::SeqCst);
            if let Some(head) = read_head(&mut stream).await {
                count(head.as_bytes()[0]);
                answer(&mut stream, &number.to_string()).await;
                // The next request is read, and lost.
                if let Ok(first) = stream.read_u8().await {
                    count(first);
                }
            }
        }
    })
    .await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let mut answers = Vec::new();
    for _ in 0..5 {
        let answer = gateway.get(&host, "/", &[]).await;
        assert_eq!(answer.status, 200);
        answers.push(answer.text().await);
    }
    answers.dedup();
    assert_eq!(answers.len(), 5);
    // What may not be done twice isn't sent where it might be lost.
    let post = Request::post("/").body(Body::from("once")).unwrap();
    assert_eq!(gateway.ask(&host, post).await.status, 200);
    assert_eq!(posts.load(Ordering::SeqCst), 1);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_end_ends_events_and_waits_for_requests() {
    let slow = Raw::start(async |mut stream, _| {
        let Some(head) = read_head(&mut stream).await else {
            return;
        };
        let head = head.to_lowercase();
        if head.contains("chunked") {
            // It answers before it has the request.
            let begin = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nearly";
            stream.write_all(begin).await.unwrap();
            let mut body = [0; "4\r\nrest\r\n0\r\n\r\n".len()];
            stream.read_exact(&mut body).await.unwrap();
            stream.write_all(b"end").await.unwrap();
        }
    })
    .await;
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    gateway.share(slow.port, Visibility::Public).await;
    let (host, slow) = (gateway.host(application.port), gateway.host(slow.port));
    let mut events = gateway.get(&host, "/events", &[]).await;
    application.events.send("one".to_owned()).await.unwrap();
    soon(events.body.frame()).await.unwrap().unwrap();
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    let chunks = stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let body = Body::from_stream(chunks.map(Ok::<_, std::io::Error>));
    let request = Request::post("/").body(body).unwrap();
    let mut answer = gateway.ask(&slow, request).await;
    let first = soon(answer.body.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "early");

    gateway.stop.cancel();
    // The end is one, no break.
    assert_eq!(events.text().await, "");
    sender.send(Bytes::from_static(b"rest")).await.unwrap();
    drop(sender);
    assert_eq!(answer.text().await, "end");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_inside_another_reaches_no_application_by_itself() {
    let application = Raw::start(async |mut stream, _| {
        while let Some(head) = read_head(&mut stream).await {
            assert!(!head.starts_with("GET /smuggled"), "smuggled");
            // The body's end, as the gateway frames it.
            let mut body = Vec::new();
            while head.contains("transfer-encoding") && !body.ends_with(b"0\r\n\r\n") {
                body.push(stream.read_u8().await.unwrap());
            }
            assert!(!(head.contains("transfer-encoding") && head.contains("content-length")));
            answer(&mut stream, "one").await;
        }
    })
    .await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = smuggled.len();
    for (framing, body) in [
        (
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
            smuggled,
        ),
        (
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
            "0\r\n\r\n",
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6".to_owned(),
            "0\r\n\r\n",
        ),
        ("Transfer-Encoding: xchunked".to_owned(), "0\r\n\r\n"),
        ("Transfer-Encoding : chunked".to_owned(), "0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
            "0\r\n\r\n",
        ),
        ("Content-Length: +5".to_owned(), "0\r\n\r\n"),
        ("Host: two".to_owned(), ""),
    ] {
        let mut tls = gateway.connect(&host).await;
        let head =
            format!("POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{framing}\r\n\r\n");
        tls.write_all(head.as_bytes()).await.unwrap();
        tls.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(tls.read_to_end(&mut answer)).await;
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{framing}: {answer}"
        );
        let refused = answer.starts_with("HTTP/1.1 400");
        assert!(refused, "{framing}: {answer}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_listen_or_speak_http_is_told_and_looked_at_again() {
    let gateway = Gateway::start().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    gateway.share(port, Visibility::Public).await;
    let host = gateway.host(port);
    let page = gateway.get(&host, "/", &[("accept", "text/html")]).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert_eq!(page.header("refresh"), "2");
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert!(page.text().await.contains(&format!("port {port}")));
    let problem = gateway.get(&host, "/", &[]).await;
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert!(problem.text().await.contains("application-not-listening"));

    let odd = Raw::start(async |mut stream, _| {
        let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
    })
    .await;
    gateway.share(odd.port, Visibility::Public).await;
    let problem = gateway.get(&gateway.host(odd.port), "/", &[]).await;
    assert_eq!(problem.status, StatusCode::BAD_GATEWAY);
    assert!(problem.text().await.contains("application-broken"));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_workspace_is_said_to_be_and_not_woken_by_others() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let host = gateway.host(application.port);
    let (cookie, _) = gateway.sign_in(&gateway.ada).await;
    let entered = gateway.enter(application.port, &cookie).await;
    gateway.share(application.port, Visibility::Public).await;
    while gateway.get(&host, "/", &[]).await.status != 200 {}
    gateway.workspaces.stop(&gateway.workspace).await.unwrap();
    gateway.workspaces.settled(&gateway.workspace).await;
    let page = gateway.get(&host, "/", &[("accept", "text/html")]).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text().await.contains("not running"));
    let page = gateway
        .get(&host, "/", &[("accept", "text/html"), ("cookie", &entered)])
        .await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.header("refresh") == "5");
    assert!(page.text().await.contains("is stopped"));
    gateway.workspaces.start(&gateway.workspace).await.unwrap();
    gateway.workspaces.settled(&gateway.workspace).await;
    let answer = gateway.get(&host, "/", &[("cookie", &entered)]).await;
    assert_eq!(answer.text().await, "hello");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_verifies_the_certificate_and_moves_files_both_ways() {
    let application = Application::start().await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, vec![b'x'; 64 * 1024 * 1024]).unwrap();
    let curl = async |args: &[&str], path: &str| {
        let resolve = format!("{host}:127.0.0.1");
        let output = tokio::process::Command::new("curl")
            .args(["-sS", "--fail", "--noproxy", "*", "--cacert"])
            .arg(gateway.authority.ca_path())
            .args(["--resolve", &resolve])
            .args(args)
            .arg(format!("https://{host}{path}"))
            .output();
        let output = soon(output).await.expect("curl: apt-get install -y curl");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{complaint}");
        output.stdout
    };
    let upload = ["-X", "POST", "-T", file.to_str().unwrap()];
    assert_eq!(curl(&upload, "/sink").await, b"67108864");
    let chunked = [
        "-X",
        "POST",
        "-H",
        "Transfer-Encoding: chunked",
        upload[2],
        upload[3],
    ];
    assert_eq!(curl(&chunked, "/sink").await, b"67108864");
    assert_eq!(curl(&[], "/big?bytes=50000000").await.len(), 50_000_000);
    gateway.end().await;
}
