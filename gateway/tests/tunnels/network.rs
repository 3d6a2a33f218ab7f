//! What lies between an agent and its gateway: connections that die, a network that
//! falls silent, a proxy that knows WebSocket only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use devgate::tunnel::Liveness;
use devgate_certs::{AgentIdentity, client_config};
use devgate_protocol::config::DataTransport;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use crate::parts::{Gateway, Log, Workspace, authority, echo, log, round_trip, soon, target};

/// A relay between an agent and its gateway, whose connections can be cut or stalled.
struct Relay {
    address: SocketAddr,
    connections: watch::Receiver<Vec<AbortHandle>>,
    stalled: CancellationToken,
    _tasks: JoinSet<()>,
}

impl Relay {
    async fn to(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = watch::channel(Vec::new());
        let stalled = CancellationToken::new();
        let stalls = stalled.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut relays = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let stalls = stalls.clone();
                let relay = relays.spawn(async move {
                    let mut far = TcpStream::connect(gateway).await.unwrap();
                    let copying = copy_bidirectional(&mut near, &mut far);
                    if stalls.run_until_cancelled(copying).await.is_none() {
                        // Both ends stay open.
                        std::future::pending::<()>().await;
                    }
                });
                sender.send_modify(|all| all.push(relay));
            }
        });
        Self {
            address,
            connections,
            stalled,
            _tasks: tasks,
        }
    }

    /// Passes nothing on any more, without closing anything.
    fn stall(&self) {
        self.stalled.cancel();
    }

    /// Cuts all connections but the first, which is the control connection.
    async fn cut_spares(&mut self) {
        let all = self.connections.wait_for(|all| all.len() > 4);
        for connection in soon(all).await.unwrap().iter().skip(1) {
            connection.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spares_that_died_are_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    let mut relay = Relay::to(gateway.address).await;
    let mut workspace = Workspace::new();
    let identity = gateway.authority.issue_agent(workspace.id.as_str());
    workspace.install(gateway.authority.ca_pem(), &identity.unwrap());
    workspace.dial(relay.address, DataTransport::Auto);
    soon(gateway.tunnels.connected(&workspace.id)).await;
    for _ in 0..5 {
        relay.cut_spares().await;
        let (stream, _) = soon(gateway.tunnels.open(&workspace.id, &echo))
            .await
            .unwrap();
        soon(round_trip(stream, b"through".to_vec())).await;
    }
    gateway.end().await;
}

/// Waits until something is logged.
async fn logged(log: &Log, text: &str) {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let waiting = async {
        while !log.text().contains(text) {
            looks.tick().await;
        }
    };
    let waited = timeout(Duration::from_secs(30), waiting).await;
    assert!(waited.is_ok(), "no {text:?} in {}", log.text());
}

#[tokio::test]
async fn both_sides_notice_that_the_other_fell_silent_and_only_then() {
    let (log, _guard) = log();
    let root = tempfile::tempdir().unwrap();
    let liveness = Liveness {
        ping_every: Duration::from_millis(100),
        dead_after: Duration::from_secs(1),
    };
    let gateway = Gateway::start_alive(authority(root.path()), liveness).await;
    let relay = Relay::to(gateway.address).await;
    let mut workspace = Workspace::new();
    let identity = gateway.authority.issue_agent(workspace.id.as_str());
    workspace.install(gateway.authority.ca_pem(), &identity.unwrap());
    workspace.dead_after = liveness.dead_after;
    workspace.dial(relay.address, DataTransport::Auto);
    soon(gateway.tunnels.connected(&workspace.id)).await;

    // Pings and their answers keep an idle tunnel up.
    let gone = gateway.tunnels.disconnected(&workspace.id);
    timeout(liveness.dead_after * 3, gone).await.unwrap_err();
    relay.stall();
    soon(gateway.tunnels.disconnected(&workspace.id)).await;
    logged(&log, "the agent fell silent").await;
    logged(&log, "the gateway fell silent").await;
    gateway.end().await;
}

/// How a proxy turns away what it doesn't know.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// With an HTTP answer.
    Answer,
    /// Without a word.
    Close,
}

/// A proxy that ends TLS on both sides and passes upgrades to WebSocket on, and
/// nothing else.
struct Proxy {
    address: SocketAddr,
    /// How many upgrades of data connections it passed on.
    passed: watch::Receiver<usize>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn to(gateway: &Gateway, identity: &AgentIdentity, refusal: Refusal) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(gateway.authority.server_config().unwrap());
        let (chain, key) = (&identity.chain_pem, identity.key_pem.expose());
        let config = client_config(gateway.authority.ca_pem(), chain, key).unwrap();
        let (connector, target) = (TlsConnector::from(config), gateway.address);
        let (count, passed) = watch::channel(0);
        let count = Arc::new(count);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                let count = Arc::clone(&count);
                connections.spawn(async move {
                    let Ok(mut near) = acceptor.accept(near).await else {
                        return;
                    };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = near.read_u8().await else {
                            return;
                        };
                        head.push(byte);
                    }
                    let text = String::from_utf8(head).unwrap();
                    if !text.contains("Upgrade: websocket\r\n") {
                        if let Refusal::Answer = refusal {
                            let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
                            let _ = near.write_all(answer).await;
                        }
                        let _ = near.shutdown().await;
                        return;
                    }
                    if text.starts_with("GET /agent/v1/data ") {
                        count.send_modify(|passed| *passed += 1);
                    }
                    let far = TcpStream::connect(target).await.unwrap();
                    let name = ServerName::try_from("localhost").unwrap();
                    let mut far = connector.connect(name, far).await.unwrap();
                    far.write_all(text.as_bytes()).await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self {
            address,
            passed,
            _tasks: tasks,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_behind_a_proxy_for_websocket_alone_falls_back_to_it() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    for refusal in [Refusal::Answer, Refusal::Close] {
        let mut workspace = Workspace::new();
        let identity = gateway.authority.issue_agent(workspace.id.as_str());
        let identity = identity.unwrap();
        let proxy = Proxy::to(&gateway, &identity, refusal).await;
        workspace.install(gateway.authority.ca_pem(), &identity);
        workspace.dial(proxy.address, DataTransport::Auto);
        soon(gateway.tunnels.connected(&workspace.id)).await;
        let opened = soon(gateway.tunnels.open(&workspace.id, &echo)).await;
        let (stream, _) = opened.unwrap_or_else(|error| panic!("{refusal:?}: {error}"));
        soon(round_trip(stream, vec![7; 1_000_000])).await;
        assert!(*proxy.passed.borrow() > 0, "{refusal:?}");
    }
    gateway.end().await;
}
