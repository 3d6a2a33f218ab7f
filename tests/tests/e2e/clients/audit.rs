//! What ssh-audit says of the algorithms on offer.

use std::process::Command;
use std::time::Duration;

use e2e::clients::python;
use e2e::process::run;
use e2e::reach::Reach;
use e2e::target::Target;
use serde_json::Value;

const LIMIT: Duration = Duration::from_mins(1);

/// What it has against every key exchange that clients before OpenSSH 9.9 know.
const NOT_POST_QUANTUM: &str = "does not provide protection against post-quantum attacks";

/// Runs it, and returns its exit status and what it holds against which algorithm.
#[track_caller]
fn audit(command: &mut Command, target: &Target) -> (i32, Vec<(String, String)>) {
    let address = target.access().address;
    let port = address.port().to_string();
    // How fast one address may connect is no algorithm: connections that haven't logged
    // in are bounded, which `hostile_peers` tests.
    command
        .args(["--json", "--skip-rate-test", "--port", &port])
        .arg(address.ip().to_string());
    let done = run(command, b"", LIMIT);
    let report: Value =
        serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    let mut held = Vec::new();
    for kind in ["kex", "key", "enc", "mac"] {
        let algorithms = report[kind].as_array().expect("it lists algorithms");
        assert!(!algorithms.is_empty(), "{report}");
        for one in algorithms {
            let notes = ["fail", "warn"].map(|level| one["notes"][level].as_array());
            for note in notes.into_iter().flatten().flatten() {
                let name = one["algorithm"].as_str().expect("it has a name");
                held.push((name.to_owned(), note.as_str().unwrap().to_owned()));
            }
        }
    }
    assert_eq!(report["cves"], Value::Array(Vec::new()), "{report}");
    (done.code(), held)
}

#[test]
fn ssh_audit_finds_nothing_in_what_a_client_of_today_is_offered() {
    let target = Target::devgate(Reach::Unix);
    let mut command = python("python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/audit_of_today.py");
    assert_eq!(audit(command.arg(script), &target), (0, Vec::new()));
}

#[test]
fn ssh_audit_finds_only_the_want_of_quantum_safety_in_what_older_clients_are_offered() {
    let target = Target::devgate(Reach::Unix);
    // It offers what OpenSSH 8.2 does.
    let (status, held) = audit(&mut python("ssh-audit"), &target);
    let names = ["curve25519-sha256", "curve25519-sha256@libssh.org"];
    let expected = names.map(|name| (name.to_owned(), NOT_POST_QUANTUM.to_owned()));
    assert_eq!((status, held.as_slice()), (2, expected.as_slice()));
}
