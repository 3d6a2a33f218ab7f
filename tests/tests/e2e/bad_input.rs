//! What people get wrong: each mistake gets one clear sentence.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use e2e::component::built;
use e2e::keys;
use e2e::process::{Finished, run};
use e2e::reach::Reach;
use e2e::survivors::Folder;
use e2e::target::Target;
use e2e::wait::{SOON, until};

/// One sentence on stderr, nothing on stdout, the status that `ssh` gives its own
/// failures.
#[track_caller]
fn assert_refused(done: &Finished, words: &[&str]) {
    assert_eq!(done.code(), 255, "{done:?}");
    assert_eq!(done.out(), "", "{done:?}");
    let text = done.err();
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
    assert_eq!(text.trim_end().lines().count(), 1, "not one line: {text:?}");
    assert!(text.len() < 600, "{text:?}");
}

/// One clear line on stderr, and a failure.
#[track_caller]
fn assert_fails(done: &Finished, words: &[&str]) {
    assert!(!done.status.success(), "{done:?}");
    let text = done.err();
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
    assert!(
        !text.contains("panicked") && !text.contains("RUST_BACKTRACE"),
        "{text}"
    );
    assert!(
        !text.contains("Error {") && !text.contains("Os {"),
        "a debug format is for no person: {text}"
    );
}

#[test]
fn a_wrong_key_is_refused() {
    let target = Target::devgate(Reach::Unix);
    let other = keys::generate(target.folder(), "other");
    let done = target
        .ssh()
        .args(["-F", "none", "-i"])
        .args([&other])
        .args([
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "BatchMode=yes",
            "-o",
            "HostKeyAlias=pinned",
        ])
        .option(&format!(
            "UserKnownHostsFile={}",
            target.path("known_hosts").display()
        ))
        .via(target.access().address)
        .user("default")
        .run("echo never");
    assert_refused(&done, &["Permission denied (publickey"]);
}

#[test]
fn an_unknown_workspace_is_named_in_one_sentence() {
    let target = Target::devgate(Reach::Unix);
    for name in ["nowhere", "default.nobody", "nowhere.root"] {
        let done = target.ssh().user(name).run("echo never");
        assert_refused(&done, &[name.split('.').next().unwrap()]);
    }
    // With a terminal the sentence comes as well.
    let done = target.ssh().user("nowhere").args(["-tt"]).run("echo never");
    assert_eq!(done.code(), 255, "{done:?}");
    assert!(
        done.err().contains("nowhere") || done.out().contains("nowhere"),
        "{done:?}"
    );
}

#[test]
fn impossible_names_are_refused_in_one_sentence() {
    let target = Target::devgate(Reach::Unix);
    let overlong = "x".repeat(300);
    // What OpenSSH's client lets through; the rest is tested beside the parser.
    for name in [
        "../etc",
        "a/../../b",
        "two words",
        "Upper",
        "a--b",
        "a.b.c",
        "ä",
        overlong.as_str(),
    ] {
        let done = target.ssh().user(name).run("echo never");
        assert_refused(&done, &["does not name a workspace"]);
    }
    assert_eq!(target.ssh().run("echo good").ok().out(), "good\n");
    let log = target.gateway().log();
    assert!(!log.contains("panicked"), "{log}");
    let folders = fs::read_dir(target.gateway().data().join("workspaces")).unwrap();
    assert_eq!(folders.count(), 1, "a refused name left something behind");
}

#[test]
fn a_bad_channel_leaves_the_others_alone() {
    let target = Target::devgate(Reach::Unix);
    let mut open = target.ssh().start("echo up; cat");
    open.wait_for("up", SOON);
    let done = target.ssh().args(["-s"]).run("no-such-subsystem");
    assert_ne!(done.code(), 0, "{done:?}");
    open.write(b"still here\n");
    open.wait_for("still here", SOON);
}

#[test]
fn many_failures_lock_out_for_a_while() {
    let target = Target::devgate_with(
        Reach::Unix,
        &[
            ("DEVGATE_LOCKOUT_FAILURES", "3"),
            ("DEVGATE_LOCKOUT_DURATION", "3s"),
        ],
    );
    assert_eq!(target.ssh().run("echo good").ok().out(), "good\n");
    let other = keys::generate(target.folder(), "other");
    let wrong_config = target.path("wrong_config");
    let known = fs::read_to_string(target.config()).unwrap();
    let identity = target.access().identity;
    let wrong = known.replace(
        &format!("IdentityFile {}\n", identity.display()),
        &format!("IdentityFile {}\n", other.display()),
    );
    assert_ne!(wrong, known);
    fs::write(&wrong_config, wrong).unwrap();
    for _ in 0..6 {
        let done = e2e::ssh::Ssh::with_config(&wrong_config).run("echo never");
        assert_eq!(done.code(), 255, "{done:?}");
    }
    let done = target.ssh().run("echo never");
    assert_eq!(
        done.code(),
        255,
        "the right key is locked out too: {done:?}"
    );
    assert!(
        target.gateway().log().contains("lock"),
        "the log tells: {}",
        target.gateway().log()
    );
    until(SOON, "the end of the lock-out", || {
        target.ssh().run("true").status.success()
    });
}

#[test]
fn strangers_who_fail_with_a_name_keep_its_owner_out_nowhere() {
    let target = Target::devgate_with(Reach::Unix, &[("DEVGATE_LOCKOUT_FAILURES", "3")]);
    let wrong = keys::generate(target.folder(), "wrong");
    // The file's key would be tried as well.
    let config = target.path("strangers_config");
    let text = fs::read_to_string(target.config()).unwrap();
    let right = target.access().identity.display().to_string();
    fs::write(&config, text.replace(&right, &wrong.display().to_string())).unwrap();
    for host in 2..8 {
        let done = e2e::ssh::Ssh::with_config(&config)
            .option(&format!("BindAddress=127.0.0.{host}"))
            .within(SOON)
            .run("echo never");
        assert_eq!(done.code(), 255, "{done:?}");
    }
    let log = target.gateway().log();
    assert!(log.contains("login name locked out"), "{log}");
    // From where its owner never was.
    let done = target.ssh().option("BindAddress=127.0.0.99").run("echo in");
    assert_eq!(done.ok().out(), "in\n");
}

#[test]
fn the_log_says_whom_a_refusal_concerns() {
    let target = Target::devgate(Reach::Unix);
    assert_eq!(target.ssh().user("nowhere").run("true").code(), 255);
    let log = target.gateway().log();
    let line = log.lines().find(|line| line.contains(" refused "));
    let line = line.unwrap_or_else(|| panic!("no refusal in {log}"));
    for field in ["user=", "workspace=\"nowhere\"", "peer=127.0.0.1:"] {
        assert!(line.contains(field), "{field} is not in {line}");
    }
}

/// Runs `devgate` with a data folder that isn't there yet.
fn devgate(folder: &Folder, args: &[&str]) -> Finished {
    let mut command = Command::new(built("devgate"));
    command
        .env("DEVGATE_DATA_DIR", folder.path().join("data"))
        .env("HOME", folder.path())
        .args(args);
    run(&mut command, b"", Duration::from_secs(30))
}

const ANY_PORT: [&str; 4] = [
    "--ssh-listen",
    "127.0.0.1:0",
    "--http-listen",
    "127.0.0.1:0",
];

#[test]
fn a_broken_configuration_names_its_file_and_line() {
    let folder = Folder::new();
    let file = folder.path().join("devgate.toml");
    let path = file.display().to_string();
    for (text, words) in [
        ("[ssh\nlisten = 1\n", vec![path.as_str()]),
        (
            "[ssh]\nlisen = \"127.0.0.1:0\"\n",
            vec![path.as_str(), "lisen", "listen"],
        ),
        ("[ssh]\nlisten = 7\n", vec![path.as_str(), "listen"]),
        (
            "drain-timeout = \"soon\"\n",
            vec![path.as_str(), "drain-timeout", "soon"],
        ),
        (
            "[ssh]\nmax-channels = -1\n",
            vec![path.as_str(), "max-channels"],
        ),
    ] {
        fs::write(&file, text).unwrap();
        for command in [
            vec!["serve", "--config", &path],
            vec!["config", "check", "--config", &path],
        ] {
            assert_fails(&devgate(&folder, &command), &words);
        }
        assert!(
            !folder.path().join("data").exists(),
            "a start that failed left something behind"
        );
    }
    let missing = folder.path().join("missing.toml").display().to_string();
    assert_fails(
        &devgate(&folder, &["serve", "--config", &missing]),
        &[&missing],
    );
}

#[test]
fn a_taken_port_is_named_and_nothing_is_made() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (ssh, http) in [
        (address.as_str(), "127.0.0.1:0"),
        ("127.0.0.1:0", address.as_str()),
    ] {
        let done = devgate(&folder, &["up", "--ssh-listen", ssh, "--http-listen", http]);
        assert_fails(&done, &[&address]);
        assert!(!folder.path().join("data/devgate.db").exists(), "{done:?}");
    }
}

#[test]
fn a_data_folder_that_cannot_be_is_named() {
    let folder = Folder::new();
    fs::write(folder.path().join("file"), b"in the way").unwrap();
    let data = folder.path().join("file/data").display().to_string();
    let mut args = vec!["up", "--data-dir", &data];
    args.extend(ANY_PORT);
    assert_fails(&devgate(&folder, &args), &[&data]);
    // A file system that can't be written to refuses root as well.
    let mut args = vec!["up", "--data-dir", "/proc/devgate"];
    args.extend(ANY_PORT);
    assert_fails(&devgate(&folder, &args), &["/proc/devgate"]);
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let target = Target::devgate(Reach::Unix);
    let mut args = vec!["up"];
    args.extend(ANY_PORT);
    let done = target.gateway().cli(&args);
    let pid = target.gateway().ready().pid.to_string();
    assert_fails(&done, &[&pid]);
    assert_eq!(target.ssh().run("echo good").ok().out(), "good\n");
}

#[test]
fn a_command_without_a_server_says_how_to_start_one() {
    let folder = Folder::new();
    assert_fails(&devgate(&folder, &["list"]), &["devgate up"]);
    assert!(!folder.path().join("data").exists());
}
