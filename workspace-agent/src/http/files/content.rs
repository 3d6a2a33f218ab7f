//! `/files/content` and `/files/append`: what is in a file.

mod blocks;
mod range;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use rustix::io::Errno;

use self::blocks::{BLOCK, Blocks};
use self::range::{Range, Wanted, wanted};
use super::call::Call;
use super::conditions::{self, Reading, Version};
use super::incoming::Incoming;
use super::{blocking, saved_as};
use crate::agent::Agent;
use crate::files::read::{block, in_order, open};
use crate::files::{Appending, At as _, Entry, FileError, Order, Replaced, Writing};
use crate::files::{shown, size};
use crate::http::problem::Problem;

/// Media type of what a file holds: whatever it is, it is no page.
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A file that was opened, with its first block, so that a small one needs no second
/// visit to a thread.
struct Begun {
    file: std::fs::File,
    headers: HeaderMap,
    reading: Reading,
    wanted: Wanted,
    size: u64,
    first: Vec<u8>,
    length: Length,
}

/// Whether a file's size says how much is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Said,
    /// The kernel makes it up when it is read (proc, sysfs), and says none, or a page.
    MadeUp,
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
        reading,
        wanted,
        size,
        first,
        length,
    } = begun;
    if reading == Reading::Known {
        // Of no length that would be said: the file's isn't 0 (RFC 9110 §8.6).
        let body = Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>());
        return Ok((StatusCode::NOT_MODIFIED, headers, body).into_response());
    }
    let (status, range) = match wanted {
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
    let body = match length {
        Length::MadeUp => Body::new(Blocks::to_the_end(file, first)),
        Length::Said => {
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            headers.insert(header::CONTENT_LENGTH, range.length().into());
            Body::new(Blocks::new(file, range, first))
        }
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
    let now = Version::of(stat);
    let reading = conditions::reading(asked, &now);
    if reading == Reading::Refused {
        return Err(FileError::Precondition(shown(path)));
    }
    let wanted = match wanted(asked, &now.tag, &now.date, size) {
        // Parts are for GET alone (RFC 9110 §14.2).
        Wanted::Part(_) | Wanted::Impossible if *method == Method::HEAD => Wanted::All,
        wanted => wanted,
    };
    let is_sent = *method != Method::HEAD || size <= u64::try_from(BLOCK).unwrap_or(u64::MAX);
    let (wanted, first, length) = if reading == Reading::Wanted && is_sent {
        first(file, size, wanted).at(path)?
    } else {
        (wanted, Vec::new(), Length::Said)
    };
    let file = file.try_clone().map_err(|_| FileError::Busy)?;
    let mut headers = HeaderMap::new();
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    headers.insert(header::CONTENT_DISPOSITION, saved_as(name));
    for (header, value) in [(header::ETAG, now.tag), (header::LAST_MODIFIED, now.date)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(header, value);
        }
    }
    Ok(Begun {
        file,
        headers,
        reading,
        wanted,
        size,
        first,
        length,
    })
}

/// Reads the first block of what is wanted. What is smaller than one is read whole: it may
/// be another length than its size says, and then has no parts.
fn first(
    file: &std::fs::File,
    size: u64,
    wanted: Wanted,
) -> Result<(Wanted, Vec<u8>, Length), Errno> {
    if let Some(small) = usize::try_from(size).ok().filter(|size| *size <= BLOCK) {
        let all = block(file, 0, if small == 0 { BLOCK } else { small })?;
        if all.len() != small {
            return Ok((Wanted::All, all, Length::MadeUp));
        }
        let first = match wanted {
            Wanted::All => all,
            Wanted::Impossible => Vec::new(),
            Wanted::Part(Range { begin, end }) => {
                let range = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
                let part = range.and_then(|(begin, end)| all.get(begin..end));
                part.unwrap_or_default().to_vec()
            }
        };
        return Ok((wanted, first, Length::Said));
    }
    let range = match wanted {
        Wanted::All => Range::all(size),
        Wanted::Part(range) => range,
        Wanted::Impossible => return Ok((wanted, Vec::new(), Length::Said)),
    };
    if range.length() > u64::try_from(BLOCK).unwrap_or(u64::MAX) {
        in_order(file);
    }
    let length = usize::try_from(range.length()).unwrap_or(BLOCK).min(BLOCK);
    Ok((wanted, block(file, range.begin, length)?, Length::Said))
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
        condition: conditions::changing(&call.headers)?,
        digest: call.digest()?,
    };
    conditions::whole(&call.headers)?;
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
        condition: conditions::changing(&call.headers)?,
        digest: call.digest()?,
    };
    conditions::whole(&call.headers)?;
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
