//! A forwarded authentication agent, as nested `ssh` and `git` use it.

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use e2e::component::program;
use e2e::process::{Running, run};
use e2e::ssh::plain;
use e2e::target::Target;
use e2e::wait::{SOON, until};
use e2e::{everywhere, keys};

/// Starts an `ssh-agent` that holds the key which the target lets in.
fn start_agent(target: &Target) -> (Running, std::path::PathBuf) {
    let socket = target.path("agent.sock");
    let mut command = Command::new(program("ssh-agent"));
    command.arg("-D").arg("-a").arg(&socket);
    let agent = Running::start(&mut command);
    until(SOON, "the agent's socket", || {
        UnixStream::connect(&socket).is_ok()
    });
    let mut command = plain("ssh-add");
    command
        .env("SSH_AUTH_SOCK", &socket)
        .arg("-q")
        .arg(target.access().identity);
    let _ = run(&mut command, b"", SOON).ok();
    (agent, socket)
}

everywhere! {
    fn the_agent_can_be_asked_for_its_keys(target: &Target) {
        let (_agent, socket) = start_agent(target);
        let done = target.ssh().args(["-A"]).env("SSH_AUTH_SOCK", &socket).option("IdentityAgent=SSH_AUTH_SOCK")
            .run("ssh-add -L").ok();
        let key = keys::public_text(&target.access().identity);
        assert!(done.out().starts_with(&key), "{done:?}");
    }

    fn a_nested_ssh_logs_in_with_the_forwarded_agent(target: &Target) {
        let (_agent, socket) = start_agent(target);
        let access = target.access();
        let nested = format!(
            "ssh -F none -o StrictHostKeyChecking=yes -o HostKeyAlias=pinned -o UserKnownHostsFile={} \
             -o IdentityFile=none -o BatchMode=yes -p {} {}@{} 'echo nested; exit 5'",
            target.path("known_hosts").display(), access.address.port(), access.user, access.address.ip(),
        );
        let done = target.ssh().args(["-A"]).env("SSH_AUTH_SOCK", &socket).option("IdentityAgent=SSH_AUTH_SOCK").run(nested);
        assert_eq!((done.out().as_str(), done.code()), ("nested\n", 5), "{done:?}");
    }

    fn the_socket_is_private_and_goes_with_its_channel(target: &Target) {
        let (_agent, socket) = start_agent(target);
        let mut ssh = target.ssh().args(["-A"]).env("SSH_AUTH_SOCK", &socket).option("IdentityAgent=SSH_AUTH_SOCK")
            .start("echo $SSH_AUTH_SOCK; stat -c %a $SSH_AUTH_SOCK $(dirname $SSH_AUTH_SOCK); echo end; cat");
        let out = ssh.wait_for("end", SOON);
        let lines: Vec<_> = out.lines().collect();
        let exists = || target.ssh().run(format!("test -S {}", lines[0])).code() == 0;
        assert!(exists(), "{out}");
        let (mode, folder) = (lines[1], lines[2]);
        // sshd relies on the folder; a gateway's agent keeps the socket private too.
        assert!(mode == "600" || folder == "700" && !target.is_devgate(), "only its owner may connect: {out}");
        ssh.end_input();
        let _ = ssh.finish(SOON).ok();
        until(SOON, "the removal of the socket", || !exists());
    }

    fn several_programs_ask_the_agent_at_once(target: &Target) {
        let (_agent, socket) = start_agent(target);
        let command = "for i in 1 2 3 4 5 6 7 8; do ssh-add -l > /dev/null || echo failed & done; wait; echo all";
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let done = target.ssh().args(["-A"]).env("SSH_AUTH_SOCK", &socket).option("IdentityAgent=SSH_AUTH_SOCK")
                        .run(command).ok();
                    assert_eq!(done.out(), "all\n", "{done:?}");
                });
            }
        });
    }

    fn without_forwarding_there_is_no_agent(target: &Target) {
        let done = target.ssh().run("echo \"<$SSH_AUTH_SOCK>\"").ok();
        assert_eq!(done.out(), "<>\n");
    }
}
