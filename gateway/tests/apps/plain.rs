//! Plain HTTP on the port that speaks TLS.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::soon;
use crate::gateway::Gateway;

/// Sends a head without TLS, and reads to the end of the connection.
async fn ask(gateway: &Gateway, request: &str) -> String {
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(tcp.read_to_string(&mut answer)).await.unwrap();
    answer.to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_sent_to_https_of_the_same_host() {
    let gateway = Gateway::start().await;
    let port = gateway.address.port();
    let application = gateway.host(3000);
    let dashboard = format!("localhost:{port}");
    for (line, host) in [
        ("GET /x?y=1", &application),
        ("POST /x?y=1", &application),
        ("get /x?y=1", &dashboard),
        (&*format!("GET http://{dashboard}/x?y=1"), &dashboard),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\nbody");
        let answer = ask(&gateway, &request).await;
        assert!(answer.starts_with("http/1.1 308"), "{answer}");
        let location = format!("location: https://{host}/x?y=1\r\n");
        assert!(answer.contains(&location), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        for other in ["set-cookie", "strict-transport"] {
            assert!(!answer.contains(other), "{answer}");
        }
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_for_another_host_leads_nowhere() {
    let gateway = Gateway::start().await;
    let host = gateway.host(3000);
    for head in [
        "GET / HTTP/1.1\r\nHost: evil.example".to_owned(),
        "GET http://evil.example/ HTTP/1.1\r\nHost: localhost".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: x{host}"),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}"),
        "GET / HTTP/1.0\r\nAccept: */*".to_owned(),
        format!("OPTIONS * HTTP/1.1\r\nHost: {host}"),
        // Its own client speaks TLS already, and would come back for ever.
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https"),
    ] {
        let answer = ask(&gateway, &format!("{head}\r\n\r\n")).await;
        assert!(answer.starts_with("http/1."), "{head}: {answer}");
        assert!(answer.contains(" 400 "), "{head}: {answer}");
        assert!(!answer.contains("location:"), "{head}: {answer}");
        assert!(answer.contains("plain-http"), "{head}: {answer}");
    }
    // It isn't looked at for longer than others' are.
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(64 * 1024));
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    let _ = tcp.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = soon(tcp.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/1.1 2") && !answer.starts_with(b"HTTP/1.1 3"));
    gateway.end().await;
}
