//! What keeps a workspace awake, seen from inside: work that programs do, what is typed
//! into terminals, and leases that jobs hold.
//!
//! Nothing is measured unless a gateway asks.

mod busy;
pub mod client;
mod leases;
mod wish;

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, io};

use devgate_protocol::activity::{Ask, Report};
use devgate_protocol::config::AgentConfig;
use devgate_protocol::mark::KEEP_AWAKE_VARIABLE;
use devgate_protocol::{Answer, Stream, StreamError, control, handshake};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::agent::Agent;
use busy::Meter;
use leases::Leases;

/// Environment variable that tells programs where leases are taken.
pub const SOCKET_VARIABLE: &str = KEEP_AWAKE_VARIABLE;

/// Name of that socket in the runtime folder.
const SOCKET: &str = "keep-awake.sock";

/// Folder in the runtime folder that programs find on PATH.
const PROGRAMS: &str = "bin";

/// What programs in the workspace call this agent's binary.
const NAME: &str = "devgate";

/// Counts what people type into terminals. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typed(Arc<AtomicU64>);

impl Typed {
    pub(crate) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What keeps the workspace awake.
#[derive(Debug)]
pub(crate) struct Awake {
    runtime: PathBuf,
    typed: Typed,
    meter: Arc<Mutex<Meter>>,
    leases: Leases,
}

impl Awake {
    /// Takes leases from programs until `stop`.
    pub(crate) fn start(
        config: &AgentConfig,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let awake = Self {
            runtime: config.runtime.clone(),
            typed: Typed::default(),
            meter: Arc::new(Mutex::new(Meter::new(config.mark()))),
            leases: Leases::load(&config.runtime),
        };
        if let Err(error) = awake.link() {
            warn!(%error, "programs won't find `devgate` on their PATH");
        }
        tasks.spawn(awake.leases.clone().serve(awake.socket(), stop.clone()));
        awake
    }

    /// Returns where leases are taken.
    pub(crate) fn socket(&self) -> PathBuf {
        self.runtime.join(SOCKET)
    }

    /// Returns the folder that programs find on PATH.
    pub(crate) fn programs(&self) -> PathBuf {
        self.runtime.join(PROGRAMS)
    }

    /// Returns what counts what people type.
    pub(crate) fn typed(&self) -> Typed {
        self.typed.clone()
    }

    /// Puts this binary where programs find it.
    fn link(&self) -> io::Result<()> {
        let folder = self.programs();
        fs::create_dir_all(&folder)?;
        let link = folder.join(NAME);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        symlink(env::current_exe()?, link)
    }

    async fn look(&self, ask: Ask) -> Report {
        let meter = Arc::clone(&self.meter);
        let measured =
            spawn_blocking(move || meter.lock().measure(Duration::from_millis(ask.apart)));
        let mut report = measured.await.unwrap_or_default();
        report.typed = self.typed.0.load(Ordering::Relaxed);
        report.leases = self.leases.held();
        report
    }
}

/// Answers a gateway's questions on a stream, to its end or the agent's.
pub(crate) async fn report(agent: &Agent, mut stream: Stream) -> Result<(), StreamError> {
    handshake::write_answer(&mut stream, &Answer::Opened).await?;
    let stopping = agent.stopping();
    loop {
        // Not cancel-safe, but the one branch that cancels it ends the stream.
        let asked: Option<Ask> = tokio::select! {
            asked = control::read(&mut stream) => asked?,
            () = stopping.cancelled() => return Ok(()),
        };
        let Some(ask) = asked else {
            return Ok(());
        };
        control::write(&mut stream, &agent.awake().look(ask).await).await?;
    }
}
