//! Forwarded TCP ports: `-L`, `-R` and `-D`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use e2e::process::Running;
use e2e::target::Target;
use e2e::wait::{SOON, eventually, until};
use e2e::{everywhere, ports, servers, socks};

/// Starts a connection with forwards that stays open.
pub(crate) fn connect(target: &Target, args: &[&str]) -> Running {
    let mut ssh = target
        .ssh()
        .option("ExitOnForwardFailure=yes")
        .args(args)
        .start("echo connected; cat");
    ssh.wait_for("connected", SOON);
    assert!(ssh.ended().is_none(), "{}", ssh.errors());
    ssh
}

pub(crate) fn open(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the forward listens");
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Sends `bytes`, half-closes, and returns everything that comes back.
pub(crate) fn round_trip(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let collected = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).map(|_| all)
    });
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    collected.join().unwrap().expect("the answer is complete")
}

everywhere! {
    fn a_local_forward_carries_bytes_and_half_close(target: &Target) {
        let server = servers::echo("127.0.0.1:0");
        let port = ports::free();
        let _ssh = connect(target, &["-L", &format!("127.0.0.1:{port}:127.0.0.1:{}", server.port())]);
        let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
        assert!(round_trip(open(port), &bytes) == bytes);
        assert_eq!(round_trip(open(port), b""), b"");
    }

    fn a_local_forward_reaches_ipv4_ipv6_and_localhost(target: &Target) {
        let four = servers::greeter("127.0.0.1:0", b"four");
        let six = servers::greeter("[::1]:0", b"six");
        let proxy = ports::free();
        let _ssh = connect(target, &["-D", &format!("127.0.0.1:{proxy}")]);
        for (host, port, expected) in [
            ("127.0.0.1", four.port(), "four"),
            ("::1", six.port(), "six"),
            ("localhost", four.port(), "four"),
            ("localhost", six.port(), "six"),
        ] {
            // Where the host's own file doesn't give localhost an IPv6 address,
            // only a gateway tries ::1 all the same.
            if (host, expected) == ("localhost", "six") && !target.is_devgate() {
                continue;
            }
            let stream = socks::connect(proxy, host, port).unwrap_or_else(|error| panic!("{host}: {error:?}"));
            assert_eq!(String::from_utf8(round_trip(stream, b"")).unwrap(), expected, "{host}");
        }
    }

    fn a_refused_connection_harms_nothing_else(target: &Target) {
        let server = servers::echo("127.0.0.1:0");
        let proxy = ports::free();
        let closed = ports::free();
        let mut ssh = connect(target, &["-D", &format!("127.0.0.1:{proxy}")]);
        let kept = socks::connect(proxy, "127.0.0.1", server.port()).expect("the server listens");
        for _ in 0..20 {
            assert!(matches!(socks::connect(proxy, "127.0.0.1", closed), Err(socks::Refused::Answer(_))));
            assert!(matches!(socks::connect(proxy, "no-such-host.invalid", 80), Err(socks::Refused::Answer(_))));
        }
        assert_eq!(round_trip(kept, b"still here"), b"still here");
        ssh.write(b"and the session\n");
        ssh.wait_for("and the session", SOON);
    }

    fn a_refused_connection_is_told_as_such(target: &Target) {
        let closed = ports::free();
        let done = target.ssh().option("LogLevel=INFO").args(["-W", &format!("127.0.0.1:{closed}")]).run_without_command();
        assert_eq!(done.code(), 255, "{done:?}");
        assert!(done.err().contains("connect failed"), "{done:?}");
    }

    fn a_target_that_resets_under_load_ends_its_own_channel_only(target: &Target) {
        let echo = servers::echo("127.0.0.1:0");
        let resetter = servers::resetter("127.0.0.1:0", 2_000_000);
        let proxy = ports::free();
        let mut ssh = connect(target, &["-D", &format!("127.0.0.1:{proxy}")]);
        let kept = socks::connect(proxy, "127.0.0.1", echo.port()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        // It may be reset before it is even reported as open.
                        let Ok(mut stream) =
                            socks::connect(proxy, "127.0.0.1", resetter.port())
                        else {
                            continue;
                        };
                        // Both directions are busy when the reset comes.
                        let mut writer = stream.try_clone().unwrap();
                        let flood = std::thread::spawn(move || {
                            let chunk = [1; 4096];
                            while writer.write_all(&chunk).is_ok() {}
                        });
                        let mut buffer = vec![0; 65536];
                        while matches!(stream.read(&mut buffer), Ok(1..)) {}
                        stream.shutdown(Shutdown::Both).ok();
                        flood.join().unwrap();
                    }
                });
            }
        });
        assert_eq!(round_trip(kept, b"still here"), b"still here");
        ssh.write(b"and the session\n");
        ssh.wait_for("and the session", SOON);
    }

    fn a_remote_forward_listens_in_the_workspace(target: &Target) {
        let server = servers::echo("127.0.0.1:0");
        let port = ports::free();
        let _ssh = connect(target, &["-R", &format!("127.0.0.1:{port}:127.0.0.1:{}", server.port())]);
        let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
        assert!(round_trip(open(port), &bytes) == bytes);
        // As a program of the workspace sees it.
        let done = target.ssh().run(format!(
            "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; echo inside >&3; head -n1 <&3'"
        )).ok();
        assert_eq!(done.out(), "inside\n");
    }

    fn a_remote_forward_of_port_0_gets_a_port_and_tells_it(target: &Target) {
        let server = servers::greeter("127.0.0.1:0", b"hello");
        let ssh = target.ssh().option("ExitOnForwardFailure=yes").option("LogLevel=INFO")
            .args(["-R", &format!("localhost:0:127.0.0.1:{}", server.port())])
            .start("echo connected; cat");
        let said = ssh.wait_for_error("Allocated port", SOON);
        let port: u16 = said.split("Allocated port ").nth(1).and_then(|rest| rest.split(' ').next())
            .and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {said:?}"));
        assert_ne!(port, 0);
        assert_eq!(round_trip(open(port), b""), b"hello");
    }

    fn a_remote_forward_survives_a_target_that_resets(target: &Target) {
        let resetter = servers::resetter("127.0.0.1:0", 1_000_000);
        let echo = servers::echo("127.0.0.1:0");
        let (reset_port, echo_port) = (ports::free(), ports::free());
        let _ssh = connect(target, &[
            "-R", &format!("127.0.0.1:{reset_port}:127.0.0.1:{}", resetter.port()),
            "-R", &format!("127.0.0.1:{echo_port}:127.0.0.1:{}", echo.port()),
        ]);
        for _ in 0..10 {
            let mut stream = open(reset_port);
            let mut sink = Vec::new();
            stream.read_to_end(&mut sink).ok();
        }
        assert_eq!(round_trip(open(echo_port), b"still here"), b"still here");
    }

    fn a_taken_port_refuses_the_remote_forward(target: &Target) {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let done = target.ssh().option("ExitOnForwardFailure=yes")
            .args(["-R", &format!("127.0.0.1:{port}:127.0.0.1:1")]).run("echo never");
        assert_eq!(done.code(), 255, "{done:?}");
        assert!(done.err().contains("remote port forwarding failed"), "{done:?}");
        assert_eq!(done.out(), "");
    }

    fn a_cancelled_forward_frees_its_listener(target: &Target) {
        let server = servers::greeter("127.0.0.1:0", b"hello");
        let port = ports::free();
        let socket = target.path("control");
        let control = format!("ControlPath={}", socket.display());
        let _master = target.ssh().option(&control).option("ControlMaster=yes").start_without_command();
        until(SOON, "the master's socket", || socket.exists());
        let forward = format!("127.0.0.1:{port}:127.0.0.1:{}", server.port());
        for _ in 0..3 {
            let _ = target.ssh().option(&control).args(["-O", "forward", "-R", &forward]).run("").ok();
            assert_eq!(round_trip(open(port), b""), b"hello");
            let _ = target.ssh().option(&control).args(["-O", "cancel", "-R", &forward]).run("").ok();
            eventually(SOON, "the port is free again", || TcpListener::bind(("127.0.0.1", port)).ok());
        }
    }

    fn a_forward_ends_with_its_connection(target: &Target) {
        let port = ports::free();
        let ssh = connect(target, &["-R", &format!("127.0.0.1:{port}:127.0.0.1:1")]);
        assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
        drop(ssh);
        eventually(SOON, "the port is free again", || TcpListener::bind(("127.0.0.1", port)).ok());
    }

    fn a_reader_that_stalls_holds_up_only_itself(target: &Target) {
        let pourer = servers::pourer("127.0.0.1:0", 50_000_000);
        let echo = servers::echo("127.0.0.1:0");
        let proxy = ports::free();
        let _ssh = connect(target, &["-D", &format!("127.0.0.1:{proxy}")]);
        let mut stalled = socks::connect(proxy, "127.0.0.1", pourer.port()).unwrap();
        let mut first = [0; 1];
        stalled.read_exact(&mut first).unwrap();
        for _ in 0..20 {
            let stream = socks::connect(proxy, "127.0.0.1", echo.port()).unwrap();
            assert_eq!(round_trip(stream, b"quick"), b"quick");
        }
        // Once it reads again, nothing has been lost.
        stalled.shutdown(Shutdown::Write).unwrap();
        stalled.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let rest = std::io::copy(&mut stalled, &mut std::io::sink()).unwrap();
        assert_eq!(rest, 49_999_999);
    }
}
