//! The one place that takes streams, wherever they came from.

use std::sync::Arc;

use devgate_protocol::{Answer, Open, Refusal, RefusalReason, Stream, StreamError, handshake};
use tracing::debug;

use crate::agent::Agent;
use crate::forward::Way;
use crate::waiting::Connection;
use crate::{awake, control, forward, http, session};

/// Serves one stream from its header to its end.
///
/// The header may be long in coming: a spare connection waits for it until the
/// gateway needs one. A caller that doesn't trust its peer reads the header itself,
/// in a bounded time, and calls [`serve_opened`].
pub async fn serve(agent: Arc<Agent>, mut stream: Stream) {
    match handshake::read_open(&mut stream).await {
        Ok(open) => serve_opened(agent, stream, open).await,
        Err(error) => debug!(%error, "a stream ended before its header"),
    }
}

/// Serves one stream whose header was read.
pub async fn serve_opened(agent: Arc<Agent>, stream: Stream, open: Open) {
    let (open, way) = match open {
        Open::HandOver { open } => (*open, Way::HandedOver),
        open => (open, Way::Carried),
    };
    let ended = match open {
        Open::Session(open) => session::serve(&agent, stream, open).await,
        Open::DirectTcpip { host, port } => forward::direct_tcpip(stream, &host, port, way).await,
        Open::DirectStreamlocal { path } => {
            forward::direct_streamlocal(stream, &agent.path(&path), way).await
        }
        Open::TcpipForward { address, port } => {
            forward::tcpip_forward(&agent, stream, &address, port).await
        }
        Open::StreamlocalForward { path } => {
            forward::streamlocal_forward(&agent, stream, &agent.path(&path)).await
        }
        Open::Accept { connection } => forward::accept(&agent, stream, connection, way).await,
        Open::Http => http::serve(&agent, stream).await,
        Open::Editor => editor(&agent, stream, way).await,
        Open::Activity => awake::report(&agent, stream).await,
        Open::Control => control::serve(&agent, stream).await,
        Open::HandOver { .. } => {
            let detail = "a hand-over of a hand-over".to_owned();
            refuse(stream, RefusalReason::Unsupported, detail).await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a stream broke");
    }
}

/// Serves a connection to the editor, which is started where it doesn't run.
async fn editor(agent: &Arc<Agent>, stream: Stream, way: Way) -> Result<(), StreamError> {
    match agent.editor().connect(agent).await {
        Ok((target, _connected)) => forward::join(stream, Connection::Unix(target), way).await,
        Err(error) => refuse(stream, error.reason(), error.to_string()).await,
    }
}

/// Answers that a stream is refused, and ends it.
pub(crate) async fn refuse(
    mut stream: Stream,
    reason: RefusalReason,
    detail: String,
) -> Result<(), StreamError> {
    debug!(?reason, detail, "a stream was refused");
    let answer = Answer::Refused(Refusal { reason, detail });
    handshake::write_answer(&mut stream, &answer).await
}
