//! Connections that become something else than HTTP.

use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::application::{Application, Raw, read_head};
use crate::client::soon;
use crate::gateway::Gateway;
use devgate::identity::Scope;
use devgate::store::Visibility;

type Socket = WebSocketStream<Box<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>>;

async fn open(gateway: &Gateway, host: &str, headers: &[(&str, &str)]) -> Result<Socket, u16> {
    let tls = Box::new(gateway.connect(host).await);
    let mut request = Request::get(format!("wss://{host}/ws"))
        .header("host", host)
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let opening = client_async(request.body(()).unwrap(), tls);
    match soon(Box::pin(opening)).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn echoes(socket: &mut Socket) -> bool {
    let sent = Message::text("x".repeat(100_000));
    socket.send(sent.clone()).await.is_ok()
        && matches!(soon(socket.next()).await, Some(Ok(message)) if message == sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_carries_messages_both_ways() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    gateway.share(application.port, Visibility::Public).await;
    let host = gateway.host(application.port);
    let mut socket = open(&gateway, &host, &[]).await.unwrap();
    assert!(echoes(&mut socket).await);
    socket.close(None).await.unwrap();
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_protocol_is_spliced_with_half_close() {
    let application = Raw::start(async |mut stream, _| {
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.contains("upgrade: shout/1\r\n"), "{head}");
        assert!(head.contains("connection: upgrade\r\n"), "{head}");
        // The first bytes of the new protocol come with the answer.
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
            Upgrade: shout/1\r\n\r\nready\n";
        stream.write_all(answer).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        stream
            .write_all(text.to_uppercase().as_bytes())
            .await
            .unwrap();
    })
    .await;
    let gateway = Gateway::start().await;
    gateway.share(application.port, Visibility::Public).await;
    let host = gateway.host(application.port);
    let mut tls = gateway.connect(&host).await;
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: shout/1\r\n\r\n"
    );
    tls.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ready\n") {
        answer.push(soon(tls.read_u8()).await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    tls.write_all(b"half").await.unwrap();
    tls.shutdown().await.unwrap();
    let mut rest = String::new();
    soon(tls.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, "HALF");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_opened_by_the_workspaces_own_pages_alone() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let (dashboard, _) = gateway.sign_in(&gateway.ada).await;
    let cookie = gateway.enter(application.port, &dashboard).await;
    let host = gateway.host(application.port);
    let port = gateway.address.port();
    for (origin, allowed) in [
        (format!("https://{host}"), true),
        (format!("https://8080--api--ada.localhost:{port}"), true),
        (format!("https://editor--api--ada.localhost:{port}"), true),
        (format!("https://8080--api--bob.localhost:{port}"), false),
        (format!("https://8080--other--ada.localhost:{port}"), false),
        (format!("https://localhost:{port}"), false),
        ("https://evil.example".to_owned(), false),
        ("null".to_owned(), false),
    ] {
        let headers = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
        match open(&gateway, &host, &headers).await {
            Ok(mut socket) => assert!(allowed && echoes(&mut socket).await, "{origin}"),
            Err(status) => assert_eq!((allowed, status), (false, 403), "{origin}"),
        }
    }
    // A program without a browser says no origin.
    assert!(open(&gateway, &host, &[("cookie", &cookie)]).await.is_ok());
    assert_eq!(open(&gateway, &host, &[]).await.unwrap_err(), 401);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_cut_when_a_login_a_token_or_a_share_ends() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let host = gateway.host(application.port);
    let (dashboard, login) = gateway.sign_in(&gateway.ada).await;
    let cookie = gateway.enter(application.port, &dashboard).await;
    let own = [("cookie", cookie.as_str())];
    let mut socket = open(&gateway, &host, &own).await.unwrap();
    assert!(echoes(&mut socket).await);
    let events = gateway.get(&host, "/events", &own).await;
    application.events.send("one".to_owned()).await.unwrap();

    gateway.sign_out(&gateway.ada, &login).await;
    let second = std::time::Duration::from_secs(1);
    let cut = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(second, cut)
        .await
        .expect("the WebSocket is cut");
    let broken = http_body_util::BodyExt::collect(events.body);
    let broken = tokio::time::timeout(second, broken).await;
    assert!(broken.expect("the events are cut").is_err());
    assert_eq!(gateway.get(&host, "/", &own).await.status, 401);

    let token = gateway.token(&gateway.ada, Scope::Write).await;
    let with_token = [("authorization", token.as_str())];
    let mut socket = open(&gateway, &host, &with_token).await.unwrap();
    assert!(echoes(&mut socket).await);
    let tokens = gateway.store.tokens(&gateway.ada).await.unwrap();
    gateway
        .store
        .remove_token(&gateway.ada, &tokens[0].id)
        .await
        .unwrap();
    gateway.sessions.recheck();
    let cut = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(second, cut)
        .await
        .expect("the token's is cut");

    gateway.share(application.port, Visibility::Public).await;
    // What was known of the port is believed for a moment.
    let mut socket = loop {
        if let Ok(socket) = open(&gateway, &host, &[]).await {
            break socket;
        }
    };
    assert!(echoes(&mut socket).await);
    gateway.share(application.port, Visibility::Private).await;
    soon(async { while let Some(Ok(_)) = socket.next().await {} }).await;
    gateway.end().await;
}
