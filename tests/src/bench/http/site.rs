//! A gateway for browsers, somebody who is signed in there, and the pages that are
//! measured.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::browser::Browser;
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
    browser: Browser,
    target: Target,
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
        let browser = Browser::signed_in(target.gateway(), target.folder());
        Self { browser, target }
    }

    /// Starts the application in the workspace.
    pub(super) fn application(&self) -> Application {
        Application::start(self.target.ssh())
    }

    /// Goes to `path` of what is at `label` (a port, or `editor`) as a browser does, and
    /// returns its page.
    pub(in crate::bench) fn page(&self, label: &str, path: &str) -> Page {
        let label = format!("{label}--default--{}", self.browser.owner());
        let (scheme, authority) = self.browser.origin().split_once("://").expect("an origin");
        let origin = format!("{scheme}://{label}.{authority}");
        let mut curl = self.browser.curl();
        curl.args(["--location", "--output", "/dev/null"])
            .args(["--header", "Accept: text/html"])
            .arg(format!("{origin}{path}"));
        let _ = run(&mut curl, b"", LIMIT).ok();
        let host = format!("{label}.{authority}");
        let (name, port) = host.split_once(':').expect("a port");
        // Domain, subdomains, path, secure, expires, name, value; of ours only HttpOnly.
        let jar = fs::read_to_string(self.browser.jar()).expect("curl wrote it");
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
