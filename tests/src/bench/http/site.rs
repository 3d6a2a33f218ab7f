//! A gateway for browsers, somebody who is signed in there, and the pages that are
//! measured.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::component::program;
use crate::process::run;
use crate::reach::Reach;
use crate::target::Target;

use super::Security;
use super::application::Application;

/// How long a step of the sign-in may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A gateway with one workspace, whose owner is signed in. Dropping it ends it.
pub(in crate::bench) struct Site {
    target: Target,
    security: Security,
    origin: String,
    owner: String,
}

/// A page and how it is asked for.
pub(in crate::bench) struct Page {
    origin: String,
    /// The same with an address in place of the name, which not every client finds.
    numeric: String,
    host: Option<String>,
    cookie: Option<String>,
}

impl Site {
    /// Starts one and signs in.
    pub(in crate::bench) fn start(security: Security) -> Self {
        Self::start_with(security, &[])
    }

    /// Starts one with more settings and signs in.
    pub(in crate::bench) fn start_with(security: Security, settings: &[(&str, &str)]) -> Self {
        let tls = match security {
            Security::Plain => "off",
            Security::Tls => "own-ca",
        };
        let mut all = vec![("DEVGATE_HTTP_TLS", tls)];
        all.extend_from_slice(settings);
        let target = Target::devgate_with(Reach::Unix, &all);
        target.gateway().agent();
        let cli = |args: &[&str]| -> Value {
            let said = target.gateway().cli(args).ok().out();
            serde_json::from_str(&said).expect("it was asked for JSON")
        };
        let users = cli(&["users", "list", "--json"]);
        let owner = users[0]["name"].as_str().expect("a name").to_owned();
        let link = cli(&["users", "link", &owner, "--json"]);
        let link = link["url"].as_str().expect("an address");
        let (origin, once) = link.split_once("/sign-in#link=").expect("a link");
        let site = Self {
            security,
            origin: origin.to_owned(),
            owner,
            target,
        };
        let mut curl = site.curl();
        curl.args(["--header", "Content-Type: application/json"])
            .args(["--header", &format!("Origin: {origin}")])
            .args(["--data", &format!("{{\"token\":\"{once}\"}}")])
            .arg(format!("{origin}/api/v1/login/link"));
        let _ = run(&mut curl, b"", LIMIT).ok();
        site
    }

    /// Starts the application in the workspace.
    pub(super) fn application(&self) -> Application {
        Application::start(self.target.ssh())
    }

    /// Goes to `path` of what is at `label` (a port, or `editor`) as a browser does, and
    /// returns its page.
    pub(in crate::bench) fn page(&self, label: &str, path: &str) -> Page {
        let label = format!("{label}--default--{}", self.owner);
        let (scheme, authority) = self.origin.split_once("://").expect("an origin");
        let origin = format!("{scheme}://{label}.{authority}");
        let mut curl = self.curl();
        curl.args(["--location", "--output", "/dev/null"])
            .args(["--header", "Accept: text/html"])
            .arg(format!("{origin}{path}"));
        let _ = run(&mut curl, b"", LIMIT).ok();
        let host = format!("{label}.{authority}");
        let (name, port) = host.split_once(':').expect("a port");
        // Domain, subdomains, path, secure, expires, name, value; of ours only HttpOnly.
        let jar = fs::read_to_string(self.jar()).expect("curl wrote it");
        let mine = format!("#HttpOnly_{name}");
        let cookie = jar
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .filter(|fields| fields.first() == Some(&mine.as_str()))
            .find_map(|fields| match fields.as_slice() {
                [.., name, value] if name.ends_with("devgate-app") => {
                    Some(format!("{name}={value}"))
                }
                _ => None,
            });
        Page {
            numeric: format!("{scheme}://127.0.0.1:{port}"),
            cookie: Some(cookie.expect("the way in leads through")),
            host: Some(host),
            origin,
        }
    }

    /// The workspace's home.
    pub(in crate::bench) fn home(&self) -> PathBuf {
        self.target.gateway().home()
    }

    fn jar(&self) -> PathBuf {
        self.target.path("cookies")
    }

    fn curl(&self) -> Command {
        let mut curl = Command::new(program("curl"));
        curl.args(["--silent", "--show-error", "--fail-with-body"])
            .arg("--cookie")
            .arg(self.jar())
            .arg("--cookie-jar")
            .arg(self.jar());
        if self.security == Security::Tls {
            curl.arg("--insecure");
        }
        curl
    }
}

impl Page {
    /// One on a port of this machine, open to all.
    pub(super) fn direct(security: Security, port: u16) -> Self {
        let origin = format!("{}://127.0.0.1:{port}", security.scheme());
        Self {
            numeric: origin.clone(),
            origin,
            host: None,
            cookie: None,
        }
    }

    /// Its origin.
    pub(in crate::bench) fn origin(&self) -> &str {
        &self.origin
    }

    /// The cookie that lets in, as `NAME=VALUE`.
    pub(in crate::bench) fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// An address for a client that finds no names; its headers say the name.
    pub(super) fn numeric(&self, path: &str) -> String {
        format!("{}{path}", self.numeric)
    }

    /// What has a request go in.
    pub(super) fn headers(&self) -> Vec<String> {
        let host = self.host.iter().map(|host| format!("Host: {host}"));
        let cookie = self.cookie.iter().map(|cookie| format!("Cookie: {cookie}"));
        host.chain(cookie).collect()
    }

    /// curl on its way to `path`.
    pub(super) fn curl(&self, path: &str) -> Command {
        let mut curl = Command::new(program("curl"));
        curl.args([
            "--silent",
            "--show-error",
            "--fail",
            "--insecure",
            "--http1.1",
        ]);
        for header in self.headers() {
            curl.args(["--header", &header]);
        }
        curl.arg(self.numeric(path));
        curl
    }
}
