//! A gateway's HTTPS side and workspaces' agents.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use devgate::http::{Admission, Agents, HttpState, Limits, Readiness, router, serve};
use devgate::names::WorkspaceId;
use devgate::tunnel::{Listener, Liveness, LocalSocket, Tunnels};
use devgate_agent::dial::{self, DEAD_AFTER, Dial};
use devgate_agent::{Agent, Orphans, listen, serve_opened};
use devgate_certs::{Access, AgentIdentity, Authority, write_file};
use devgate_protocol::config::{AgentConfig, DataTransport, EditorConfig, Reach, TerminalsConfig};
use devgate_protocol::{Open, Stream};
use futures_util::FutureExt;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it takes too long")
}

/// The gateway's side: an HTTPS listener and a registry of tunnels.
pub(crate) struct Gateway {
    pub(crate) authority: Arc<Authority>,
    pub(crate) tunnels: Tunnels,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) accepts: Arc<AtomicBool>,
    pub(crate) readiness: Readiness,
}

impl Gateway {
    pub(crate) async fn start(authority: Arc<Authority>, address: &str) -> Self {
        let limits = Limits {
            handshake: Duration::from_secs(1),
            headers: Duration::from_secs(1),
            ..Limits::default()
        };
        Self::start_with(authority, address, limits).await
    }

    pub(crate) async fn start_with(
        authority: Arc<Authority>,
        address: &str,
        limits: Limits,
    ) -> Self {
        let tunnels = Tunnels::new(Arc::clone(&authority));
        Self::serve(authority, tunnels, (address, limits)).await
    }

    /// Starts one that notices sooner or later that an agent is gone.
    pub(crate) async fn start_alive(authority: Arc<Authority>, liveness: Liveness) -> Self {
        let tunnels = Tunnels::with_liveness(Arc::clone(&authority), liveness);
        Self::serve(authority, tunnels, ("127.0.0.1:0", Limits::default())).await
    }

    async fn serve(
        authority: Arc<Authority>,
        tunnels: Tunnels,
        (address, limits): (&str, Limits),
    ) -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        authority.gateway_leaf(&names).unwrap();
        let accepts = Arc::new(AtomicBool::new(true));
        let answer = Arc::clone(&accepts);
        let readiness = Readiness::default();
        let state = HttpState {
            agents: Agents {
                tunnels: tunnels.clone(),
                authority: Arc::clone(&authority),
                accepts: Arc::new(move |_| {
                    let answer = answer.load(Ordering::SeqCst);
                    async move {
                        if answer {
                            Admission::Expected
                        } else {
                            Admission::Unexpected
                        }
                    }
                    .boxed()
                }),
            },
            readiness: readiness.clone(),
        };
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
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

    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        self.tunnels.shutdown().await;
        while self.tasks.join_next().await.is_some() {}
    }
}

/// A workspace's agent, its folder and its tasks.
pub(crate) struct Workspace {
    pub(crate) id: WorkspaceId,
    folder: TempDir,
    pub(crate) agent: Arc<Agent>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: JoinSet<()>,
    /// Silence after which it gives its gateway up.
    pub(crate) dead_after: Duration,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        Self::of(WorkspaceId::random())
    }

    fn of(id: WorkspaceId) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = folder.path().join("run");
        let config = AgentConfig {
            workspace: id.to_string(),
            home: folder.path().join("home"),
            reach: Reach::Socket {
                path: runtime.join("agent.sock"),
                gateway: None,
            },
            runtime,
            shell: None,
            environment: std::collections::BTreeMap::new(),
            editor: EditorConfig::default(),
            terminals: TerminalsConfig::default(),
            startup: devgate_protocol::config::Startup::default(),
        };
        let agent = Agent::start(config, Orphans::Leave).unwrap();
        Self {
            id,
            folder,
            agent,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            dead_after: DEAD_AFTER,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Listens on a Unix socket, as on the gateway's own host.
    pub(crate) async fn listen(&mut self) -> PathBuf {
        let path = self.file("run/agent.sock");
        let listener = listen::bind(&path).await.unwrap();
        let run = listen::run(Arc::clone(&self.agent), listener, self.stop.clone());
        self.tasks.spawn(run);
        path
    }

    pub(crate) fn install(&self, ca_pem: &str, identity: &AgentIdentity) {
        write_file(&self.file("ca.pem"), Access::Public, ca_pem).unwrap();
        write_file(&self.file("agent.pem"), Access::Public, &identity.chain_pem).unwrap();
        let key = identity.key_pem.expose();
        write_file(&self.file("agent.key"), Access::Private, key).unwrap();
    }

    /// Dials the gateway with the certificate in the folder.
    pub(crate) fn dial(&mut self, address: SocketAddr, data: DataTransport) {
        let dial = Dial {
            workspace: self.id.to_string(),
            gateways: vec![address.to_string()],
            ca: self.file("ca.pem"),
            certificate: self.file("agent.pem"),
            key: self.file("agent.key"),
            data,
            dead_after: self.dead_after,
            secrets: self.agent.secrets().clone(),
            passing: self.agent.passing().clone(),
            notices: self.agent.notices().clone(),
        };
        let agent = Arc::clone(&self.agent);
        let serve = move |stream, open| serve_opened(Arc::clone(&agent), stream, open);
        self.tasks.spawn(dial::run(dial, serve, self.stop.clone()));
    }

    pub(crate) async fn connect(gateway: &Gateway, kind: Kind) -> Self {
        Self::connect_as(WorkspaceId::random(), gateway, kind).await
    }

    pub(crate) async fn connect_as(id: WorkspaceId, gateway: &Gateway, kind: Kind) -> Self {
        let mut workspace = Self::of(id);
        match kind {
            Kind::Local => {
                let socket = LocalSocket {
                    path: workspace.listen().await,
                    listener: Listener::OwnUser,
                };
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

/// What this thread logs.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Collects what this thread logs, the runtime's only one in such a test.
pub(crate) fn log() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Local,
    Dialled(DataTransport),
}

pub(crate) const KINDS: [Kind; 3] = [
    Kind::Local,
    Kind::Dialled(DataTransport::Auto),
    Kind::Dialled(DataTransport::Websocket),
];

pub(crate) fn authority(folder: &Path) -> Arc<Authority> {
    Arc::new(Authority::open(&folder.join("certs")).unwrap())
}

/// Serves `answer` on a port of this host, which the workspace shares.
pub(crate) async fn target<F>(tasks: &mut JoinSet<()>, answer: fn(TcpStream) -> F) -> Open
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

pub(crate) async fn echo(mut stream: TcpStream) {
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// Ends its own direction first and then counts what comes.
pub(crate) async fn speak_first(mut stream: TcpStream) {
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"goodbye");
}

pub(crate) async fn round_trip(mut stream: Stream, bytes: Vec<u8>) {
    let (mut read, mut write) = tokio::io::split(&mut stream);
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
