//! What people are told whose workspace somebody ends while they are in it, or whose agent is
//! lost.

use e2e::over_both_reaches;
use e2e::process::{Running, signal};
use e2e::reach::{self, Reach};
use e2e::severed::sever;
use e2e::target::Target;
use e2e::wait::SOON;
use nix::sys::signal::Signal;

/// A shell on a terminal, a program that reads its input, and a copy of files.
fn open_all(target: &Target) -> [Running; 3] {
    let mut shell = target.ssh().args(["-tt"]).start("exec sh");
    shell.write(b"echo sh''ell\n");
    shell.wait_for("shell", SOON);
    let mut cat = target.ssh().start("cat");
    cat.write(b"cat\n");
    cat.wait_for("cat", SOON);
    let mut files = target.ssh().args(["-s"]).start("sftp");
    files.write(b"\0\0\0\x05\x01\0\0\0\x03");
    files.wait_for_bytes(SOON, "the version of SFTP", |seen| seen.len() > 4);
    [shell, cat, files]
}

/// Ends all of them by a command; each is told in one sentence.
#[track_caller]
fn end_all(target: &Target, command: &[&str], parts: &[&str]) {
    let all = open_all(target);
    let ordered = target.gateway().start_cli(command);
    all_are_told(all, command, parts);
    let _ = ordered.finish(SOON).ok();
}

/// Waits for the end of all of them, who are each told in one sentence.
#[track_caller]
fn all_are_told(all: [Running; 3], command: &[&str], parts: &[&str]) {
    for (running, end) in all.into_iter().zip(["\r\n", "\n", "\n"]) {
        let done = running.finish(SOON);
        assert_eq!(done.code(), 255, "{command:?}: {done:?}");
        let told: Vec<_> = done
            .err()
            .split_inclusive('\n')
            .map(str::to_owned)
            .collect();
        let told: Vec<_> = told
            .iter()
            .filter(|line| line.starts_with("devgate: "))
            .collect();
        assert_eq!(told.len(), 1, "{command:?}: {done:?}");
        for part in parts {
            assert!(told[0].contains(part), "{command:?}: {done:?}");
        }
        assert!(told[0].ends_with(end), "{command:?}: {done:?}");
        assert_eq!(
            told[0].ends_with("\r\n"),
            end == "\r\n",
            "{command:?}: {done:?}"
        );
    }
}

over_both_reaches! {
    fn whoever_is_in_a_workspace_that_is_ended_learns_how(target: &Target) {
        if !target.is_devgate() {
            return; // there is nothing to be ended
        }
        end_all(target, &["restart", "default"], &["default.root is being restarted", "connect again"]);
        end_all(target, &["sleep", "default"], &["default.root went to sleep", "devgate start"]);
        let _ = target.gateway().cli(&["start", "default"]).ok();
        end_all(target, &["stop", "default"], &["default.root was stopped", "devgate start default.root"]);
        let _ = target.gateway().cli(&["start", "default"]).ok();
        end_all(target, &["delete", "default", "--yes"], &["was deleted", "devgate list --deleted"]);
        let _ = target.gateway().cli(&["restore", "default"]).ok();
        let _ = target.gateway().cli(&["start", "default"]).ok();
        end_all(target, &["delete", "default", "--yes", "--purge"], &["was deleted"]);
    }

    fn whoever_loses_the_agent_learns_that_it_is_started_again(target: &Target) {
        if !target.is_devgate() {
            return; // there is no agent
        }
        let all = open_all(target);
        signal(target.gateway().agent(), Signal::SIGKILL);
        all_are_told(all, &["kill"], &["agent ended by itself", "restarted by itself", "connect again"]);
    }

    fn whoever_ends_by_themselves_is_told_nothing(target: &Target) {
        for script in ["exit 0", "exit 3", "kill -HUP $$", "kill -KILL $$"] {
            let done = target.ssh().run(script);
            assert_eq!(done.err(), "", "{script}: {done:?}");
            let done = target.ssh().args(["-tt"]).run(script);
            assert!(!done.err().contains("devgate"), "{script}: {done:?}");
        }
    }
}

#[test]
fn whoever_loses_the_connection_to_the_agent_is_promised_no_restart() {
    reach::run(Reach::Dial, |target| {
        if !target.is_devgate() {
            return; // there is no agent
        }
        let agent = target.gateway().agent();
        let all = open_all(target);
        let ready = target.gateway().ready();
        sever(ready.pid, ready.http.port());
        let said = ["connection to the workspace's agent broke", "connect again"];
        all_are_told(all, &["sever"], &said);
        let done = target.ssh().run("echo again").ok();
        assert_eq!(done.out(), "again\n");
        assert_eq!(target.gateway().agent(), agent);
    });
}
