//! The way into one workspace at a server elsewhere: what its agent answers, and
//! connections to what listens in it.

use bytes::Bytes;
use http::{HeaderName, Method, Response};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::remote::{Remote, Socket, Unanswered};
use super::rest::{Pieces, explain};
use super::segment;
use super::wait::Wait;
use crate::cli::failure::Failure;

/// The media type of Server-Sent Events.
const EVENTS: &str = "text/event-stream";

/// Largest message that is read, in bytes.
const MAX_MESSAGE: usize = 1024 * 1024;

/// A WebSocket into a workspace, as messages.
pub(in crate::cli) type Messages = WebSocketStream<TokioIo<Upgraded>>;

/// A workspace, as what is in it is asked for.
pub(in crate::cli) struct Inside {
    /// What the server is called in messages.
    server: String,
    /// The workspace's id.
    id: String,
    remote: Remote,
}

impl Inside {
    pub(in crate::cli) fn new(server: String, id: String, remote: Remote) -> Self {
        Self { server, id, remote }
    }

    /// Returns another way to the same, with connections of its own.
    pub(in crate::cli) fn another(&self) -> Self {
        let remote = self.remote.another();
        Self::new(self.server.clone(), self.id.clone(), remote)
    }

    /// Returns the workspace's id.
    pub(in crate::cli) fn id(&self) -> &str {
        &self.id
    }

    /// Says what went wrong.
    pub(in crate::cli) fn explain(&self, error: Unanswered) -> Failure {
        explain(error, &self.server)
    }

    /// Says what went wrong with something in the workspace.
    pub(in crate::cli) fn explain_about(&self, error: Unanswered, what: &str) -> Failure {
        let failure = self.explain(error);
        let message = failure.to_string();
        if message.contains(what) {
            return failure;
        }
        Failure::new(failure.kind(), format!("{what}: {message}"))
    }

    /// Asks for something, with headers and a body of its own. The answer's body is read
    /// whole before anything else is asked for.
    pub(super) async fn raw(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(HeaderName, String)],
        body: Bytes,
        wait: Wait,
    ) -> Result<Response<Incoming>, Unanswered> {
        let path = self.path(path);
        self.remote.raw(method, &path, headers, body, wait).await
    }

    /// Leaves what still comes unread.
    pub(in crate::cli) fn hang_up(&mut self) {
        self.remote = self.remote.another();
    }

    /// Connects to a port of a host, seen from the workspace.
    pub(in crate::cli) async fn forward(
        &mut self,
        host: &str,
        port: u16,
    ) -> Result<Socket, Unanswered> {
        let path = format!(
            "{}?port={port}&host={}",
            self.path("forward"),
            segment(host)
        );
        self.remote.socket(&path).await
    }

    /// Follows the ports that something listens on: a line of JSON with each change.
    pub(in crate::cli) async fn ports(&mut self) -> Result<Pieces, Unanswered> {
        let path = self.path("ports");
        Ok(Pieces::events(self.remote.stream(&path, EVENTS).await?))
    }

    /// Opens what runs a command.
    pub(in crate::cli) async fn run(&mut self) -> Result<Messages, Unanswered> {
        let upgraded = self.remote.upgrade(&self.path("processes/run")).await?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .write_buffer_size(0);
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await)
    }

    fn path(&self, what: &str) -> String {
        format!("/workspaces/{}/{what}", self.id)
    }
}
