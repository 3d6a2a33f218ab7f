//! The entry point: reads the configuration, becomes the workspace's first process and
//! serves until it is told to end.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use devgate_agent::awake::client::{self, KeepAwake};
use devgate_agent::dial::{self, DEAD_AFTER, Dial};
use devgate_agent::{Agent, Orphans, init, listen, raise_open_files, serve_opened};
use devgate_protocol::config::{AgentConfig, Reach};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Threads that serve streams; blocking calls have their own.
const WORKERS: usize = 2;

/// Most threads for blocking calls: file operations, name resolution, executions.
const MAX_BLOCKING: usize = 64;

/// Stack of each thread, in bytes; only what is used is memory.
const STACK: usize = 1024 * 1024;

/// File in the runtime folder that the one agent of a workspace holds locked.
const LOCK_FILE: &str = "agent.lock";

/// Serves one devgate workspace. The gateway starts it; a person needn't.
#[derive(Debug, Parser)]
#[command(name = "devgate-agent", version)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    #[command(subcommand)]
    inside: Option<Inside>,

    /// The configuration that the gateway wrote.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,

    /// How long processes have to end before they are killed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = init::GRACE.as_secs())]
    grace: u64,
}

/// What programs inside a workspace use the binary for; they find it as `devgate`.
#[derive(Debug, Subcommand)]
enum Inside {
    /// Keep this workspace from going to sleep, for a time or while a command runs
    KeepAwake(KeepAwake),
}

fn main() -> ExitCode {
    let started = Instant::now();
    let arguments = Arguments::parse();
    if let Some(Inside::KeepAwake(wanted)) = arguments.inside {
        return keep_awake(wanted);
    }
    tracing_subscriber::fmt()
        // Where the log is on a full disk, what would be said is lost, and the agent goes on.
        .log_internal_errors(false)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_env_filter(
            EnvFilter::try_from_env("DEVGATE_AGENT_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    match start(&arguments, started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("devgate-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `devgate keep-awake` inside a workspace.
fn keep_awake(wanted: KeepAwake) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the runtime");
    match runtime.and_then(|runtime| runtime.block_on(client::run(wanted))) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("devgate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments, started: Instant) -> Result<()> {
    let config = arguments.config.as_deref().context("name --config FILE")?;
    let config = read_config(config)?;
    let runtime_folder = config.runtime.clone();
    fs::create_dir_all(&runtime_folder)
        .with_context(|| format!("can't make the folder {}", runtime_folder.display()))?;
    let _lock = lock(&runtime_folder.join(LOCK_FILE))?;
    init::adopt_orphans().context("can't adopt orphaned processes")?;
    raise_open_files();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(MAX_BLOCKING)
        .thread_stack_size(STACK)
        .enable_all()
        .build()
        .context("can't start the runtime")?
        .block_on(run(config, Duration::from_secs(arguments.grace), started))
}

async fn run(config: AgentConfig, grace: Duration, started: Instant) -> Result<()> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("can't wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't wait for SIGINT")?;
    let (workspace, mark) = (config.workspace.clone(), config.mark());
    let reach = config.reach.clone();
    let agent = Agent::start(config, Orphans::Reap)?;
    let ended = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("ending the workspace");
        stop.cancel();
        agent.begin_end();
        init::end_everything(&mark, grace).await;
        agent.close().await;
    };
    match reach {
        Reach::Socket { path, gateway } => {
            let listener = listen::bind_for(&path, gateway)
                .await
                .with_context(|| format!("can't listen on {}", path.display()))?;
            info!(workspace, elapsed = ?started.elapsed(), "agent ready");
            let serve = listen::run(Arc::clone(&agent), listener, stop.clone());
            tokio::join!(serve, ended);
        }
        Reach::Dial {
            gateways,
            ca,
            certificate,
            key,
            data,
        } => {
            let dial = Dial {
                dead_after: DEAD_AFTER,
                secrets: agent.secrets().clone(),
                passing: agent.passing().clone(),
                notices: agent.notices().clone(),
                workspace: workspace.clone(),
                gateways,
                ca,
                certificate,
                key,
                data,
            };
            let agent = Arc::clone(&agent);
            let take = move |stream, open| serve_opened(Arc::clone(&agent), stream, open);
            info!(workspace, elapsed = ?started.elapsed(), "agent ready");
            tokio::join!(dial::run(dial, take, stop.clone()), ended);
        }
    }
    info!("agent ended");
    Ok(())
}

fn read_config(path: &Path) -> Result<AgentConfig> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("can't read the configuration {}", path.display()))?;
    toml::from_str(&text)
        .with_context(|| format!("the configuration {} is not valid", path.display()))
}

/// Locks a file for as long as it is held: one agent serves a workspace.
fn lock(path: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("can't open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another agent already serves this workspace (it holds {}); stop it first",
            path.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("can't lock {}", path.display()))
        }
    }
}
