//! A server on its own machine.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use e2e::component::built;
use e2e::docker::{BUSYBOX, Containers};
use e2e::process::run;
use e2e::survivors::Folder;

use super::Said;
use crate::cli::{LIMIT, Machine};

/// A doctor of a data folder in another one, where there is nothing yet.
fn at_home(folder: &Folder) -> Command {
    let mut doctor = Command::new(built("devgate"));
    doctor
        .args(["doctor", "--json"])
        .env_clear()
        .env("HOME", folder.path())
        .env("DEVGATE_DATA_DIR", folder.path().join("data"));
    doctor
}

/// Has a doctor look at the server from its own machine.
#[track_caller]
fn look_here(machine: &Machine) -> Said {
    Said::of(&machine.target.gateway().cli(&["doctor", "--json"]))
}

#[test]
fn a_configuration_that_is_broken() {
    let folder = Folder::new();
    let mut doctor = at_home(&folder);
    doctor.env("DEVGATE_SSH_LOGIN_GRACE", "for ever");
    let said = Said::of(&run(&mut doctor, b"", LIMIT));
    said.only("configuration", &["for ever", "devgate config check"]);
}

#[test]
fn a_docker_engine_that_is_away_and_a_server_that_does_not_run() {
    let folder = Folder::new();
    let mut doctor = at_home(&folder);
    doctor
        .env("DEVGATE_WORKSPACES_DRIVER", "docker")
        .env("DEVGATE_DOCKER_IMAGE", "debian:12")
        .env("DEVGATE_DOCKER_SOCKET", folder.path().join("docker.sock"));
    let said = Said::of(&run(&mut doctor, b"", LIMIT));
    assert_eq!(said.code, 1);
    said.is("docker", "failed");
    said.is("code-server", "skipped");
    let remedy = said.finding("docker")["remedy"].as_str().unwrap();
    assert!(remedy.contains("systemctl start docker"), "{remedy}");
    said.is("server", "failed");
    let remedy = said.finding("server")["remedy"].as_str().unwrap();
    assert!(remedy.contains("devgate up"), "{remedy}");
}

#[test]
fn certificates_and_keys_that_are_lost() {
    let machine = Machine::start();
    let certs = machine.target.gateway().data().join("certs");
    let ca = fs::read(certs.join("ca.pem")).unwrap();
    fs::remove_file(certs.join("ca.pem")).unwrap();
    look_here(&machine).only("tls", &["ca.pem", "restore certs/", "backup"]);
    fs::write(certs.join("ca.pem"), ca).unwrap();
    for file in fs::read_dir(certs).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        if name.starts_with("ssh_host_") {
            fs::remove_file(&file).unwrap();
        }
    }
    look_here(&machine).only("ssh-host-key", &["no longer", "restore certs/", "backup"]);
}

#[test]
fn a_domain_without_a_wildcard() {
    let machine = Machine::start_with(&[("DEVGATE_HTTP_DOMAIN", "apps.invalid")]);
    let said = Said::of(&machine.run(&["doctor", "--json"]));
    said.only("wildcard-dns", &["*.apps.invalid", "http.applications"]);
    look_here(&machine).only("wildcard-dns", &["*.apps.invalid"]);
}

#[test]
fn an_editor_is_looked_for_where_workspaces_look() {
    let folder = Folder::new();
    let editor = folder.path().join("code-server");
    fs::write(&editor, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&editor, Permissions::from_mode(0o755)).unwrap();
    let inherited = env::var("PATH").unwrap();
    let path = format!("{}:{inherited}", folder.path().display());
    let machine = Machine::start_with(&[("PATH", &path)]);
    // Its own PATH is another one than the server's.
    let mut doctor = machine.command(&["doctor", "--json"]);
    doctor.env("DEVGATE_DATA_DIR", machine.target.gateway().data());
    let said = Said::of(&run(&mut doctor, b"", LIMIT));
    said.is("code-server", "ok");
    let detail = said.finding("code-server")["detail"].as_str().unwrap();
    assert!(detail.contains(editor.to_str().unwrap()), "{detail}");

    let elsewhere = [
        ("PATH", path.as_str()),
        ("DEVGATE_PROCESS_ENVIRONMENT", "PATH=/nowhere"),
    ];
    let missing = look_here(&Machine::start_with(&elsewhere));
    missing.is("code-server", "warning");
    assert_eq!(missing.code, 0, "{:#?}", missing.findings);
    let remedy = missing.finding("code-server")["remedy"].as_str().unwrap();
    assert!(remedy.contains("editor.program"), "{remedy}");
}

#[test]
fn a_server_whose_configuration_is_another_one_than_the_doctors() {
    let it = Containers::start(BUSYBOX, &[]);
    let folder = Folder::new();
    let mut doctor = at_home(&folder);
    doctor.env("DEVGATE_DATA_DIR", it.target().gateway().data());
    let said = Said::of(&run(&mut doctor, b"", LIMIT));
    said.is("docker", "skipped");
    let detail = said.finding("docker")["detail"].as_str().unwrap();
    assert!(detail.contains("workspaces are containers"), "{detail}");
    assert!(detail.contains("--config FILE"), "{detail}");
}
