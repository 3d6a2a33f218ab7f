//! Forwarding all that a workspace listens on, as it comes and goes.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::carry::{FIRST_PAUSE, LAST_PAUSE, is_passing};
use super::port::{Forward, Place};
use super::{Report, Reports, listen, serve};
use crate::cli::client::Inside;

/// How many ports after one that is taken are tried, before any that is free.
const NEXT: u16 = 50;

/// First port that needs no privileges.
const FIRST_FREE: u16 = 1024;

#[derive(Debug, Deserialize)]
struct Listed {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    port: u16,
    listening: bool,
}

/// A port that is forwarded.
struct Open {
    local: SocketAddr,
    task: JoinSet<()>,
}

/// Forwards what the workspace listens on, but what is forwarded already.
pub(super) async fn follow(inside: Inside, address: IpAddr, explicit: Vec<u16>, reports: Reports) {
    let mut all = All {
        address,
        explicit,
        open: HashMap::new(),
        inside: inside.another(),
        reports,
    };
    let mut inside = inside;
    let mut pause = FIRST_PAUSE;
    loop {
        match inside.ports().await {
            Ok(mut pieces) => {
                while let Ok(Some(lines)) = pieces.next().await {
                    pause = FIRST_PAUSE;
                    // The last line is how it is now.
                    let last = lines
                        .split(|byte| *byte == b'\n')
                        .rfind(|line| !line.is_empty());
                    let listed = last.and_then(|line| serde_json::from_slice::<Listed>(line).ok());
                    if let Some(listed) = listed {
                        all.change(&listed).await;
                    }
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return all.reports.end(inside.explain(error)).await,
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

struct All {
    address: IpAddr,
    explicit: Vec<u16>,
    /// By their numbers in the workspace.
    open: HashMap<u16, Open>,
    inside: Inside,
    reports: Reports,
}

impl All {
    /// Opens what listens, and closes what doesn't any more.
    async fn change(&mut self, listed: &Listed) {
        let listening = listed.items.iter().filter(|item| item.listening);
        let listening: Vec<_> = listening.map(|item| item.port).collect();
        let gone: Vec<_> = self.open.keys().copied().collect();
        for port in gone.into_iter().filter(|port| !listening.contains(port)) {
            if let Some(Open { local, mut task }) = self.open.remove(&port) {
                // Its port is free before anybody is told so.
                task.shutdown().await;
                let to = Place::inside(port);
                self.reports.say(Report::Ended { local, to }).await;
            }
        }
        for port in listening {
            if !self.explicit.contains(&port) && !self.open.contains_key(&port) {
                self.open(port).await;
            }
        }
    }

    async fn open(&mut self, port: u16) {
        let to = Place::inside(port);
        let Some((listener, local)) = self.free(port).await else {
            let detail = "no port is free for it here".to_owned();
            return self.reports.say(Report::Failed { to, detail }).await;
        };
        let forward = Forward { local: port, to };
        let serving = serve(
            listener,
            forward,
            self.inside.another(),
            self.reports.clone(),
        );
        let mut task = JoinSet::new();
        task.spawn(serving);
        self.open.insert(port, Open { local, task });
    }

    /// Listens on a port, or on the next one that is free.
    async fn free(&self, port: u16) -> Option<(TcpListener, SocketAddr)> {
        let after = if port < FIRST_FREE { FIRST_FREE } else { port };
        let next = (0..NEXT).filter_map(|more| after.checked_add(more));
        for candidate in std::iter::once(port).chain(next).chain([0]) {
            if let Ok(listener) = listen(SocketAddr::new(self.address, candidate)).await {
                let local = listener.local_addr().ok()?;
                return Some((listener, local));
            }
        }
        None
    }
}
