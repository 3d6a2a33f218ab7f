//! Bodies that clients hold back until they are asked for (RFC 9110 §10.1.1).
//!
//! hyper asks a client with 100 (Continue) once its body is polled for the first time. So one
//! that the application hasn't asked for isn't polled, and what the application says instead
//! reaches a client that has sent nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, StatusCode};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long an application has to ask. Old and simple ones never do; curl and others send
/// after a second even so.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Whether a body is asked for. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    asked: CancellationToken,
    /// Once the client was.
    begun: CancellationToken,
}

/// What a body waits for.
pub(super) struct Wait(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Asked {
    /// Asks for the body.
    pub(super) fn ask(&self) {
        self.asked.cancel();
    }

    /// Whether it was asked for.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Notes that the client is asked.
    pub(super) fn begin(&self) {
        self.begun.cancel();
    }

    /// Waits until the client is asked, so that it reads that before an answer.
    pub(super) async fn has_begun(&self) {
        let _ = timeout(PATIENCE, self.begun.cancelled()).await;
    }

    /// Has the application ask for a request's body.
    pub(super) fn listen<B>(&self, request: &mut Request<B>) {
        let asked = self.clone();
        hyper::ext::on_informational(request, move |said| {
            if said.status() == StatusCode::CONTINUE {
                asked.ask();
            }
        });
    }

    /// Returns what waits until the body is asked for, at most for as long as `patience` from
    /// the first look on.
    pub(super) fn wait(&self, patience: Duration) -> Wait {
        let asked = self.clone();
        Wait(Box::pin(async move {
            let _ = timeout(patience, asked.asked.cancelled()).await;
            asked.ask();
        }))
    }
}

impl Wait {
    /// Looks whether the body was asked for.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
