//! What a request says in its query and head.
//!
//! Paths are bytes, so the query isn't read as text.

use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;
use rustix::fs::Mode;

use crate::agent::Agent;
use crate::files::{Digest, FileError, Root};
use crate::http::confined;
use crate::http::problem::Problem;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// A request's query and headers.
#[derive(Debug)]
pub(super) struct Call {
    query: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = parts.uri.query().unwrap_or_default();
        let query = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect();
        Ok(Self {
            query,
            headers: parts.headers.clone(),
        })
    }
}

/// Decodes a part of a query, as forms have it.
fn decode(text: &str) -> Vec<u8> {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).collect()
}

/// Longest path that is shown, in characters.
const MAX_TEXT: usize = 4096;

/// Returns the path that a body names: the one that is percent-encoded, where there is one,
/// as not every path is a text.
///
/// # Errors
/// Where the text beside it is none that may stand there.
pub(in crate::http) fn path(text: String, raw: Option<String>) -> Result<Vec<u8>, Problem> {
    let Some(raw) = raw else {
        return Ok(text.into_bytes());
    };
    if text.is_empty() || text.chars().count() > MAX_TEXT {
        let detail = "beside the percent-encoded path there is one to be shown, of 1 to 4096 \
                      characters";
        return Err(Problem::bad_request(detail));
    }
    Ok(percent_decode(raw.as_bytes()).collect())
}

impl Call {
    /// Refuses a query with other names than these: one may be misspelt.
    pub(super) fn knows(&self, names: &[&str]) -> Result<(), Problem> {
        let unknown = |name: &[u8]| !names.iter().any(|known| known.as_bytes() == name);
        match self.query.iter().find(|(name, _)| unknown(name)) {
            None => Ok(()),
            Some((name, _)) => {
                let name = String::from_utf8_lossy(name);
                Err(Problem::bad_request(format!(
                    "the query knows no {name:?}, but {}",
                    names.join(", ")
                )))
            }
        }
    }

    /// Returns a value as it is.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        let mut values = self.query.iter().filter(|(own, _)| own == name.as_bytes());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Problem::bad_request(format!("{name} is there twice"))),
            (value, None) => Ok(value.map(|(_, value)| value.clone())),
        }
    }

    /// Returns the path that is asked for, which may be empty.
    pub(super) fn path(&self) -> Result<Vec<u8>, Problem> {
        let path = self.bytes("path")?;
        path.ok_or_else(|| Problem::bad_request("the query has no path"))
    }

    /// Returns yes or no.
    pub(super) fn flag(&self, name: &str, usual: bool) -> Result<bool, Problem> {
        match self.bytes(name)?.as_deref() {
            None => Ok(usual),
            Some(b"true") => Ok(true),
            Some(b"false") => Ok(false),
            Some(_) => Err(Problem::bad_request(format!("{name} is true or false"))),
        }
    }

    /// Returns a number.
    pub(super) fn number(
        &self,
        name: &str,
        usual: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, Problem> {
        let Some(value) = self.bytes(name)? else {
            return Ok(usual);
        };
        let number = std::str::from_utf8(&value).ok();
        let number = number.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = number.and_then(|text| text.parse().ok());
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (least, most) = range.into_inner();
                Problem::bad_request(format!("{name} is a number from {least} to {most}"))
            })
    }

    /// Returns permissions.
    pub(super) fn mode(&self) -> Result<Option<Mode>, Problem> {
        match self.bytes("mode")? {
            None => Ok(None),
            Some(value) => mode(&String::from_utf8_lossy(&value), 0o777).map(Some),
        }
    }

    /// Returns the digest that the content must have.
    pub(super) fn digest(&self) -> Result<Option<Digest>, Problem> {
        let Some(value) = self.headers.get(CONTENT_DIGEST) else {
            return Ok(None);
        };
        let text = value.to_str().unwrap_or_default();
        let mut parts = text.split(',').map(str::trim);
        let own = parts.find_map(|part| part.strip_prefix("sha-256=:"));
        // Other algorithms may be said, too; they aren't known here (RFC 9530 §2).
        let Some(own) = own else {
            return Err(Problem::bad_request("Content-Digest has no sha-256=:…:"));
        };
        let own = own
            .strip_suffix(':')
            .and_then(|own| STANDARD.decode(own).ok());
        let own = own.and_then(|own| Digest::try_from(own).ok());
        own.map(Some)
            .ok_or_else(|| Problem::bad_request("the sha-256 in Content-Digest is none"))
    }

    /// Returns what makes what the caller may reach, on a thread that may block.
    pub(super) fn root(
        &self,
        agent: &Arc<Agent>,
    ) -> impl FnOnce() -> Result<Root, FileError> + Send + use<> {
        let confined = confined::folder(&self.headers);
        let agent = Arc::clone(agent);
        move || Root::of(agent.home(), confined.as_deref())
    }
}

/// Reads permissions in octal digits, at most these.
pub(super) fn mode(text: &str, most: u32) -> Result<Mode, Problem> {
    let digits = (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let bits = u32::from_str_radix(text, 8).ok();
    let bits = bits.filter(|bits| digits && *bits <= most);
    bits.map(Mode::from_raw_mode).ok_or_else(|| {
        Problem::bad_request(format!(
            "mode is in octal digits, such as 0644, at most {most:04o}"
        ))
    })
}
