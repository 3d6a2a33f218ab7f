//! Forwarded Unix sockets, both ways.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use e2e::target::Target;
use e2e::wait::{SOON, until};
use e2e::{everywhere, ports, servers};

fn round_trip(socket: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).expect("the forward listens");
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

everywhere! {
    fn a_local_socket_leads_to_one_in_the_workspace(target: &Target) {
        let (here, there) = (target.path("here"), target.path("there"));
        servers::echo_unix(&there);
        let ssh = target.ssh().args(["-L", &format!("{}:{}", here.display(), there.display())]).start("echo connected; cat");
        // The socket's file is there before anybody listens on it.
        ssh.wait_for("connected", SOON);
        assert_eq!(round_trip(&here, b"by streamlocal"), b"by streamlocal");
    }

    fn a_local_port_leads_to_a_socket_in_the_workspace(target: &Target) {
        let there = target.path("there");
        servers::echo_unix(&there);
        let port = ports::free();
        let ssh = target.ssh().args(["-L", &format!("127.0.0.1:{port}:{}", there.display())]).start("echo connected; cat");
        ssh.wait_for("connected", SOON);
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(b"x").unwrap();
        let mut answer = [0; 1];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"x");
    }

    fn a_socket_in_the_workspace_leads_back_to_a_local_one(target: &Target) {
        let (here, there) = (target.path("here"), target.path("there"));
        servers::echo_unix(&here);
        let ssh = target.ssh().option("ExitOnForwardFailure=yes")
            .args(["-R", &format!("{}:{}", there.display(), here.display())]).start("echo connected; cat");
        ssh.wait_for("connected", SOON);
        assert_eq!(round_trip(&there, b"and back"), b"and back");
        drop(ssh);
        // As with sshd, the file may stay; nobody listens on it.
        until(SOON, "the end of the listener", || UnixStream::connect(&there).is_err());
    }

    fn a_socket_that_is_not_there_is_refused(target: &Target) {
        let mut ssh = target.ssh().args(["-L", &format!("{}:{}", target.path("here").display(), target.path("nowhere").display())])
            .start("echo connected; cat");
        ssh.wait_for("connected", SOON);
        let mut stream = UnixStream::connect(target.path("here")).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut answer = Vec::new();
        assert!(matches!(stream.read_to_end(&mut answer), Ok(0) | Err(_)));
        ssh.write(b"still here\n");
        ssh.wait_for("still here", SOON);
    }
}
