//! Plain HTTP on a port that speaks TLS. Whoever typed an address by hand, or followed an
//! application's own link, is told where to go instead of being shown a broken connection.
//!
//! Nothing else is said in plain text, and nothing but the head of one request is looked at.

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, sink};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::apps::Apps;
use super::harden::harden;
use super::problem::RequestRefused;

/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// How long, and how many bytes, a client may go on sending once it was answered: closed
/// at once, its connection would break before it has read the answer.
const LINGER: Duration = Duration::from_secs(1);
const MAX_REST: u64 = 256 * 1024;

/// Waits for a connection's first byte, and tells whether it begins a request: TLS begins
/// with another one. Nothing is taken of it.
pub(super) async fn is_spoken(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    Ok(first.iter().all(u8::is_ascii_alphabetic))
}

/// Answers one request with where it finds the same over TLS, and closes the connection.
/// Its head may take as long as `patience`.
pub(super) async fn send_away(
    stream: TcpStream,
    peer: IpAddr,
    apps: Option<&Apps>,
    patience: Duration,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let request = request.map(|_| Body::empty());
        ready(Ok::<_, Infallible>(answer(peer, apps, request)))
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = poll_fn(|cx| connection.poll_without_shutdown(cx)).await {
        debug!(%error, "a connection without TLS broke");
        return;
    }
    let mut stream = connection.into_parts().io.into_inner();
    let ending = async {
        stream.shutdown().await?;
        copy(&mut stream.take(MAX_REST), &mut sink()).await
    };
    if let Ok(Err(error)) = timeout(LINGER, ending).await {
        debug!(%error, "a connection without TLS broke");
    }
}

fn answer(peer: IpAddr, apps: Option<&Apps>, request: Request<Body>) -> Response {
    let there = apps.and_then(|apps| apps.over_tls(peer, request));
    let there = there.and_then(|there| HeaderValue::try_from(there).ok());
    let mut response = match there {
        Some(there) => {
            let location = [(header::LOCATION, there)];
            (StatusCode::PERMANENT_REDIRECT, location).into_response()
        }
        None => RequestRefused::PlainHttp.into_response(),
    };
    harden(response.headers_mut(), None);
    response
}
