//! How far a workspace's start-up is, as its agent tells it at `/startup`.

use serde::{Deserialize, Serialize};

/// Where the agent writes what a start-up does, from the home on: it can be read without the
/// agent, too.
pub const LOG: &str = ".local/state/devgate/startup.log";

/// How far the start-up is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Tells this run from others: each start of the agent has its own.
    pub run: String,
    /// Where it is as a whole.
    pub state: State,
    /// Name of the step that runs.
    #[serde(default)]
    pub step: Option<String>,
    /// The steps, in order.
    #[serde(default)]
    pub steps: Vec<StepStatus>,
    /// Whether what the workspace waits for is over and well.
    pub ready: bool,
    /// Whether somebody has to connect for it to go on.
    #[serde(default)]
    pub needs_connection: bool,
    /// A sentence for people.
    #[serde(default)]
    pub detail: String,
    /// What went wrong, where the start-up failed.
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// Where the start-up is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// There is nothing to do.
    None,
    /// It is under way.
    Running,
    /// It is over.
    Done,
    /// A step failed that others depend on, or the workspace didn't become ready.
    Failed,
}

/// How far one step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepStatus {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub state: StepState,
    /// Its exit status; 128 and the signal's number where one ended it.
    #[serde(default)]
    pub exit: Option<i32>,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// Where one step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It is still to come.
    Pending,
    /// It runs.
    Running,
    /// It succeeded.
    Done,
    /// It didn't run: it had succeeded before, or one before it failed.
    Skipped,
    /// It failed.
    Failed,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Name of the step; absent where the workspace didn't become ready.
    #[serde(default)]
    pub step: Option<String>,
    /// Its exit status, where it had one.
    #[serde(default)]
    pub exit: Option<i32>,
    /// The last line that it wrote.
    #[serde(default)]
    pub last_line: String,
}

impl Status {
    /// Returns that of a workspace with nothing to do.
    pub fn none() -> Self {
        Self {
            run: String::new(),
            state: State::None,
            step: None,
            steps: Vec::new(),
            ready: true,
            needs_connection: false,
            detail: String::new(),
            failure: None,
        }
    }

    /// Tells whether the workspace isn't to be used yet. One that waits for somebody's
    /// connection is, and so is one that somebody has to mend.
    pub fn holds(&self) -> bool {
        let goes_on = self.state == State::Running && self.failure.is_none();
        goes_on && !self.ready && !self.needs_connection
    }

    /// Returns the number of the step that runs, from 1 on.
    pub fn number(&self) -> Option<usize> {
        let running = |step: &StepStatus| step.state == StepState::Running;
        self.steps.iter().position(running).map(|place| place + 1)
    }
}
