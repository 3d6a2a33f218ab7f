//! Both kinds of tunnel, with a real agent over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use devgate::http::{Agents, HttpState, Limits, Readiness, router, serve};
use devgate::names::WorkspaceId;
use devgate::tunnel::{TunnelError, Tunnels};
use devgate_agent::dial::{self, Dial};
use devgate_agent::{Agent, Orphans, listen, serve_opened};
use devgate_certs::{Access, AgentIdentity, Authority, Clock, client_config, validity, write_file};
use devgate_protocol::config::{AgentConfig, DataTransport, EditorConfig, Reach, TerminalsConfig};
use devgate_protocol::{Answer, CONTROL_PATH, DATA_PATH, Open, RefusalReason, Stream};
use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(30);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it takes too long")
}

/// The gateway's side: an HTTPS listener and a registry of tunnels.
struct Gateway {
    authority: Arc<Authority>,
    tunnels: Tunnels,
    address: SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    accepts: Arc<AtomicBool>,
    readiness: Readiness,
}

impl Gateway {
    async fn start(authority: Arc<Authority>, address: &str) -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        authority.gateway_leaf(&names).unwrap();
        let tunnels = Tunnels::new(Arc::clone(&authority));
        let accepts = Arc::new(AtomicBool::new(true));
        let answer = Arc::clone(&accepts);
        let readiness = Readiness::default();
        let state = HttpState {
            agents: Agents {
                tunnels: tunnels.clone(),
                authority: Arc::clone(&authority),
                accepts: Arc::new(move |_| {
                    let answer = answer.load(Ordering::SeqCst);
                    async move { answer }.boxed()
                }),
            },
            readiness: readiness.clone(),
        };
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits {
            handshake: Duration::from_secs(1),
            headers: Duration::from_secs(1),
            ..Limits::default()
        };
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let tls = authority.server_config().unwrap();
        tasks.spawn(serve(listener, tls, router(state), limits, stop.clone()));
        Self {
            authority,
            tunnels,
            address,
            stop,
            tasks,
            accepts,
            readiness,
        }
    }

    async fn end(mut self) {
        self.stop.cancel();
        self.tunnels.shutdown().await;
        while self.tasks.join_next().await.is_some() {}
    }
}

/// A workspace's agent, its folder and its tasks.
struct Workspace {
    id: WorkspaceId,
    folder: TempDir,
    agent: Arc<Agent>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let id = WorkspaceId::random();
        let runtime = folder.path().join("run");
        let config = AgentConfig {
            workspace: id.to_string(),
            home: folder.path().join("home"),
            reach: Reach::Socket {
                path: runtime.join("agent.sock"),
            },
            runtime,
            shell: None,
            environment: std::collections::BTreeMap::new(),
            editor: EditorConfig::default(),
            terminals: TerminalsConfig::default(),
        };
        let agent = Agent::start(config, Orphans::Leave).unwrap();
        Self {
            id,
            folder,
            agent,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Listens on a Unix socket, as on the gateway's own host.
    async fn listen(&mut self) -> PathBuf {
        let path = self.file("run/agent.sock");
        let listener = listen::bind(&path).await.unwrap();
        let run = listen::run(Arc::clone(&self.agent), listener, self.stop.clone());
        self.tasks.spawn(run);
        path
    }

    fn install(&self, ca_pem: &str, identity: &AgentIdentity) {
        write_file(&self.file("ca.pem"), Access::Public, ca_pem).unwrap();
        write_file(&self.file("agent.pem"), Access::Public, &identity.chain_pem).unwrap();
        let key = identity.key_pem.expose();
        write_file(&self.file("agent.key"), Access::Private, key).unwrap();
    }

    /// Dials the gateway with the certificate in the folder.
    fn dial(&mut self, address: SocketAddr, data: DataTransport) {
        let dial = Dial {
            workspace: self.id.to_string(),
            gateways: vec![address.to_string()],
            ca: self.file("ca.pem"),
            certificate: self.file("agent.pem"),
            key: self.file("agent.key"),
            data,
        };
        let agent = Arc::clone(&self.agent);
        let serve = move |stream, open| serve_opened(Arc::clone(&agent), stream, open);
        self.tasks.spawn(dial::run(dial, serve, self.stop.clone()));
    }

    async fn connect(gateway: &Gateway, kind: Kind) -> Self {
        let mut workspace = Self::new();
        match kind {
            Kind::Local => {
                let socket = workspace.listen().await;
                let connected = gateway.tunnels.connect_local(&workspace.id, &socket);
                soon(connected).await.unwrap();
            }
            Kind::Dialled(data) => {
                let identity = gateway.authority.issue_agent(workspace.id.as_str());
                workspace.install(gateway.authority.ca_pem(), &identity.unwrap());
                workspace.dial(gateway.address, data);
                soon(gateway.tunnels.connected(&workspace.id)).await;
            }
        }
        workspace
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Local,
    Dialled(DataTransport),
}

const KINDS: [Kind; 3] = [
    Kind::Local,
    Kind::Dialled(DataTransport::Auto),
    Kind::Dialled(DataTransport::Websocket),
];

fn authority(folder: &Path) -> Arc<Authority> {
    Arc::new(Authority::open(&folder.join("certs")).unwrap())
}

/// Serves `answer` on a port of this host, which the workspace shares.
async fn target<F>(tasks: &mut JoinSet<()>, answer: fn(TcpStream) -> F) -> Open
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer(stream));
        }
    });
    let host = "127.0.0.1".into();
    Open::DirectTcpip { host, port }
}

async fn echo(mut stream: TcpStream) {
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// Ends its own direction first and then counts what comes.
async fn speak_first(mut stream: TcpStream) {
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"goodbye");
}

async fn round_trip(mut stream: Stream, bytes: Vec<u8>) {
    let (mut read, mut write) = {
        let (read, write) = tokio::io::split(&mut stream);
        (read, write)
    };
    let send = async {
        write.write_all(&bytes).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let receive = read.read_to_end(&mut back);
    let ((), received) = tokio::join!(send, receive);
    received.unwrap();
    assert!(
        back == bytes,
        "{} of {} bytes came back",
        back.len(),
        bytes.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_carry_bytes_and_half_closes_both_ways_over_every_kind_of_tunnel() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    let speak_first = target(&mut targets, speak_first).await;
    for kind in KINDS {
        let workspace = Workspace::connect(&gateway, kind).await;
        let (stream, answer) = soon(gateway.tunnels.open(&workspace.id, &echo))
            .await
            .unwrap();
        assert_eq!(answer, Answer::Opened);
        let bytes = (0..3_000_001_u32).map(|n| n.to_be_bytes()[3]).collect();
        soon(round_trip(stream, bytes)).await;

        let opened = soon(gateway.tunnels.open(&workspace.id, &speak_first)).await;
        let (mut stream, _) = opened.unwrap();
        let mut first = Vec::new();
        soon(stream.read_to_end(&mut first)).await.unwrap();
        assert_eq!(first, b"hello", "{kind:?}");
        stream.write_all(b"goodbye").await.unwrap();
        stream.shutdown().await.unwrap();

        let nobody = Open::DirectTcpip {
            host: "127.0.0.1".into(),
            port: 1,
        };
        match soon(gateway.tunnels.open(&workspace.id, &nobody)).await {
            Err(TunnelError::Refused(refusal)) => {
                assert_eq!(refusal.reason, RefusalReason::ConnectFailed);
            }
            other => panic!("{other:?}"),
        }
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_a_hundred_streams_gets_a_hundred_connections() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    for kind in KINDS {
        let workspace = Workspace::connect(&gateway, kind).await;
        let opening = (0..100).map(|_| gateway.tunnels.open(&workspace.id, &echo));
        let opened = soon(futures_util::future::join_all(opening)).await;
        let trips = opened.into_iter().enumerate().map(|(n, opened)| {
            let (stream, _) = opened.unwrap();
            round_trip(stream, vec![u8::try_from(n).unwrap(); 10_000])
        });
        soon(futures_util::future::join_all(trips)).await;
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_comes_back_after_its_gateway_vanished_and_its_streams_live_on() {
    let root = tempfile::tempdir().unwrap();
    let authority = authority(root.path());
    let gateway = Gateway::start(Arc::clone(&authority), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    let workspace = Workspace::connect(&gateway, Kind::Dialled(DataTransport::Auto)).await;
    let (stream, _) = soon(gateway.tunnels.open(&workspace.id, &echo))
        .await
        .unwrap();

    let address = gateway.address.to_string();
    let tunnels = gateway.tunnels.clone();
    gateway.end().await;
    soon(tunnels.disconnected(&workspace.id)).await;
    let refused = tunnels.open(&workspace.id, &echo).await;
    assert!(matches!(refused, Err(TunnelError::NotConnected)));

    let again = Gateway::start(authority, &address).await;
    soon(again.tunnels.connected(&workspace.id)).await;
    soon(round_trip(stream, b"begun before".to_vec())).await;
    let (stream, _) = soon(again.tunnels.open(&workspace.id, &echo))
        .await
        .unwrap();
    soon(round_trip(stream, b"begun after".to_vec())).await;
    again.end().await;
}

/// A relay between an agent and its gateway, whose connections can be cut.
struct Relay {
    address: SocketAddr,
    connections: tokio::sync::watch::Receiver<Vec<tokio::task::AbortHandle>>,
    _tasks: JoinSet<()>,
}

impl Relay {
    async fn to(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = tokio::sync::watch::channel(Vec::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut relays = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let relay = relays.spawn(async move {
                    let mut far = TcpStream::connect(gateway).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
                sender.send_modify(|all| all.push(relay));
            }
        });
        Self {
            address,
            connections,
            _tasks: tasks,
        }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_agent_that_ends_is_noticed_at_once() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut workspace = Workspace::connect(&gateway, Kind::Local).await;
    workspace.stop.cancel();
    workspace.agent.close().await;
    while workspace.tasks.join_next().await.is_some() {}
    let gone = gateway.tunnels.disconnected(&workspace.id);
    timeout(Duration::from_secs(5), gone).await.unwrap();
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_told_to_go_away_takes_no_streams_and_ends_none() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    let workspace = Workspace::connect(&gateway, Kind::Dialled(DataTransport::Auto)).await;
    let (stream, _) = soon(gateway.tunnels.open(&workspace.id, &echo))
        .await
        .unwrap();
    gateway.accepts.store(false, Ordering::SeqCst);
    gateway.tunnels.go_away();
    let refused = gateway.tunnels.open(&workspace.id, &echo).await;
    assert!(matches!(refused, Err(TunnelError::NotConnected)));
    soon(round_trip(stream, b"still here".to_vec())).await;

    gateway.accepts.store(true, Ordering::SeqCst);
    soon(gateway.tunnels.connected(&workspace.id)).await;
    soon(gateway.tunnels.open(&workspace.id, &echo))
        .await
        .unwrap();
    gateway.tunnels.forget(&workspace.id);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_past_two_thirds_of_its_life_is_renewed_over_the_tunnel() {
    let root = tempfile::tempdir().unwrap();
    let clock = Clock::from_fn(|| OffsetDateTime::now_utc() - time::Duration::days(25));
    let folder = root.path().join("certs");
    let past = Authority::open_at(&folder, clock).unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut workspace = Workspace::new();
    let old = past.issue_agent(workspace.id.as_str()).unwrap();
    workspace.install(past.ca_pem(), &old);
    let key = std::fs::read_to_string(workspace.file("agent.key")).unwrap();
    workspace.dial(gateway.address, DataTransport::Auto);

    let renewed = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let now = std::fs::read_to_string(workspace.file("agent.key")).unwrap();
            if now != key && !now.contains(&key) {
                return now;
            }
        }
    };
    let key = soon(renewed).await;
    let chain = std::fs::read_to_string(workspace.file("agent.pem")).unwrap();
    assert!(validity(&chain).unwrap().not_after > validity(&old.chain_pem).unwrap().not_after);
    client_config(past.ca_pem(), &chain, &key).unwrap();
    gateway.end().await;
}

/// A client of the HTTPS listener that shows `identity` where there is one.
async fn client(
    gateway: &Gateway,
    identity: &AgentIdentity,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let ca = gateway.authority.ca_pem();
    let key = identity.key_pem.expose();
    let config = client_config(ca, &identity.chain_pem, key).unwrap();
    let stream = TcpStream::connect(gateway.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config).connect(name, stream).await
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
    let flood = get(&gateway, "/healthz", &"X: y\r\n".repeat(200)).await;
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
