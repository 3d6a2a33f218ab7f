//! When the workspace can be used.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use devgate_protocol::SessionOpen;
use devgate_protocol::config::Readiness;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::agent::Agent;
use crate::process::{Child, Environment, Exit, Line, Stdio, shell};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(30);

/// Waits until the workspace can be used.
///
/// # Errors
/// Where that takes too long: what is amiss.
pub(super) async fn wait(agent: &Agent, readiness: &Readiness) -> Result<(), String> {
    let looking = async {
        while !look(agent, readiness).await {
            sleep(PAUSE).await;
        }
    };
    if readiness.timeout.is_zero() {
        looking.await;
        return Ok(());
    }
    let seconds = readiness.timeout.as_secs();
    let looked = timeout(readiness.timeout, looking).await;
    looked.map_err(|_| match (readiness.port, &readiness.command) {
        (Some(port), None) => format!("port {port} takes no connections after {seconds} s"),
        _ => format!("the check of its readiness doesn't succeed after {seconds} s"),
    })
}

async fn look(agent: &Agent, readiness: &Readiness) -> bool {
    if let Some(port) = readiness.port {
        let four = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        let six = TcpStream::connect((Ipv6Addr::LOCALHOST, port));
        let connected = timeout(LOOK, async { four.await.is_ok() || six.await.is_ok() });
        if !connected.await.unwrap_or(false) {
            return false;
        }
    }
    match &readiness.command {
        Some(line) => succeeds(agent, line).await,
        None => true,
    }
}

/// Tells whether a command line succeeds. What it writes is nobody's.
async fn succeeds(agent: &Agent, line: &str) -> bool {
    let environment = Environment::new(agent, &SessionOpen::default(), Vec::new());
    let nowhere = || File::options().read(true).write(true).open("/dev/null");
    let (Ok(input), Ok(output), Ok(errors)) = (nowhere(), nowhere(), nowhere()) else {
        return false;
    };
    let stdio = Stdio::Pipes {
        stdin: input.into(),
        stdout: output.into(),
        stderr: errors.into(),
    };
    let line = Line::Command(Bytes::copy_from_slice(line.as_bytes()));
    let Ok(program) = shell::prepare(agent, &line, &environment, stdio) else {
        return false;
    };
    let Ok((child, mut end)) = agent.children().spawn(program).await else {
        return false;
    };
    let _killed = Killed(child);
    timeout(LOOK, end.wait()).await == Ok(Exit::Status(0))
}

/// Kills a program that is still running when nobody waits for it any more.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.signal_group(Signal::KILL);
    }
}
