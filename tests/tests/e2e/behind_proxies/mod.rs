//! The gateway behind nginx and behind Caddy, with applications on hosts of their own and
//! below a path; with the configuration that the documentation shows.

mod address;
mod browser;
mod carrying;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::component::program;
use e2e::ports;
use e2e::process::{Running, run};
use e2e::reach::Reach;
use e2e::reverse_proxy::{DOMAIN, GATEWAY, Kind, ReverseProxy};
use e2e::survivors::Folder;
use e2e::target::Target;
use e2e::wait::SOON;
use serde_json::Value;

/// How long a request may take, the largest one included.
const LIMIT: Duration = Duration::from_mins(1);

/// The address that requests come from; the proxy has another one.
const CLIENT: &str = "127.0.0.2";

/// Where applications are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Subdomain,
    Path,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Subdomain => "subdomain",
            Self::Path => "path",
        }
    }
}

/// Writes the documented configuration of a gateway into `folder`, and returns the
/// variables that have one use it.
fn settings(folder: &Path, form: Form) -> Vec<(&'static str, String)> {
    let file = folder.join("devgate.toml");
    fs::write(&file, GATEWAY).unwrap();
    vec![
        ("DEVGATE_CONFIG", file.display().to_string()),
        ("DEVGATE_HTTP_APPLICATIONS", form.name().to_owned()),
    ]
}

/// An application in a workspace of a gateway behind a proxy.
struct Behind {
    // Dropped in this order: programs, what they need.
    _application: Running,
    proxy: ReverseProxy,
    target: Target,
    port: u16,
    form: Form,
    owner: String,
    token: String,
    folder: Folder,
}

impl Behind {
    #[track_caller]
    fn start(kind: Kind, form: Form) -> Self {
        let folder = Folder::new();
        let settings = settings(folder.path(), form);
        let mut settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
        settings.push(("DEVGATE_LOCKOUT_FAILURES", "4"));
        let target = Target::devgate_with(Reach::Unix, &settings);
        let proxy = ReverseProxy::start(kind, folder.path(), target.gateway().ready().http);

        // In the workspace, by SSH, which no proxy of HTTP concerns.
        let port = ports::free();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/fixtures/site.mjs");
        let node = program("node");
        let command = format!("exec {} {} {port}", node.display(), script.display());
        let application = target.ssh().start(command);
        application.wait_for("listening", SOON);

        let mut behind = Self {
            _application: application,
            proxy,
            target,
            port,
            form,
            owner: String::new(),
            token: String::new(),
            folder,
        };
        behind.sign_in();
        behind
    }

    /// Signs in by a link, from [`CLIENT`], and makes a token. The cookies are in
    /// [`Self::jar`], the head of the answer in `signed-in`.
    #[track_caller]
    fn sign_in(&mut self) {
        let gateway = self.target.gateway();
        let users = gateway.cli(&["users", "list", "--json"]).ok().out();
        let users: Value = serde_json::from_str(&users).unwrap();
        users[0]["name"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.owner);
        let link = gateway.cli(&["users", "link", &self.owner, "--json"]);
        let link: Value = serde_json::from_str(&link.ok().out()).unwrap();
        let once = link["url"].as_str().unwrap();
        let once = once
            .strip_prefix(&format!("https://{DOMAIN}/sign-in#link="))
            .unwrap_or_else(|| panic!("the link leads elsewhere: {once}"));
        let body = format!("{{\"token\":\"{once}\"}}");
        let mut signing = self.post("/api/v1/login/link", &body);
        signing
            .arg("--dump-header")
            .arg(self.folder.path().join("signed-in"))
            .arg("--cookie-jar")
            .arg(self.jar());
        let _ = run(&mut signing, b"", LIMIT).ok();
        let wanted = r#"{"name":"tests","scope":"admin"}"#;
        let mut making = self.post("/api/v1/me/tokens", wanted);
        making.arg("--cookie").arg(self.jar());
        let token: Value = serde_json::from_str(&run(&mut making, b"", LIMIT).ok().out()).unwrap();
        token["token"].as_str().unwrap().clone_into(&mut self.token);
    }

    fn jar(&self) -> PathBuf {
        self.folder.path().join("cookies")
    }

    /// curl, which finds all names at the proxy and believes its certificate.
    fn curl(&self, from: &str) -> Command {
        let mut curl = to(self.proxy.https(), from);
        curl.arg("--cacert").arg(self.proxy.certificate());
        curl
    }

    /// A POST of JSON to the dashboard, from its own pages.
    fn post(&self, path: &str, body: &str) -> Command {
        let mut curl = self.curl(CLIENT);
        curl.args([
            "--fail-with-body",
            "--header",
            "Content-Type: application/json",
        ])
        .args(["--header", &format!("Origin: https://{DOMAIN}")])
        .args(["--data", body, &format!("https://{DOMAIN}{path}")]);
        curl
    }

    /// The address of something in the application.
    fn application(&self, path: &str) -> String {
        let (port, owner) = (self.port, &self.owner);
        match self.form {
            Form::Subdomain => format!("https://{port}--default--{owner}.{DOMAIN}{path}"),
            Form::Path => format!("https://{DOMAIN}{}{path}", self.prefix()),
        }
    }

    /// What of a path is the gateway's.
    fn prefix(&self) -> String {
        match self.form {
            Form::Subdomain => String::new(),
            Form::Path => format!("/@{}/default/apps/{}", self.owner, self.port),
        }
    }

    /// A request to the application, by its owner.
    fn ask(&self, path: &str) -> Command {
        let mut curl = self.curl(CLIENT);
        curl.arg("--header").arg(self.bearer()).arg("--fail");
        curl.arg(self.application(path));
        curl
    }

    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    /// What the application answers.
    #[track_caller]
    fn get(&self, path: &str) -> String {
        run(&mut self.ask(path), b"", LIMIT).ok().out()
    }
}

/// curl, which finds all names at `address`, and comes from `from`.
fn to(address: SocketAddr, from: &str) -> Command {
    let mut curl = Command::new(program("curl"));
    curl.args(["--silent", "--show-error", "--interface", from])
        .args(["--connect-to", &format!("::{address}")]);
    curl
}
