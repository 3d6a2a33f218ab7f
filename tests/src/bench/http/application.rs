//! The application: a server that costs little, so that what is before it counts.

use std::convert::Infallible;
use std::env;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::process::Running;
use crate::ssh::Ssh;
use crate::wait::SOON;

use super::site::Page;
use super::{SMALL, Security};

/// A small answer.
const ANSWER: &[u8] = b"{\"name\":\"a small answer\",\"state\":\"running\",\"items\":[1,2,3]}\n";

/// A piece of a large answer.
static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];

/// The application, in a workspace. Dropping it ends it.
pub(in crate::bench) struct Application {
    port: u16,
    _process: Running,
}

impl Application {
    /// Starts it by SSH.
    pub(super) fn start(ssh: Ssh) -> Self {
        let own = env::current_exe().expect("the benchmark knows its own path");
        let process = ssh.start(format!("exec {} --serve 127.0.0.1:0", own.display()));
        let said = process.wait_for("\n", SOON);
        let port = said.trim().parse().expect("the application says its port");
        Self {
            port,
            _process: process,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// How it is reached with nothing before it.
    pub(super) fn page(&self) -> Page {
        Page::direct(Security::Plain, self.port)
    }
}

/// Serves the application at `address` and prints its port, until the process is killed.
pub(in crate::bench) fn serve(address: SocketAddr) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has what a runtime needs");
    runtime.block_on(accept(address));
    ExitCode::SUCCESS
}

async fn accept(address: SocketAddr) {
    let listener = TcpListener::bind(address)
        .await
        .expect("the address is free");
    let port = listener.local_addr().expect("it is bound").port();
    println!("{port}");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn(speak(stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn speak(stream: TcpStream) {
    stream.set_nodelay(true).ok();
    // A client that leaves is no failure.
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await
        .ok();
}

type Answer = Response<Either<Full<Bytes>, Zeros>>;

async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    let path = request.uri().path();
    if path == SMALL {
        return Ok(Response::new(Either::Left(Full::from(ANSWER))));
    }
    if let Some(size) = path
        .strip_prefix("/zeros/")
        .and_then(|size| size.parse().ok())
    {
        return Ok(Response::new(Either::Right(Zeros(size))));
    }
    if path == "/sink" {
        let mut body = request.into_body();
        let mut total = 0;
        while let Some(Ok(frame)) = body.frame().await {
            total += frame.data_ref().map_or(0, Bytes::len);
        }
        return Ok(Response::new(Either::Left(Full::from(total.to_string()))));
    }
    let mut nothing = Response::new(Either::Left(Full::default()));
    *nothing.status_mut() = StatusCode::NOT_FOUND;
    Ok(nothing)
}

/// So many zeros, in bytes.
struct Zeros(u64);

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        let count = usize::try_from(self.0)
            .unwrap_or(usize::MAX)
            .min(ZEROS.len());
        self.0 -= u64::try_from(count).unwrap_or(u64::MAX);
        let piece = ZEROS.get(..count).unwrap_or_default();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0 == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}
