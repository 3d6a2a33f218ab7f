//! Logs and events: what there is, and live.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use devgate_protocol::startup::Status;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::extract::{Asked, Named, Signed};
use super::page::limit;
use super::wire::{
    self, EventQuery, EventWorkspace, LiveEvent, LogQuery, MAX_TAIL, Page, Startup, TAIL,
};
use super::{Api, ApiRefused};
use crate::chain::chain;
use crate::drivers::{Follow, Logs};
use crate::events::Event;
use crate::http::live::{self, Until, Way};
use crate::http::problem::Problem;
use crate::identity::{Caller, Oversight, Role, User};
use crate::names::WorkspaceId;
use crate::store::Since;
use crate::workspaces::{CommandError, LogPart};

/// Longest line of a log that is sent as one, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// Events that are read at one time.
const BATCH: u32 = 100;

/// `GET /workspaces/{id}/logs`
pub(super) async fn logs(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(asked): Asked<LogQuery>,
    live::Asked(way): live::Asked,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&asked, way)?;
    let overseen = api.identity.oversee(&caller.user, &id).await?;
    let logs = api.workspaces.logs(&id, wanted.part(&asked)).await?;
    let name = format!("{}.log", overseen.workspace().name);
    let until = until(&api, &caller, Some(&overseen));
    wanted.answer(&api, logs, until, &name)
}

/// `GET /workspaces/{id}/startup/log`
pub(super) async fn startup_log(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(asked): Asked<LogQuery>,
    live::Asked(way): live::Asked,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&asked, way)?;
    let overseen = api.identity.oversee(&caller.user, &id).await?;
    let logs = api.workspaces.startup_log(&id, wanted.part(&asked)).await?;
    let name = format!("{}-startup.log", overseen.workspace().name);
    let until = until(&api, &caller, Some(&overseen));
    wanted.answer(&api, logs, until, &name)
}

/// `GET /workspaces/{id}/startup`
pub(super) async fn startup(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    live::Asked(way): live::Asked,
) -> Result<Response, Problem> {
    let overseen = api.identity.oversee(&caller.user, &id).await?;
    let shown = |status: Option<Status>| Startup::from(status.unwrap_or_else(Status::none));
    let Some(way) = way else {
        let status = api.workspaces.startup(&id);
        return Ok(Json(shown(status)).into_response());
    };
    let followed = api.workspaces.watch_startup(&id);
    let mut followed = followed.ok_or(CommandError::Gone)?;
    // The first one is news to whoever comes.
    followed.mark_changed();
    let events = stream::unfold(followed, move |mut followed| async move {
        followed.changed().await.ok()?;
        let status = followed.borrow_and_update().clone();
        let event = LiveEvent {
            event: "startup".into(),
            id: None,
            data: serde_json::to_value(shown(status)).ok()?,
        };
        Some((event, followed))
    });
    let until = until(&api, &caller, Some(&overseen));
    Ok(api.live.answer(way, until, events)?)
}

/// Tells what ends a log or events: the caller's login or role, and where it is a member's
/// workspace that it isn't theirs any more; administrators see them whosever they are.
fn until(api: &Api, caller: &Caller, overseen: Option<&Oversight>) -> Until {
    let tenure = match (caller.user.role, overseen) {
        (Role::Member, Some(overseen)) => api.workspaces.tenure(overseen.workspace()),
        (Role::Member | Role::Admin, _) => CancellationToken::new(),
    };
    Until {
        signed_in: api.sessions.changed(caller),
        tenure,
    }
}

/// What is wanted of a log.
struct Wanted {
    /// Its last lines, so many.
    lines: usize,
    /// How it is followed, where it is.
    way: Option<Way>,
    /// Whether it is to be kept as a file.
    download: Download,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Download {
    Yes,
    No,
}

impl Wanted {
    fn of(asked: &LogQuery, way: Option<Way>) -> Result<Self, ApiRefused> {
        let lines = asked.tail.unwrap_or(TAIL);
        if lines > MAX_TAIL {
            return Err(ApiRefused::Value {
                name: "tail",
                allowed: "0 to 100000",
            });
        }
        let (download, way) = match asked.download {
            Some(true) => (Download::Yes, None),
            Some(false) | None => (Download::No, way),
        };
        Ok(Self {
            lines: usize::try_from(lines).unwrap_or(usize::MAX),
            way,
            download,
        })
    }

    /// Returns which part of the log that is.
    fn part(&self, asked: &LogQuery) -> LogPart {
        LogPart {
            lines: self.lines,
            since: asked.since,
            until: asked.until,
            follow: match self.way {
                Some(_) => Follow::Yes,
                None => Follow::No,
            },
        }
    }

    /// Answers with a log: as it is written, as text, or as a file of that name.
    fn answer(self, api: &Api, logs: Logs, until: Until, name: &str) -> Result<Response, Problem> {
        if let Some(way) = self.way {
            let events = split(logs).map(|line| LiveEvent {
                event: "log".into(),
                id: None,
                data: Value::String(line),
            });
            return Ok(api.live.answer(way, until, events)?);
        }
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        let logs = logs.take_until(until.tenure.cancelled_owned());
        let mut response = (kind, Body::from_stream(logs)).into_response();
        if self.download == Download::Yes {
            let text = format!("attachment; filename=\"{name}\"");
            if let Ok(value) = HeaderValue::try_from(text) {
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_DISPOSITION, value);
            }
        }
        Ok(response)
    }
}

/// `GET /events`
pub(super) async fn events(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(asked): Asked<EventQuery>,
    live::Asked(way): live::Asked,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let most = limit(asked.limit)?;
    let since = asked.since.as_deref().map(id_of).transpose()?;
    let seen = headers.get("last-event-id");
    let seen = seen.map(|value| id_of(value.to_str().unwrap_or_default()));
    let seen = seen.transpose()?.or(since);
    if let Some(way) = way {
        let seen = match seen {
            Some(seen) => seen,
            None => api.store.last_event().await?,
        };
        let events = follow(api.clone(), caller.user.clone(), seen);
        return Ok(api.live.answer(way, until(&api, &caller, None), events)?);
    }
    let before = asked.cursor.as_deref().map_or(Ok(i64::MAX), id_of)?;
    let events = api
        .store
        .events(&caller.user, Since::Before(before), most + 1)
        .await?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let more = events.len() > most;
    let items: Vec<_> = events.into_iter().take(most).map(shown).collect();
    let next = items.last().filter(|_| more).map(|event| event.id.clone());
    Ok(Json(Page { items, next }).into_response())
}

pub(super) fn id_of(text: &str) -> Result<i64, ApiRefused> {
    let digits = (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let id = digits.then(|| text.parse().ok()).flatten();
    id.ok_or(ApiRefused::Cursor)
}

/// Where a listener stands.
struct Listener {
    api: Api,
    user: User,
    seen: i64,
    written: tokio::sync::watch::Receiver<u64>,
    waiting: std::vec::IntoIter<Event>,
}

/// Reads what a user may see of what happens after `seen`, for ever.
fn follow(api: Api, user: User, seen: i64) -> impl Stream<Item = LiveEvent> + Send {
    let written = api.events.subscribe();
    let listener = Listener {
        api,
        user,
        seen,
        written,
        waiting: Vec::new().into_iter(),
    };
    stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((event, listener))
    })
}

impl Listener {
    async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            if let Some(event) = self.waiting.next() {
                self.seen = event.id;
                let shown = shown(event);
                let data = serde_json::to_value(&shown).ok()?;
                return Some(LiveEvent {
                    event: shown.kind.into(),
                    id: Some(shown.id),
                    data,
                });
            }
            // Before the records are read, so that nothing is slept through.
            self.written.mark_unchanged();
            if let Err(error) = self.read().await {
                warn!(error = chain(&error), "can't read what happened");
                return None;
            }
            if self.waiting.len() == 0 {
                self.written.changed().await.ok()?;
            }
        }
    }

    async fn read(&mut self) -> Result<(), crate::store::StoreError> {
        let store = &self.api.store;
        // Their role may have changed meanwhile.
        let Some(user) = store.user_named(&self.user.name).await? else {
            return Ok(());
        };
        let events = store.events(&user, Since::After(self.seen), BATCH).await?;
        self.waiting = events.into_iter();
        Ok(())
    }
}

pub(super) fn shown(event: Event) -> wire::Event {
    wire::Event {
        id: event.id.to_string(),
        time: event.time,
        kind: event.kind,
        workspace: event
            .workspace
            .map(|(id, name)| EventWorkspace { id, name }),
        user: event.user,
        data: event.data,
    }
}

/// Splits a log into lines, as text; a line that is too long into several.
fn split(logs: Logs) -> impl Stream<Item = String> + Send {
    let lines = Lines {
        logs,
        rest: Vec::new(),
    };
    stream::unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        Some((line, lines))
    })
}

struct Lines {
    logs: Logs,
    rest: Vec<u8>,
}

impl Lines {
    async fn next(&mut self) -> Option<String> {
        loop {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(text(&line));
            }
            if self.rest.len() >= MAX_LINE {
                let line = std::mem::take(&mut self.rest);
                return Some(text(&line));
            }
            let chunk: Option<Result<Bytes, _>> = self.logs.next().await;
            match chunk {
                Some(Ok(chunk)) => self.rest.extend_from_slice(&chunk),
                Some(Err(_)) | None if self.rest.is_empty() => return None,
                Some(Err(_)) | None => {
                    let line = std::mem::take(&mut self.rest);
                    return Some(text(&line));
                }
            }
        }
    }
}

/// Returns a line without its end, and without what would end it early.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .trim_end_matches(['\n', '\r'])
        .replace(['\r', '\n'], "\u{240d}")
}
