//! Forwarded authentication agents and displays, with the real programs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Instant;

use devgate_protocol::frame::{Kind, X11Request, write_json};
use devgate_protocol::{Answer, Open, Originator};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::client::{DEADLINE, Workspace, within};
use crate::forward::gone;

/// The client's own ssh-agent, with one key.
struct SshAgent {
    process: Child,
    socket: PathBuf,
}

impl SshAgent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("client-agent.sock");
        let process = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("apt-get install openssh-client");
        let deadline = Instant::now() + DEADLINE;
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        let key = folder.join("key");
        let run = |command: &mut Command| assert!(command.status().unwrap().success());
        run(Command::new("ssh-keygen")
            .args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "the client's key",
                "-f",
            ])
            .arg(&key));
        run(Command::new("ssh-add")
            .arg("-q")
            .arg(&key)
            .env("SSH_AUTH_SOCK", &socket));
        Self { process, socket }
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_forwarded_agent_serves_several_at_once_is_private_and_goes_with_its_channel() {
    let workspace = Workspace::start().await;
    let ssh_agent = SshAgent::start(workspace.folder.path());
    let mut session = workspace.session().await;
    session.send(Kind::AuthAgent, &[]).await;
    session
        .exec("echo at $SSH_AUTH_SOCK.; cat; for i in 1 2 3; do ssh-add -l > list$i & done; wait; cat list*")
        .await;
    let text = session.until(".\n").await;
    let socket = text.trim().strip_prefix("at ").unwrap();
    let socket = PathBuf::from(socket.strip_suffix('.').unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
    session.eof().await;
    let mut relays = JoinSet::new();
    for _ in 0..3 {
        let accepted = session.accepted().await;
        assert_eq!(accepted.originator, Originator::AuthAgent);
        let connection = accepted.connection;
        let (mut stream, answer) = workspace.open(&Open::Accept { connection }).await;
        assert_eq!(answer, Answer::Opened);
        let mut agent = UnixStream::connect(&ssh_agent.socket).await.unwrap();
        relays.spawn(async move {
            let _ = copy_bidirectional(&mut stream, &mut agent).await;
        });
    }
    let outcome = session.outcome().await;
    assert_eq!(outcome.text().matches("the client's key").count(), 3);
    gone(socket.parent().unwrap()).await;
}

#[tokio::test]
async fn a_forwarded_display_has_its_cookie_and_announces_connections() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    let request = X11Request {
        single_connection: false,
        protocol: "MIT-MAGIC-COOKIE-1".into(),
        cookie: "0123456789abcdef0123456789abcdef".into(),
        screen: 0,
    };
    write_json(&mut session.writer, Kind::X11, &request)
        .await
        .unwrap();
    session
        .exec("echo on $DISPLAY.; xauth list; echo end; cat")
        .await;
    let text = session.until("end\n").await;
    assert!(text.contains("0123456789abcdef0123456789abcdef"), "{text}");
    let display = text.split_once("on localhost:").expect("a display").1;
    let display: u16 = display.split_once('.').unwrap().0.parse().unwrap();
    let mut program = TcpStream::connect(("127.0.0.1", 6000 + display))
        .await
        .unwrap();
    let accepted = session.accepted().await;
    assert!(matches!(accepted.originator, Originator::X11 { .. }));
    let connection = accepted.connection;
    let (mut server, _) = workspace.open(&Open::Accept { connection }).await;
    program.write_all(b"l").await.unwrap();
    let mut seen = [0; 1];
    within(server.read_exact(&mut seen)).await.unwrap();
    drop(session);
    let deadline = Instant::now() + DEADLINE;
    while TcpStream::connect(("127.0.0.1", 6000 + display))
        .await
        .is_ok()
    {
        assert!(Instant::now() < deadline, "the display is still there");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_display_whose_cookie_would_be_a_command_is_not_forwarded() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    let request = X11Request {
        single_connection: false,
        protocol: "MIT-MAGIC-COOKIE-1".into(),
        cookie: "00\nsource /etc/passwd".into(),
        screen: 0,
    };
    write_json(&mut session.writer, Kind::X11, &request)
        .await
        .unwrap();
    session.exec("echo \"display=$DISPLAY\"").await;
    assert_eq!(session.outcome().await.text(), "display=\n");
}
