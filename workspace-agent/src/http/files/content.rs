//! `/files/content` and `/files/append`: what is in a file.

mod blocks;
mod range;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use self::blocks::{BLOCK, Blocks};
use self::range::{Range, Wanted, wanted};
use super::call::Call;
use super::incoming::Incoming;
use super::{blocking, saved_as};
use crate::agent::Agent;
use crate::files::read::{block, in_order, open};
use crate::files::{Appending, Condition, Entry, FileError, Order, Replaced, Writing};
use crate::files::{etag, modified, size};
use crate::http::problem::Problem;

/// Media type of what a file holds: whatever it is, it is no page.
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A file that was opened, with its first block, so that a small one needs no second
/// visit to a thread.
struct Begun {
    file: std::fs::File,
    headers: HeaderMap,
    wanted: Wanted,
    size: u64,
    first: Vec<u8>,
    /// Whether there is less in it than its size says, or more than none.
    is_made_up: bool,
}

pub(super) async fn read(
    State(agent): State<Arc<Agent>>,
    method: Method,
    call: Call,
) -> Result<Response, Problem> {
    call.knows(&["path"])?;
    let path = call.path()?;
    let root = call.root(&agent);
    let asked = call.headers;
    let begun = blocking(move || begin(&open(&root()?, &path)?, &path, &asked, &method)).await?;
    let Begun {
        file,
        mut headers,
        wanted,
        size,
        first,
        is_made_up,
    } = begun;
    let (status, range) = match wanted {
        Wanted::Nothing => return Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
        Wanted::Impossible => {
            let mut response = Problem::no_range(size).into_response();
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
                response.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return Ok(response);
        }
        Wanted::All => (StatusCode::OK, Range::all(size)),
        Wanted::Part(range) => {
            let value = format!(
                "bytes {}-{}/{size}",
                range.begin,
                range.end.saturating_sub(1)
            );
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(header::CONTENT_RANGE, value);
            }
            (StatusCode::PARTIAL_CONTENT, range)
        }
    };
    headers.insert(header::CONTENT_TYPE, BYTES);
    let body = if is_made_up {
        Body::new(Blocks::to_the_end(file, first))
    } else {
        headers.insert(header::CONTENT_LENGTH, range.length().into());
        Body::new(Blocks::new(file, range, first))
    };
    Ok((status, headers, body).into_response())
}

fn begin(
    opened: &crate::files::read::Opened,
    path: &[u8],
    asked: &HeaderMap,
    method: &Method,
) -> Result<Begun, FileError> {
    let (stat, file) = (&opened.stat, &opened.file);
    let size = size(stat);
    let (tag, changed) = (etag(stat), modified(stat));
    let changed = httpdate::fmt_http_date(changed.into());
    let wanted = match wanted(asked, &tag, &changed, size) {
        // Parts are for GET alone (RFC 9110 §14.2).
        Wanted::Part(_) | Wanted::Impossible if *method == Method::HEAD => Wanted::All,
        wanted => wanted,
    };
    let first = match wanted {
        _ if *method == Method::HEAD => None,
        Wanted::All => Some(Range::all(size.max(1))),
        Wanted::Part(range) => Some(range),
        Wanted::Nothing | Wanted::Impossible => None,
    };
    let first = match first {
        None => Vec::new(),
        Some(range) => {
            if range.length() > u64::try_from(BLOCK).unwrap_or(u64::MAX) {
                in_order(file);
            }
            let length = usize::try_from(range.length()).unwrap_or(BLOCK).min(BLOCK);
            let length = if size == 0 { BLOCK } else { length };
            block(file, range.begin, length).map_err(|source| FileError::System {
                path: String::from_utf8_lossy(path).into_owned(),
                source,
            })?
        }
    };
    // What the kernel makes up when it is read (proc, sysfs) is of no size, or of a page.
    let promised = usize::try_from(size).unwrap_or(BLOCK).min(BLOCK);
    let is_made_up = *method == Method::GET && wanted == Wanted::All && first.len() != promised;
    let file = file.try_clone().map_err(|_| FileError::Busy)?;
    let mut headers = HeaderMap::new();
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    headers.insert(header::CONTENT_DISPOSITION, saved_as(name));
    for (header, value) in [
        (header::ETAG, tag),
        (header::LAST_MODIFIED, changed),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(header, value);
        }
    }
    Ok(Begun {
        file,
        headers,
        wanted,
        size,
        first,
        is_made_up,
    })
}

pub(super) async fn write(
    State(agent): State<Arc<Agent>>,
    call: Call,
    body: Body,
) -> Result<(StatusCode, Json<Entry>), Problem> {
    call.knows(&["path", "mode", "parents", "durable"])?;
    let order = Order {
        path: call.path()?,
        mode: call.mode()?,
        parents: call.flag("parents", false)?,
        durable: call.flag("durable", false)?,
        condition: condition(&call.headers)?,
        digest: call.digest()?,
    };
    let root = call.root(&agent);
    let mut incoming = Incoming::new(body);
    let first = incoming.piece().await?;
    let whole = incoming.is_whole();
    let begun = blocking({
        let agent = Arc::clone(&agent);
        move || {
            let mut writing = Writing::begin(&root()?, order)?;
            writing.write(&first)?;
            if whole {
                return Ok(Written::Done(Box::new(
                    writing.finish(agent.files().names())?,
                )));
            }
            Ok(Written::Begun(Box::new(writing)))
        }
    });
    let mut writing = match begun.await? {
        Written::Done(done) => return Ok(written(*done)),
        Written::Begun(writing) => writing,
    };
    let mut next = incoming.piece().await?;
    while !next.is_empty() {
        let pieces = std::mem::take(&mut next);
        let write = blocking(move || {
            writing.write(&pieces)?;
            Ok(writing)
        });
        // What comes meanwhile is gathered.
        let (done, gathered) = tokio::join!(write, incoming.piece());
        (writing, next) = (done?, gathered?);
    }
    let done = blocking(move || writing.finish(agent.files().names())).await?;
    Ok(written(done))
}

enum Written {
    Begun(Box<Writing>),
    Done(Box<(Entry, Replaced)>),
}

fn written((entry, replaced): (Entry, Replaced)) -> (StatusCode, Json<Entry>) {
    let status = match replaced {
        Replaced::Nothing => StatusCode::CREATED,
        Replaced::File => StatusCode::OK,
    };
    (status, Json(entry))
}

pub(super) async fn append(
    State(agent): State<Arc<Agent>>,
    call: Call,
    body: Body,
) -> Result<Json<Entry>, Problem> {
    call.knows(&["path", "parents", "durable"])?;
    let order = Order {
        path: call.path()?,
        mode: None,
        parents: call.flag("parents", false)?,
        durable: call.flag("durable", false)?,
        condition: Condition::None,
        digest: None,
    };
    let root = call.root(&agent);
    let mut incoming = Incoming::new(body);
    let mut next = incoming.piece().await?;
    let mut appending = blocking(move || Appending::begin(&root()?, order)).await?;
    while !next.is_empty() {
        let pieces = std::mem::take(&mut next);
        let write = blocking(move || {
            appending.write(&pieces)?;
            Ok(appending)
        });
        let (done, gathered) = tokio::join!(write, incoming.piece());
        (appending, next) = (done?, gathered?);
    }
    let entry = blocking(move || appending.finish(agent.files().names())).await?;
    Ok(Json(entry))
}

/// Reads what a file must be before it is written.
fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    let (known, new) = (header::IF_MATCH, header::IF_NONE_MATCH);
    match (headers.get(known), headers.get(new)) {
        (None, None) => Ok(Condition::None),
        (Some(tags), None) if tags == "*" => Ok(Condition::Present),
        (Some(tags), None) => {
            let tags = tags.to_str().unwrap_or_default().split(',');
            let tags = tags.map(|tag| tag.trim().to_owned()).collect();
            Ok(Condition::Tagged(tags))
        }
        (None, Some(tags)) if tags == "*" => Ok(Condition::Absent),
        _ => Err(Problem::bad_request(
            "a file is written with If-Match, or with If-None-Match: *, or with neither",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_they_are_sent() {
        let of = |pairs: &[(header::HeaderName, &'static str)]| {
            let pairs = pairs.iter().cloned();
            let headers = pairs.map(|(name, value)| (name, HeaderValue::from_static(value)));
            condition(&headers.collect())
        };
        assert_eq!(of(&[]).unwrap(), Condition::None);
        let tags = Condition::Tagged(vec!["\"a\"".into(), "\"b\"".into()]);
        assert_eq!(of(&[(header::IF_MATCH, "\"a\", \"b\"")]).unwrap(), tags);
        assert_eq!(of(&[(header::IF_MATCH, "*")]).unwrap(), Condition::Present);
        assert_eq!(
            of(&[(header::IF_NONE_MATCH, "*")]).unwrap(),
            Condition::Absent
        );
        assert!(of(&[(header::IF_NONE_MATCH, "\"a\"")]).is_err());
        assert!(of(&[(header::IF_MATCH, "*"), (header::IF_NONE_MATCH, "*")]).is_err());
    }
}
