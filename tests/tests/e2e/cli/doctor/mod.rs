//! `devgate doctor` against servers that are broken, each in one of the ways that it knows.

mod here;
mod network;
mod proxies;
mod ssh;
mod tls;
mod websocket;
mod workspace;

use std::path::{Path, PathBuf};

use e2e::process::{Finished, run};
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::tmux::Terminal;
use serde_json::Value;

use super::{LIMIT, Machine};

/// What a doctor said, as it said it.
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) findings: Vec<Value>,
}

impl Said {
    #[track_caller]
    pub(super) fn of(finished: &Finished) -> Self {
        let findings = serde_json::from_slice(&finished.stdout);
        Self {
            code: finished.code(),
            findings: findings.unwrap_or_else(|error| panic!("{error}: {finished:?}")),
        }
    }

    #[track_caller]
    pub(super) fn finding(&self, check: &str) -> &Value {
        let found = self.findings.iter().find(|it| it["check"] == check);
        found.unwrap_or_else(|| panic!("nothing is said of {check}: {:#?}", self.findings))
    }

    /// Asserts that this alone failed, with words in what is said of it.
    #[track_caller]
    pub(super) fn only(&self, check: &str, words: &[&str]) {
        let failed = self.findings.iter().filter(|it| it["verdict"] == "failed");
        let failed: Vec<_> = failed.map(|it| it["check"].as_str().unwrap()).collect();
        assert_eq!(failed, [check], "{:#?}", self.findings);
        assert_eq!(self.code, 1);
        let finding = self.finding(check);
        let said = format!("{} {}", finding["detail"], finding["remedy"]);
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said}");
        }
    }

    #[track_caller]
    pub(super) fn is(&self, check: &str, verdict: &str) {
        let finding = self.finding(check);
        assert_eq!(finding["verdict"], verdict, "{finding}");
    }
}

/// Has a doctor look at the server at `url`, with an authority.
#[track_caller]
fn look(machine: &Machine, url: &str, ca: Option<&Path>) -> Said {
    let token = machine.token("write");
    look_with(machine, url, ca, &token)
}

#[track_caller]
fn look_with(machine: &Machine, url: &str, ca: Option<&Path>, token: &str) -> Said {
    let mut doctor = machine.command(&["doctor", "--json"]);
    doctor.env("DEVGATE_URL", url).env("DEVGATE_TOKEN", token);
    if let Some(ca) = ca {
        doctor.env("DEVGATE_CA", ca);
    }
    Said::of(&run(&mut doctor, b"", LIMIT))
}

fn own_ca(machine: &Machine) -> PathBuf {
    machine.target.gateway().data().join("certs/ca.pem")
}

#[test]
fn where_all_is_well_nothing_fails() {
    let machine = Machine::start();
    let said = Said::of(&machine.run(&["doctor", "default", "--json"]));
    for check in [
        "dns",
        "port",
        "tls",
        "clock",
        "server",
        "token",
        "workspace",
        "websocket",
        "ssh-port",
        "ssh-host-key",
        "wildcard-dns",
    ] {
        said.is(check, "ok");
    }
    assert_eq!(said.code, 0, "{:#?}", said.findings);
    let here = machine
        .target
        .gateway()
        .cli(&["doctor", "default", "--json"]);
    let here = Said::of(&here);
    for check in [
        "configuration",
        "server",
        "port",
        "tls",
        "ssh-host-key",
        "workspace",
    ] {
        here.is(check, "ok");
    }
    assert_eq!(here.code, 0, "{:#?}", here.findings);
}

#[test]
fn on_a_terminal_each_remedy_stands_below_what_failed() {
    let machine = Machine::unknown(Target::devgate(Reach::Unix));
    let line = machine.line("doctor");
    let line = line.replace(
        "env -i",
        "env -i DEVGATE_URL=https://nowhere.invalid DEVGATE_TOKEN=x",
    );
    let terminal = Terminal::start(machine.folder(), &line, 120, 20);
    let screen = terminal.wait("the end", |screen| screen.contains("one check failed"));
    let lines: Vec<_> = screen.lines().collect();
    let failed = lines
        .iter()
        .position(|line| line.starts_with("FAILED   dns"));
    let remedy = lines[failed.unwrap() + 1];
    assert!(remedy.trim_start().starts_with("to do:"), "{screen}");
    assert_eq!(terminal.wait_for_end(), 1);
}
