//! What a scripted agent answers.

use devgate_protocol::control::{self, FromAgent};
use devgate_protocol::{Answer, Open, Refusal, RefusalReason, Stream, handshake, socket};
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::{ECHO, Scripted};
use crate::names::WorkspaceId;

impl Scripted {
    /// Cuts a workspace's agent off, which lives on.
    pub(in crate::workspaces::tests) async fn cut_off(&self, id: &WorkspaceId) {
        let mut serving = self.replace_serving(id, JoinSet::new());
        serving.shutdown().await;
    }

    /// Has it be reached again.
    pub(in crate::workspaces::tests) async fn reach_again(&self, id: &WorkspaceId) {
        let _ = std::fs::remove_file(self.socket(id));
        let listener = socket::bind(&self.socket(id)).await.unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, id.clone()));
        drop(self.replace_serving(id, serving));
    }

    fn replace_serving(&self, id: &WorkspaceId, new: JoinSet<()>) -> JoinSet<()> {
        let mut inner = self.inner.lock();
        let agent = inner.kept.get_mut(id).and_then(Option::as_mut);
        std::mem::replace(&mut agent.expect("its agent runs").serving, new)
    }
}

/// Answers all streams that come to a workspace's socket.
pub(super) async fn serve(listener: UnixListener, id: WorkspaceId) {
    let mut streams = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let id = id.clone();
        streams.spawn(async move {
            let mut stream = Stream::from(stream);
            let Ok(open) = handshake::read_open(&mut stream).await else {
                return;
            };
            let answer = match open {
                Open::Control | ECHO => Answer::Opened,
                _ => Answer::Refused(Refusal {
                    reason: RefusalReason::ConnectFailed,
                    detail: "connection refused".into(),
                }),
            };
            let _ = handshake::write_answer(&mut stream, &answer).await;
            if open == Open::Control {
                let hello = FromAgent::Hello {
                    protocol: devgate_protocol::VERSION,
                    version: env!("CARGO_PKG_VERSION").into(),
                    workspace: id.to_string(),
                    pid: 1,
                    features: Vec::new(),
                };
                let _ = control::write(&mut stream, &hello).await;
                while let Ok(Some(message)) = control::read(&mut stream).await {
                    let answer = match message {
                        control::FromGateway::Ping { number } => FromAgent::Pong { number },
                        control::FromGateway::Tell { number, .. } => FromAgent::Known { number },
                        _ => continue,
                    };
                    let _ = control::write(&mut stream, &answer).await;
                }
            }
        });
    }
}
