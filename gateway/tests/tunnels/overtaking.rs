//! Requests that pass what waits on a session's stream.

use devgate::names::WorkspaceId;
use devgate::tunnel::TunnelError;
use devgate_protocol::control::{FromGateway, Overtaking};
use devgate_protocol::frame::{self, Frame, FrameReader, Kind as FrameKind};
use devgate_protocol::{Open, SessionOpen, VERSION, websocket};
use tokio::io::AsyncWriteExt;

use crate::parts::{Gateway, KINDS, Workspace, authority, soon};
use crate::refused::{control, hello};

fn terminate() -> Overtaking {
    let name = "TERM".to_owned();
    Overtaking::Signal { name }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_reaches_its_session_over_every_kind_of_tunnel() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    for kind in KINDS {
        let workspace = Workspace::connect(&gateway, kind).await;
        let mut sessions = Vec::new();
        for number in 1..=2 {
            let open = Open::Session(SessionOpen {
                number: Some(number),
                ..SessionOpen::default()
            });
            let opened = soon(gateway.tunnels.open(&workspace.id, &open)).await;
            let (mut stream, _) = opened.unwrap();
            let program = b"echo up; read -r line; echo \"$line\"";
            let exec = frame::write(&mut stream, FrameKind::Exec, program);
            soon(exec).await.unwrap();
            stream.flush().await.unwrap();
            let mut frames = FrameReader::new(stream);
            let up = soon(frames.next()).await.unwrap();
            assert_eq!(up, Some(Frame::Data("up\n".into())), "{kind:?}");
            sessions.push(frames);
        }
        let passed = gateway.tunnels.overtake(&workspace.id, 2, terminate());
        soon(passed).await.unwrap();
        let mut other = sessions.pop().unwrap();
        let ended = loop {
            if let Some(Frame::ExitSignal(exit)) = soon(other.next()).await.unwrap() {
                break exit;
            }
        };
        assert_eq!(ended.signal, "TERM", "{kind:?}");
        let (mut one, _) = sessions.pop().unwrap().into_parts();
        soon(frame::write(&mut one, FrameKind::Data, b"alive\n"))
            .await
            .unwrap();
        one.flush().await.unwrap();
        let alive = soon(FrameReader::new(one).next()).await.unwrap();
        assert_eq!(alive, Some(Frame::Data("alive\n".into())), "{kind:?}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn an_older_agent_is_sent_no_request_past_a_stream() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let id = WorkspaceId::random();
    let identity = gateway.authority.issue_agent(id.as_str()).unwrap();
    let mut socket = control(&gateway, &identity, "older").await;
    let hello = hello(&id, VERSION, 1);
    websocket::write_message(&mut socket, &hello).await.unwrap();
    let welcome = soon(websocket::read_message(&mut socket)).await.unwrap();
    assert!(matches!(welcome, Some(FromGateway::Welcome { .. })));
    let passed = soon(gateway.tunnels.overtake(&id, 1, terminate())).await;
    assert!(
        matches!(passed, Err(TunnelError::NotConnected)),
        "{passed:?}"
    );
    gateway.end().await;
}
