//! Somebody approves a connection in a browser, and stock clients go on by themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use e2e::browser::Browser;
use e2e::component::program;
use e2e::keys;
use e2e::process::{Running, run};
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::wait::{SOON, eventually, until};
use serde_json::Value;

use super::{CLIENT, code_of, keyless};

/// How long a gateway needs to notice that a login has ended, and a client that its
/// connection has.
const NOTICED: Duration = Duration::from_secs(20);

struct Case {
    target: Target,
    browser: Browser,
}

impl Case {
    #[track_caller]
    fn with(settings: &[(&str, &str)]) -> Self {
        let target = Target::devgate_with(Reach::Unix, settings);
        let browser = Browser::signed_in(target.gateway(), target.folder());
        Self { target, browser }
    }

    #[track_caller]
    fn start(&self, remote: &str) -> Running {
        keyless(&self.target).start(remote)
    }

    #[track_caller]
    fn waiting(&self, code: &str) -> Value {
        self.browser.get(&format!("/api/v1/login/device/{code}"))
    }

    #[track_caller]
    fn decide(&self, code: &str, decision: &str) {
        let path = format!("/api/v1/login/device/{code}/{decision}");
        let (status, said) = self.browser.send("POST", &path, None);
        assert_eq!(status, 204, "{said}");
    }

    /// Returns the approvals that let connections in.
    #[track_caller]
    fn windows(&self) -> Vec<Value> {
        let page = self.browser.get("/api/v1/me/ssh-approvals");
        page["items"].as_array().expect("a page").clone()
    }

    /// Waits until the gateway knows of that many connections with a code.
    #[track_caller]
    fn await_connections(&self, code: &str, count: usize) {
        until(SOON, "all wait for the code", || {
            self.waiting(code)["connections"] == count
        });
    }
}

#[test]
fn a_client_without_a_key_goes_on_once_somebody_approves_it() {
    let case = Case::with(&[]);
    let client = case.start("echo hello; exec sleep 1000");
    let code = code_of(&client);
    let waiting = case.waiting(&code);
    assert_eq!(waiting["asks"], "ssh", "{waiting}");
    assert_eq!(waiting["name"], "default");
    assert_eq!(waiting["address"], "127.0.0.1");
    assert_eq!(waiting["same_address"], true);
    assert_eq!(waiting["scope"], Value::Null);
    case.decide(&code, "approve");
    client.wait_for("hello", CLIENT);

    // The same address with the same name is let in for a time, and nobody else.
    let done = keyless(&case.target).run("echo again");
    assert_eq!(done.ok().out(), "again\n");
    let elsewhere = keyless(&case.target).option("BindAddress=127.0.0.2");
    let elsewhere = elsewhere.start("echo elsewhere");
    let other_code = code_of(&elsewhere);
    assert_eq!(case.waiting(&other_code)["same_address"], false);
    let named = keyless(&case.target).user("other").start("echo named");
    assert_ne!(code_of(&named), other_code);

    // It is told of, and can be ended, with what came in by it.
    let happened = eventually(SOON, "the event", || {
        let events = case.browser.get("/api/v1/events");
        let events = events["items"].as_array()?.clone();
        events
            .into_iter()
            .filter(|event| event["kind"] == "ssh-approval")
            .map(|event| event["data"].clone())
            .collect::<Vec<_>>()
            .try_into()
            .ok()
    });
    // Whoever asked, and whoever came in without asking, the newest first.
    let [let_in, approved]: [Value; 2] = happened;
    assert_eq!(let_in["decision"], "let-in", "{let_in}");
    assert_eq!(approved["decision"], "approved", "{approved}");
    assert_eq!(approved["address"], "127.0.0.1");
    let [window] = case.windows().try_into().expect("one approval");
    assert_eq!(window["login"], "default");
    let id = window["id"].as_str().unwrap();
    let path = format!("/api/v1/me/ssh-approvals/{id}");
    assert_eq!(case.browser.send("DELETE", &path, None).0, 204);
    assert_eq!(case.browser.send("DELETE", &path, None).0, 404);
    assert_ne!(client.finish(NOTICED).code(), 0);
    let asked = case.start("echo anew");
    assert_ne!(code_of(&asked), code);
}

#[test]
fn sixteen_log_ins_at_once_ask_once() {
    let case = Case::with(&[]);
    let clients: Vec<_> = (0..16).map(|n| case.start(&format!("echo {n}"))).collect();
    let code = code_of(&clients[0]);
    for client in &clients {
        assert_eq!(code_of(client), code);
    }
    case.await_connections(&code, 16);
    case.decide(&code, "approve");
    for (n, client) in clients.into_iter().enumerate() {
        assert_eq!(client.finish(CLIENT).ok().out(), format!("{n}\n"));
    }
    // Those that didn't ask themselves are told of.
    until(SOON, "each is an event", || {
        let events = case.browser.get("/api/v1/events?limit=200");
        let events = events["items"].as_array().unwrap().iter();
        let let_in = events.filter(|event| event["data"]["decision"] == "let-in");
        let_in
            .filter(|event| event["data"]["login"] == "default")
            .count()
            == 15
    });
}

#[test]
fn without_a_window_each_connection_asks_and_can_be_ended_while_it_goes_on() {
    let case = Case::with(&[("DEVGATE_SSH_APPROVAL_WINDOW", "0s")]);
    let client = case.start("echo hello; exec sleep 1000");
    let other = case.start("echo never");
    let (code, others) = (code_of(&client), code_of(&other));
    assert_ne!(code, others);
    case.decide(&code, "approve");
    client.wait_for("hello", CLIENT);
    assert_eq!(case.waiting(&others)["connections"], 1);
    let late = case.start("echo late");
    assert_ne!(code_of(&late), code);
    let [window] = case.windows().try_into().expect("one that goes on");
    let id = window["id"].as_str().unwrap();
    let path = format!("/api/v1/me/ssh-approvals/{id}");
    assert_eq!(case.browser.send("DELETE", &path, None).0, 204);
    assert_ne!(client.finish(NOTICED).code(), 0);
    assert_eq!(case.windows(), Vec::<Value>::new());
}

#[test]
fn where_there_are_several_people_an_approval_is_for_one_connection_and_by_the_owner() {
    let case = Case::with(&[]);
    let _ = case.target.gateway().cli(&["users", "add", "bob"]).ok();
    let client = case.start("echo hello");
    let other = case.start("echo never");
    let (code, others) = (code_of(&client), code_of(&other));
    assert_ne!(code, others);
    assert_eq!(case.waiting(&code)["expires_in_seconds"], 0);
    case.decide(&code, "approve");
    let done = client.finish(CLIENT).ok();
    assert_eq!(done.out(), "hello\n");
    let owner = case.browser.owner();
    let told = format!("signed in as {owner}");
    assert!(done.err().contains(&told), "{done:?}");
    assert_eq!(case.waiting(&others)["connections"], 1);

    let of_bob = keyless(&case.target)
        .user("default.bob")
        .start("echo never");
    let path = format!("/api/v1/login/device/{}", code_of(&of_bob));
    let (status, said) = case.browser.send("POST", &format!("{path}/approve"), None);
    assert_eq!(status, 403, "{said}");
    assert_eq!(said["code"], "owner-alone", "{said}");
    assert_eq!(case.browser.send("GET", &path, None).0, 403);
    let named = keyless(&case.target).user(&format!("default.{owner}"));
    let named = named.start("echo named");
    case.decide(&code_of(&named), "approve");
    assert_eq!(named.finish(CLIENT).ok().out(), "named\n");
}

#[test]
fn a_refusal_and_a_time_that_is_over_are_told() {
    // A client takes a keep-alive before its log-in is over for an error.
    let case = Case::with(&[
        ("DEVGATE_SSH_APPROVAL_TIMEOUT", "8s"),
        ("DEVGATE_SSH_KEEPALIVE_INTERVAL", "1s"),
    ]);
    let client = case.start("echo never");
    case.decide(&code_of(&client), "refuse");
    let done = client.finish(CLIENT);
    assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");
    let told = done.err();
    assert!(told.contains("refused in the browser"), "{told}");
    assert!(told.contains("Permission denied (publickey)"), "{told}");

    let client = case.start("echo never");
    let code = code_of(&client);
    let done = client.finish(CLIENT);
    assert_eq!(done.code(), 255, "{done:?}");
    assert!(
        done.err().contains("nobody approved this in time"),
        "{done:?}"
    );
    let path = format!("/api/v1/login/device/{code}/approve");
    assert_eq!(case.browser.send("POST", &path, None).0, 404);
}

#[test]
fn a_client_that_goes_away_takes_its_code_with_it() {
    let case = Case::with(&[]);
    let client = case.start("echo never");
    let code = code_of(&client);
    case.await_connections(&code, 1);
    drop(client);
    let path = format!("/api/v1/login/device/{code}");
    until(CLIENT, "the code has ended", || {
        case.browser.send("GET", &path, None).0 == 404
    });
}

#[test]
fn what_an_approval_let_in_ends_with_the_login_that_approved_it() {
    let case = Case::with(&[]);
    let client = case.start("echo hello; exec sleep 1000");
    case.decide(&code_of(&client), "approve");
    client.wait_for("hello", CLIENT);
    let (status, said) = case.browser.send("POST", "/api/v1/logout", None);
    assert_eq!(status, 204, "{said}");
    assert_ne!(client.finish(NOTICED).code(), 0);
    // Its time isn't over, but who would be let in has gone.
    let done = keyless(&case.target).run("echo never");
    assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");
    assert!(done.err().contains("has ended"), "{done:?}");
}

#[test]
fn whoever_is_refused_too_often_is_locked_out() {
    let case = Case::with(&[("DEVGATE_LOCKOUT_FAILURES", "3")]);
    for _ in 0..3 {
        let client = case.start("echo never");
        case.decide(&code_of(&client), "refuse");
        assert_eq!(client.finish(CLIENT).code(), 255);
    }
    until(SOON, "the address is locked out", || {
        case.target.gateway().log().contains("address locked out")
    });
    let done = keyless(&case.target).run("echo never");
    let told = done.err();
    assert!(told.contains("too many failed log-ins"), "{told}");
    assert!(!told.contains("#code="), "{told}");
}

#[test]
fn nothing_is_asked_where_it_is_switched_off() {
    let case = Case::with(&[("DEVGATE_SSH_BROWSER_SIGN_IN", "false")]);
    let done = keyless(&case.target).run("echo never");
    assert_eq!(done.code(), 255, "{done:?}");
    let told = done.err();
    assert!(told.contains("Permission denied (publickey)."), "{told}");
}

#[test]
fn whoever_types_a_passphrase_slowly_is_not_cut_off() {
    let case = Case::with(&[("DEVGATE_SSH_KEEPALIVE_INTERVAL", "1s")]);
    let folder = case.target.folder();
    let key = folder.join("locked");
    let mut make = Command::new(program("ssh-keygen"));
    make.args(["-q", "-t", "ed25519", "-N", "secret", "-f"])
        .arg(&key);
    let _ = run(&mut make, b"", CLIENT).ok();
    case.target.admit(&keys::public(&key));
    let slow = folder.join("slow");
    fs::write(&slow, "#!/bin/sh\nsleep 4\necho secret\n").unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();
    let client = case.target.ssh().identity(&key).option("BatchMode=no");
    let client = client
        .option("PreferredAuthentications=publickey")
        .env("SSH_ASKPASS", &slow)
        .env("SSH_ASKPASS_REQUIRE", "force");
    assert_eq!(client.run("echo hello").ok().out(), "hello\n");
}

#[test]
fn somebody_with_a_key_is_asked_nothing() {
    let case = Case::with(&[]);
    let client = case
        .target
        .ssh()
        .option("BatchMode=no")
        .option("LogLevel=INFO");
    let done = client.run("echo hello").ok();
    assert_eq!((done.out().as_str(), done.err().as_str()), ("hello\n", ""));
}
