//! The command lines of `PuTTY`: plink, psftp and pscp.

use std::fs;
use std::process::Command;
use std::time::Duration;

use e2e::clients::large;
use e2e::component::program;
use e2e::keys;
use e2e::process::{Running, run};
use e2e::reach::{self, Reach};
use e2e::ssh::plain;
use e2e::target::Target;
use e2e::wait::{SOON, until};
use e2e::{ports, servers, socks};

use crate::forwards::round_trip;

const LIMIT: Duration = Duration::from_mins(1);

/// `PuTTY` with a saved session `ws`.
struct Putty<'a> {
    target: &'a Target,
}

impl<'a> Putty<'a> {
    /// Saves the session: the server's key pinned, new keys after each MiB, a sign of
    /// life each second.
    fn new(target: &'a Target) -> Self {
        Self::pinning(target, &target.access().host_keys)
    }

    /// Saves it with other keys pinned.
    fn pinning(target: &'a Target, host_keys: &[String]) -> Self {
        let access = target.access();
        let key = target.path("identity.ppk");
        let mut convert = Command::new(program("puttygen"));
        convert
            .arg(&access.identity)
            .args(["-O", "private", "-o"])
            .arg(&key);
        let _ = run(&mut convert, b"", SOON).ok();
        let sessions = target.make_folder("putty/sessions");
        let pinned = host_keys.iter().filter_map(|key| key.split_once(' '));
        // An equals sign would begin a value.
        let pinned: Vec<_> = pinned.map(|(_, key)| key.replace('=', "\\=")).collect();
        let session = format!(
            "HostName={}\nPortNumber={}\nProtocol=ssh\nUserName={}\nPublicKeyFile={}\n\
             SSHManualHostKeys={}\nRekeyBytes=1M\nPingIntervalSecs=1\nTryAgent=0\n",
            access.address.ip(),
            access.address.port(),
            access.user,
            key.display(),
            pinned.join(","),
        );
        fs::write(sessions.join("ws"), session).expect("the test's folder is writable");
        Self { target }
    }

    /// Begins a command line of one of the programs.
    fn command(&self, name: &str) -> Command {
        let mut command = plain(name);
        command.env("PUTTYDIR", self.target.path("putty"));
        command.arg("-batch");
        command
    }

    /// Starts a connection that forwards and stays open.
    fn forwarding(&self, args: &[&str]) -> Running {
        let mut plink = self.command("plink");
        plink.args(args).args(["ws", "echo connected; cat"]);
        let plink = Running::start(&mut plink);
        plink.wait_for("connected", SOON);
        plink
    }
}

#[test]
fn plink_runs_commands_and_shells_while_keys_change() {
    reach::run(Reach::Unix, |target| {
        let putty = Putty::new(target);
        let exec = |command: &str, input: &[u8]| {
            run(putty.command("plink").args(["ws", command]), input, LIMIT)
        };
        let done = exec("cat; echo to-err >&2; exit 7", b"typed\0\xff\r\n");
        assert_eq!((done.code(), done.err().as_str()), (7, "to-err\n"));
        assert_eq!(done.stdout, b"typed\0\xff\r\n");
        let file = large(target);
        let content = fs::read(&file).unwrap();
        assert!(exec("cat", &content).ok().stdout == content);

        let typed = b"stty size; test -t 0 && echo \"is\"-a-terminal; exit 5\n";
        let done = run(putty.command("plink").arg("ws"), typed, LIMIT);
        assert_eq!(done.code(), 5, "{done:?}");
        assert!(done.out().contains("is-a-terminal\r\n"), "{done:?}");
        assert!(done.out().contains("24 80\r\n"), "{done:?}");
    });
}

#[test]
fn plink_forwards_ports_in_both_directions() {
    reach::run(Reach::Unix, |target| {
        let putty = Putty::new(target);
        let server = servers::echo("127.0.0.1:0").port();
        let (local, back, proxy) = (ports::free(), ports::free(), ports::free());
        let to_server = |port| format!("127.0.0.1:{port}:127.0.0.1:{server}");
        let args = [
            "-L",
            &to_server(local),
            "-R",
            &to_server(back),
            "-D",
            &proxy.to_string(),
        ];
        let mut plink = putty.forwarding(&args);
        let content = fs::read(large(target)).unwrap();
        for port in [local, back] {
            until(SOON, "the forward", || {
                std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
            assert!(round_trip(crate::forwards::open(port), &content) == content);
        }
        let closed = ports::free();
        // plink tells SOCKS that it is connected before it knows.
        let refused = socks::connect(proxy, "127.0.0.1", closed).expect("plink listens");
        assert_eq!(round_trip(refused, b""), b"");
        let stream = socks::connect(proxy, "localhost", server).expect("it listens");
        assert_eq!(round_trip(stream, b"still here"), b"still here");
        plink.end_input();
        let _ = plink.finish(SOON).ok();
    });
}

#[test]
fn psftp_and_pscp_carry_files_there_and_back() {
    reach::run(Reach::Unix, |target| {
        let putty = Putty::new(target);
        let file = large(target);
        let content = fs::read(&file).unwrap();
        let here = target.make_folder("here");
        let batch = format!(
            "pwd\nmkdir putty\ncd putty\nput {0} sent\nmv sent renamed\nchmod 640 renamed\nls\n\
             get renamed {1}/back\nrm renamed\ncd ..\nrmdir putty\nls\n",
            file.display(),
            here.display(),
        );
        let batch_file = target.path("batch");
        fs::write(&batch_file, batch).unwrap();
        let home = target.ssh().run("pwd").ok().out();
        let mut psftp = putty.command("psftp");
        let done = run(psftp.arg("-b").arg(&batch_file).arg("ws"), b"", LIMIT).ok();
        assert!(done.out().contains(&format!("Remote directory is {home}")));
        let listed = done.out();
        let row = listed.lines().find(|line| line.ends_with(" renamed"));
        let row = row.unwrap_or_else(|| panic!("{done:?}"));
        assert!(row.starts_with("-rw-r-----"), "{row}");
        assert!(row.contains(&content.len().to_string()), "{row}");
        assert!(fs::read(here.join("back")).unwrap() == content);
        assert!(!listed.ends_with("putty\n"), "{listed}");

        for protocol in ["-sftp", "-scp"] {
            let copy = |from: &str, to: &str| {
                let mut pscp = putty.command("pscp");
                let _ = run(pscp.args([protocol, "-q", "-p", from, to]), b"", LIMIT).ok();
            };
            let back = here.join(protocol);
            copy(&file.display().to_string(), "ws:copy");
            copy("ws:copy", &back.display().to_string());
            assert!(fs::read(back).unwrap() == content, "{protocol}");
            let _ = target.ssh().run("rm copy").ok();
        }
    });
}

#[test]
fn plink_refuses_another_server_than_the_pinned_one() {
    reach::run(Reach::Unix, |target| {
        let other = keys::generate(target.folder(), "other");
        let putty = Putty::pinning(target, &[keys::public_text(&other)]);
        let mut plink = putty.command("plink");
        let done = run(plink.args(["ws", "echo never"]), b"", LIMIT);
        assert_eq!((done.code(), done.out().as_str()), (1, ""), "{done:?}");
    });
}
