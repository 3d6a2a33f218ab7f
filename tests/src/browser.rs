//! Somebody who is signed in, as a browser without a window: curl and its cookies.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::component::program;
use crate::gateway::Gateway;
use crate::process::run;

/// How long a request may take.
const LIMIT: Duration = Duration::from_mins(1);

/// The owner of a gateway's first workspace, in a browser.
pub struct Browser {
    origin: String,
    owner: String,
    jar: PathBuf,
}

impl Browser {
    /// Signs in with a link of the gateway's; cookies are kept in a folder of the test's.
    #[track_caller]
    pub fn signed_in(gateway: &Gateway, folder: &Path) -> Self {
        let cli = |args: &[&str]| -> Value {
            let said = gateway.cli(args).ok().out();
            serde_json::from_str(&said).expect("it was asked for JSON")
        };
        let users = cli(&["users", "list", "--json"]);
        let owner = users[0]["name"].as_str().expect("a name").to_owned();
        let link = cli(&["users", "link", &owner, "--json"]);
        let link = link["url"].as_str().expect("an address");
        let (origin, once) = link.split_once("/sign-in#link=").expect("a link");
        let browser = Self {
            origin: origin.to_owned(),
            owner,
            jar: folder.join("cookies"),
        };
        let mut curl = browser.curl();
        curl.args(["--header", "Content-Type: application/json"])
            .args(["--header", &format!("Origin: {origin}")])
            .args(["--data", &format!("{{\"token\":\"{once}\"}}")])
            .arg(format!("{origin}/api/v1/login/link"));
        let _ = run(&mut curl, b"", LIMIT).ok();
        browser
    }

    /// The dashboard's origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Who is signed in.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The file with the cookies, in Netscape's format.
    pub fn jar(&self) -> &Path {
        &self.jar
    }

    /// Returns what the API says at a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let mut curl = self.curl();
        curl.arg(format!("{}{path}", self.origin));
        let said = run(&mut curl, b"", LIMIT).ok().out();
        serde_json::from_str(&said).expect("the API says JSON")
    }

    /// Sends something to the API as the dashboard's pages do; returns the status and what
    /// it says.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut curl = Command::new(program("curl"));
        curl.args([
            "--silent",
            "--show-error",
            "--insecure",
            "--request",
            method,
        ])
        .args(["--cookie"])
        .arg(&self.jar)
        .args(["--write-out", "\n%{http_code}"])
        .args(["--header", &format!("Origin: {}", self.origin)])
        .arg(format!("{}{path}", self.origin));
        if let Some(body) = body {
            curl.args(["--header", "Content-Type: application/json"])
                .args(["--data", &body.to_string()]);
        }
        let said = run(&mut curl, b"", LIMIT).ok().out();
        let (said, status) = said.rsplit_once('\n').expect("it ends with the status");
        let said = serde_json::from_str(said).unwrap_or(Value::Null);
        (status.parse().expect("a status"), said)
    }

    /// curl with the cookies, whatever the certificate.
    #[track_caller]
    pub fn curl(&self) -> Command {
        let mut curl = Command::new(program("curl"));
        curl.args(["--silent", "--show-error", "--fail-with-body", "--insecure"])
            .arg("--cookie")
            .arg(&self.jar)
            .arg("--cookie-jar")
            .arg(&self.jar);
        curl
    }
}
