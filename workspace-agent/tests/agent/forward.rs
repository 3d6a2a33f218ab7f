//! Connections out of the workspace and into it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use devgate_protocol::frame::{Frame, FrameReader};
use devgate_protocol::{Accepted, Answer, Open, Originator, RefusalReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::client::{DEADLINE, Workspace, within};

fn direct(host: &str, port: u16) -> Open {
    Open::DirectTcpip {
        host: host.into(),
        port,
    }
}

fn forward(address: &str, port: u16) -> Open {
    Open::TcpipForward {
        address: address.into(),
        port,
    }
}

/// Serves an echo that ends each connection after its peer did.
fn echo(listener: TcpListener) -> JoinSet<()> {
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.write_all(b" over").await;
            });
        }
    });
    serving
}

async fn exchange(mut stream: UnixStream, sent: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = stream.split();
    let write = async {
        writer.write_all(sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let read = async { reader.read_to_end(&mut received).await.unwrap() };
    within(async { tokio::join!(write, read) }).await;
    received
}

async fn announced(reader: &mut FrameReader<UnixStream>) -> Accepted {
    match within(reader.next()).await.unwrap() {
        Some(Frame::Accepted(accepted)) => accepted,
        other => panic!("{other:?} came instead of a connection"),
    }
}

#[tokio::test]
async fn a_target_is_reached_by_either_loopback_address_and_by_name() {
    let workspace = Workspace::start().await;
    for (bind, host) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("127.0.0.1:0", "localhost"),
        ("[::1]:0", "::1"),
        ("[::1]:0", "localhost"),
    ] {
        let listener = TcpListener::bind(bind).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let _echo = echo(listener);
        let (stream, answer) = workspace.open(&direct(host, port)).await;
        assert_eq!(answer, Answer::Opened);
        let sent = vec![7; 3_000_000];
        let received = exchange(stream, &sent).await;
        assert!(received.starts_with(&sent) && received.ends_with(b" over"));
        assert_eq!(received.len(), sent.len() + 5);
    }
}

#[tokio::test]
async fn a_refused_connection_and_an_unknown_name_say_so() {
    let workspace = Workspace::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (_, answer) = workspace.open(&direct("localhost", port)).await;
    let Answer::Refused(refusal) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(refusal.reason, RefusalReason::ConnectFailed);
    assert!(refusal.detail.ends_with("Connection refused"), "{refusal}");
    let (_, answer) = workspace.open(&direct("no.such.host.invalid", 1)).await;
    let Answer::Refused(refusal) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(refusal.reason, RefusalReason::ConnectFailed);
}

#[tokio::test]
async fn a_target_that_resets_ends_its_own_stream_only() {
    let workspace = Workspace::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mut good, _) = workspace.open(&direct("127.0.0.1", port)).await;
    let (mut good_end, _) = listener.accept().await.unwrap();
    let (mut bad, _) = workspace.open(&direct("127.0.0.1", port)).await;
    let (bad_end, _) = listener.accept().await.unwrap();
    bad.write_all(&vec![1; 100_000]).await.unwrap();
    socket2::SockRef::from(&bad_end)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(bad_end);
    let mut rest = Vec::new();
    // Its end may show as EOF or as a reset, as the other side's may.
    let _ = within(bad.read_to_end(&mut rest)).await;
    good.write_all(b"still here").await.unwrap();
    let mut seen = [0; 10];
    within(good_end.read_exact(&mut seen)).await.unwrap();
    assert_eq!(&seen, b"still here");
}

#[tokio::test]
async fn a_target_that_answers_and_closes_is_heard_though_the_client_still_writes() {
    let workspace = Workspace::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mut stream, _) = workspace.open(&direct("127.0.0.1", port)).await;
    let (mut target, _) = listener.accept().await.unwrap();
    target.write_all(b"busy, go away").await.unwrap();
    target.shutdown().await.unwrap();
    let mut heard = Vec::new();
    within(stream.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"busy, go away");
    stream.write_all(b"and so on").await.unwrap();
    let mut seen = [0; 9];
    within(target.read_exact(&mut seen)).await.unwrap();
}

#[tokio::test]
async fn a_gateway_that_closes_frees_a_target_that_says_nothing() {
    let workspace = Workspace::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stream, _) = workspace.open(&direct("127.0.0.1", port)).await;
    let (mut target, _) = listener.accept().await.unwrap();
    drop(stream);
    let mut rest = [0; 1];
    assert_eq!(within(target.read(&mut rest)).await.unwrap(), 0);
    // The agent's own end is closed too, without a word of the target: what is
    // written meets a reset.
    let deadline = Instant::now() + DEADLINE;
    while target.write_all(b"x").await.is_ok() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_unix_socket_is_reached_by_a_path_from_the_home_directory() {
    let workspace = Workspace::start().await;
    let listener = UnixListener::bind(workspace.home().join("app.sock")).unwrap();
    let open = Open::DirectStreamlocal {
        path: "app.sock".into(),
    };
    let (stream, answer) = workspace.open(&open).await;
    assert_eq!(answer, Answer::Opened);
    let (mut target, _) = listener.accept().await.unwrap();
    let mut target_read = Vec::new();
    let serve = async {
        target.read_to_end(&mut target_read).await.unwrap();
        target.write_all(b"reply").await.unwrap();
        drop(target);
    };
    let (reply, ()) = tokio::join!(exchange(stream, b"request"), within(serve));
    assert_eq!(reply, b"reply");
    assert_eq!(target_read, b"request");
    let open = Open::DirectStreamlocal {
        path: "/nowhere".into(),
    };
    assert!(matches!(workspace.open(&open).await.1, Answer::Refused(_)));
}

#[tokio::test]
async fn a_forwarded_port_announces_connections_that_are_collected_and_ends_with_its_stream() {
    let workspace = Workspace::start().await;
    let (stream, answer) = workspace.open(&forward("localhost", 0)).await;
    let Answer::Listening { port } = answer else {
        panic!("{answer:?}");
    };
    let mut reader = FrameReader::new(stream);
    for address in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(address.parse().unwrap(), port);
        let mut outside = TcpStream::connect(address).await.unwrap();
        let accepted = announced(&mut reader).await;
        let own = outside.local_addr().unwrap();
        let expected = Originator::Tcpip {
            address: own.ip(),
            port: own.port(),
        };
        assert_eq!(accepted.originator, expected);
        let connection = accepted.connection;
        let accept = Open::Accept { connection };
        let (mut inside, answer) = workspace.open(&accept).await;
        assert_eq!(answer, Answer::Opened);
        outside.write_all(b"hello").await.unwrap();
        outside.shutdown().await.unwrap();
        let mut seen = Vec::new();
        within(inside.read_to_end(&mut seen)).await.unwrap();
        assert_eq!(seen, b"hello");
        let (_, answer) = workspace.open(&accept).await;
        let Answer::Refused(refusal) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(refusal.reason, RefusalReason::UnknownConnection);
    }
    let uncollected = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    announced(&mut reader).await;
    drop(reader);
    let deadline = Instant::now() + DEADLINE;
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        assert!(Instant::now() < deadline, "the listener is still there");
    }
    let mut uncollected = uncollected;
    let mut rest = Vec::new();
    // It is closed with its listener; a reset is fine, too.
    let _ = within(uncollected.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_port_in_use_is_refused_and_every_address_is_possible() {
    let workspace = Workspace::start().await;
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = held.local_addr().unwrap().port();
    let (_, answer) = workspace.open(&forward("127.0.0.1", port)).await;
    let Answer::Refused(refusal) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(refusal.reason, RefusalReason::BindFailed);
    assert!(refusal.detail.contains("in use"), "{refusal}");
    for address in ["", "*", "0.0.0.0", "::", "::1", "127.0.0.1"] {
        let (_stream, answer) = workspace.open(&forward(address, 0)).await;
        let Answer::Listening { port } = answer else {
            panic!("{address:?}: {answer:?}");
        };
        let host = if address.starts_with("::") {
            "::1"
        } else {
            "127.0.0.1"
        };
        TcpStream::connect((host, port)).await.unwrap();
    }
}

#[tokio::test]
async fn a_forwarded_unix_socket_is_private_and_goes_with_its_stream() {
    let workspace = Workspace::start().await;
    let path = workspace.home().join("up.sock");
    let open = Open::StreamlocalForward {
        path: "up.sock".into(),
    };
    let (stream, answer) = workspace.open(&open).await;
    assert_eq!(answer, Answer::Opened);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(workspace.open(&open).await.1, Answer::Refused(_)));
    let mut reader = FrameReader::new(stream);
    let outside = UnixStream::connect(&path).await.unwrap();
    // The refused forward's look at the socket counts as a connection, too.
    announced(&mut reader).await;
    let connection = announced(&mut reader).await.connection;
    let (mut inside, _) = workspace.open(&Open::Accept { connection }).await;
    inside.write_all(b"down").await.unwrap();
    drop(inside);
    let mut outside = outside;
    let mut seen = Vec::new();
    within(outside.read_to_end(&mut seen)).await.unwrap();
    assert_eq!(seen, b"down");
    drop(reader);
    gone(&path).await;
}

/// Waits until there is no file at `path`.
pub(crate) async fn gone(path: &Path) {
    let deadline = Instant::now() + DEADLINE;
    while path.exists() {
        assert!(
            Instant::now() < deadline,
            "{} is still there",
            path.display()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
