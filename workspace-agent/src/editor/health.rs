//! Asks code-server whether it is well.

use std::io;
use std::path::Path;
use std::time::Duration;

use devgate_protocol::socket;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks `/healthz`. Cancel-safe: what was asked is forgotten.
pub(super) async fn check(path: &Path) -> io::Result<()> {
    let asked = timeout(TIMEOUT, ask(path));
    match asked.await {
        Ok(Ok(StatusCode::OK)) => Ok(()),
        Ok(Ok(status)) => Err(io::Error::other(format!("it answers {status}"))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn ask(path: &Path) -> io::Result<StatusCode> {
    let stream = socket::connect(path).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let request = Request::get("/healthz")
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(io::Error::other)?;
    let answer = async { sender.send_request(request).await.map_err(io::Error::other) };
    tokio::pin!(answer, connection);
    tokio::select! {
        // The answer's head is polled first: the connection may end with it.
        biased;
        answer = &mut answer => Ok(answer?.status()),
        ended = &mut connection => {
            ended.map_err(io::Error::other)?;
            Ok(answer.await?.status())
        }
    }
}
