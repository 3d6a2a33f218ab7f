//! The command line on a machine that isn't the server's, on a terminal and off it.

mod at_a_terminal;
mod cp;
mod doctor;
mod draining;
mod exec;
mod json;
mod logs;
mod open;
mod packed;
mod port_forward;
mod proxied;
mod shells;
mod surroundings;
mod templates;
mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::component::{built, program};
use e2e::process::{Finished, Running, run};
use e2e::reach::Reach;
use e2e::target::Target;
use serde_json::Value;

/// How long a command may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A machine that is signed in to a server elsewhere with a token, and has no SSH key.
struct Machine {
    // Dropped first: what it started.
    target: Target,
    home: PathBuf,
    url: String,
}

impl Machine {
    /// Starts a server and signs in as its administrator.
    #[track_caller]
    fn start() -> Self {
        Self::start_with(&[])
    }

    #[track_caller]
    fn start_with(settings: &[(&str, &str)]) -> Self {
        let machine = Self::unknown(Target::devgate_with(Reach::Unix, settings));
        let token = machine.token("admin");
        machine.sign_in(&machine.url, &token);
        machine
    }

    /// Returns one that isn't signed in.
    fn unknown(target: Target) -> Self {
        let home = target.make_folder("elsewhere");
        let port = target.gateway().ready().http.port();
        let url = format!("https://localhost:{port}");
        Self { target, home, url }
    }

    /// Makes a token of the administrator's.
    #[track_caller]
    fn token(&self, scope: &str) -> String {
        let gateway = self.target.gateway();
        let users = gateway.cli(&["users", "list", "--json"]).ok().out();
        let users: Value = serde_json::from_str(&users).unwrap();
        let user = users[0]["name"].as_str().unwrap();
        let link = gateway.cli(&["users", "link", user, "--json"]).ok().out();
        let link: Value = serde_json::from_str(&link).unwrap();
        let (origin, once) = link["url"]
            .as_str()
            .unwrap()
            .split_once("/sign-in#link=")
            .unwrap();
        let once = format!("{{\"token\":\"{once}\"}}");
        self.post(origin, "/api/v1/login/link", &once);
        let wanted = format!("{{\"name\":\"tests\",\"scope\":\"{scope}\"}}");
        let made = self.post(origin, "/api/v1/me/tokens", &wanted);
        made["token"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn post(&self, origin: &str, path: &str, body: &str) -> Value {
        let address = self.target.gateway().ready().http;
        let jar = self.home.join("cookies");
        let mut curl = Command::new(program("curl"));
        curl.args(["--silent", "--insecure", "--fail-with-body"])
            .args(["--connect-to", &format!("::{address}")])
            .args(["--header", &format!("Origin: {origin}")])
            .args(["--header", "Content-Type: application/json"])
            .args(["--data", body]);
        curl.arg("--cookie").arg(&jar).arg("--cookie-jar").arg(&jar);
        let answer = run(curl.arg(format!("{origin}{path}")), b"", LIMIT).ok();
        serde_json::from_slice(&answer.stdout).unwrap_or_default()
    }

    #[track_caller]
    fn sign_in(&self, url: &str, token: &str) {
        let ca = self.target.gateway().data().join("certs/ca.pem");
        let mut login = self.command(&["login", url, "--token", "-"]);
        login.arg("--ca").arg(ca);
        if url != self.url {
            // The host alone is the name of the other one.
            login.args(["--name", "another"]);
        }
        let _ = run(&mut login, token.as_bytes(), LIMIT).ok();
    }

    /// `devgate`, with nothing of the server's.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(built("devgate"));
        command
            .env_clear()
            .env("PATH", Self::path())
            .env("HOME", &self.home)
            .args(args);
        command
    }

    /// Where programs are found: `devgate` first.
    fn path() -> String {
        let folder = built("devgate");
        let folder = folder.parent().unwrap().display();
        format!("{folder}:/usr/bin:/bin")
    }

    /// `devgate` as a line of a shell, for a terminal.
    fn line(&self, args: &str) -> String {
        format!(
            "env -i PATH='{}' HOME='{}' TERM=xterm-256color LC_ALL=C.UTF-8 devgate {args}",
            Self::path(),
            self.home.display()
        )
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Finished {
        run(&mut self.command(args), b"", LIMIT)
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok().out()
    }

    #[track_caller]
    fn start_running(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command(args))
    }

    /// Asserts that a command fails with this code and one line that has these words.
    #[track_caller]
    fn fails(&self, args: &[&str], code: i32, words: &[&str]) {
        let finished = self.run(args);
        assert_eq!(finished.code(), code, "{args:?}: {finished:?}");
        let said = finished.err();
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?}: {word:?} is not in {said}");
        }
    }

    fn folder(&self) -> &Path {
        self.target.folder()
    }
}

/// Reads lines of JSON.
#[track_caller]
fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// Makes a file of some bytes that don't repeat soon.
#[track_caller]
fn noise(path: &Path, bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(bytes)
    .collect();
    fs::write(path, &noise).unwrap();
    noise
}
