//! Short-lived certificates, with the stock client and with the command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::browser::Browser;
use e2e::component::{built, program};
use e2e::keys;
use e2e::process::{Finished, run};
use e2e::reach::Reach;
use e2e::ssh::Ssh;
use e2e::target::Target;
use e2e::wait::{SOON, eventually, until};
use serde_json::{Value, json};

use super::CLIENT;

/// How long a client needs to notice that its connection has ended.
const NOTICED: Duration = Duration::from_secs(20);

pub(super) struct Case {
    pub(super) target: Target,
    browser: Browser,
    key: PathBuf,
}

impl Case {
    #[track_caller]
    pub(super) fn new() -> Self {
        let target = Target::devgate(Reach::Unix);
        let browser = Browser::signed_in(target.gateway(), target.folder());
        let key = keys::generate(target.folder(), "certified");
        Self {
            target,
            browser,
            key,
        }
    }

    /// Has a key certified; returns the client that shows it, and the serial number.
    #[track_caller]
    pub(super) fn certified(&self, key: &Path, more: &Value) -> (Ssh, u64) {
        let public = fs::read_to_string(keys::public(key)).unwrap();
        let mut wish = json!({ "public_key": public });
        for (name, value) in more.as_object().unwrap() {
            wish[name] = value.clone();
        }
        let (status, said) = self
            .browser
            .send("POST", "/api/v1/me/ssh-certificates", Some(&wish));
        assert_eq!(status, 201, "{said}");
        let file = PathBuf::from(format!("{}-cert.pub", key.display()));
        fs::write(&file, said["certificate"].as_str().unwrap()).unwrap();
        let serial = said["about"]["serial"].as_u64().unwrap();
        (self.client(key), serial)
    }

    /// The client that shows a key with the certificate beside it.
    #[track_caller]
    fn client(&self, key: &Path) -> Ssh {
        self.target
            .ssh()
            .identity(key)
            .option(&format!("CertificateFile={}-cert.pub", key.display()))
            // The configuration's own, which signs in by itself.
            .option("IdentitiesOnly=yes")
            .args(["-F".to_owned(), self.without_key().display().to_string()])
    }

    /// The client's configuration without the key that is registered.
    fn without_key(&self) -> PathBuf {
        let config = fs::read_to_string(self.target.config()).unwrap();
        let lines = config
            .lines()
            .filter(|line| !line.starts_with("IdentityFile"));
        let path = self.target.folder().join("keyless_config");
        fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
        path
    }

    /// Waits until the owner is told that a certificate was refused, and why.
    #[track_caller]
    fn await_refusal(&self, serial: u64, why: &str) {
        let serial = serial.to_string();
        until(SOON, "the refusal is told", || {
            let events = self.browser.get("/api/v1/events?limit=200");
            events["items"].as_array().unwrap().iter().any(|event| {
                event["kind"] == "ssh-certificate"
                    && event["data"]["decision"] == "refused"
                    && event["data"]["serial"] == serial.as_str()
                    && event["data"]["reason"].as_str().unwrap().contains(why)
            })
        });
    }
}

#[track_caller]
fn assert_denied(done: &Finished) {
    assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");
    assert!(done.err().contains("Permission denied"), "{done:?}");
}

#[test]
fn a_certificate_signs_in_with_keys_of_every_kind() {
    let case = Case::new();
    for (kind, bits) in [("ed25519", ""), ("ecdsa", "256"), ("rsa", "2048")] {
        let key = case.target.folder().join(kind);
        let mut make = Command::new(program("ssh-keygen"));
        make.args(["-q", "-t", kind, "-N", "", "-f"]).arg(&key);
        if !bits.is_empty() {
            make.args(["-b", bits]);
        }
        let _ = run(&mut make, b"", CLIENT).ok();
        let (client, _) = case.certified(&key, &json!({}));
        assert_eq!(client.run("echo hello").ok().out(), "hello\n", "{kind}");
    }
    // RSA with the shorter hash, too.
    let done = case
        .client(&case.target.folder().join("rsa"))
        .option("PubkeyAcceptedAlgorithms=rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-256")
        .run("echo hello");
    assert_eq!(done.ok().out(), "hello\n");
    // What was signed is what OpenSSH reads.
    let mut shown = Command::new(program("ssh-keygen"));
    shown.arg("-L").arg("-f");
    shown.arg(case.target.folder().join("ed25519-cert.pub"));
    let shown = run(&mut shown, b"", CLIENT).ok().out();
    for part in ["user certificate", "permit-pty", "permit-X11-forwarding"] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn one_that_is_over_is_refused() {
    let case = Case::new();
    let (client, serial) = case.certified(&case.key, &json!({ "valid_seconds": 1 }));
    // Its time passes without an event that could be waited for.
    std::thread::sleep(Duration::from_millis(2100));
    assert_denied(&client.run("echo never"));
    case.await_refusal(serial, "expired");
}

#[test]
fn one_that_is_revoked_ends_what_it_let_in_and_is_refused() {
    let case = Case::new();
    let (client, serial) = case.certified(&case.key, &json!({}));
    let running = client.start("echo hello; exec sleep 1000");
    running.wait_for("hello", CLIENT);
    let path = format!("/api/v1/me/ssh-certificates/{serial}");
    assert_eq!(case.browser.send("DELETE", &path, None).0, 204);
    assert_eq!(case.browser.send("DELETE", &path, None).0, 404);
    assert_ne!(running.finish(NOTICED).code(), 0);
    assert_denied(&case.client(&case.key).run("echo never"));
    case.await_refusal(serial, "revoked");
    // Who may be asked is told why.
    let asked = case.client(&case.key).option("BatchMode=no");
    let asked = asked.option("LogLevel=INFO").start("echo never");
    asked.wait_for_error("refused your certificate: it was revoked", CLIENT);
    let listed = case.browser.get("/api/v1/me/ssh-certificates");
    assert_ne!(listed["items"][0]["revoked"], Value::Null, "{listed}");
}

#[test]
fn it_ends_with_the_login_that_asked_for_it() {
    let case = Case::new();
    let (client, _) = case.certified(&case.key, &json!({}));
    let running = client.start("echo hello; exec sleep 1000");
    running.wait_for("hello", CLIENT);
    let (status, said) = case.browser.send("POST", "/api/v1/logout", None);
    assert_eq!(status, 204, "{said}");
    assert_ne!(running.finish(NOTICED).code(), 0);
    assert_denied(&case.client(&case.key).run("echo never"));
    let log = case.target.gateway().log();
    assert!(log.contains("SSH certificate refused"), "{log}");
}

#[test]
fn it_leads_to_its_workspaces_alone() {
    let case = Case::new();
    let _ = case.target.gateway().cli(&["create", "other"]).ok();
    let (client, serial) = case.certified(&case.key, &json!({ "workspaces": ["default"] }));
    assert_eq!(client.run("echo hello").ok().out(), "hello\n");
    assert_denied(&case.client(&case.key).user("other").run("echo never"));
    case.await_refusal(serial, "principals");
    let wish = json!({ "public_key": keys::public_text(&case.key), "workspaces": ["nowhere"] });
    let path = "/api/v1/me/ssh-certificates";
    assert_eq!(case.browser.send("POST", path, Some(&wish)).0, 404);
}

#[test]
fn it_counts_from_its_addresses_alone() {
    let case = Case::new();
    let networks = json!({ "source_addresses": ["127.0.0.1", "192.0.2.0/24"] });
    let (client, serial) = case.certified(&case.key, &networks);
    assert_eq!(client.run("echo hello").ok().out(), "hello\n");
    let elsewhere = case.client(&case.key).option("BindAddress=127.0.0.2");
    assert_denied(&elsewhere.run("echo never"));
    case.await_refusal(serial, "address");
}

#[test]
fn another_authority_s_is_refused() {
    let case = Case::new();
    let ca = keys::generate(case.target.folder(), "foreign");
    let mut sign = Command::new(program("ssh-keygen"));
    sign.args(["-q", "-I", "x", "-n", case.browser.owner(), "-s"])
        .arg(&ca);
    sign.arg(keys::public(&case.key));
    let _ = run(&mut sign, b"", CLIENT).ok();
    assert_denied(&case.client(&case.key).run("echo never"));
    let log = case.target.gateway().log();
    assert!(log.contains("signed by another authority"), "{log}");
}

#[test]
fn what_it_does_not_allow_is_refused() {
    let case = Case::new();
    let agent = Agent::start(case.target.folder());
    let (client, _) = case.certified(&case.key, &json!({ "actions": [] }));
    // No terminal; the stock client gives up without where one was insisted on.
    let done = client.args(["-tt"]).run("echo never");
    assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");
    assert!(
        done.err().contains("PTY allocation request failed"),
        "{done:?}"
    );
    let done = case.client(&case.key).run("echo hello").ok();
    assert_eq!(done.out(), "hello\n");
    // No agent.
    let done = case
        .client(&case.key)
        .option("ForwardAgent=yes")
        .env("SSH_AUTH_SOCK", &agent.socket)
        .run("echo \"${SSH_AUTH_SOCK:-none}\"");
    assert_eq!(done.ok().out(), "none\n");
    // No forwarded ports, either way.
    let done = case
        .client(&case.key)
        .option("LogLevel=INFO")
        .args(["-W", "127.0.0.1:1"])
        .run_without_command();
    assert_ne!(done.code(), 0, "{done:?}");
    assert!(
        done.err().contains("doesn't allow port-forwarding"),
        "{done:?}"
    );
    let done = case
        .client(&case.key)
        .option("ExitOnForwardFailure=yes")
        .args(["-R", "0:127.0.0.1:1"])
        .run("echo never");
    assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");

    // And where it is allowed, it is had.
    let (client, _) = case.certified(&case.key, &json!({ "actions": ["pty"] }));
    let done = client.args(["-tt"]).run("tty").ok();
    assert!(done.out().contains("/dev/pts/"), "{done:?}");
}

/// An ssh-agent of a test's own.
struct Agent {
    socket: PathBuf,
    _process: e2e::process::Running,
}

impl Agent {
    #[track_caller]
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent.sock");
        let mut command = Command::new(program("ssh-agent"));
        command.args(["-D", "-a"]).arg(&socket);
        let process = e2e::process::Running::start(&mut command);
        until(SOON, "the agent's socket", || socket.exists());
        Self {
            socket,
            _process: process,
        }
    }
}

/// Somebody on another machine, who is signed in to the gateway by a token.
struct Elsewhere {
    home: PathBuf,
}

impl Elsewhere {
    #[track_caller]
    fn signed_in(case: &Case, more: &[&str], agent: Option<&Agent>) -> Self {
        let home = case.target.folder().join("elsewhere");
        fs::create_dir_all(&home).unwrap();
        let wish = json!({ "name": "elsewhere", "scope": "write", "expires_in_seconds": 3600 });
        let (status, made) = case.browser.send("POST", "/api/v1/me/tokens", Some(&wish));
        assert_eq!(status, 201, "{made}");
        let it = Self { home };
        let ca = case.target.gateway().data().join("certs/ca.pem");
        let mut login = it.devgate(agent);
        login.args([
            "login",
            case.browser.origin(),
            "--name",
            "there",
            "--token",
            "-",
            "--ca",
        ]);
        login.arg(ca).args(more);
        let _ = run(
            &mut login,
            made["token"].as_str().unwrap().as_bytes(),
            CLIENT,
        )
        .ok();
        it
    }

    /// The command line, on a machine of its own.
    fn devgate(&self, agent: Option<&Agent>) -> Command {
        let mut command = Command::new(built("devgate"));
        command
            .env("HOME", &self.home)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("DISPLAY");
        if let Some(agent) = agent {
            command.env("SSH_AUTH_SOCK", &agent.socket);
        }
        command
    }

    #[track_caller]
    fn run(&self, agent: Option<&Agent>, args: &[&str]) -> Finished {
        run(self.devgate(agent).args(args), b"", CLIENT)
    }

    fn kept(&self, ending: &str) -> PathBuf {
        self.home
            .join(format!(".config/devgate/ssh/there.key{ending}"))
    }
}

#[test]
fn the_command_line_gets_one_in_a_file_and_renews_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = Case::new();
    let it = Elsewhere::signed_in(&case, &["--ssh-certificate"], None);
    let mode = it.kept("").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let batch = ["-o", "BatchMode=yes"];
    let ssh = |command: &'static str| {
        let args = [&["ssh", "default"], batch.as_slice(), &["--", command]].concat();
        it.run(None, &args)
    };
    assert_eq!(ssh("echo hello").ok().out(), "hello\n");

    // One that is about to end is renewed on the way.
    let _ = it
        .run(None, &["ssh-certificate", "get", "--valid", "15s"])
        .ok();
    let before = fs::read_to_string(it.kept("-cert.pub")).unwrap();
    assert_eq!(ssh("echo again").ok().out(), "again\n");
    assert_ne!(fs::read_to_string(it.kept("-cert.pub")).unwrap(), before);

    // By plain ssh, through what config-ssh writes, as well.
    let _ = it
        .run(None, &["ssh-certificate", "get", "--valid", "15s"])
        .ok();
    let config = it.home.join("config");
    let config = config.to_str().unwrap();
    let _ = it.run(None, &["config-ssh", "--file", config]).ok();
    let mut plain = Command::new(program("ssh"));
    plain
        .env("HOME", &it.home)
        .env_remove("SSH_AUTH_SOCK")
        .args([
            "-F",
            config,
            "-o",
            "BatchMode=yes",
            "default.there.devgate",
            "echo plain",
        ]);
    assert_eq!(run(&mut plain, b"", CLIENT).ok().out(), "plain\n");
    assert_ne!(fs::read_to_string(it.kept("-cert.pub")).unwrap(), before);

    // It is listed and revoked, and goes with the log-out. One that lasts isn't renewed.
    let _ = it.run(None, &["ssh-certificate", "get"]).ok();
    let listed = it
        .run(None, &["ssh-certificate", "list", "--json"])
        .ok()
        .out();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert!(listed.as_array().unwrap().len() >= 4, "{listed}");
    for one in listed.as_array().unwrap() {
        let serial = one["serial"].to_string();
        let _ = it.run(None, &["ssh-certificate", "revoke", &serial]).ok();
    }
    assert_ne!(ssh("echo never").code(), 0);
    let _ = it.run(None, &["logout"]).ok();
    assert!(!it.kept("").exists() && !it.kept("-cert.pub").exists());
}

#[test]
fn the_command_line_gives_the_key_to_the_agent() {
    let case = Case::new();
    let agent = Agent::start(case.target.folder());
    let it = Elsewhere::signed_in(&case, &["--ssh-certificate"], Some(&agent));
    assert!(!it.kept("").exists(), "the agent has the key");
    let mut listed = Command::new(program("ssh-add"));
    listed.arg("-L").env("SSH_AUTH_SOCK", &agent.socket);
    let listed = eventually(SOON, "the agent has a certificate", || {
        let listed = run(&mut listed, b"", CLIENT).out();
        listed.contains("-cert-v01@openssh.com").then_some(listed)
    });
    assert!(listed.contains("devgate"), "{listed}");
    let args = ["ssh", "default", "-o", "BatchMode=yes", "--", "echo hello"];
    assert_eq!(it.run(Some(&agent), &args).ok().out(), "hello\n");
}
