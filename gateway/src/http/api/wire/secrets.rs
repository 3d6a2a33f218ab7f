//! Secrets, and the start-up of workspaces.

use std::borrow::Cow;

use devgate_protocol::startup;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::secrets::SecretName;

/// A secret, without what it is: that never comes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretEntry {
    /// Its name, and that of the variable that programs find it in.
    pub name: SecretName,
    /// When it was first set.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// When it was last set.
    #[serde(with = "rfc3339")]
    pub changed: OffsetDateTime,
}

/// Sets a secret.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSecret {
    /// What it is: a text without a NUL.
    #[schema(value_type = String, min_length = 1, max_length = 32768)]
    pub value: devgate_protocol::Secret<String>,
}

/// Whose secrets.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SecretQuery {
    /// Whether it is about the installation's, which takes an administrator, and not one's
    /// own.
    #[serde(default)]
    #[param(default = false)]
    pub installation: Option<bool>,
}

impl PartialSchema for SecretName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[A-Za-z_][A-Za-z0-9_]*$"))
            .min_length(Some(1))
            .max_length(Some(64))
            .into()
    }
}

impl ToSchema for SecretName {
    fn name() -> Cow<'static, str> {
        "SecretName".into()
    }
}

/// How far a workspace's start-up is, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StartupSummary {
    /// Where it is as a whole.
    pub state: StartupState,
    /// A sentence for people, where there is something to tell.
    pub detail: String,
}

/// How far a workspace's start-up is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Startup {
    /// Where it is as a whole.
    pub state: StartupState,
    /// Name of the step that runs.
    #[schema(required = true)]
    pub step: Option<String>,
    /// The steps, in order.
    pub steps: Vec<StartupStep>,
    /// Whether what the workspace waits for is over and well.
    pub ready: bool,
    /// A sentence for people, where there is something to tell.
    pub detail: String,
    /// What went wrong, where it failed.
    #[schema(required = true)]
    pub failure: Option<StartupFailure>,
}

/// Where a start-up is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StartupState {
    /// There is nothing to do, or the workspace doesn't run.
    None,
    /// It is under way.
    Running,
    /// It is over.
    Done,
    /// A step failed that others depend on, or the workspace didn't become ready.
    Failed,
}

/// One step of a start-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StartupStep {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub state: StartupStepState,
    /// Its exit status; 128 and the signal's number where one ended it.
    #[schema(required = true)]
    pub exit: Option<i32>,
    /// How long it took.
    #[schema(required = true)]
    pub seconds: Option<u64>,
}

/// Where one step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StartupStepState {
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

/// What went wrong in a start-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StartupFailure {
    /// Name of the step; null where the workspace didn't become ready.
    #[schema(required = true)]
    pub step: Option<String>,
    /// Its exit status, where it had one.
    #[schema(required = true)]
    pub exit: Option<i32>,
    /// The last line that it wrote.
    pub last_line: String,
}

impl From<startup::State> for StartupState {
    fn from(state: startup::State) -> Self {
        match state {
            startup::State::None => Self::None,
            startup::State::Running => Self::Running,
            startup::State::Done => Self::Done,
            startup::State::Failed => Self::Failed,
        }
    }
}

impl From<startup::StepState> for StartupStepState {
    fn from(state: startup::StepState) -> Self {
        match state {
            startup::StepState::Pending => Self::Pending,
            startup::StepState::Running => Self::Running,
            startup::StepState::Done => Self::Done,
            startup::StepState::Skipped => Self::Skipped,
            startup::StepState::Failed => Self::Failed,
        }
    }
}

impl From<startup::Status> for Startup {
    fn from(status: startup::Status) -> Self {
        let steps = status.steps.into_iter().map(|step| StartupStep {
            name: step.name,
            state: step.state.into(),
            exit: step.exit,
            seconds: step.seconds,
        });
        Self {
            state: status.state.into(),
            step: status.step,
            steps: steps.collect(),
            ready: status.ready,
            detail: status.detail,
            failure: status.failure.map(|failure| StartupFailure {
                step: failure.step,
                exit: failure.exit,
                last_line: failure.last_line,
            }),
        }
    }
}

impl From<startup::Status> for StartupSummary {
    fn from(status: startup::Status) -> Self {
        // One that failed and still has steps to do has failed.
        let state = match (&status.failure, status.state) {
            (Some(_), _) => StartupState::Failed,
            (None, state) => state.into(),
        };
        Self {
            state,
            detail: status.detail,
        }
    }
}
