//! A gateway's side of the protocol, as small as tests need it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use devgate_agent::{Agent, Orphans, listen};
use devgate_protocol::config::{AgentConfig, EditorConfig, Reach, Startup, TerminalsConfig};
use devgate_protocol::frame::{
    ExitSignal, Frame, FrameReader, Kind, PtyRequest, Size, write, write_json,
};
use devgate_protocol::{Accepted, Answer, Open, Peer, SessionOpen, handshake, socket};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Deadline of everything that a test waits for.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Waits under the deadline.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(DEADLINE, future).await.expect("in time")
}

/// Waits until a count stands still, and returns it. It doesn't before it is `at_least`,
/// which is more than what stands before the part that is to hold it back: so what hasn't
/// begun isn't taken for what is held. Nothing tells that nothing happens any more, so it
/// has to be the same at several looks.
pub(crate) async fn stands_still(at_least: u64, mut read: impl FnMut() -> u64) -> u64 {
    within(async {
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
    })
    .await
}

/// An agent in this process, in a folder of its own.
pub(crate) struct Workspace {
    pub(crate) folder: TempDir,
    serving: JoinSet<()>,
}

impl Workspace {
    pub(crate) async fn start() -> Self {
        Self::with_environment(BTreeMap::new()).await
    }

    pub(crate) async fn with_environment(environment: BTreeMap<String, String>) -> Self {
        Self::configured(environment, |_| {}).await
    }

    /// Starts an agent that is told something else than usual.
    pub(crate) async fn configured(
        environment: BTreeMap<String, String>,
        change: impl FnOnce(&mut AgentConfig),
    ) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), environment, change).await
    }

    /// Ends the agent, and starts another one in its place.
    pub(crate) async fn again(self, change: impl FnOnce(&mut AgentConfig)) -> Self {
        let Self {
            folder,
            mut serving,
        } = self;
        serving.shutdown().await;
        Self::in_folder(folder, BTreeMap::new(), change).await
    }

    async fn in_folder(
        folder: TempDir,
        environment: BTreeMap<String, String>,
        change: impl FnOnce(&mut AgentConfig),
    ) -> Self {
        let mut config = config(folder.path(), environment);
        change(&mut config);
        let agent = Agent::start(config, Orphans::Leave).unwrap();
        let listener = listen::bind(&folder.path().join("run/agent.sock"))
            .await
            .unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(listen::run(
            Arc::clone(&agent),
            listener,
            CancellationToken::new(),
        ));
        Self { folder, serving }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) async fn open(&self, open: &Open) -> (UnixStream, Answer) {
        connect(self.folder.path().join("run/agent.sock"), open).await
    }

    pub(crate) async fn session(&self) -> Session {
        let peer = Peer {
            client: "192.0.2.7".parse().unwrap(),
            client_port: 50022,
            server: "192.0.2.1".parse().unwrap(),
            server_port: 22,
        };
        let open = Open::Session(SessionOpen {
            peer: Some(peer),
            environment: BTreeMap::from([("FROM_GATEWAY".to_owned(), "yes".to_owned())]),
            pipes: false,
            number: None,
        });
        let (stream, answer) = self.open(&open).await;
        assert_eq!(answer, Answer::Opened);
        Session::over(stream)
    }

    /// Runs a command without input.
    pub(crate) async fn run(&self, line: &str) -> Outcome {
        let mut session = self.session().await;
        session.exec(line).await;
        session.eof().await;
        session.outcome().await
    }
}

/// What a test's agent is told.
pub(crate) fn config(folder: &Path, environment: BTreeMap<String, String>) -> AgentConfig {
    AgentConfig {
        workspace: format!("ws-{:016x}", rand::random::<u64>()),
        home: folder.join("home"),
        runtime: folder.join("run"),
        shell: Some("/bin/bash".into()),
        reach: Reach::Socket {
            path: folder.join("run/agent.sock"),
            gateway: None,
        },
        environment,
        editor: EditorConfig::default(),
        terminals: TerminalsConfig::default(),
        startup: Startup::default(),
    }
}

pub(crate) async fn connect(path: PathBuf, open: &Open) -> (UnixStream, Answer) {
    let mut stream = socket::connect(&path).await.unwrap();
    handshake::write_open(&mut stream, open).await.unwrap();
    let answer = within(handshake::read_answer(&mut stream)).await.unwrap();
    (stream, answer)
}

/// One session channel.
pub(crate) struct Session {
    pub(crate) reader: FrameReader<OwnedReadHalf>,
    pub(crate) writer: OwnedWriteHalf,
}

/// How a session ended, and what it wrote until then.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) status: Option<u32>,
    pub(crate) signal: Option<ExitSignal>,
    pub(crate) failure: Option<String>,
    pub(crate) eof: bool,
}

impl Outcome {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Session {
    pub(crate) fn over(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: FrameReader::new(reader),
            writer,
        }
    }

    pub(crate) async fn send(&mut self, kind: Kind, payload: &[u8]) {
        within(write(&mut self.writer, kind, payload))
            .await
            .unwrap();
    }

    pub(crate) async fn exec(&mut self, line: &str) {
        self.send(Kind::Exec, line.as_bytes()).await;
    }

    pub(crate) async fn eof(&mut self) {
        self.send(Kind::Eof, &[]).await;
    }

    pub(crate) async fn pty(&mut self, modes: Vec<(u8, u32)>) {
        let request = PtyRequest {
            term: "xterm-256color".into(),
            size: Size {
                columns: 81,
                rows: 25,
                width: 0,
                height: 0,
            },
            modes,
        };
        write_json(&mut self.writer, Kind::Pty, &request)
            .await
            .unwrap();
    }

    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        within(self.reader.next()).await.unwrap()
    }

    /// Reads output until it holds `text`.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.frame().await {
                Some(Frame::Data(bytes)) => seen.extend_from_slice(&bytes),
                Some(Frame::Stderr(bytes)) => {
                    eprintln!("stderr: {}", String::from_utf8_lossy(&bytes));
                }
                other => panic!(
                    "{other:?} came instead of {text:?}, after {:?}",
                    String::from_utf8_lossy(&seen)
                ),
            }
            let shown = String::from_utf8_lossy(&seen);
            if shown.contains(text) {
                return shown.into_owned();
            }
        }
    }

    pub(crate) async fn accepted(&mut self) -> Accepted {
        loop {
            match self.frame().await {
                Some(Frame::Accepted(accepted)) => return accepted,
                Some(Frame::Data(_) | Frame::Stderr(_)) => {}
                other => panic!("{other:?} came instead of a connection"),
            }
        }
    }

    /// Reads to the end of the stream. Nothing may follow the exit.
    pub(crate) async fn outcome(self) -> Outcome {
        self.read_to_end(|outcome| {
            assert!(outcome.status.is_none() && outcome.signal.is_none());
        })
        .await
    }

    /// Does the same where stdout is read past the stream: the exit is told at once, and
    /// what is left of stderr follows it.
    pub(crate) async fn outcome_beside_pipes(self) -> Outcome {
        self.read_to_end(|_| ()).await
    }

    async fn read_to_end(mut self, check: impl Fn(&Outcome)) -> Outcome {
        let mut outcome = Outcome::default();
        while let Some(frame) = self.frame().await {
            check(&outcome);
            match frame {
                Frame::Data(bytes) => outcome.stdout.extend_from_slice(&bytes),
                Frame::Stderr(bytes) => outcome.stderr.extend_from_slice(&bytes),
                Frame::Eof => outcome.eof = true,
                Frame::ExitStatus(status) => outcome.status = Some(status),
                Frame::ExitSignal(signal) => outcome.signal = Some(signal),
                Frame::Failed(refusal) => outcome.failure = Some(refusal.detail),
                other => panic!("an unexpected {other:?}"),
            }
        }
        outcome
    }
}
