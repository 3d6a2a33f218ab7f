//! `/processes`: starts programs, shows them and what they wrote, and ends them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as Bytewise;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::StreamExt;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::problem::{Body, MostBody, Problem};
use super::{confined, run_output, run_socket};
use crate::agent::Agent;
use crate::runs::{
    Cells, Hold, Input, Listed, Reader, Request, Run, RunError, Stream, Target, View,
};

/// Largest request for a process, in bytes: its input and its variables are in it.
pub(super) const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// Longest wait for a process's end, in seconds: a day.
const MAX_WAIT: u64 = 86_400;

/// Entries of a page unless others are asked for, and at most.
const LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// Returns the routes, to be merged with others.
pub(super) fn routes() -> Router<Arc<Agent>> {
    Router::new()
        .route("/processes", get(list).post(start))
        .route("/processes/run", get(run_socket::run))
        .route("/processes/{process}", get(show).delete(end))
        .route("/processes/{process}/attach", get(run_socket::attach))
        .route("/processes/{process}/output", get(run_output::output))
        .route("/processes/{process}/input", post(input))
        .route("/processes/{process}/signal", post(signal))
        .route("/processes/{process}/resize", post(resize))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(Extension(MostBody(MAX_REQUEST)))
        .route_layer(from_fn(confined::refuse))
}

/// How a process is started.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartQuery {
    #[serde(default)]
    wait: bool,
    #[serde(default)]
    wait_seconds: Option<u64>,
    #[serde(default)]
    attached: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    state: Option<Life>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Life {
    Running,
    Ended,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowQuery {
    #[serde(default)]
    wait_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputQuery {
    #[serde(default)]
    close: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signal {
    signal: String,
    #[serde(default)]
    group: Option<bool>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
struct Page {
    items: Vec<View>,
    next: Option<String>,
}

/// A process that has ended, and what it wrote.
#[derive(Debug, Serialize)]
struct Outcome {
    process: View,
    stdout: String,
    stderr: String,
    stdout_truncated: bool,
    stderr_truncated: bool,
}

/// A process that was started.
pub(super) struct Begun {
    pub(super) run: Arc<Run>,
    pub(super) hold: Option<Hold>,
    pub(super) leash: Option<Leash>,
}

/// Hangs a process up when it is dropped, unless it was let go.
pub(super) struct Leash(Option<Arc<Run>>);

impl Leash {
    pub(super) fn let_go(&mut self) {
        self.0 = None;
    }

    /// Whether the process ends with this.
    pub(super) fn holds(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some(run) = &self.0 {
            run.hang_up();
        }
    }
}

/// Whether a process ends when its client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// It does.
    ToClient,
    /// It goes on.
    ToNobody,
}

/// Starts a process, which is looked after even where the client is gone meanwhile.
pub(super) async fn begin(
    agent: &Arc<Agent>,
    request: Request,
    reader: Reader,
    bound: Bound,
) -> Result<Begun, Problem> {
    let theirs = Arc::clone(agent);
    let starting = agent.tasks().spawn(async move {
        let started = theirs
            .runs()
            .start(&theirs, request, reader, Listed::Yes)
            .await;
        started.map(|(run, hold)| Begun {
            leash: (bound == Bound::ToClient).then(|| Leash(Some(Arc::clone(&run)))),
            run,
            hold,
        })
    });
    let begun = starting.await.map_err(|error| Problem::internal(&error))?;
    Ok(begun?)
}

pub(super) async fn start(
    State(agent): State<Arc<Agent>>,
    asked: Result<Query<StartQuery>, QueryRejection>,
    Body(request): Body<Request>,
) -> Result<Response, Problem> {
    begin_and_wait(&agent, query(asked)?, request).await
}

/// Starts a process, and waits for its end where that is asked for.
pub(super) async fn begin_and_wait(
    agent: &Arc<Agent>,
    asked: StartQuery,
    request: Request,
) -> Result<Response, Problem> {
    let wait = checked_wait(asked.wait_seconds)?;
    let bound = if asked.attached && asked.wait {
        Bound::ToClient
    } else {
        Bound::ToNobody
    };
    let Begun { run, mut leash, .. } = begin(agent, request, Reader::Looks, bound).await?;
    if !asked.wait {
        return Ok((StatusCode::CREATED, Json(run.view())).into_response());
    }
    let ended = if let Some(limit) = wait {
        timeout(limit, run.ended()).await.is_ok()
    } else {
        run.ended().await;
        true
    };
    if let Some(leash) = &mut leash {
        leash.let_go();
    }
    if !ended {
        return Ok((StatusCode::ACCEPTED, Json(run.view())).into_response());
    }
    let [stdout, stderr] = Stream::BOTH.map(|stream| whole(&run, stream));
    Ok(Json(Outcome {
        process: run.view(),
        stdout: stdout.0,
        stderr: stderr.0,
        stdout_truncated: stdout.1,
        stderr_truncated: stderr.1,
    })
    .into_response())
}

/// Returns what is kept of an output, and whether that is its end alone.
fn whole(run: &Run, stream: Stream) -> (String, bool) {
    let mut bytes = Vec::new();
    let first = run.read(stream, 0, usize::MAX, &mut bytes);
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    (text, first > 0)
}

async fn list(
    State(agent): State<Arc<Agent>>,
    asked: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let asked = query(asked)?;
    let limit = asked.limit.unwrap_or(LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request("limit is 1 to 200"));
    }
    let mut all = agent.runs().all();
    all.retain(|run| {
        let ended = run.ended_at().is_some();
        asked
            .state
            .is_none_or(|state| (state == Life::Ended) == ended)
            && asked.cursor.as_ref().is_none_or(|cursor| run.id > *cursor)
    });
    let more = all.len() > limit;
    all.truncate(limit);
    Ok(Json(Page {
        next: all.last().filter(|_| more).map(|run| run.id.clone()),
        items: all.iter().map(|run| run.view()).collect(),
    }))
}

async fn show(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    asked: Result<Query<ShowQuery>, QueryRejection>,
) -> Result<Json<View>, Problem> {
    let wait = checked_wait(query(asked)?.wait_seconds)?;
    let run = agent.runs().find(&id)?;
    if let Some(limit) = wait {
        // What it is then is told either way.
        let _ = timeout(limit, run.ended()).await;
    }
    Ok(Json(run.view()))
}

async fn end(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    agent.runs().end(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn input(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    asked: Result<Query<InputQuery>, QueryRejection>,
    body: Bytewise,
) -> Result<StatusCode, Problem> {
    let asked = query(asked)?;
    let run = agent.runs().find(&id)?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(Problem::bad_request)?;
        agent.awake().typed().note();
        run.write(Input::Data(piece)).await?;
    }
    if asked.close {
        run.write(Input::End).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn signal(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    Body(asked): Body<Signal>,
) -> Result<StatusCode, Problem> {
    let target = match asked.group {
        None | Some(true) => Target::Group,
        Some(false) => Target::Process,
    };
    agent.runs().find(&id)?.signal(&asked.signal, target)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resize(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    Body(asked): Body<Cells>,
) -> Result<StatusCode, Problem> {
    agent.runs().find(&id)?.resize(asked.checked()?)?;
    Ok(StatusCode::NO_CONTENT)
}

fn checked_wait(seconds: Option<u64>) -> Result<Option<Duration>, Problem> {
    match seconds {
        Some(seconds) if seconds > MAX_WAIT => {
            Err(Problem::bad_request("wait_seconds is at most 86400, a day"))
        }
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}

/// Returns what a query asks for.
pub(super) fn query<T>(asked: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let asked = asked.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(asked.0)
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        let (status, code) = match &error {
            RunError::BadCommand(_) => (StatusCode::BAD_REQUEST, "bad-command"),
            RunError::BadSignal => (StatusCode::BAD_REQUEST, "bad-signal"),
            RunError::CannotStart(_) => (StatusCode::UNPROCESSABLE_ENTITY, "cannot-start"),
            RunError::TooMany => (StatusCode::CONFLICT, "too-many-processes"),
            RunError::NoRoom(_) => (StatusCode::SERVICE_UNAVAILABLE, "no-room"),
            RunError::NoProcess => (StatusCode::NOT_FOUND, "no-process"),
            RunError::Ended => (StatusCode::CONFLICT, "process-ended"),
            RunError::NoStdin | RunError::StdinClosed => (StatusCode::CONFLICT, "no-stdin"),
            RunError::NoTerminal => (StatusCode::CONFLICT, "no-terminal"),
        };
        Self::new(status, code, error.to_string())
    }
}
