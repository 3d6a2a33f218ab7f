//! What breaks: agents, gateways, networks, readers.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use e2e::memory::anonymous_kib;
use e2e::process::{is_running, signal, wait_until_gone};
use e2e::proxy::Proxy;
use e2e::target::Target;
use e2e::wait::{SOON, eventually, until};
use e2e::{everywhere, everywhere_with, over_both_reaches, ports, servers, socks};

/// How much the processes that carry a stalled stream may grow, in KiB: the
/// windows and socket buffers of one channel, many times over.
const GROWTH_KIB: u64 = 32 * 1024;

/// How long a stalled stream is watched. At the rate of `/dev/zero`, what isn't
/// held back would be gigabytes.
const WATCHED: Duration = Duration::from_secs(5);

over_both_reaches! {
    fn a_killed_agent_ends_its_channels_and_the_next_one_works(target: &Target) {
        let agent = target.gateway().agent();
        let mut busy = target.ssh().start("echo up; cat > /dev/null");
        busy.wait_for("up", SOON);
        let started = Instant::now();
        signal(agent, Signal::SIGKILL);
        let ended = eventually(SOON, "the end of the lost channel", || busy.ended());
        assert!(!ended.success(), "a lost program is no success");
        // Interactive: it waits for the restart by itself.
        let done = target.ssh().run("echo again").ok();
        assert_eq!(done.out(), "again\n");
        assert_ne!(target.gateway().agent(), agent);
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    fn a_connection_outlives_the_agent(target: &Target) {
        let socket = target.path("control");
        let control = format!("ControlPath={}", socket.display());
        let mut master = target.ssh().option(&control).option("ControlMaster=yes").start_without_command();
        until(SOON, "the master's socket", || socket.exists());
        let _ = target.ssh().option(&control).run("true").ok();
        for _ in 0..3 {
            let agent = target.gateway().agent();
            signal(agent, Signal::SIGKILL);
            wait_until_gone(agent, SOON);
            let done = target.ssh().option(&control).run("echo again").ok();
            assert_eq!(done.out(), "again\n");
        }
        assert!(master.ended().is_none(), "the connection was dropped: {}", master.errors());
    }

    fn a_forward_in_the_workspace_comes_back_with_its_agent(target: &Target) {
        let server = servers::greeter("127.0.0.1:0", b"hello");
        let port = ports::free();
        let _ssh = target.ssh().args(["-R", &format!("127.0.0.1:{port}:127.0.0.1:{}", server.port())]).start_without_command();
        let greet = || {
            let mut text = String::new();
            TcpStream::connect(("127.0.0.1", port)).ok()?.read_to_string(&mut text).ok()?;
            (text == "hello").then_some(())
        };
        eventually(SOON, "the forward", greet);
        let agent = target.gateway().agent();
        signal(agent, Signal::SIGKILL);
        wait_until_gone(agent, SOON);
        eventually(SOON, "the forward, again", greet);
    }

    fn a_killed_gateway_finds_its_workspaces_and_their_programs_again(target: &mut Target) {
        let agent = target.gateway().agent();
        let done = target.ssh().run("nohup sleep 600 > /dev/null 2>&1 < /dev/null & echo $!; echo kept > file").ok();
        let program: u32 = done.out().trim().parse().unwrap();
        let _ = target.gateway().cli(&["create", "second"]).ok();
        let key = e2e::keys::generate(target.folder(), "second-key");
            let _ = target.gateway().cli(&["keys", "add", &e2e::keys::public(&key).display().to_string()]).ok();
        let mut open = target.ssh().start("echo up; cat");
        open.wait_for("up", SOON);

        target.gateway_mut().kill();
        let ended = eventually(SOON, "the client notices", || open.ended());
        assert!(!ended.success());
        assert!(is_running(agent) && is_running(program), "the workspace went with its gateway");

        target.gateway_mut().start_again();
        let done = target.ssh().run(format!("cat file; kill -0 {program} && echo alive")).ok();
        assert_eq!(done.out(), "kept\nalive\n");
        assert!(target.gateway().agents().iter().any(|process| process.pid == agent), "the agent wasn't adopted");
        // What was acknowledged is still there.
        let done = target.ssh().user("second").run("echo second").ok();
        assert_eq!(done.out(), "second\n");
        let done = target.ssh().args(["-i", &key.display().to_string()]).run("echo by the new key").ok();
        assert_eq!(done.out(), "by the new key\n");
    }

    fn a_gateway_killed_again_and_again_loses_nothing(target: &mut Target) {
        let mut names = vec!["default".to_owned()];
        for round in 0..3 {
            let name = format!("made-{round}");
            let _ = target.gateway().cli(&["create", &name, "--no-wait"]).ok();
            names.push(name);
            // It is killed in the middle of the start.
            target.gateway_mut().kill();
            target.gateway_mut().start_again();
        }
        let list = target.gateway().cli(&["list", "--json"]).ok();
        for name in names {
            assert!(list.out().contains(&format!("\"{name}\"")), "{name} was lost: {list:?}");
            let done = target.ssh().user(&name).run("echo here").ok();
            assert_eq!(done.out(), "here\n");
        }
    }

    fn a_client_that_stops_reading_fills_no_memory(target: &Target) {
        let _ = target.ssh().run("true").ok();
        let carriers = target.carriers();
        let before: Vec<_> = carriers.iter().map(|&process| anonymous_kib(process)).collect();
        let (reader, writer) = std::io::pipe().unwrap();
        let ssh = target.ssh().start_between("exec cat /dev/zero", Stdio::null(), writer);
        // Nobody reads the pipe: the client stops reading once it is full.
        assert_flat(&carriers, &before);
        // Reading again finds the stream alive.
        let mut reader = reader.take(50_000_000);
        assert_eq!(std::io::copy(&mut reader, &mut std::io::sink()).unwrap(), 50_000_000);
        drop(ssh);
        let done = target.ssh().run("echo after").ok();
        assert_eq!(done.out(), "after\n");
    }

    fn a_program_that_stops_reading_fills_no_memory(target: &Target) {
        let _ = target.ssh().run("true").ok();
        let carriers = target.carriers();
        let before: Vec<_> = carriers.iter().map(|&process| anonymous_kib(process)).collect();
        let mut ssh = target.ssh().start_between(
            "echo up; exec sleep 600", File::open("/dev/zero").unwrap(), Stdio::piped(),
        );
        ssh.wait_for("up", SOON);
        assert_flat(&carriers, &before);
        assert!(ssh.ended().is_none());
    }

    fn a_stalled_forward_fills_no_memory(target: &Target) {
        let pourer = servers::pourer("127.0.0.1:0", 10_000_000_000);
        let proxy = ports::free();
        let ssh = target.ssh().args(["-D", &format!("127.0.0.1:{proxy}")]).start("echo up; cat");
        ssh.wait_for("up", SOON);
        let carriers = target.carriers();
        let before: Vec<_> = carriers.iter().map(|&process| anonymous_kib(process)).collect();
        let mut stalled: Vec<_> = (0..8).map(|_| socks::connect(proxy, "127.0.0.1", pourer.port()).unwrap()).collect();
        for stream in &mut stalled {
            stream.read_exact(&mut [0; 1]).unwrap();
        }
        assert_flat(&carriers, &before);
    }
}

everywhere! {
    fn a_network_that_stalls_for_forty_seconds_is_survived(target: &Target) {
        let network = Proxy::to(target.access().address);
        let server = servers::echo("127.0.0.1:0");
        let proxy = ports::free();
        let mut ssh = target.ssh().via(network.address()).args(["-D", &format!("127.0.0.1:{proxy}")])
            .start("echo up; cat");
        ssh.wait_for("up", SOON);
        let mut stream = socks::connect(proxy, "127.0.0.1", server.port()).unwrap();
        network.stall();
        ssh.write(b"sent into the void\n");
        stream.write_all(b"x").unwrap();
        sleep(Duration::from_secs(40)); // the stall itself is what is tested
        network.resume();
        ssh.wait_for("sent into the void", SOON);
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        drop(stream); // the client stays for as long as something is forwarded
        ssh.end_input();
        assert_eq!(ssh.finish(SOON).code(), 0);
    }
}

/// A sign of life is asked for each second, and twice.
const IMPATIENT: [(&str, &str); 2] = [
    ("DEVGATE_SSH_KEEPALIVE_INTERVAL", "1s"),
    ("DEVGATE_SSH_KEEPALIVE_COUNT", "2"),
];

everywhere_with! {
    IMPATIENT;

    fn a_dead_peer_is_noticed(target: &Target) {
        let network = Proxy::to(target.access().address);
        let file = target.path("hung-up");
        let ssh = target.ssh().via(network.address()).args(["-tt"]).start(format!(
            "trap 'echo hup > {}; exit' HUP; echo armed; while :; do sleep 0.1; done",
            file.display()
        ));
        ssh.wait_for("armed", SOON);
        network.stall();
        until(SOON, "the program's hang-up", || file.exists());
    }
}

/// Panics if the processes grow while a stream stands still.
#[track_caller]
fn assert_flat(processes: &[u32], before: &[u64]) {
    let deadline = Instant::now() + WATCHED;
    while Instant::now() < deadline {
        for (&process, &before) in processes.iter().zip(before) {
            let now = anonymous_kib(process);
            assert!(
                now < before + GROWTH_KIB,
                "process {process} grew from {before} to {now} KiB"
            );
        }
        sleep(Duration::from_millis(100));
    }
}
