//! `devgate port-forward`: ports of this machine that lead into a workspace.
//!
//! Each connection is one WebSocket, so that a token is enough, and one that stalls holds up
//! no other. A listener stays while the server is away.

mod carry;
mod follow;
mod port;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tokio::net::{TcpListener, lookup_host};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::client::{Client, Inside};
use super::failure::{Failure, Kind};
use super::output::{self, Format};
use super::ready::ready;
use crate::identity::Target;
use port::{Forward, Place, bare};

/// Reports that wait to be said; whoever has one more waits.
const WAITING: usize = 64;

/// `devgate port-forward`.
#[derive(Debug, Args)]
pub(super) struct PortForward {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// PORT, LOCAL:PORT or LOCAL:HOST:PORT; 0 as LOCAL takes a free one
    #[arg(value_name = "PORT", required_unless_present = "all")]
    ports: Vec<Forward>,
    /// Forward the ports that something listens on, as they come and go, up to 128 of them.
    /// Where one is taken here, the next free one leads there; those below 1024 are 8000 higher
    /// here, 80 is 8080
    #[arg(long)]
    all: bool,
    /// Address to listen on here, or a name of one; 0.0.0.0 lets everybody on the network in
    #[arg(long, default_value = "127.0.0.1")]
    address: String,
    #[command(flatten)]
    format: Format,
}

/// Something to say.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Report {
    /// A port of this machine leads into the workspace from now on.
    Forwarding {
        local: SocketAddr,
        #[serde(flatten)]
        to: Place,
    },
    /// One doesn't any more.
    Ended {
        local: SocketAddr,
        #[serde(flatten)]
        to: Place,
    },
    /// A connection, or the way to the server, failed.
    Failed {
        #[serde(flatten)]
        to: Place,
        detail: String,
    },
    /// More ports listen than are forwarded.
    Full { detail: String },
}

/// What has to be said, or ends everything.
enum Word {
    Say(Report),
    End(Failure),
}

/// Where forwards say what happens. Cheap to clone.
#[derive(Clone)]
struct Reports(mpsc::Sender<Word>);

impl Reports {
    async fn say(&self, report: Report) {
        // Nobody hears it once everything ends.
        let _ = self.0.send(Word::Say(report)).await;
    }

    async fn end(&self, failure: Failure) {
        let _ = self.0.send(Word::End(failure)).await;
    }
}

/// Forwards ports until it is interrupted.
pub(super) async fn run(client: &mut Client, command: PortForward) -> Result<(), Failure> {
    let target = command.workspace.to_string();
    let inside = client.inside(&target, "port-forward").await?;
    let address = resolve(&command.address).await?;
    ready(client, &command.workspace).await?;
    let (sender, mut reports) = mpsc::channel(WAITING);
    let sender = Reports(sender);
    let mut tasks = JoinSet::new();
    let mut explicit = BTreeSet::new();
    for forward in command.ports {
        let listener = TcpListener::bind(SocketAddr::new(address, forward.local))
            .await
            .map_err(|error| taken(address, &forward, &error))?;
        if forward.to.is_inside() {
            explicit.insert(forward.to.port);
        }
        let serving = serve(listener, forward, inside.another(), sender.clone());
        tasks.spawn(serving);
    }
    if command.all {
        let following = follow::follow(inside.another(), address, explicit, sender.clone());
        tasks.spawn(following);
    }
    drop(sender);
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut ends = signal(SignalKind::terminate())?;
    loop {
        let word = tokio::select! {
            word = reports.recv() => word,
            _ = interrupts.recv() => None,
            _ = ends.recv() => None,
        };
        // Everything that is open ends with its task.
        match word {
            Some(Word::Say(report)) => tell(&report, command.format)?,
            Some(Word::End(failure)) => return Err(failure),
            None => return Ok(()),
        }
    }
}

/// Returns the address that a text is, or is a name of: the first one of IPv4, where it has
/// any.
async fn resolve(text: &str) -> Result<IpAddr, Failure> {
    let unknown = |why: String| {
        let message = format!("there is no address {text:?} to listen on here: {why}");
        Failure::new(Kind::Usage, message)
    };
    let found = lookup_host((bare(text), 0)).await;
    let found = found.map_err(|error| unknown(error.to_string()))?;
    let mut found: Vec<_> = found.map(|address| address.ip()).collect();
    found.sort_by_key(IpAddr::is_ipv6);
    let first = found.first().copied();
    first.ok_or_else(|| unknown("the name has none".to_owned()))
}

/// Takes connections of one port until it is dropped, with all that came.
async fn serve(listener: TcpListener, forward: Forward, inside: Inside, reports: Reports) {
    let to = forward.to.clone();
    let Ok(local) = listener.local_addr() else {
        return;
    };
    let said = to.clone();
    reports.say(Report::Forwarding { local, to: said }).await;
    let (forward, mut connections) = (Arc::new(forward), JoinSet::new());
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                let (forward, reports) = (Arc::clone(&forward), reports.clone());
                connections.spawn(carry::carry(client, forward, inside.another(), reports));
            }
            Err(error) => {
                let detail = format!("can't take a connection: {error}");
                let to = to.clone();
                reports.say(Report::Failed { to, detail }).await;
                tokio::time::sleep(carry::FIRST_PAUSE).await;
            }
        }
    }
}

fn taken(address: IpAddr, forward: &Forward, error: &io::Error) -> Failure {
    let (local, port) = (forward.local, forward.to.port);
    let next = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("something listens there already: choose another port, as in 0:{port}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 are root's: choose another one, as in 0:{port}")
        }
        _ => error.to_string(),
    };
    let at = SocketAddr::new(address, local);
    Failure::new(Kind::Failed, format!("can't listen on {at}: {next}"))
}

fn tell(report: &Report, format: Format) -> Result<(), Failure> {
    if format.is_json() {
        return output::json_line(report);
    }
    match report {
        Report::Forwarding { local, to } => output::write(&format!("{local} leads to {to}\n")),
        Report::Ended { local, to } => output::write(&format!(
            "{local} leads nowhere any more; {to} was closed\n"
        )),
        Report::Failed { to, detail } => {
            output::note(&format!("devgate: {to}: {detail}"));
            Ok(())
        }
        Report::Full { detail } => {
            output::note(&format!("devgate: {detail}"));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_may_be_a_name() {
        for (text, address) in [
            ("127.0.0.1", "127.0.0.1"),
            ("localhost", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
        ] {
            let resolved = resolve(text).await.unwrap();
            assert_eq!(resolved, address.parse::<IpAddr>().unwrap(), "{text}");
        }
        for bad in ["", "no such name", "300.0.0.1"] {
            assert_eq!(resolve(bad).await.unwrap_err().kind(), Kind::Usage, "{bad}");
        }
    }
}
