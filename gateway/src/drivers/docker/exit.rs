//! How a container's agent ended, and waiting for that.

use std::os::fd::OwnedFd;
use std::time::Duration;

use bollard::models::ContainerState;
use bollard::query_parameters::WaitContainerOptionsBuilder;
use futures_util::StreamExt as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::engine::Engine;
use crate::drivers::{DriverError, Exit};

/// Pause before the engine is asked again that was gone.
const PAUSE: Duration = Duration::from_millis(250);

/// How long the engine's word is waited for before it is asked: a connection to another host
/// may be cut without a word.
const WATCH: Duration = Duration::from_secs(30);

/// Statuses from here on are a signal's number more (docker-run(1), "Exit Status").
const SIGNALLED: i64 = 128;

/// The highest signal's number.
const LAST_SIGNAL: i64 = 64;

/// Returns how the agent of a container that doesn't run ended.
pub(super) fn of(state: &ContainerState) -> Exit {
    if has_never_run(state) {
        return Exit::Unseen;
    }
    let Some(status) = state.exit_code else {
        return Exit::Unseen;
    };
    let signal = status - SIGNALLED;
    match i32::try_from(signal) {
        Ok(9) if state.oom_killed == Some(true) => Exit::OutOfMemory,
        Ok(number) if (1..=LAST_SIGNAL).contains(&signal) => Exit::Signal(number),
        _ => i32::try_from(status).map_or(Exit::Unseen, Exit::Status),
    }
}

/// Tells whether a container was made and not started yet.
pub(super) fn has_never_run(state: &ContainerState) -> bool {
    // The engine's word for no time at all.
    let started = state.started_at.as_deref().unwrap_or_default();
    started.is_empty() || started.starts_with("0001-")
}

/// Tells whether a container runs, which a paused one does.
pub(super) fn is_running(state: &ContainerState) -> bool {
    state.running == Some(true)
}

/// Returns the process id of a container's agent, as the host sees it; 0 where it has
/// ended.
pub(super) fn pid(state: &ContainerState) -> u32 {
    let pid = state.pid.and_then(|pid| u32::try_from(pid).ok());
    pid.unwrap_or_default()
}

/// Waits until a container doesn't run, and tells how its agent ended. Cancel-safe.
///
/// An engine that goes away is waited for as long as the agent lives: it may leave
/// containers running (`live-restore`), and people in them notice nothing.
pub(super) async fn wait<F>(
    engine: &Engine,
    name: &str,
    state: impl Fn() -> F,
) -> Result<Exit, DriverError>
where
    F: Future<Output = Result<Option<ContainerState>, DriverError>>,
{
    wait_and_ask(engine, name, WATCH, state).await
}

/// Waits as [`wait`] does, and asks after that time at the latest.
async fn wait_and_ask<F>(
    engine: &Engine,
    name: &str,
    watch: Duration,
    state: impl Fn() -> F,
) -> Result<Exit, DriverError>
where
    F: Future<Output = Result<Option<ContainerState>, DriverError>>,
{
    let mut agent: Option<(u32, OwnedFd)> = None;
    let mut away = false;
    loop {
        match state().await {
            Ok(None) => return Ok(Exit::Unseen),
            Ok(Some(state)) if !is_running(&state) => return Ok(of(&state)),
            Ok(Some(state)) => {
                if away {
                    info!("the engine is back");
                }
                away = false;
                let pid = pid(&state);
                // Elsewhere the number is another process's.
                if engine.is_local() && agent.as_ref().is_none_or(|(known, _)| *known != pid) {
                    agent = hold(pid).map(|held| (pid, held));
                }
            }
            Err(error @ DriverError::EngineUnreachable { .. }) => {
                let lives = agent.as_ref().is_some_and(|(_, held)| lives(held));
                if !lives {
                    return Err(error);
                }
                if !away {
                    warn!("the engine is away; the agent lives");
                }
                away = true;
                sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        }
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        let client = engine.client().await?;
        let mut ended = std::pin::pin!(client.wait_container(name, Some(options)));
        // What it says, an error included, is looked up: the state has more to tell.
        match timeout(watch, ended.next()).await {
            Ok(Some(Ok(_))) | Err(_) => {}
            Ok(Some(Err(_)) | None) => sleep(PAUSE / 10).await,
        }
    }
}

/// Holds a process, so that it is not mistaken for a later one with its number.
fn hold(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Tells whether a held process lives: its descriptor is readable once it has ended.
fn lives(process: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())) == Ok(0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;
    use tokio::task::JoinSet;

    use super::*;
    use crate::drivers::docker::Endpoint;

    /// Answers what an engine's version is, and nothing else.
    async fn tell_version(listener: UnixListener) {
        let mut open = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            open.spawn(async move {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..length]);
                if request.lines().next().unwrap().contains("/version") {
                    let body = r#"{"ApiVersion":"1.41"}"#;
                    let length = body.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                let _ = stream.read(&mut [0; 1]).await;
            });
        }
    }

    #[tokio::test]
    async fn an_end_is_noticed_although_the_engine_never_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let mut serving = JoinSet::new();
        serving.spawn(tell_version(UnixListener::bind(&path).unwrap()));
        let engine = Engine::new(Endpoint::Socket(path));
        let asked = AtomicU32::new(0);
        let state = || async {
            let is_running = asked.fetch_add(1, Ordering::Relaxed) < 3;
            Ok(Some(ContainerState {
                started_at: Some("2026-01-01T00:00:00Z".to_owned()),
                running: Some(is_running),
                exit_code: Some(7),
                ..ContainerState::default()
            }))
        };
        let watch = Duration::from_millis(10);
        let ended = wait_and_ask(&engine, "name", watch, state);
        let ended = timeout(Duration::from_mins(1), ended).await.unwrap();
        assert_eq!(ended.unwrap(), Exit::Status(7));
    }

    #[test]
    fn a_status_is_a_signal_a_lack_of_memory_or_itself() {
        let exit = |status, oom| {
            of(&ContainerState {
                started_at: Some("2026-01-01T00:00:00Z".to_owned()),
                exit_code: Some(status),
                oom_killed: Some(oom),
                ..ContainerState::default()
            })
        };
        assert_eq!(exit(0, false), Exit::Status(0));
        assert_eq!(exit(1, true), Exit::Status(1));
        assert_eq!(exit(137, false), Exit::Signal(9));
        assert_eq!(exit(137, true), Exit::OutOfMemory);
        assert_eq!(exit(143, false), Exit::Signal(15));
        assert_eq!(exit(255, false), Exit::Status(255));
        assert_eq!(of(&ContainerState::default()), Exit::Unseen);
    }

    #[test]
    fn a_held_process_lives_until_it_ends() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let held = hold(child.id()).unwrap();
        assert!(lives(&held));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!lives(&held));
    }
}
