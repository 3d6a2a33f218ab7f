//! Says in the words of the REST API what commands ask for in those of the administration
//! API, and the answers the other way round.
//!
//! What only whoever administers the server itself may do is refused here, with the next
//! step.

mod lists;
mod pieces;
mod workspaces;

use std::collections::HashSet;

use http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use super::inside::Inside;
use super::remote::{Remote, Socket, Unanswered};
use super::{parse, segment};
use crate::cli::failure::{Failure, Kind};
use crate::http::api::wire::{
    Connection, Me, SignSshCertificate, SignedSshCertificate, SshCertificate, Workspace,
};
use crate::http::problem::Problem;
use crate::names::UserName;

pub(in crate::cli) use pieces::Pieces;

/// Most entries of a list that are fetched, so that no server can go on for ever.
const MOST: usize = 100_000;

/// A server elsewhere, for one command.
pub(in crate::cli) struct Rest {
    /// What it is called in messages: the context's name, or its address.
    name: String,
    remote: Remote,
    /// Who asks, once that was looked up.
    me: Option<Me>,
    /// What is known to be the id of a workspace.
    ids: HashSet<String>,
}

/// A workspace's editor, as far as it is told to people.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct EditorView {
    pub(in crate::cli) state: String,
    pub(in crate::cli) detail: String,
}

type Answer = Result<Value, Failure>;

impl Rest {
    /// Returns the server behind `remote`.
    pub(in crate::cli) fn new(name: String, remote: Remote) -> Self {
        Self {
            name,
            remote,
            me: None,
            ids: HashSet::new(),
        }
    }

    /// Returns what it is called in messages.
    pub(in crate::cli) fn name(&self) -> &str {
        &self.name
    }

    /// Returns what it is called, with its address.
    pub(in crate::cli) fn full_name(&self) -> String {
        match self.origin() {
            origin if origin == self.name => origin,
            origin => format!("{} ({origin})", self.name),
        }
    }

    /// Returns its address.
    pub(in crate::cli) fn origin(&self) -> String {
        self.remote.origin().to_string()
    }

    /// Returns who asks.
    pub(in crate::cli) async fn me(&mut self) -> Result<Me, Failure> {
        if let Some(me) = &self.me {
            return Ok(me.clone());
        }
        let me: Me = super::read(self.call(Method::GET, "/me", None).await?)?;
        Ok(self.me.insert(me).clone())
    }

    /// Returns who asks, by name.
    pub(in crate::cli) async fn person(&mut self) -> Result<UserName, Failure> {
        Ok(self.me().await?.name)
    }

    /// Returns how to connect to it.
    pub(in crate::cli) async fn connection(&mut self) -> Result<Connection, Failure> {
        super::read(self.call(Method::GET, "/connection", None).await?)
    }

    /// Has a key certified.
    pub(in crate::cli) async fn sign_certificate(
        &mut self,
        wish: &SignSshCertificate,
    ) -> Result<SignedSshCertificate, Failure> {
        let wish = json!(wish);
        super::read(
            self.call(Method::POST, "/me/ssh-certificates", Some(&wish))
                .await?,
        )
    }

    /// Returns one's SSH certificates.
    pub(in crate::cli) async fn certificates(&mut self) -> Result<Vec<SshCertificate>, Failure> {
        super::read(self.all("/me/ssh-certificates", MOST).await?.into())
    }

    /// Revokes one.
    pub(in crate::cli) async fn revoke_certificate(&mut self, serial: u64) -> Result<(), Failure> {
        let path = format!("/me/ssh-certificates/{serial}");
        self.call(Method::DELETE, &path, None).await.map(|_| ())
    }

    /// Opens SSH to a workspace of one's own.
    pub(in crate::cli) async fn ssh(&mut self, workspace: &str) -> Result<Socket, Failure> {
        let id = self.id(workspace).await?;
        let socket = self.remote.socket(&format!("/workspaces/{id}/ssh")).await;
        socket.map_err(|error| explain(error, &self.name))
    }

    /// Opens SSH by way of a workspace, and tells what the server says where it doesn't.
    pub(in crate::cli) async fn try_ssh(&mut self, id: &str) -> Result<Socket, Unanswered> {
        self.remote.socket(&format!("/workspaces/{id}/ssh")).await
    }

    /// Returns one's own workspaces, as the REST API shows them.
    pub(in crate::cli) async fn own_workspaces(&mut self) -> Result<Vec<Workspace>, Failure> {
        let own = self.person().await?;
        let path = format!("/workspaces?owner={}", segment(own.as_str()));
        let all = self.all(&path, MOST).await?;
        all.into_iter().map(super::read).collect()
    }

    /// Returns how a workspace's editor is.
    pub(in crate::cli) async fn editor(&mut self, id: &str) -> Result<EditorView, Failure> {
        let path = format!("/workspaces/{id}/editor");
        super::read(self.call(Method::GET, &path, None).await?)
    }

    /// Returns a workspace, as the REST API shows it.
    pub(in crate::cli) async fn workspace(&mut self, named: &str) -> Result<Workspace, Failure> {
        let id = self.id(named).await?;
        let path = format!("/workspaces/{id}");
        super::read(self.call(Method::GET, &path, None).await?)
    }

    /// Returns the way into a workspace of one's own.
    pub(in crate::cli) async fn inside(&mut self, workspace: &str) -> Result<Inside, Failure> {
        let id = self.id(workspace).await?;
        Ok(Inside::new(self.name.clone(), id, self.remote.another()))
    }

    /// Asks for what the administration API has at `path`.
    pub(super) async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let decoded: Vec<_> = path
            .trim_start_matches('/')
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8_lossy())
            .collect();
        let parts: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
        let body = body.unwrap_or(Value::Null);
        match parts.as_slice() {
            ["workspaces", rest @ ..] => self.workspaces(method, rest, query, body).await,
            ["deleted-workspaces", rest @ ..] => self.deleted(method, rest, body).await,
            ["snapshots", rest @ ..] => self.snapshots(method, rest, query, body).await,
            ["templates", rest @ ..] => self.templates(method, rest, query, body).await,
            ["secrets", rest @ ..] => {
                let whose = "?installation=true";
                self.secrets(method, rest, whose, body).await
            }
            ["users", user, "secrets", rest @ ..] => {
                self.only_own(user, "secrets").await?;
                self.secrets(method, rest, "", body).await
            }
            ["users", user, "keys"] => {
                self.only_own(user, "keys").await?;
                self.keys(method, &[], body).await
            }
            ["users", user, "tokens", rest @ ..] => {
                self.only_own(user, "tokens").await?;
                self.tokens(method, rest, body).await
            }
            ["keys", rest @ ..] => self.keys(method, rest, body).await,
            ["users", rest @ ..] => self.users(method, rest, body).await,
            ["limits"] => {
                let path = format!("/limits?{query}");
                Ok(json!([self.call(method, &path, None).await?]))
            }
            ["status"] => Ok(json!(self.connection().await?)),
            _ => Err(self.only_there()),
        }
    }

    /// Sends one request of the REST API.
    async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        match self.remote.ask(method, path, body).await {
            Ok(bytes) => parse(&bytes),
            Err(error) => Err(explain(error, &self.name)),
        }
    }

    /// Returns a whole list, page by page.
    async fn all(&mut self, path: &str, most: usize) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        let sign = if path.contains('?') { '&' } else { '?' };
        loop {
            let path = format!("{path}{sign}limit=200{cursor}");
            let mut page = self.call(Method::GET, &path, None).await?;
            let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else {
                break;
            };
            // After a page of nothing no other comes, or there would be no end.
            let more = !items.is_empty();
            all.extend(items);
            match page.get("next").and_then(Value::as_str) {
                Some(next) if more && all.len() < most => {
                    cursor = format!("&cursor={}", segment(next));
                }
                _ => break,
            }
        }
        all.truncate(most);
        Ok(all)
    }

    /// Lets what is one's own pass.
    async fn only_own(&mut self, user: &str, what: &str) -> Result<(), Failure> {
        let own = self.person().await?;
        if own.as_str() == user {
            return Ok(());
        }
        let message = format!(
            "you are {own} at {}, and these would be the {what} of {user}: they do this \
             themselves, or an administrator on the server's own machine",
            self.name
        );
        Err(Failure::new(Kind::Denied, message))
    }

    fn only_there(&self) -> Failure {
        let message = format!(
            "this can't be asked of {} from elsewhere: run it on the server's own machine, as \
             the user that runs the server",
            self.name
        );
        Failure::new(Kind::Denied, message)
    }
}

/// Says what went wrong with a server of that name, in the words of the command line.
pub(in crate::cli) fn explain(error: Unanswered, name: &str) -> Failure {
    match error {
        Unanswered::Failed(failure)
        | Unanswered::Untrusted(failure)
        | Unanswered::Mistaken(failure) => failure,
        Unanswered::Refused(problem) => refused(problem, name),
    }
}

fn refused(problem: Problem, name: &str) -> Failure {
    let message = match problem.code.as_str() {
        "signed-out" => format!(
            "you aren't signed in at {name}, or no longer: sign in with `devgate login` and its \
             address"
        ),
        "scope-too-small" => {
            // The server says which one it takes.
            let write = ["scope write", "scope 'write'"];
            let scope = if write.iter().any(|said| problem.detail.contains(said)) {
                "write"
            } else {
                "admin"
            };
            format!(
                "this takes the scope {scope}, and you signed in at {name} with less: sign in \
                 anew with `devgate login --scope {scope}` and its address"
            )
        }
        _ => return problem.into(),
    };
    Failure::new(Kind::Denied, message)
}
