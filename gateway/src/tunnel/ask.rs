//! The beginning of every stream.

use std::time::Duration;

use devgate_protocol::{Answer, Open, Stream, handshake};
use tokio::time::timeout;

use super::TunnelError;

/// Longest wait for an agent's answer to a stream's header: it may have to dial.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// Sends a stream's header and awaits the answer.
pub(super) async fn ask(mut stream: Stream, open: &Open) -> Result<(Stream, Answer), TunnelError> {
    let answered = async {
        handshake::write_open(&mut stream, open).await?;
        handshake::read_answer(&mut stream).await
    };
    let answer = timeout(ANSWER_TIMEOUT, answered).await;
    match answer.map_err(|_| TunnelError::TimedOut)?? {
        Answer::Refused(refusal) => Err(TunnelError::Refused(refusal)),
        answer => Ok((stream, answer)),
    }
}
