//! The task that owns code-server's process.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::process::Signal;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::extensions::{self, Extensions};
use super::process::Settings;
use super::{Connections, State, Status, What, Wish, health, log};
use crate::agent::Agent;
use crate::init;
use crate::process::{Child, End, Exit};

/// How often a starting editor is asked whether it is well, and a running one.
const STARTING_INTERVAL: Duration = Duration::from_millis(100);
const RUNNING_INTERVAL: Duration = Duration::from_secs(15);

/// How many questions in a row it may leave unanswered.
const MAX_UNANSWERED: u32 = 3;

/// How often in a row it may end before it counts as failed.
const MAX_FAILURES: u32 = 5;

/// First and longest pause before it is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long it must have run for its end not to count as another failure.
const STABLE: Duration = Duration::from_mins(1);

/// How long it has to end when it is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Lines of its log that a failure quotes.
const QUOTED_LINES: usize = 3;

/// Owns the process.
pub(super) struct Supervisor {
    pub(super) agent: Weak<Agent>,
    pub(super) settings: Arc<Settings>,
    pub(super) status: watch::Sender<Status>,
    pub(super) connections: Arc<Connections>,
    pub(super) wishes: mpsc::Receiver<Wish>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) extensions: Extensions,
}

/// How a process came to its end.
#[derive(Debug)]
enum Ended {
    /// It didn't get to answer, or ended by itself; why, and how long it ran.
    Failed(String, Duration),
    /// Nobody has used it for long.
    Idle,
    /// Somebody wants something else; what, and who must hear of it.
    Wished(Wish),
    /// The agent ends.
    Over,
}

/// What comes after one run.
#[derive(Debug)]
enum Attempt {
    /// It didn't get to answer, or ended by itself; why, and how long it ran.
    Failed(String, Duration),
    /// Nothing, until somebody wants it.
    Stopped,
    /// Another one at once.
    Again,
    /// The agent's end.
    Over,
}

impl Supervisor {
    /// Does what is wished until the agent ends.
    pub(super) async fn run(mut self) {
        loop {
            let wish = tokio::select! {
                wish = self.wishes.recv() => wish,
                () = self.stop.cancelled() => None,
            };
            let Some(wish) = wish else { return };
            if self.hear(wish) != What::Stop && self.keep_running().await.is_none() {
                return;
            }
        }
    }

    /// Keeps it running until it is stopped or fails; `None` where the agent ends.
    async fn keep_running(&mut self) -> Option<()> {
        let mut failures = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            self.set(State::Starting, "it is starting");
            let (why, ran) = match self.attempt().await {
                Attempt::Over => return None,
                Attempt::Again => {
                    (failures, pause) = (0, FIRST_PAUSE);
                    continue;
                }
                Attempt::Stopped => return Some(()),
                Attempt::Failed(why, ran) => (why, ran),
            };
            warn!(why, "the editor ended");
            log::note(self.settings.log(), &why);
            if ran >= STABLE {
                (failures, pause) = (0, FIRST_PAUSE);
            }
            failures += 1;
            if failures >= MAX_FAILURES {
                let log = self.settings.log().last(QUOTED_LINES).unwrap_or_default();
                let last = log.trim_end();
                self.set(
                    State::Failed,
                    &format!("the editor doesn't run: {why}. The end of its log:\n{last}"),
                );
                return Some(());
            }
            self.set(State::Starting, &format!("{why}; it is started again"));
            tokio::select! {
                () = sleep(pause) => {}
                interrupt = interrupt(&mut self.wishes, &self.stop) => {
                    if self.hear(interrupt?) == What::Stop {
                        return Some(());
                    }
                    failures = 0;
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes note of a wish, so that the status tells it before anything is done.
    fn hear(&self, wish: Wish) -> What {
        match wish.what {
            What::Start | What::Restart => self.set(State::Starting, "it is starting"),
            What::Stop => self.set(
                State::Stopped,
                "somebody stopped it: it starts when it is opened",
            ),
        }
        // Whoever wished it may be gone.
        let _ = wish.heard.send(());
        wish.what
    }

    /// Runs it once.
    async fn attempt(&mut self) -> Attempt {
        log::rotate(self.settings.log());
        let begun = Instant::now();
        let Some(agent) = self.agent.upgrade() else {
            return Attempt::Over;
        };
        let started = self.settings.start(&agent).await;
        drop(agent);
        let (child, mut end) = match started {
            Ok(started) => started,
            Err(error) => {
                let why = format!("code-server can't be started: {error}");
                return Attempt::Failed(why, Duration::ZERO);
            }
        };
        if self.extensions == Extensions::Due {
            self.extensions = Extensions::Done;
            let install = extensions::install(self.agent.clone(), Arc::clone(&self.settings));
            let stop = self.stop.clone();
            self.tasks
                .spawn(async move { stop.run_until_cancelled(install).await });
        }
        let ended = self.watch(&mut end, begun).await;
        // Before it is cleared away, so that nobody connects to what is ending.
        let attempt = match ended {
            Ended::Wished(wish) => match self.hear(wish) {
                What::Stop => Attempt::Stopped,
                What::Start | What::Restart => Attempt::Again,
            },
            Ended::Idle => {
                info!("nobody uses the editor");
                self.set(
                    State::Stopped,
                    "it was stopped because nobody used it: it starts when it is opened",
                );
                Attempt::Stopped
            }
            Ended::Failed(why, ran) => {
                self.set(State::Starting, &why);
                Attempt::Failed(why, ran)
            }
            Ended::Over => {
                // Who ends the agent ends everything.
                child.signal_group(Signal::TERM);
                return Attempt::Over;
            }
        };
        self.clear_away(&child, &mut end).await;
        attempt
    }

    /// Watches a process until something must be done about it.
    async fn watch(&mut self, end: &mut End, begun: Instant) -> Ended {
        let socket = self.settings.socket();
        let limit = self.settings.config.start_timeout;
        let healthy = async {
            while health::check(&socket).await.is_err() {
                sleep(STARTING_INTERVAL).await;
            }
        };
        tokio::select! {
            exit = end.wait() => return Ended::Failed(describe(exit), Duration::ZERO),
            interrupt = interrupt(&mut self.wishes, &self.stop) => {
                return interrupt.map_or(Ended::Over, Ended::Wished);
            }
            healthy = timeout(limit, healthy) => if healthy.is_err() {
                let why = format!("it didn't answer within {} s", limit.as_secs());
                return Ended::Failed(why, Duration::ZERO);
            },
        }
        info!(elapsed = ?begun.elapsed(), "editor ready");
        self.set(State::Running, "it is running");
        self.connections.touch();
        let ill = async {
            let mut unanswered = 0;
            loop {
                sleep(RUNNING_INTERVAL).await;
                log::rotate(self.settings.log());
                match health::check(&socket).await {
                    Ok(()) => unanswered = 0,
                    Err(_) => unanswered += 1,
                }
                if unanswered == MAX_UNANSWERED {
                    return;
                }
            }
        };
        let idle_timeout = self.settings.config.idle_timeout;
        let idle = async {
            if idle_timeout.is_zero() {
                std::future::pending::<()>().await;
            }
            self.connections.idle(idle_timeout).await;
        };
        tokio::select! {
            exit = end.wait() => Ended::Failed(describe(exit), begun.elapsed()),
            interrupt = interrupt(&mut self.wishes, &self.stop) => {
                interrupt.map_or(Ended::Over, Ended::Wished)
            }
            () = ill => Ended::Failed("it doesn't answer any more".to_owned(), begun.elapsed()),
            () = idle => Ended::Idle,
        }
    }

    /// Sees to it that nothing of a process is left: it is asked to end, and killed.
    async fn clear_away(&self, child: &Child, end: &mut End) {
        child.signal_group(Signal::TERM);
        if child.is_running() && timeout(GRACE, end.wait()).await.is_err() {
            child.signal_group(Signal::KILL);
            let _ = timeout(GRACE, end.wait()).await;
        }
        let (settings, leader) = (Arc::clone(&self.settings), child.pid());
        // It looks at all processes of the host.
        let _ = spawn_blocking(move || init::kill_session(&settings.mark, leader)).await;
    }

    fn set(&self, state: State, detail: &str) {
        let version = match state {
            State::Running => version(&self.settings),
            _ => None,
        };
        self.status.send_modify(|status| {
            if status.state != state || status.since.is_none() {
                status.since = Some(OffsetDateTime::now_utc());
            }
            status.state = state;
            detail.clone_into(&mut status.detail);
            status.version = version.or(status.version.take());
        });
    }
}

/// Waits for a wish that changes something; `None` is the agent's end. Cancel-safe.
async fn interrupt(wishes: &mut mpsc::Receiver<Wish>, stop: &CancellationToken) -> Option<Wish> {
    loop {
        let wish = tokio::select! {
            wish = wishes.recv() => wish?,
            () = stop.cancelled() => return None,
        };
        if wish.what != What::Start {
            return Some(wish);
        }
        // It is being started, or runs.
        let _ = wish.heard.send(());
    }
}

fn describe(exit: Exit) -> String {
    match exit {
        Exit::Status(status) => format!("code-server ended with status {status}"),
        Exit::Signal { signal, .. } => format!("signal {signal} ended code-server"),
    }
}

/// Finds the version in the line that it logs when it starts.
pub(super) fn version(settings: &Settings) -> Option<String> {
    let text = settings.log().last(usize::MAX).ok()?;
    text.lines().rev().find_map(version_in)
}

fn version_in(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    words.find(|&word| word == "code-server")?;
    let version = words.next()?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_follows_the_name() {
        let line = "[2026-01-01T00:00:00.000Z] info  code-server 4.100.3 0fbfbdd7";
        assert_eq!(version_in(line).as_deref(), Some("4.100.3"));
        assert_eq!(version_in("info code-server was stopped"), None);
        assert_eq!(version_in("info Using user-data-dir /x"), None);
    }
}
