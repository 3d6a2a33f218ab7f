//! The one place that takes streams, wherever they came from.

use std::sync::Arc;

use devgate_protocol::{Answer, Open, Refusal, RefusalReason, Stream, handshake};
use tracing::debug;

use crate::agent::Agent;
use crate::{control, forward, session};

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
    let ended = match open {
        Open::Session(open) => session::serve(&agent, stream, open).await,
        Open::DirectTcpip { host, port } => forward::direct_tcpip(stream, &host, port).await,
        Open::DirectStreamlocal { path } => {
            forward::direct_streamlocal(stream, &agent.path(&path)).await
        }
        Open::TcpipForward { address, port } => {
            forward::tcpip_forward(&agent, stream, &address, port).await
        }
        Open::StreamlocalForward { path } => {
            forward::streamlocal_forward(&agent, stream, &agent.path(&path)).await
        }
        Open::Accept { connection } => forward::accept(&agent, stream, connection).await,
        Open::Http | Open::Editor => {
            let detail = "this agent doesn't serve that yet".to_owned();
            refuse(stream, RefusalReason::Unsupported, detail).await
        }
        Open::Control => control::serve(&agent, stream).await,
    };
    if let Err(error) = ended {
        debug!(%error, "a stream broke");
    }
}

/// Answers that a stream is refused, and ends it.
pub(crate) async fn refuse(
    mut stream: Stream,
    reason: RefusalReason,
    detail: String,
) -> Result<(), devgate_protocol::StreamError> {
    debug!(?reason, detail, "a stream was refused");
    let answer = Answer::Refused(Refusal { reason, detail });
    handshake::write_answer(&mut stream, &answer).await
}
