//! `devgate up` and `devgate serve`: run the server in this process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use super::args::{Serve, Source, Up};
use super::failure::{Failure, Kind};
use super::output::{self, Progress};
use super::{greeting, keys};
use crate::chain::chain;
use crate::config::{Config, LogConfig, LogFormat};
use crate::open_files;
use crate::server::{Ended, FirstRun, Prepared, Running, Start, StartError};

/// Runs everything on this machine, set up on the first run.
pub(super) async fn up(source: &Source, command: Up) -> Result<(), Failure> {
    let config = source.load(&command.settings)?;
    let mut first_run = FirstRun {
        keys: Vec::new(),
        workspace: command.workspace,
    };
    for file in &command.authorized_key {
        first_run.keys.extend(keys::read(file)?);
    }
    let start = Start {
        config,
        first_run: Some(first_run),
        ready_file: command.ready_file,
    };
    Box::pin(run(start, greeting::up)).await
}

/// Runs the server of an installation.
pub(super) async fn serve(source: &Source, command: Serve) -> Result<(), Failure> {
    if source.config.is_none() {
        let message = "name the configuration file: devgate serve --config FILE (config.example.toml \
                       shows all keys; `devgate up` needs none)";
        return Err(Failure::new(Kind::Usage, message));
    }
    let start = Start {
        config: source.load(&command.settings)?,
        first_run: None,
        ready_file: command.ready_file,
    };
    Box::pin(run(start, |running, _| greeting::serve(running))).await
}

async fn run(start: Start, greet: impl FnOnce(&Running, &Config) -> String) -> Result<(), Failure> {
    log_to_stderr(&start.config.log);
    open_files::raise();
    if let Some(limit) = open_files::too_few() {
        let message = format!(
            "this process may have {limit} files open at once, and the server needs {} or more: \
             raise the hard limit of whatever starts it (`ulimit -n 4096` in a shell, \
             LimitNOFILE= of a service, --ulimit nofile= of a container)",
            open_files::FEWEST
        );
        return Err(Failure::new(Kind::Failed, message));
    }
    // Before anything is started, so that no signal is missed.
    let mut signals = Signals::new()?;
    let config = start.config.clone();
    let prepared = Prepared::new(start).await?;
    let progress = Progress::start("starting");
    let started = tokio::select! {
        started = prepared.start() => started,
        () = signals.next() => return Ok(()),
    };
    drop(progress);
    let running = started?;
    match output::write(&greet(&running, &config)) {
        Err(failure) if failure.kind() != Kind::Silent => {
            let failure = failure.to_string();
            warn!(failure, "nobody is told on stdout where it listens");
        }
        // Nobody has to read it.
        Ok(()) | Err(_) => {}
    }
    let (asked, at_once) = signals.twice(config.log.format);
    match running.run(asked, at_once).await {
        Ended::Drained | Ended::CutShort => Ok(()),
        Ended::Failed => Err(Failure::new(
            Kind::Failed,
            "a part of the server failed; its log above tells which",
        )),
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(Kind::Failed, chain(&error))
    }
}

/// The signals that ask the server to end.
struct Signals {
    /// Ctrl-C.
    interrupt: Signal,
    /// What `kill` and service managers send.
    terminate: Signal,
    /// The terminal is gone.
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. Cancel-safe.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }

    /// Returns what waits for the first, and says so in the log's own form where programs read
    /// it, and what waits for the second.
    fn twice(mut self, log: LogFormat) -> (impl Future<Output = ()>, impl Future<Output = ()>) {
        let (first, passed_on) = tokio::sync::oneshot::channel();
        let asked = async move {
            self.next().await;
            match log {
                LogFormat::Text => {
                    output::note("devgate: waiting for open connections; once more ends at once");
                }
                LogFormat::Json => info!("waiting for open connections; once more ends at once"),
            }
            // Where nobody waits for the second, the server has ended.
            let _ = first.send(self);
        };
        let at_once = async move {
            match passed_on.await {
                Ok(mut signals) => signals.next().await,
                // A part failed before anybody asked: the time limit alone counts.
                Err(_) => std::future::pending().await,
            }
        };
        (asked, at_once)
    }
}

fn log_to_stderr(config: &LogConfig) {
    // It was checked with the configuration.
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_default();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Where stderr is on a full disk, what would be said is lost, and the server goes on.
        .log_internal_errors(false)
        .with_writer(io::stderr);
    // It fails where a test has set one already.
    let _ = match config.format {
        LogFormat::Text => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            lines.with_ansi(colours).try_init()
        }
        LogFormat::Json => lines.json().try_init(),
    };
}
