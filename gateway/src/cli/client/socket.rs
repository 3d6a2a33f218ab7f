//! The way to a server on this machine: the Unix socket in its data folder.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use devgate_protocol::socket;
use http::Method;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, MAX_ANSWER, bytes, refused, request};
use crate::cli::failure::{Failure, Kind};
use crate::config::admin_socket;
use crate::server::server_of;

/// Asks the server of one data folder.
pub(in crate::cli) struct Socket {
    data_dir: PathBuf,
    /// The connections' own tasks; they end when this is dropped.
    connections: JoinSet<()>,
}

impl Socket {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            connections: JoinSet::new(),
        }
    }

    pub(super) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, Failure> {
        let answer = self.send(method, path, body).await?;
        bytes(answer, MAX_ANSWER, || self.silent()).await
    }

    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Incoming, Failure> {
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        self.connections.spawn(async move {
            // What breaks it is told to the request, too.
            let _ = connection.await;
        });
        let request = request(method, path, "devgate", body)?;
        let answer = timeout(ANSWER_TIMEOUT, sender.send_request(request))
            .await
            .map_err(|_| self.silent())?
            .map_err(|error| self.broken(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let text = bytes(answer.into_body(), MAX_ANSWER, || self.silent()).await?;
        Err(Failure::from(refused(status, &text)))
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
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    nobody(&self.data_dir)
                }
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

/// Says why nobody answers at a data folder.
fn nobody(data_dir: &Path) -> String {
    let folder = data_dir.display();
    match server_of(data_dir) {
        Some(pid) => format!(
            "the server of the data folder {folder} (process {pid}) is just ending, or starting: \
             try again in a moment"
        ),
        None => format!(
            "no server runs on the data folder {folder}: start one with `devgate up`, name \
             another folder with --data-dir, or sign in to a server elsewhere with `devgate login \
             URL`"
        ),
    }
}
