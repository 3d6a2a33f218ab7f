//! Who is refused, and what peers may not do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use devgate::http::Limits;
use devgate::names::WorkspaceId;
use devgate_certs::{AgentIdentity, client_config};
use devgate_protocol::control::{FromAgent, FromGateway};
use devgate_protocol::transport::Transport;
use devgate_protocol::websocket::{self, Side, WebSocket};
use devgate_protocol::{CONTROL_PATH, DATA_PATH, TUNNEL_HEADER, VERSION};
use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::parts::{Gateway, authority, log, soon};

/// A client of the HTTPS listener that shows `identity` where there is one.
async fn client(
    gateway: &Gateway,
    identity: &AgentIdentity,
) -> std::io::Result<tokio_rustls::client::TlsStream<Transport>> {
    let ca = gateway.authority.ca_pem();
    let key = identity.key_pem.expose();
    let config = client_config(ca, &identity.chain_pem, key).unwrap();
    let stream = TcpStream::connect(gateway.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let transport = Transport::from(stream);
    TlsConnector::from(config).connect(name, transport).await
}

/// Opens a control connection as an agent does, up to its hello.
pub(crate) async fn control(gateway: &Gateway, identity: &AgentIdentity, name: &str) -> WebSocket {
    let mut stream = client(gateway, identity).await.unwrap();
    let request = format!(
        "GET {CONTROL_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {TUNNEL_HEADER}: {name}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    websocket::control(stream.into(), Vec::new(), Side::Client).await
}

pub(crate) fn hello(id: &WorkspaceId, protocol: u8, pid: u32) -> FromAgent {
    FromAgent::Hello {
        protocol,
        version: "1".to_owned(),
        workspace: id.to_string(),
        pid,
        features: Vec::new(),
    }
}

/// Waits until a control connection is closed.
async fn closed(socket: &mut WebSocket) {
    while let Ok(Some(_)) = soon(websocket::read_message::<FromGateway>(socket)).await {}
}

fn anonymous(gateway: &Gateway) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let ca = gateway.authority.ca_pem().as_bytes();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Sends a request without a client certificate and returns the whole answer.
async fn get(gateway: &Gateway, path: &str, headers: &str) -> String {
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = anonymous(gateway).connect(name, stream).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn health_is_told_and_everything_else_is_a_problem() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let health = get(&gateway, "/healthz", "").await;
    assert!(
        health.contains("200 OK") && health.contains(r#""status":"ok""#),
        "{health}"
    );
    assert!(get(&gateway, "/readyz", "").await.contains("503"));
    gateway.readiness.set_ready();
    assert!(get(&gateway, "/readyz", "").await.contains("200 OK"));
    let missing = get(&gateway, "/nothing", "").await;
    assert!(missing.contains("404") && missing.contains("application/problem+json"));
    let flood = get(&gateway, "/healthz", &"X: y\r\n".repeat(300)).await;
    assert!(flood.contains("431"), "{flood}");
    gateway.end().await;
}

#[tokio::test]
async fn only_an_expected_workspaces_agent_gets_in() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    for path in [CONTROL_PATH, DATA_PATH] {
        assert!(get(&gateway, path, "").await.contains("401"));
    }

    let other = tempfile::tempdir().unwrap();
    let foreign = authority(other.path()).issue_agent("aaaaaaaaaaaaaaaa");
    // TLS 1.3: the client learns of the refusal with its first read.
    let refused = async {
        let mut stream = client(&gateway, &foreign.unwrap()).await?;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
        stream.read_u8().await
    };
    let error = soon(refused).await.unwrap_err();
    let cause = error.into_inner().unwrap();
    let cause = cause.downcast_ref::<rustls::Error>().unwrap();
    assert!(
        matches!(cause, rustls::Error::AlertReceived(_)),
        "{cause:?}"
    );

    gateway.accepts.store(false, Ordering::SeqCst);
    let identity = gateway.authority.issue_agent("aaaaaaaaaaaaaaaa").unwrap();
    let mut stream = client(&gateway, &identity).await.unwrap();
    let request = format!("GET {CONTROL_PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = soon(stream.read_to_string(&mut answer)).await;
    assert!(answer.contains("403"), "{answer}");
    gateway.end().await;
}

#[tokio::test]
async fn an_agent_that_opens_many_tunnels_keeps_the_newest_eight() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let id = WorkspaceId::random();
    let identity = gateway.authority.issue_agent(id.as_str()).unwrap();
    let mut tunnels = Vec::new();
    for number in 0..10 {
        let mut socket = control(&gateway, &identity, &format!("tunnel-{number}")).await;
        let hello = hello(&id, VERSION, number);
        websocket::write_message(&mut socket, &hello).await.unwrap();
        let welcome = soon(websocket::read_message(&mut socket)).await.unwrap();
        assert!(matches!(welcome, Some(FromGateway::Welcome { .. })));
        tunnels.push(socket);
    }
    for gone in &mut tunnels[..2] {
        closed(gone).await;
    }
    for number in 0..10 {
        let kept = gateway
            .tunnels
            .takes_offers(&id, &format!("tunnel-{number}"));
        assert_eq!(kept, number >= 2, "{number}");
    }
    assert_eq!(soon(gateway.tunnels.connected(&id)).await.pid, 9);
    gateway.end().await;
}

#[tokio::test]
async fn control_connections_that_never_say_hello_are_bounded() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let id = WorkspaceId::random();
    let identity = gateway.authority.issue_agent(id.as_str()).unwrap();
    let mut silent = Vec::new();
    let mut refused = 0;
    while refused == 0 {
        silent.push(control(&gateway, &identity, "silent").await);
        assert!(silent.len() < 100, "nothing is refused");
        for socket in &mut silent {
            let read = websocket::read_message::<FromGateway>(socket).now_or_never();
            refused += usize::from(read.is_some());
        }
    }
    assert!(silent.len() > 8, "{} were enough", silent.len());
    gateway.end().await;
}

#[tokio::test]
async fn an_agent_whose_workspace_stops_before_its_hello_gets_no_tunnel() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let id = WorkspaceId::random();
    let identity = gateway.authority.issue_agent(id.as_str()).unwrap();
    let mut socket = control(&gateway, &identity, "late").await;
    gateway.accepts.store(false, Ordering::SeqCst);
    gateway.tunnels.forget(&id);
    let hello = hello(&id, VERSION, 1);
    websocket::write_message(&mut socket, &hello).await.unwrap();
    closed(&mut socket).await;
    let connected = gateway.tunnels.connected(&id).now_or_never();
    assert!(connected.is_none(), "{connected:?}");
    gateway.end().await;
}

#[tokio::test]
async fn an_agent_of_an_unsupported_version_is_refused_and_the_log_says_so() {
    let (log, _guard) = log();
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let id = WorkspaceId::random();
    let identity = gateway.authority.issue_agent(id.as_str()).unwrap();
    let mut socket = control(&gateway, &identity, "old").await;
    let hello = hello(&id, VERSION + 1, 1);
    websocket::write_message(&mut socket, &hello).await.unwrap();
    closed(&mut socket).await;
    let logged = log.text();
    assert!(
        logged.contains("refused an agent of an unsupported version")
            && logged.contains(id.as_str())
            && logged.contains(&format!("version={}", VERSION + 1)),
        "{logged}"
    );
    gateway.end().await;
}

#[tokio::test]
async fn peers_that_dawdle_or_talk_rubbish_are_closed_and_hold_up_nobody() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let silent = TcpStream::connect(gateway.address).await.unwrap();
    let mut rubbish = TcpStream::connect(gateway.address).await.unwrap();
    rubbish.write_all(&[0x55; 4096]).await.unwrap();
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut loris = anonymous(&gateway).connect(name, stream).await.unwrap();
    loris
        .write_all(b"GET /healthz HTTP/1.1\r\nX-A: b\r\n")
        .await
        .unwrap();

    assert!(get(&gateway, "/healthz", "").await.contains("200 OK"));

    let (mut silent, mut rest) = (silent, Vec::new());
    let _ = soon(silent.read_to_end(&mut rest)).await;
    let _ = soon(rubbish.read_to_end(&mut rest)).await;
    let mut answer = Vec::new();
    let _ = soon(loris.read_to_end(&mut answer)).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200"));
    gateway.end().await;
}

/// Connects from an address of this host, and says nothing.
async fn silent(gateway: &Gateway, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(from.parse().unwrap(), 0))
        .unwrap();
    soon(socket.connect(gateway.address)).await.unwrap()
}

#[tokio::test]
async fn an_address_that_begins_many_handshakes_keeps_out_nobody_else() {
    let root = tempfile::tempdir().unwrap();
    let limits = Limits {
        handshake: Duration::from_mins(10),
        handshakes: 4,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(authority(root.path()), "127.0.0.1:0", limits).await;
    let slow = silent(&gateway, "127.0.0.3").await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(silent(&gateway, "127.0.0.2").await);
    }
    assert!(get(&gateway, "/healthz", "").await.contains("200 OK"));
    for cut in &mut crowd[..15] {
        let ended = soon(cut.read_u8()).await;
        ended.unwrap_err();
    }
    let name = ServerName::try_from("localhost").unwrap();
    soon(anonymous(&gateway).connect(name, slow)).await.unwrap();
    drop(crowd);
    gateway.end().await;
}

#[tokio::test]
async fn an_address_has_its_share_of_all_connections_and_agents_have_theirs() {
    let root = tempfile::tempdir().unwrap();
    let limits = Limits {
        headers: Duration::from_mins(10),
        connections: 8,
        each: 4,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(authority(root.path()), "127.0.0.1:0", limits).await;
    let name = ServerName::try_from("localhost").unwrap();
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let tcp = silent(&gateway, "127.0.0.2").await;
        let tls = anonymous(&gateway).connect(name.clone(), tcp);
        crowd.push(soon(tls).await.unwrap());
    }
    for cut in &mut crowd[..16] {
        soon(cut.read_u8()).await.unwrap_err();
    }
    // Its newest ones go on, beside everybody else's.
    let mut last = crowd.pop().unwrap();
    assert!(get(&gateway, "/healthz", "").await.contains("200 OK"));
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    soon(last.write_all(request.as_bytes())).await.unwrap();
    assert_eq!(soon(last.read_u8()).await.unwrap(), b'H');
    drop((crowd, last));
    gateway.end().await;
}
