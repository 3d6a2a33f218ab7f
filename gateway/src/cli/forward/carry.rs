//! One connection, from a port here into the workspace.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::port::Forward;
use super::{Report, Reports};
use crate::cli::client::{Inside, RemoteSocket, Unanswered};
use crate::cli::failure::{Failure, Kind};

/// How long a connection waits for a server that is away, as one that starts anew is.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pauses between attempts.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(super) const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Carries a connection to its end.
pub(super) async fn carry(
    mut client: TcpStream,
    forward: Arc<Forward>,
    mut inside: Inside,
    reports: Reports,
) {
    // It fails only where the connection has ended.
    let _ = client.set_nodelay(true);
    let mut socket = match dial(&mut inside, &forward).await {
        Ok(socket) => socket,
        Err(failure) => {
            refuse(&client);
            return failed(&reports, &forward, failure).await;
        }
    };
    if copy_bidirectional(&mut client, &mut socket).await.is_err() {
        // What came may not be all of it, and has to look so.
        refuse(&client);
    }
}

/// Has the end of a connection look like one that broke.
fn refuse(client: &TcpStream) {
    // Where that fails it has ended already.
    let _ = socket2::SockRef::from(client).set_linger(Some(Duration::ZERO));
}

async fn failed(reports: &Reports, forward: &Forward, failure: Failure) {
    match failure.kind() {
        // Nothing will be different for the next connection.
        Kind::Denied | Kind::NotFound => reports.end(failure).await,
        _ => {
            let (to, detail) = (forward.to.clone(), failure.to_string());
            reports.say(Report::Failed { to, detail }).await;
        }
    }
}

async fn dial(inside: &mut Inside, forward: &Forward) -> Result<RemoteSocket, Failure> {
    let end = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match inside.forward(&forward.to.host, forward.to.port).await {
            Ok(socket) => return Ok(socket),
            Err(error) => error,
        };
        if !is_passing(&error) || Instant::now() + pause > end {
            return Err(inside.explain(error));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Tells whether a server may answer otherwise in a moment.
pub(super) fn is_passing(error: &Unanswered) -> bool {
    match error {
        Unanswered::Failed(failure) => failure.kind() == Kind::Unreachable,
        Unanswered::Refused(problem) => {
            matches!(
                problem.code.as_str(),
                "shutting-down" | "not-ready" | "agent-unreachable"
            )
        }
        Unanswered::Untrusted(_) | Unanswered::Mistaken(_) => false,
    }
}
