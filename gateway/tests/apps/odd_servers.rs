//! Applications whose HTTP isn't by the book: what browsers put up with comes through, and
//! of all else is said what is wrong.

use axum::body::Body;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::application::{Raw, answer, read_head};
use crate::client::soon;
use crate::gateway::Gateway;

/// Starts an application that answers each request with the same bytes and closes.
async fn canned(bytes: impl Into<Vec<u8>>) -> Raw {
    let bytes = bytes.into();
    Raw::start(move |mut stream, _| {
        let bytes = bytes.clone();
        async move {
            if read_head(&mut stream).await.is_some() {
                let _ = stream.write_all(&bytes).await;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_browsers_take_are_taken() {
    let cookies: Vec<_> = (0..300)
        .map(|i| format!("Set-Cookie: c{i}=1\r\n"))
        .collect();
    let cookies = cookies.concat();
    for (headers, name, value) in [
        (cookies.as_str(), "set-cookie", "c0=1"),
        ("X-Fold: a\r\n  b\r\n", "x-fold", "a"),
        ("X-Space : a\r\n", "x-space", "a"),
        ("Transfer-Encoding: chunked\r\n", "x-other", ""),
    ] {
        let body = match headers {
            "Transfer-Encoding: chunked\r\n" => "5\r\nhello\r\n0\r\n\r\n",
            _ => "hel",
        };
        let text = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 3\r\n\r\n{body}");
        let application = canned(text).await;
        let gateway = Gateway::public(application.port).await;
        let host = gateway.host(application.port);
        let answer = gateway.get(&host, "/", &[]).await;
        assert_eq!(answer.status, 200, "{headers}");
        assert!(answer.header(name).starts_with(value), "{headers}");
        let whole = if body == "hel" { "hel" } else { "hello" };
        assert_eq!(answer.text().await, whole, "{headers}");
        gateway.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_said_twice_is_said_once() {
    let lengths = "Content-Length: 4, 4\r\nContent-Length: 4\r\n";
    let application = canned(format!("HTTP/1.1 200 OK\r\n{lengths}\r\nbody")).await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let mut tls = gateway.connect(&host).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    soon(tls.write_all(request.as_bytes())).await.unwrap();
    let answer = read_answer(&mut tls, "body").await;
    assert_eq!(answer.matches("content-length").count(), 1, "{answer}");
    assert!(answer.contains("content-length: 4\r\n"), "{answer}");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_an_answer_that_breaks_off_is_handed_on() {
    let gateway = Gateway::start().await;
    for (answer, seen) in [
        ("Content-Length: 10\r\n\r\nhello", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx", "hello"),
        ("Content-Length: 10\r\n\r\n", "\r\n\r\n"),
    ] {
        let application = canned(format!("HTTP/1.1 201 Created\r\n{answer}")).await;
        let port = application.port;
        gateway
            .share(port, devgate::store::Visibility::Public)
            .await;
        let host = gateway.host(port);
        let mut tls = gateway.connect(&host).await;
        let request = format!("POST / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        soon(tls.write_all(request.as_bytes())).await.unwrap();
        let mut read = Vec::new();
        let _ = soon(tls.read_to_end(&mut read)).await;
        let read = String::from_utf8(read).unwrap();
        assert!(read.starts_with("HTTP/1.1 201"), "{answer}: {read}");
        assert!(
            read.trim_end_matches("\r\n").ends_with(seen.trim_end()),
            "{answer}: {read}"
        );
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_told_from_what_was_not() {
    let gateway = Gateway::start().await;
    let many = "Set-Cookie: a=1\r\n".repeat(600);
    for (bytes, why) in [
        ("SSH-2.0-OpenSSH_9\r\n".to_owned(), "not in HTTP/1.1"),
        (
            format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
            "has too many headers",
        ),
        (String::new(), "without an answer"),
    ] {
        let application = canned(bytes).await;
        let port = application.port;
        gateway
            .share(port, devgate::store::Visibility::Public)
            .await;
        let refused = gateway.get(&gateway.host(port), "/", &[]).await;
        assert_eq!(refused.status, 502, "{why}");
        let text = refused.text().await;
        assert!(
            text.contains(why) && text.contains("application-broken"),
            "{why}: {text}"
        );
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_have_as_many_headers_as_large_sites_send() {
    let application = canned("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let mut request = Request::get("/x");
    for number in 0..200 {
        request = request.header(format!("x-{number}"), "1");
    }
    let answer = gateway
        .ask(&host, request.body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 200);
    gateway.end().await;
}

/// Reads an answer that ends with a text.
async fn read_answer(tls: &mut TlsStream<TcpStream>, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        answer.push(soon(tls.read_u8()).await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_still_sends_reads_an_early_answer_and_goes_on() {
    const LENGTH: usize = 3_000_000;
    let application = Raw::start(async |mut stream, number| {
        if read_head(&mut stream).await.is_none() {
            return;
        }
        if number == 0 {
            let refused = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\
                Connection: close\r\n\r\nbig";
            stream.write_all(refused).await.unwrap();
        } else {
            answer(&mut stream, "small").await;
        }
    })
    .await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let mut tls = gateway.connect(&host).await;
    let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {LENGTH}\r\n\r\n");
    tls.write_all(head.as_bytes()).await.unwrap();
    // The application is gone before anything of the body comes.
    let refused = read_answer(&mut tls, "big").await;
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    soon(tls.write_all(&vec![0; LENGTH])).await.unwrap();
    let next = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    soon(tls.write_all(next.as_bytes())).await.unwrap();
    let next = read_answer(&mut tls, "small").await;
    assert!(next.starts_with("HTTP/1.1 200"), "{next}");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_crosses_its_upload_is_not_lost() {
    const LENGTH: usize = 1_000_000;
    let application =
        canned("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    for _ in 0..30 {
        let body = Body::from(vec![0; LENGTH]);
        let request = Request::post("/").body(body).unwrap();
        let answer = gateway.ask(&host, request).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.text().await, "no");
    }
    gateway.end().await;
}
