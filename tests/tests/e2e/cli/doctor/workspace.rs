//! Workspaces that don't run, and their editors.

use e2e::api::Api;
use e2e::component::program;
use e2e::survivors::Folder;
use e2e::wait::eventually;

use super::Said;
use crate::cli::{LIMIT, Machine};

/// Has a doctor look at the first workspace.
#[track_caller]
fn look_at_default(machine: &Machine) -> Said {
    Said::of(&machine.run(&["doctor", "default", "--json"]))
}

#[test]
fn an_editor_that_is_missing_is_a_warning() {
    let machine = Machine::start_with(&[("DEVGATE_EDITOR_PROGRAM", "/nowhere/code-server")]);
    let said = Said::of(&machine.run(&["doctor", "default", "--json"]));
    said.is("code-server", "warning");
    assert_eq!(said.code, 0, "{:#?}", said.findings);
    machine.ok(&["stop", "default"]);
    let said = Said::of(&machine.run(&["doctor", "default", "--json"]));
    said.is("workspace", "warning");
    said.is("code-server", "skipped");
    let said = Said::of(&machine.run(&["doctor", "nothing", "--json"]));
    assert_eq!(said.finding("workspace")["verdict"], "failed");
}

#[test]
fn an_editor_that_does_not_run() {
    let program = program("false");
    let settings = [("DEVGATE_EDITOR_PROGRAM", program.to_str().unwrap())];
    let machine = Machine::start_with(&settings);
    let api = Api::of(&machine.target);
    let started = api.send("POST", "/editor/start", b"");
    assert!(started.status < 300, "{started:?}");
    let failed = eventually(LIMIT, "an editor that has failed for good", || {
        let said = look_at_default(&machine);
        let editor = said.finding("code-server")["verdict"] == "failed";
        editor.then_some(said)
    });
    failed.only("code-server", &["doesn't run", "ended with status 1"]);
}

#[test]
fn a_workspace_that_does_not_start() {
    let program = program("false");
    let settings = [("DEVGATE_PROCESS_AGENT", program.to_str().unwrap())];
    let machine = Machine::start_with(&settings);
    let failed = eventually(LIMIT, "a workspace that has failed for good", || {
        let said = look_at_default(&machine);
        let workspace = said.finding("workspace")["verdict"] == "failed";
        workspace.then_some(said)
    });
    let remedy = failed.finding("workspace")["remedy"].as_str().unwrap();
    assert!(remedy.contains("devgate restart default"), "{remedy}");
    failed.is("code-server", "skipped");
    let gateway = machine.target.gateway();
    let here = Said::of(&gateway.cli(&["doctor", "default", "--json"]));
    here.only("workspace", &["devgate logs default"]);
}

#[test]
fn a_docker_engine_that_is_away_seen_from_elsewhere() {
    let folder = Folder::new();
    let socket = folder.path().join("docker.sock");
    let machine = Machine::start_with(&[
        ("DEVGATE_WORKSPACES_DRIVER", "docker"),
        ("DEVGATE_DOCKER_IMAGE", "debian:12"),
        ("DEVGATE_DOCKER_SOCKET", socket.to_str().unwrap()),
    ]);
    let said = look_at_default(&machine);
    assert_eq!(said.code, 1);
    said.is("docker", "failed");
    let remedy = said.finding("docker")["remedy"].as_str().unwrap();
    assert!(remedy.contains("starts the Docker Engine"), "{remedy}");
    said.is("workspace", "failed");
    let detail = said.finding("workspace")["detail"].as_str().unwrap();
    assert!(detail.contains("unreachable"), "{detail}");
    said.is("code-server", "skipped");
}
