//! Bodies that clients hold back until the application has asked for them, or refused
//! (RFC 9110 §10.1.1).

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::application::{Raw, answer, read_head};
use crate::client::soon;
use crate::gateway::Gateway;

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Sends the head of a request whose body is held back, with these lines more.
async fn announce(gateway: &Gateway, host: &str, lines: &str) -> TlsStream<TcpStream> {
    let mut tls = gateway.connect(host).await;
    let head =
        format!("PUT /x HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n{lines}\r\n\r\n");
    soon(tls.write_all(head.as_bytes())).await.unwrap();
    tls
}

/// Reads what is answered up to where a text ends.
async fn read_until(tls: &mut TlsStream<TcpStream>, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        read.push(soon(tls.read_u8()).await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_before_anything_of_the_body() {
    for status in ["413 Content Too Large", "401 Unauthorized", "303 See Other"] {
        let application = Raw::start(move |mut stream, _| async move {
            let head = read_head(&mut stream).await.unwrap();
            assert!(head.contains("expect: 100-continue\r\n"), "{head}");
            let refusal = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
            stream.write_all(refusal.as_bytes()).await.unwrap();
            // Nothing comes but the end.
            assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0);
        })
        .await;
        let gateway = Gateway::patient(application.port).await;
        let host = gateway.host(application.port);
        for lines in ["Content-Length: 38", "Transfer-Encoding: chunked"] {
            let taken = application.taken.load(Ordering::SeqCst);
            let mut tls = announce(&gateway, &host, lines).await;
            let refusal = read_until(&mut tls, "no").await;
            assert!(
                refusal.starts_with(&format!("HTTP/1.1 {status}")),
                "{refusal}"
            );
            assert!(refusal.contains("connection: close\r\n"), "{refusal}");
            // Who takes this for a request and who takes it for the body wouldn't agree.
            let next = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            soon(tls.write_all(next.as_bytes())).await.unwrap();
            soon(tls.shutdown()).await.unwrap();
            let mut rest = Vec::new();
            let _ = soon(tls.read_to_end(&mut rest)).await;
            assert_eq!(String::from_utf8_lossy(&rest), "");
            assert_eq!(application.taken.load(Ordering::SeqCst), taken + 1);
        }
        gateway.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_is_asked_for_once_the_application_asks() {
    let application = Raw::start(async |mut stream, _| {
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.contains("expect: 100-continue\r\n"), "{head}");
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        stream.write_all(hints).await.unwrap();
        stream.write_all(CONTINUE.as_bytes()).await.unwrap();
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"body");
        answer(&mut stream, "taken").await;
    })
    .await;
    let gateway = Gateway::patient(application.port).await;
    let host = gateway.host(application.port);
    let mut tls = announce(&gateway, &host, "Content-Length: 4").await;
    assert_eq!(read_until(&mut tls, "\r\n\r\n").await, CONTINUE);
    for _ in 0..2 {
        soon(tls.write_all(b"body")).await.unwrap();
        let taken = read_until(&mut tls, "taken").await;
        assert!(taken.starts_with("HTTP/1.1 200"), "{taken}");
        assert!(!taken.contains("connection: close"), "{taken}");
        // The connection goes on.
        let next = format!(
            "PUT /x HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n\
            Content-Length: 4\r\n\r\n"
        );
        soon(tls.write_all(next.as_bytes())).await.unwrap();
        assert_eq!(read_until(&mut tls, "\r\n\r\n").await, CONTINUE);
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_never_asks_is_sent_the_body() {
    let application = Raw::start(async |mut stream, _| {
        read_head(&mut stream).await.unwrap();
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        let answer = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\ntaken";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let gateway = Gateway::public(application.port).await;
    let host = gateway.host(application.port);
    let mut tls = announce(&gateway, &host, "Content-Length: 4").await;
    assert_eq!(read_until(&mut tls, "\r\n\r\n").await, CONTINUE);
    soon(tls.write_all(b"body")).await.unwrap();
    let taken = read_until(&mut tls, "taken").await;
    assert!(taken.starts_with("HTTP/1.1 200"), "{taken}");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_answers_while_it_takes_the_body_is_sent_it() {
    let application = Raw::start(async |mut stream, _| {
        read_head(&mut stream).await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n";
        stream.write_all(head).await.unwrap();
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"4\r\nlate\r\n0\r\n\r\n").await.unwrap();
    })
    .await;
    let gateway = Gateway::patient(application.port).await;
    let host = gateway.host(application.port);
    let mut tls = announce(&gateway, &host, "Content-Length: 4").await;
    let begins = read_until(&mut tls, "early\r\n").await;
    assert!(begins.starts_with("HTTP/1.1 100 "), "{begins}");
    soon(tls.write_all(b"body")).await.unwrap();
    assert_eq!(
        read_until(&mut tls, "0\r\n\r\n").await,
        "4\r\nlate\r\n0\r\n\r\n"
    );
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_sends_without_being_asked() {
    const LENGTH: usize = 3_000_000;
    let application = Raw::start(async |mut stream, _| {
        read_head(&mut stream).await.unwrap();
        let refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\
            Connection: close\r\n\r\nbig";
        stream.write_all(refusal).await.unwrap();
    })
    .await;
    let gateway = Gateway::patient(application.port).await;
    let host = gateway.host(application.port);
    let mut tls = announce(&gateway, &host, &format!("Content-Length: {LENGTH}")).await;
    soon(tls.write_all(&vec![0; LENGTH])).await.unwrap();
    let mut refusal = String::new();
    soon(tls.read_to_string(&mut refusal)).await.unwrap();
    assert!(refusal.starts_with("HTTP/1.1 413"), "{refusal}");
    assert!(refusal.ends_with("big"), "{refusal}");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_refusal_asks_for_nothing_and_is_the_last() {
    let gateway = Gateway::start().await;
    let host = gateway.host(3000);
    let mut tls = announce(&gateway, &host, "Content-Length: 4").await;
    let refusal = read_until(&mut tls, "\r\n\r\n").await;
    assert!(refusal.starts_with("HTTP/1.1 401"), "{refusal}");
    assert!(refusal.contains("connection: close\r\n"), "{refusal}");
    gateway.end().await;
}
