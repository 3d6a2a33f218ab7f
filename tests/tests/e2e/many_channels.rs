//! Many channels on one connection, many connections at once.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use e2e::reach::Reach;
use e2e::target::Target;
use e2e::wait::{SOON, until};
use e2e::{everywhere, ports, socks};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

everywhere! {
    fn one_connection_carries_a_hundred_channels_at_once(target: &Target) {
        let socket = target.path("control");
        let control = format!("ControlPath={}", socket.display());
        let _master = target.ssh().option(&control).option("ControlMaster=yes").start_without_command();
        until(SOON, "the master's socket", || socket.exists());
        let mut channels: Vec<_> = (0..100)
            .map(|number| target.ssh().option(&control).option("ControlMaster=no").start(format!("echo open-{number}; read line; echo got-$line; exit 3")))
            .collect();
        for (number, channel) in channels.iter().enumerate() {
            channel.wait_for(&format!("open-{number}\n"), Duration::from_mins(1));
        }
        // All hundred are open now; each still answers for itself.
        for (number, channel) in channels.iter_mut().enumerate() {
            channel.write(format!("{number}\n").as_bytes());
        }
        for (number, channel) in channels.into_iter().enumerate() {
            let done = channel.finish(Duration::from_mins(1));
            assert_eq!((done.out(), done.code()), (format!("open-{number}\ngot-{number}\n"), 3), "{done:?}");
        }
    }

    fn a_connection_is_used_for_one_command_after_another(target: &Target) {
        let socket = target.path("control");
        let control = format!("ControlPath={}", socket.display());
        let _master = target.ssh().option(&control).option("ControlMaster=yes").start_without_command();
        until(SOON, "the master's socket", || socket.exists());
        for number in 0..100 {
            let done = target.ssh().option(&control).run(format!("echo {number}; exit {number}"));
            assert_eq!((done.out(), done.code()), (format!("{number}\n"), number), "{done:?}");
        }
    }

    fn many_people_log_in_at_once(target: &Target) {
        thread::scope(|scope| {
            for number in 0..30 {
                scope.spawn(move || {
                    let done = target.ssh().run(format!("echo {number}")).ok();
                    assert_eq!(done.out(), format!("{number}\n"));
                });
            }
        });
    }
}

/// The most channels that one connection may have.
const MOST: usize = 1024;

#[test]
fn one_channel_too_many_is_refused_with_a_reason_and_the_others_stay() {
    // Each takes a file of the client's, of the gateway's, and two of the agent's.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    let target = Target::devgate(Reach::Unix);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = thread::spawn(move || listener.incoming().take(MOST).collect::<Vec<_>>());
    let proxy = ports::free();
    let forward = format!("127.0.0.1:{proxy}");
    let ssh = target
        .ssh()
        .option("LogLevel=INFO")
        .args(["-D", &forward])
        .start_without_command();
    until(SOON, "the forward", || {
        std::net::TcpStream::connect(("127.0.0.1", proxy)).is_ok()
    });
    let mut open = Vec::new();
    for _ in 0..MOST {
        open.push(socks::connect(proxy, "127.0.0.1", port).unwrap());
    }
    assert!(socks::connect(proxy, "127.0.0.1", port).is_err());
    ssh.wait_for_error(
        "this connection has too many channels open; close some, or connect again",
        SOON,
    );
    assert!(accepted.join().unwrap().iter().all(Result::is_ok));
}
