//! Dropbear's dbclient.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use e2e::clients::large;
use e2e::component::program;
use e2e::process::{Running, run};
use e2e::reach::{self, Reach};
use e2e::ssh::plain;
use e2e::target::Target;
use e2e::tmux::Terminal;
use e2e::wait::SOON;
use e2e::{ports, servers};

use crate::forwards::{open, round_trip};

const LIMIT: Duration = Duration::from_mins(1);

/// dbclient with a key and a home of its own, in which it finds the server's key.
struct Dropbear {
    home: PathBuf,
    key: PathBuf,
    port: String,
    address: String,
}

impl Dropbear {
    fn new(target: &Target) -> Self {
        let access = target.access();
        let key = target.path("identity.dropbear");
        let mut convert = Command::new(program("dropbearconvert"));
        convert
            .args(["openssh", "dropbear"])
            .args([&access.identity, &key]);
        let _ = run(&mut convert, b"", SOON).ok();
        let home = target.make_folder("dropbear");
        let ssh = target.make_folder("dropbear/.ssh");
        let host = access.address.ip();
        let known = access.host_keys.iter().fold(String::new(), |mut all, key| {
            writeln!(all, "{host} {key}").unwrap();
            all
        });
        fs::write(ssh.join("known_hosts"), known).expect("the test's folder is writable");
        Self {
            home,
            key,
            port: access.address.port().to_string(),
            address: format!("{}@{host}", access.user),
        }
    }

    /// Begins a command line: it gives up where keep-alives stay unanswered.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = plain("dbclient");
        command
            .env("HOME", &self.home)
            .arg("-i")
            .arg(&self.key)
            .args(["-p", &self.port, "-K", "1"])
            .args(args)
            .arg(&self.address);
        command
    }
}

#[test]
fn dbclient_runs_commands() {
    reach::run(Reach::Unix, |target| {
        let dropbear = Dropbear::new(target);
        let mut dbclient = dropbear.command(&[]);
        dbclient.arg("cat; echo to-err >&2; sleep 1.5; exit 7");
        let done = run(&mut dbclient, b"typed\0\xff\r\n", LIMIT);
        assert_eq!((done.code(), done.err().as_str()), (7, "to-err\n"));
        assert_eq!(done.stdout, b"typed\0\xff\r\n");
        let content = fs::read(large(target)).unwrap();
        let done = run(dropbear.command(&[]).arg("cat"), &content, LIMIT).ok();
        assert!(done.stdout == content, "{} bytes", done.stdout.len());
    });
}

#[test]
fn dbclient_logs_in_to_a_shell_in_a_terminal_of_any_size() {
    reach::run(Reach::Unix, |target| {
        let dropbear = Dropbear::new(target);
        let dbclient = dropbear.command(&[]);
        let args: Vec<_> = dbclient
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect();
        let line = format!(
            "HOME={} {} {}",
            dropbear.home.display(),
            program("dbclient").display(),
            args.join(" ")
        );
        let terminal = Terminal::start(target.folder(), &line, 101, 31);
        terminal.line("clear; echo \"size=$(stty size)\"");
        terminal.wait_for_line("size=31 101");
        terminal.resize(90, 20);
        terminal.wait("the new size", |screen| {
            terminal.line("echo \"now=$(stty size)\"");
            screen.contains("now=20 90")
        });
        terminal.line("exit 5");
        assert_eq!(terminal.wait_for_end(), 5);
    });
}

#[test]
fn dbclient_forwards_ports_in_both_directions() {
    reach::run(Reach::Unix, |target| {
        let dropbear = Dropbear::new(target);
        let server = servers::echo("127.0.0.1:0").port();
        let (local, back) = (ports::free(), ports::free());
        let to_server = |port| format!("127.0.0.1:{port}:127.0.0.1:{server}");
        let mut dbclient = dropbear.command(&["-L", &to_server(local), "-R", &to_server(back)]);
        dbclient.arg("echo connected; cat");
        let mut dbclient = Running::start(&mut dbclient);
        dbclient.wait_for("connected", SOON);
        let content = fs::read(large(target)).unwrap();
        for port in [local, back] {
            assert!(round_trip(open(port), &content) == content);
        }
        dbclient.end_input();
        let _ = dbclient.finish(SOON).ok();
        // As a program that others use to get through.
        let to = format!("127.0.0.1:{server}");
        let mut through = dropbear.command(&["-B", &to]);
        let done = run(&mut through, &content[..100_000], LIMIT).ok();
        assert!(done.stdout == content[..100_000]);
    });
}

#[test]
fn sftp_works_over_dbclient() {
    reach::run(Reach::Unix, |target| {
        let dropbear = Dropbear::new(target);
        let file = large(target);
        let back = target.path("back");
        let mut sftp = plain("sftp");
        sftp.env("HOME", &dropbear.home)
            .arg("-S")
            .arg(program("dbclient"))
            .args(["-b", "-", "-P", &dropbear.port, "-i"])
            .arg(&dropbear.key)
            .arg(&dropbear.address);
        let batch = format!(
            "put {} sent\nrename sent renamed\nls -l renamed\nget renamed {}\nrm renamed\n",
            file.display(),
            back.display()
        );
        let done = run(&mut sftp, batch.as_bytes(), LIMIT).ok();
        assert!(done.out().contains("5000000"), "{done:?}");
        assert!(fs::read(back).unwrap() == fs::read(file).unwrap());
    });
}
