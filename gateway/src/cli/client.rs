//! Asks a server: that of a data folder here, or one elsewhere.
//!
//! All commands speak the administration API's language; `rest` says it in the words of
//! the REST API where the server is elsewhere, so that no command is written twice.

mod authority;
mod files;
mod inside;
mod proxy;
mod remote;
mod rest;
mod socket;
mod trust;
mod wait;
mod way;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::failure::{Failure, Kind};
use crate::http::admin::wire::ServerStatus;
use crate::http::problem::Problem;
use crate::names::UserName;

pub(super) use authority::{only, read as read_authority};
pub(super) use files::{Content, Count, Entry, EntryKind, Made, Over};
pub(super) use inside::{Inside, Messages as RemoteMessages};
pub(super) use proxy::{Proxy, Stopped};
pub(super) use remote::{Remote, Socket as RemoteSocket, Unanswered};
pub(super) use rest::{Pieces, Rest, explain};
pub(super) use trust::{Trust, refused as certificate_refused};
pub(super) use way::Stream;

use socket::Socket;

/// Largest answer that is read into memory, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Time in which the server takes a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which the server answers; it holds a request that waits for 60 s. A test outlives
/// it.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 5 } else { 90 });

/// Asks one server.
pub(super) enum Client {
    /// That of a data folder here, as whoever administers it.
    Here(Socket),
    /// One elsewhere, as a person with their own rights.
    There(Box<Rest>),
}

impl Client {
    /// Returns a client for the server of a data folder.
    pub(super) fn new(data_dir: &Path) -> Self {
        Self::Here(Socket::new(data_dir))
    }

    /// Returns the server elsewhere, where it is one.
    pub(super) fn there(&mut self) -> Option<&mut Rest> {
        match self {
            Self::Here(_) => None,
            Self::There(rest) => Some(rest),
        }
    }

    /// Returns the way into a workspace at a server elsewhere. `what` needs one.
    pub(super) async fn inside(&mut self, workspace: &str, what: &str) -> Result<Inside, Failure> {
        match self {
            Self::There(rest) => rest.inside(workspace).await,
            Self::Here(socket) => {
                let bytes = socket.ask(Method::GET, "/status", None).await?;
                let status: ServerStatus = read(parse(&bytes)?)?;
                let message = format!(
                    "{what} goes over HTTPS, as a person, and this is the socket of whoever \
                     administers the server: sign in first, `devgate login https://{}`",
                    status.http
                );
                Err(Failure::new(Kind::Usage, message))
            }
        }
    }

    /// Returns what a server elsewhere is called, with its address.
    pub(super) fn elsewhere(&self) -> Option<String> {
        match self {
            Self::Here(_) => None,
            Self::There(rest) => Some(rest.full_name()),
        }
    }

    /// Returns who asks, where that is one person.
    pub(super) async fn person(&mut self) -> Result<Option<UserName>, Failure> {
        match self {
            Self::Here(_) => Ok(None),
            Self::There(rest) => rest.person().await.map(Some),
        }
    }

    /// Asks for something.
    pub(super) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        let answer = self.ask(Method::GET, path, None).await?;
        read(answer)
    }

    /// Asks for something to be made or done.
    pub(super) async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let answer = self.ask(Method::POST, path, Some(value(body)?)).await?;
        read(answer)
    }

    /// Puts something in its place.
    pub(super) async fn put<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let answer = self.ask(Method::PUT, path, Some(value(body)?)).await?;
        read(answer)
    }

    /// Puts something in its place of which nothing is shown.
    pub(super) async fn set(&mut self, path: &str, body: &impl Serialize) -> Result<(), Failure> {
        let body = Some(value(body)?);
        self.ask(Method::PUT, path, body).await.map(|_| ())
    }

    /// Changes something.
    pub(super) async fn patch<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let answer = self.ask(Method::PATCH, path, Some(value(body)?)).await?;
        read(answer)
    }

    /// Removes something.
    pub(super) async fn delete(&mut self, path: &str) -> Result<(), Failure> {
        self.ask(Method::DELETE, path, None).await.map(|_| ())
    }

    /// Asks for something that comes piece by piece.
    pub(super) async fn stream(&mut self, path: &str) -> Result<Pieces, Failure> {
        match self {
            Self::Here(socket) => {
                let body = socket.send(Method::GET, path, None).await?;
                Ok(Pieces::plain(body))
            }
            Self::There(rest) => rest.stream(path).await,
        }
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        match self {
            Self::Here(socket) => {
                let bytes = socket.ask(method, path, body.as_ref()).await?;
                parse(&bytes)
            }
            Self::There(rest) => rest.ask(method, path, body).await,
        }
    }
}

fn value(body: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(body).map_err(|error| Failure::new(Kind::Failed, error.to_string()))
}

/// Reads an answer; one without a body is null.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Failure> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| unreadable(&error))
}

pub(super) fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Failure {
    let message = format!(
        "the server's answer can't be read ({error}): is it of another version? `devgate status` \
         tells"
    );
    Failure::new(Kind::Failed, message)
}

fn request(
    method: Method,
    path: &str,
    host: &str,
    body: Option<&Value>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let text = body.map(Value::to_string).unwrap_or_default();
    Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(
            header::USER_AGENT,
            concat!("devgate/", env!("CARGO_PKG_VERSION")),
        )
        .body(Full::new(Bytes::from(text)))
        .map_err(|error| Failure::new(Kind::Usage, error.to_string()))
}

/// Reads an answer of at most `most` bytes.
async fn bytes(
    answer: Incoming,
    most: usize,
    silent: impl FnOnce() -> Failure,
) -> Result<Bytes, Failure> {
    match timeout(ANSWER_TIMEOUT, Limited::new(answer, most).collect()).await {
        Err(_) => Err(silent()),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(Failure::new(
            Kind::Unreachable,
            format!("the server's answer broke off: {error}"),
        )),
    }
}

/// Returns what a refusal says; whatever stands between may refuse in other words.
fn refused(status: StatusCode, text: &[u8]) -> Problem {
    serde_json::from_slice(text).unwrap_or_else(|_| Problem {
        status: status.as_u16(),
        title: status.to_string(),
        code: String::new(),
        detail: format!("the server answered {status}"),
    })
}

/// Returns a text so that it stands as one segment in a path (RFC 3986 §3.3).
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let [high, low] = [byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16));
            encoded.push('%');
            encoded.extend(
                [high, low]
                    .into_iter()
                    .flatten()
                    .map(|digit| digit.to_ascii_uppercase()),
            );
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_stays_one_segment() {
        assert_eq!(segment("SHA256:a/b+c"), "SHA256%3Aa%2Fb%2Bc");
        assert_eq!(segment("api.anna"), "api.anna");
    }

    #[tokio::test]
    async fn a_file_in_place_of_the_folder_says_what_to_name() {
        let failure = Client::new(std::path::Path::new("/etc/passwd"))
            .get::<serde_json::Value>("/status")
            .await
            .unwrap_err();
        assert_eq!(failure.kind(), Kind::Unreachable);
        let text = failure.to_string();
        assert!(
            text.contains("is a file") && text.contains("--data-dir"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_folder_without_a_server_is_unreachable_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Client::new(folder.path())
            .get::<serde_json::Value>("/status")
            .await
            .unwrap_err();
        assert_eq!(failure.kind(), Kind::Unreachable);
        assert!(failure.to_string().contains("devgate up"), "{failure}");
    }
}
