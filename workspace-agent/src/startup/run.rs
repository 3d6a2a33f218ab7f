//! The order of the start-up: secrets, repository, steps, and beside the last ones the
//! readiness.

use std::collections::BTreeMap;
use std::time::Instant;

use devgate_protocol::config::{OnFailure, Repository, Step};
use devgate_protocol::startup::{Failure, State, Status, StepState, StepStatus};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::clone::{self, Cloned};
use super::command::{self, Failed, Place};
use super::{CLONE, left, marks, readiness};
use crate::agent::Agent;

/// What is done.
#[derive(Clone, Copy)]
enum Item<'a> {
    Clone(&'a Repository),
    Step(&'a Step),
}

/// How an item ended that didn't fail.
enum Passed {
    Done,
    Skipped,
}

impl Item<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Clone(_) => CLONE,
            Self::Step(step) => &step.name,
        }
    }

    fn waits(&self) -> bool {
        match self {
            Self::Clone(repository) => repository.wait,
            Self::Step(step) => step.wait,
        }
    }

    fn on_failure(&self) -> OnFailure {
        match self {
            // What follows works in it.
            Self::Clone(_) => OnFailure::Stop,
            Self::Step(step) => step.on_failure,
        }
    }
}

/// Does everything, once.
pub(super) async fn run(agent: &Agent) {
    let config = agent.config();
    let (runtime, mark) = (config.runtime.clone(), config.mark());
    // A panic in there is no reason to do nothing.
    let _ = spawn_blocking(move || left::end(&runtime, &mark)).await;
    let startup = agent.startup();
    startup.log().note("the start-up begins");
    secrets(agent).await;
    let (passed, over) = watch::channel(false);
    let (stepped, ready) = tokio::join!(steps(agent, passed), ready(agent, over));
    startup.change(|status| {
        status.state = match status.failure {
            Some(_) => State::Failed,
            None => State::Done,
        };
        status.step = None;
        if status.failure.is_none() {
            status.detail = summary(status);
        }
    });
    let well = stepped.is_ok() && ready.is_ok();
    let log = startup.log();
    if well {
        log.note("the start-up is over");
        info!("the start-up is over");
    } else {
        log.note("the start-up failed");
        warn!("the start-up failed: its log says why");
    }
}

/// Waits for what the steps need to know.
async fn secrets(agent: &Agent) {
    if agent.config().startup.secrets.is_empty() {
        return;
    }
    let startup = agent.startup();
    startup.change(|status| "waiting for the secrets".clone_into(&mut status.detail));
    agent.secrets().told().await;
    startup.change(|status| status.detail.clear());
    for name in agent.secrets().missing() {
        let text = format!("there is no secret {name}: `devgate secrets set {name}`");
        startup.log().note(text);
    }
}

/// Runs the items one after the other. `passed` becomes true once those are over that
/// the workspace waits for, and is dropped where it never will.
async fn steps(agent: &Agent, passed: watch::Sender<bool>) -> Result<(), ()> {
    let config = &agent.config().startup;
    let clone = config.repository.iter().map(Item::Clone);
    let items: Vec<_> = clone.chain(config.steps.iter().map(Item::Step)).collect();
    let awaited = items.iter().rposition(Item::waits);
    if awaited.is_none() {
        passed.send_replace(true);
    }
    let count = items.len();
    for (place, item) in items.iter().enumerate() {
        let failed = one(agent, place, *item, count).await.err();
        if let Some(failed) = failed
            && item.on_failure() == OnFailure::Stop
        {
            stopped(agent, item.name(), failed);
            return Err(());
        }
        if awaited == Some(place) {
            passed.send_replace(true);
        }
    }
    Ok(())
}

/// Takes note that no further item runs.
fn stopped(agent: &Agent, name: &str, failed: Failed) {
    agent.startup().change(|status| {
        for step in &mut status.steps {
            if step.state == StepState::Pending {
                step.state = StepState::Skipped;
            }
        }
        status.detail = format!("{name} failed: {}", failed.detail);
        status.failure = Some(Failure {
            step: Some(name.to_owned()),
            exit: failed.exit,
            last_line: failed.last_line,
        });
    });
}

/// Does one item, and tells how far it is.
async fn one(agent: &Agent, place: usize, item: Item<'_>, count: usize) -> Result<(), Failed> {
    let (startup, name) = (agent.startup(), item.name());
    let since = Instant::now();
    startup.change(|status| {
        status.step = Some(name.to_owned());
        status.detail = format!("running {name} ({} of {count})", place + 1);
        if let Some(step) = status.steps.get_mut(place) {
            step.state = StepState::Running;
        }
    });
    let ended = match item {
        Item::Clone(repository) => match clone::run(agent, repository).await {
            Ok(Cloned::Now) => Ok(Passed::Done),
            Ok(Cloned::Before) => Ok(Passed::Skipped),
            Err(failed) => Err(failed),
        },
        Item::Step(step) => run_step(agent, step).await,
    };
    let seconds = since.elapsed().as_secs();
    let text = match &ended {
        Ok(Passed::Done) => format!("{name} is done after {seconds} s"),
        Ok(Passed::Skipped) => format!("{name} was done before"),
        Err(failed) => format!("{name} failed after {seconds} s: {failed}"),
    };
    startup.log().note(text);
    let set = |step: &mut StepStatus| {
        (step.state, step.exit) = match &ended {
            Ok(Passed::Done) => (StepState::Done, Some(0)),
            Ok(Passed::Skipped) => (StepState::Skipped, None),
            Err(failed) => (StepState::Failed, failed.exit),
        };
        step.seconds = Some(seconds);
    };
    startup.change(|status| {
        status.needs_connection = false;
        status.detail.clear();
        status.steps.get_mut(place).into_iter().for_each(set);
    });
    ended.map(|_| ())
}

async fn run_step(agent: &Agent, step: &Step) -> Result<Passed, Failed> {
    let mark = marks::of(agent.config(), &step.name, step.runs);
    if mark.as_ref().is_some_and(|mark| mark.exists()) {
        return Ok(Passed::Skipped);
    }
    agent.startup().log().note(format!("running {}", step.name));
    let home = agent.home();
    let environment: &BTreeMap<_, _> = &step.environment;
    let place = Place {
        label: &step.name,
        directory: step
            .directory
            .as_ref()
            .map_or_else(|| home.to_owned(), |own| home.join(own)),
        environment,
        timeout: step.timeout,
    };
    command::run(agent, &step.command, &place).await?;
    if let Some(mark) = mark
        && let Err(error) = marks::set(&mark)
    {
        // It runs again with the next start, which is better than never.
        let text = format!("can't take note that {} is done: {error}", step.name);
        agent.startup().log().note(text);
    }
    Ok(Passed::Done)
}

/// Finds out when the workspace can be used.
async fn ready(agent: &Agent, mut over: watch::Receiver<bool>) -> Result<(), ()> {
    if over.wait_for(|over| *over).await.is_err() {
        // What it waits for failed, which is told already.
        return Ok(());
    }
    let startup = agent.startup();
    if let Some(wanted) = &agent.config().startup.readiness {
        if let Err(detail) = readiness::wait(agent, wanted).await {
            startup
                .log()
                .note(format!("the workspace isn't ready: {detail}"));
            startup.change(|status| {
                if status.failure.is_none() {
                    status.failure = Some(Failure {
                        step: None,
                        exit: None,
                        last_line: detail.clone(),
                    });
                    status.detail = detail;
                }
            });
            return Err(());
        }
        startup.log().note("the workspace is ready");
    }
    startup.change(|status| status.ready = true);
    Ok(())
}

/// Says of steps that all have ended which failed.
fn summary(status: &Status) -> String {
    let failed = status.steps.iter();
    let failed: Vec<_> = failed
        .filter(|step| step.state == StepState::Failed)
        .map(|step| step.name.as_str())
        .collect();
    if failed.is_empty() {
        return String::new();
    }
    format!("failed: {}", failed.join(", "))
}
