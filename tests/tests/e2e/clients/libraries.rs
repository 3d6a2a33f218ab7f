//! Libraries that programs have for SSH: commands, shells, files and forwards in both
//! directions, over one connection each.

use e2e::clients::{Errand, Library, old_key};
use e2e::reach::{self, Reach};

/// Has a library's program do its errand with the key of most people.
#[track_caller]
fn check(library: Library, expected: &[&str]) {
    reach::run(Reach::Unix, |target| {
        let errand = Errand::new(target, &target.access().identity);
        // Some steps are done beside each other.
        let (mut steps, mut expected) = (errand.run(library, &[]), expected.to_vec());
        steps.sort_unstable();
        expected.sort_unstable();
        assert_eq!(steps, expected);
    });
}

#[test]
fn paramiko_does_all_that_a_workspace_is_for() {
    let first = ["exec", "shell", "sftp"];
    let then = ["direct-tcpip", "refused", "tcpip-forward"];
    let again = ["exec", "sftp", "rekeyed"];
    let steps = [first, then, again].concat();
    check(Library::Python("paramiko_client.py"), &steps);
}

#[test]
fn asyncssh_does_all_that_a_workspace_is_for_while_keys_change_with_every_mebibyte() {
    let first = ["exec", "shell", "sftp", "scp"];
    let then = ["direct-tcpip", "refused", "tcpip-forward"];
    let last = ["direct-streamlocal", "streamlocal-forward", "keepalive"];
    let steps = [&first[..], &then, &last].concat();
    check(Library::Python("asyncssh_client.py"), &steps);
}

#[test]
fn libssh2_does_all_that_a_workspace_is_for() {
    let first = ["exec", "shell", "sftp", "scp", "direct-tcpip"];
    let then = ["refused", "tcpip-forward", "exec", "sftp", "keepalive"];
    let steps = [first, then].concat();
    check(Library::Python("libssh2_client.py"), &steps);
}

#[test]
fn ssh2_of_node_does_all_that_a_workspace_is_for() {
    let first = ["exec", "shell", "sftp", "direct-tcpip", "refused"];
    let sockets = ["tcpip-forward", "direct-streamlocal", "streamlocal-forward"];
    let then = ["exec", "sftp", "rekeyed", "keepalive"];
    let steps = [&first[..], &sockets, &then].concat();
    check(Library::Node("ssh2_client.cjs"), &steps);
}

#[test]
fn jsch_does_all_that_a_workspace_is_for_although_it_knows_old_keys_only() {
    reach::run(Reach::Unix, |target| {
        if !target.is_devgate() {
            return; // the tests' sshd has no such host key
        }
        let errand = Errand::new(target, &old_key(target));
        let first = ["exec", "shell", "sftp", "direct-tcpip", "refused"];
        let then = ["tcpip-forward", "exec", "sftp", "rekeyed", "keepalive"];
        let steps = errand.run(Library::Java("JschClient.java"), &[]);
        assert_eq!(steps, [first, then].concat());
    });
}
