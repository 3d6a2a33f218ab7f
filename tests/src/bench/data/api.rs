//! The API, over a connection that is kept.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::json;

use crate::bench::peers::Peer;
use crate::caller::{Caller, Connection};
use crate::component::program;
use crate::gateway::Gateway;
use crate::process::run;

/// How long a large file may take.
const LIMIT: Duration = Duration::from_mins(5);

/// Somebody who uses a gateway's API.
pub(super) struct Api<'a> {
    gateway: &'a Gateway,
    caller: Caller,
    connection: Connection,
}

impl<'a> Api<'a> {
    /// Connects, where the peer has an API.
    pub(super) fn of(peer: &'a Peer) -> Option<Self> {
        let gateway = peer.gateway()?;
        let caller = Caller::of(gateway);
        let connection = caller.run(caller.client().connect());
        Some(Self {
            gateway,
            caller,
            connection,
        })
    }

    /// Connects anew.
    pub(super) fn reconnect(&mut self) {
        self.connection = self.caller.run(self.caller.client().connect());
    }

    pub(super) fn read(&mut self, path: &str, length: usize) {
        let path = format!("/files/content?path={path}");
        let body = self.ask(Method::GET, &path, None, Bytes::new());
        assert_eq!(body.len(), length, "not all arrived");
    }

    pub(super) fn write(&mut self, path: &str, content: &'static [u8]) {
        let path = format!("/files/content?path={path}");
        self.ask(Method::PUT, &path, None, Bytes::from_static(content));
    }

    pub(super) fn run_true(&mut self) {
        let wanted = Bytes::from(json!({ "command": ["true"] }).to_string());
        let kind = Some("application/json");
        self.ask(Method::POST, "/processes?wait=true", kind, wanted);
    }

    fn ask(&mut self, method: Method, path: &str, kind: Option<&str>, body: Bytes) -> Bytes {
        let client = self.caller.client();
        let answer = client.send_over(&mut self.connection, method, path, kind, body);
        let answer = self.caller.run(answer);
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        answer.body
    }

    /// Downloads a file of the workspace's.
    pub(super) fn download(&self, from: &str, to: &Path) {
        let mut curl = self.curl(from);
        let _ = run(curl.arg("--output").arg(to), b"", LIMIT).ok();
    }

    /// Uploads a file into the workspace.
    pub(super) fn upload(&self, from: &Path, to: &str) {
        let mut curl = self.curl(to);
        curl.args(["--header", "Expect:", "--upload-file"])
            .arg(from);
        let _ = run(&mut curl, b"", LIMIT).ok();
    }

    fn curl(&self, file: &str) -> Command {
        let (origin, bearer) = self.caller.client().origin_and_bearer();
        let workspace = &self.caller.workspace;
        let mut curl = Command::new(program("curl"));
        curl.args(["--silent", "--show-error", "--fail", "--cacert"])
            .arg(self.gateway.data().join("certs/ca.pem"))
            .args(["--header", &format!("Authorization: {bearer}")])
            .arg(format!(
                "{origin}/api/v1/workspaces/{workspace}/files/content?path={file}"
            ));
        curl
    }
}
