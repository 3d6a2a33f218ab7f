//! The API of a gateway, asked by curl with a token.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::component::program;
use crate::process::run;
use crate::target::Target;

/// How long one request may take.
const LIMIT: Duration = Duration::from_mins(1);

/// The API of a workspace.
#[derive(Clone, Debug)]
pub struct Api {
    origin: String,
    token: String,
    /// The workspace's id.
    pub workspace: String,
    folder: PathBuf,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, its lines in small letters.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the body as JSON, the status being this one.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is a problem of that status and code, and returns it.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let problem = self.json(status);
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }

    /// Returns the body as a text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines();
        lines
            .filter_map(|line| line.split_once(':'))
            .find_map(|(own, value)| own.eq_ignore_ascii_case(name).then_some(value.trim()))
    }
}

impl Api {
    /// Signs in at a gateway, makes a token that may do everything, and finds its first
    /// workspace.
    #[track_caller]
    pub fn of(target: &Target) -> Self {
        let gateway = target.gateway();
        let users = gateway.cli(&["users", "list", "--json"]).ok().out();
        let users: Value = serde_json::from_str(&users).unwrap();
        let name = users[0]["name"].as_str().unwrap();
        let link = gateway.cli(&["users", "link", name, "--json"]).ok().out();
        let link: Value = serde_json::from_str(&link).unwrap();
        let (origin, once) = link["url"]
            .as_str()
            .unwrap()
            .split_once("/sign-in#link=")
            .unwrap();
        let mut api = Self {
            origin: origin.to_owned(),
            token: String::new(),
            workspace: String::new(),
            folder: target.path("api"),
        };
        std::fs::create_dir_all(&api.folder).unwrap();
        let _ = api.sign_in("/login/link", &format!("{{\"token\":\"{once}\"}}"));
        let token = api.sign_in("/me/tokens", r#"{"name":"tests","scope":"admin"}"#);
        token["token"].as_str().unwrap().clone_into(&mut api.token);
        let listed = api.ask(&["/workspaces"]).json(200);
        let id = listed["items"][0]["id"].as_str().unwrap();
        id.clone_into(&mut api.workspace);
        api
    }

    /// Returns the same by a token that is narrowed to this.
    #[track_caller]
    #[must_use]
    pub fn narrowed(&self, to: &Value) -> Self {
        let wanted = serde_json::json!({"name": "narrow", "scope": "write", "narrowed_to": to});
        let whole = Self {
            token: String::new(),
            ..self.clone()
        };
        let token = whole.sign_in("/me/tokens", &wanted.to_string());
        Self {
            token: token["token"].as_str().unwrap().to_owned(),
            ..whole
        }
    }

    /// Posts JSON as the dashboard's page does, with its cookie.
    #[track_caller]
    fn sign_in(&self, path: &str, body: &str) -> Value {
        let (mut curl, origin) = (self.curl(), &self.origin);
        let jar = self.folder.join("cookies");
        curl.arg("--cookie").arg(&jar).arg("--cookie-jar").arg(&jar);
        curl.args([
            "--fail-with-body",
            "--header",
            "Content-Type: application/json",
        ])
        .args(["--header", &format!("Origin: {origin}")])
        .args(["--data", body, &format!("{origin}/api/v1{path}")]);
        serde_json::from_str(&run(&mut curl, b"", LIMIT).ok().out()).unwrap()
    }

    /// Returns where the gateway is.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns a token's header.
    pub fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    /// Returns the address of something of the workspace.
    pub fn inside(&self, path: &str) -> String {
        let (origin, workspace) = (&self.origin, &self.workspace);
        format!("{origin}/api/v1/workspaces/{workspace}{path}")
    }

    /// Returns curl, which says nothing of its own, and fails for what isn't answered.
    pub fn curl(&self) -> Command {
        let mut curl = Command::new(program("curl"));
        curl.args(["--silent", "--show-error", "--insecure", "--globoff"]);
        if !self.token.is_empty() {
            curl.args(["--header", &self.bearer()]);
        }
        curl
    }

    /// Asks for something of the workspace, with further arguments for curl.
    #[track_caller]
    pub fn file(&self, path: &str, args: &[&str]) -> Answer {
        let address = self.inside(path);
        let mut all = vec![address.as_str()];
        all.extend_from_slice(args);
        self.ask_at(&all, b"")
    }

    /// Asks with a body.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let address = self.inside(path);
        let args = ["--request", method, "--data-binary", "@-", &address];
        self.ask_at(&args, body)
    }

    /// Asks for something below `/api/v1`, with further arguments for curl.
    #[track_caller]
    pub fn ask(&self, args: &[&str]) -> Answer {
        let (path, more) = args.split_first().unwrap();
        let address = format!("{}/api/v1{path}", self.origin);
        let mut all = vec![address.as_str()];
        all.extend_from_slice(more);
        self.ask_at(&all, b"")
    }

    #[track_caller]
    fn ask_at(&self, args: &[&str], body: &[u8]) -> Answer {
        let mut curl = self.curl();
        curl.args(["--include", "--header", "Expect:"]).args(args);
        let done = run(&mut curl, body, LIMIT).ok();
        let end = done.stdout.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {done:?}"));
        let (head, rest) = done.stdout.split_at(end);
        let head = String::from_utf8_lossy(head).to_lowercase();
        let status = head.split_whitespace().nth(1).unwrap();
        Answer {
            status: status.parse().unwrap(),
            head,
            body: rest[4..].to_vec(),
        }
    }

    /// Returns a folder for files of the test.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
