//! `/watches` and `/watch`: what happens to files, as it happens and again.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream::{SplitStream, unfold};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, StatusCode, header};
use rustix::fs::OFlags;
use serde::Deserialize;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::problem::{Body, Problem};
use super::processes::query;
use super::run_socket::STOPPING;
use super::{KEEP_ALIVE, List, confined, files, until_stop};
use crate::agent::Agent;
use crate::files::{FileError, Root, path_of};
use crate::watches::{Event, Follower, View, Wanted, Watch, WatchError, Within};

/// How long a watch goes on while nobody follows it, unless something else is asked for,
/// and at most, in seconds.
const KEEP: u64 = 600;
const MAX_KEEP: u64 = 86_400;

/// Longest path, in bytes: the kernel takes no longer one.
const MAX_PATH: usize = 4096;

/// How long a client may take to read an event before it is taken for gone. It may come
/// again, and go on where it was.
const STALL: Duration = Duration::from_mins(1);

/// How long the end of a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Number of the last event that a client has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// Returns the routes, to be merged with others.
pub(super) fn routes() -> Router<Arc<Agent>> {
    Router::new()
        .route("/watch", get(watch))
        .route("/watches", get(list).post(create))
        .route("/watches/{watch}", get(show).delete(end))
        .route("/watches/{watch}/events", get(events))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    path: String,
    #[serde(default)]
    raw_path: Option<String>,
    #[serde(default)]
    recursive: Option<bool>,
    #[serde(default)]
    include: Option<Vec<String>>,
    #[serde(default)]
    exclude: Option<Vec<String>>,
    #[serde(default)]
    keep_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    since: Option<u64>,
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn list(State(agent): State<Arc<Agent>>, headers: HeaderMap) -> Json<List<Vec<View>>> {
    let all = agent.watches().all(confined::folder(&headers).as_deref());
    let items = all.iter().map(|watch| watch.view()).collect();
    Json(List { items })
}

async fn create(
    State(agent): State<Arc<Agent>>,
    headers: HeaderMap,
    Body(asked): Body<Create>,
) -> Result<(StatusCode, Json<View>), Problem> {
    let watch = begin(&agent, confined::folder(&headers), asked).await?;
    Ok((StatusCode::CREATED, Json(watch.view())))
}

async fn show(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<View>, Problem> {
    let confined = confined::folder(&headers);
    Ok(Json(agent.watches().find(&id, confined.as_deref())?.view()))
}

async fn end(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let confined = confined::folder(&headers);
    agent.watches().end(&id, confined.as_deref())?;
    Ok(StatusCode::NO_CONTENT)
}

async fn events(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    asked: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let asked = query(asked)?;
    let confined = confined::folder(&headers);
    let watch = agent.watches().find(&id, confined.as_deref())?;
    let seen = last_seen(&headers)?;
    // Who reconnects by itself asks for the same, and says what it has seen since.
    let since = seen.or(asked.since).unwrap_or_default();
    let following = Following {
        follower: watch.follow(since)?,
        _own: None,
    };
    answer(&agent, following, &headers, upgrade)
}

async fn watch(
    State(agent): State<Arc<Agent>>,
    asked: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let asked = short(query(asked)?)?;
    let seen = last_seen(&headers)?;
    let watch = begin(&agent, confined::folder(&headers), asked).await?;
    let mut follower = watch.follow(0)?;
    if seen.is_some() {
        // It was another watch that told of that.
        follower.missed();
    }
    let own = Some(EndsWithIt(watch));
    let following = Following {
        follower,
        _own: own,
    };
    answer(&agent, following, &headers, upgrade)
}

/// Begins a watch, which ends by time where the client is gone meanwhile.
async fn begin(
    agent: &Arc<Agent>,
    confined: Option<Vec<u8>>,
    asked: Create,
) -> Result<Arc<Watch>, Problem> {
    let path = files::path(asked.path, asked.raw_path)?;
    if path.contains(&0) || path.len() > MAX_PATH {
        let detail = "`path` has at most 4096 bytes, and no NUL";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-path", detail));
    }
    let keep = asked.keep_seconds.unwrap_or(KEEP);
    if !(1..=MAX_KEEP).contains(&keep) {
        return Err(Problem::bad_request("keep_seconds is 1 to 86400, a day"));
    }
    let (path, within) = match confined {
        None => (agent.home().join(OsStr::from_bytes(&path)), None),
        Some(folder) => {
            let home = agent.home().to_owned();
            let found = spawn_blocking(move || keep_within(&home, folder, &path)).await;
            let (path, within) = found.map_err(|error| Problem::internal(&error))??;
            (path, Some(within))
        }
    };
    let wanted = Wanted {
        within,
        // Without a slash at the end: files are told by joining names to it.
        path: path.components().collect(),
        recursive: asked.recursive.unwrap_or(true),
        include: asked.include.unwrap_or_default(),
        exclude: asked.exclude.unwrap_or_default(),
        keep: Duration::from_secs(keep),
    };
    Ok(agent.watches().start(wanted).await?)
}

/// Finds what a path leads to for somebody who is confined to a folder.
fn keep_within(
    home: &std::path::Path,
    folder: Vec<u8>,
    path: &[u8],
) -> Result<(PathBuf, Within), FileError> {
    let root = Root::of(home, Some(&folder))?;
    let found = root.open(path, OFlags::PATH)?;
    let root = Arc::new(root);
    Ok((path_of(&found), Within { folder, root }))
}

/// Reads the query of the short form.
fn short(pairs: Vec<(String, String)>) -> Result<Create, Problem> {
    let mut asked = Create {
        path: String::new(),
        raw_path: None,
        recursive: None,
        include: None,
        exclude: None,
        keep_seconds: None,
    };
    for (name, value) in pairs {
        match name.as_str() {
            "path" => asked.path = value,
            "raw_path" => asked.raw_path = Some(value),
            "recursive" => {
                let recursive = value.parse();
                asked.recursive = Some(
                    recursive
                        .map_err(|_| Problem::bad_request("`recursive` is `true` or `false`"))?,
                );
            }
            "include" => asked.include.get_or_insert_default().push(value),
            "exclude" => asked.exclude.get_or_insert_default().push(value),
            _ => return Err(Problem::bad_request(format!("there is no `{name}`"))),
        }
    }
    if asked.raw_path.is_some() && asked.path.is_empty() {
        // A query needs none to be shown.
        ".".clone_into(&mut asked.path);
    }
    Ok(asked)
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(seen) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let seen = seen.to_str().ok().and_then(|text| text.parse().ok());
    let seen =
        seen.ok_or_else(|| Problem::bad_request("Last-Event-ID isn't the number of an event"))?;
    Ok(Some(seen))
}

/// Ends a watch when it is dropped.
struct EndsWithIt(Arc<Watch>);

impl Drop for EndsWithIt {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Somebody who follows a watch, which may be theirs alone.
struct Following {
    follower: Follower,
    _own: Option<EndsWithIt>,
}

/// Answers with a WebSocket where one is asked for, with events else.
fn answer(
    agent: &Arc<Agent>,
    following: Following,
    headers: &HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    if headers.contains_key(header::UPGRADE) {
        let upgrade = upgrade.map_err(Problem::bad_request)?;
        let stopping = agent.stopping();
        return Ok(upgrade.on_upgrade(async move |socket| {
            if let Err(error) = send(socket, following, stopping).await {
                debug!(%error, "a watch's client is gone");
            }
        }));
    }
    let events = unfold(following, async |mut following| {
        let event = following.follower.next().await?;
        Some((Ok::<_, Infallible>(sse(&event)), following))
    });
    Ok(Sse::new(until_stop(agent, events))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response())
}

fn sse(event: &Event) -> SseEvent {
    let sent = SseEvent::default()
        .event("change")
        .id(event.sequence.to_string());
    sent.json_data(event).unwrap_or_else(|error| {
        warn!(%error, "an event can't be written");
        SseEvent::default()
    })
}

/// Sends events until the client is gone, or the watch.
async fn send(
    socket: WebSocket,
    mut following: Following,
    stopping: CancellationToken,
) -> Result<(), axum::Error> {
    let (mut sink, mut stream) = socket.split();
    let mut ping = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    let (code, reason) = loop {
        let message = tokio::select! {
            event = following.follower.next() => match event {
                Some(event) => {
                    let text = serde_json::to_string(&event).map_err(axum::Error::new)?;
                    Message::Text(text.into())
                }
                None => break (close_code::NORMAL, "the watch has ended"),
            },
            _ = ping.tick() => Message::Ping(axum::body::Bytes::new()),
            () = gone(&mut stream) => return Ok(()),
            () = stopping.cancelled() => break (close_code::AWAY, STOPPING),
        };
        // A client that doesn't read is heard as well.
        tokio::select! {
            sent = timeout(STALL, sink.send(message)) => {
                sent.map_err(axum::Error::new)??;
            }
            () = gone(&mut stream) => return Ok(()),
            () = stopping.cancelled() => break (close_code::AWAY, STOPPING),
        }
    };
    let reason = Utf8Bytes::from_static(reason);
    let close = Message::Close(Some(CloseFrame { code, reason }));
    let closed = timeout(CLOSE_TIMEOUT, sink.send(close)).await;
    closed.unwrap_or(Ok(()))
}

/// Waits until a client is gone: nothing else is expected of it. Cancel-safe.
async fn gone(stream: &mut SplitStream<WebSocket>) {
    loop {
        match stream.next().await {
            Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            Some(Ok(_)) => {}
        }
    }
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        let (status, code) = match &error {
            WatchError::TooMany => (StatusCode::CONFLICT, "too-many-watches"),
            WatchError::Pattern(_) => (StatusCode::BAD_REQUEST, "bad-pattern"),
            WatchError::Missing(_) => (StatusCode::NOT_FOUND, "no-file"),
            WatchError::NoRoom(_) => (StatusCode::SERVICE_UNAVAILABLE, "no-room"),
            WatchError::System { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "cannot-watch"),
            WatchError::NoWatch => (StatusCode::NOT_FOUND, "no-watch"),
            WatchError::NoSuchEvent(_) => (StatusCode::BAD_REQUEST, "no-such-event"),
        };
        Self::new(status, code, error.to_string())
    }
}
