//! The command line's end of the administration API.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use devgate_protocol::socket;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::failure::{Failure, Kind};
use crate::config::admin_socket;
use crate::http::problem::Problem;

/// Largest answer that is read into memory, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Time in which the server takes a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which the server answers; it holds a request that waits for 60 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// Asks the server of one data folder.
pub(super) struct Client {
    data_dir: PathBuf,
    /// The connections' own tasks; they end when this is dropped.
    connections: JoinSet<()>,
}

impl Client {
    /// Returns a client for the server of a data folder.
    pub(super) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            connections: JoinSet::new(),
        }
    }

    /// Asks for something.
    pub(super) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        let answer = self.send(Method::GET, path, None).await?;
        self.read(answer).await
    }

    /// Sends something.
    pub(super) async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let json = serde_json::to_vec(body).map_err(io::Error::from)?;
        let answer = self.send(Method::POST, path, Some(json)).await?;
        self.read(answer).await
    }

    /// Puts something in its place.
    pub(super) async fn put<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let json = serde_json::to_vec(body).map_err(io::Error::from)?;
        let answer = self.send(Method::PUT, path, Some(json)).await?;
        self.read(answer).await
    }

    /// Puts something in its place of which nothing is shown.
    pub(super) async fn set(&mut self, path: &str, body: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_vec(body).map_err(io::Error::from)?;
        let answer = self.send(Method::PUT, path, Some(json)).await?;
        self.bytes(answer).await.map(|_| ())
    }

    /// Changes something.
    pub(super) async fn patch<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let json = serde_json::to_vec(body).map_err(io::Error::from)?;
        let answer = self.send(Method::PATCH, path, Some(json)).await?;
        self.read(answer).await
    }

    /// Removes something.
    pub(super) async fn delete(&mut self, path: &str) -> Result<(), Failure> {
        let answer = self.send(Method::DELETE, path, None).await?;
        self.bytes(answer).await.map(|_| ())
    }

    /// Asks for something that comes piece by piece.
    pub(super) async fn stream(&mut self, path: &str) -> Result<Incoming, Failure> {
        self.send(Method::GET, path, None).await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Incoming, Failure> {
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        self.connections.spawn(async move {
            // What breaks it is told to the request, too.
            let _ = connection.await;
        });
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::HOST, "devgate")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Failure::new(Kind::Usage, error.to_string()))?;
        let answer = timeout(ANSWER_TIMEOUT, sender.send_request(request))
            .await
            .map_err(|_| self.silent())?
            .map_err(|error| self.broken(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let text = self.bytes(answer.into_body()).await?;
        Err(refused(status, &text))
    }

    async fn connect(&self) -> Result<UnixStream, Failure> {
        let folder = self.data_dir.display();
        let connected = timeout(
            CONNECT_TIMEOUT,
            socket::connect(&admin_socket(&self.data_dir)),
        )
        .await
        .map_err(|_| self.silent())?;
        let stream = connected.map_err(|error| {
            let message = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
                    "no server runs on the data folder {folder}: start one with `devgate up`, \
                     or name another folder with --data-dir"
                ),
                io::ErrorKind::PermissionDenied => format!(
                    "the data folder {folder} belongs to somebody else: run this as the user \
                     that runs the server, or as root"
                ),
                io::ErrorKind::NotADirectory => format!(
                    "{folder} is a file, or below one: name the server's data folder with \
                     --data-dir"
                ),
                _ => format!("cannot reach the server of {folder}: {error}"),
            };
            Failure::new(Kind::Unreachable, message)
        })?;
        // Whoever else could make a socket there would get what we send.
        socket::check_peer(&stream)
            .map_err(|error| Failure::new(Kind::Unreachable, format!("{folder}: {error}")))?;
        Ok(stream)
    }

    async fn read<T: DeserializeOwned>(&self, answer: Incoming) -> Result<T, Failure> {
        let bytes = self.bytes(answer).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!(
                "the server's answer can't be read ({error}): is it of another version? \
                 `devgate status` tells"
            );
            Failure::new(Kind::Failed, message)
        })
    }

    async fn bytes(&self, answer: Incoming) -> Result<Bytes, Failure> {
        match timeout(ANSWER_TIMEOUT, Limited::new(answer, MAX_ANSWER).collect()).await {
            Err(_) => Err(self.silent()),
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(Failure::new(
                Kind::Unreachable,
                format!("the server's answer broke off: {error}"),
            )),
        }
    }

    fn silent(&self) -> Failure {
        let folder = self.data_dir.display();
        Failure::new(
            Kind::Unreachable,
            format!("the server of {folder} doesn't answer"),
        )
    }

    fn broken(&self, error: &hyper::Error) -> Failure {
        let folder = self.data_dir.display();
        Failure::new(
            Kind::Unreachable,
            format!("the connection to the server of {folder} broke: {error}"),
        )
    }
}

/// Returns what a refusal says.
fn refused(status: StatusCode, text: &[u8]) -> Failure {
    serde_json::from_slice::<Problem>(text).map_or_else(
        |_| Failure::new(Kind::Failed, format!("the server answered {status}")),
        Failure::from,
    )
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
