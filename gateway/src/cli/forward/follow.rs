//! Forwarding all that a workspace listens on, as it comes and goes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::carry::{FIRST_PAUSE, LAST_PAUSE, is_passing};
use super::port::{Forward, Place};
use super::{Report, Reports, serve};
use crate::cli::client::Inside;

/// Most ports that are forwarded at once: a workspace doesn't get all ports and descriptors
/// of this machine.
const MOST: usize = 128;

/// How many ports after one that is taken are tried, before any that is free.
const NEXT: u16 = 10;

/// First port that needs no privileges, and how much higher those before it are here: they
/// are the machine's own, whoever may take them.
const FIRST_FREE: u16 = 1024;
const HIGHER: u16 = 8000;

#[derive(Debug, Deserialize)]
struct Listed {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    port: u16,
    listening: bool,
}

/// What became of a port.
enum Fate {
    /// It is forwarded.
    Open {
        local: SocketAddr,
        task: JoinSet<()>,
    },
    /// It can't be, which was said.
    Failed,
}

/// Forwards what the workspace listens on, but what is forwarded already.
pub(super) async fn follow(
    inside: Inside,
    address: IpAddr,
    explicit: BTreeSet<u16>,
    reports: Reports,
) {
    let mut all = All {
        address,
        explicit,
        fates: BTreeMap::new(),
        is_full: false,
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
    explicit: BTreeSet<u16>,
    /// By their numbers in the workspace, as long as they listen.
    fates: BTreeMap<u16, Fate>,
    /// Whether it was said that there are too many.
    is_full: bool,
    inside: Inside,
    reports: Reports,
}

impl All {
    /// Opens what listens, and closes what doesn't any more.
    async fn change(&mut self, listed: &Listed) {
        let listening = listed.items.iter().filter(|item| item.listening);
        let listening: BTreeSet<_> = listening.map(|item| item.port).collect();
        let gone: Vec<_> = self.fates.keys().copied().collect();
        for port in gone.into_iter().filter(|port| !listening.contains(port)) {
            if let Some(Fate::Open { local, mut task }) = self.fates.remove(&port) {
                // Its port is free before anybody is told so.
                task.shutdown().await;
                let to = Place::inside(port);
                self.reports.say(Report::Ended { local, to }).await;
            }
        }
        let mut wanted: Vec<_> = listening.difference(&self.explicit).collect();
        // Those that are elsewhere here take nobody's place.
        wanted.sort_by_key(|port| **port < FIRST_FREE);
        for port in wanted {
            if self.fates.contains_key(port) {
                continue;
            }
            if self.fates.len() >= MOST {
                return self.say_full().await;
            }
            let fate = self.open(*port).await;
            self.fates.insert(*port, fate);
        }
    }

    /// Says once that there are too many.
    async fn say_full(&mut self) {
        if !self.is_full {
            self.is_full = true;
            let detail = format!(
                "the workspace listens on more than {MOST} ports, and no more are forwarded: name \
                 those that you need"
            );
            self.reports.say(Report::Full { detail }).await;
        }
    }

    async fn open(&self, port: u16) -> Fate {
        let to = Place::inside(port);
        let opened = free(self.address, port).await;
        let opened = opened.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (local, listener) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let detail = format!("no port can be had for it here: {error}");
                self.reports.say(Report::Failed { to, detail }).await;
                return Fate::Failed;
            }
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
        Fate::Open { local, task }
    }
}

/// Listens on the port that one of the workspace has here, or on the next one that is free.
async fn free(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let first = if port < FIRST_FREE {
        port + HIGHER
    } else {
        port
    };
    for candidate in (0..=NEXT).filter_map(|more| first.checked_add(more)) {
        match TcpListener::bind(SocketAddr::new(address, candidate)).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            // Another port changes nothing about it.
            other => return other,
        }
    }
    TcpListener::bind(SocketAddr::new(address, 0)).await
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::sync::mpsc;

    use super::*;
    use crate::cli::client::{Remote, Trust};
    use crate::cli::forward::Word;

    /// One that nobody listens on, for this test alone.
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 83, 0, 1));
    /// One that is no machine's (RFC 5737).
    const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn all(address: IpAddr, explicit: &[u16]) -> (All, mpsc::Receiver<Word>) {
        let origin = "https://localhost:1".parse().unwrap();
        let remote = Remote::new(origin, &Trust::Anybody, None).unwrap();
        let (sender, said) = mpsc::channel(1000);
        let all = All {
            address,
            explicit: explicit.iter().copied().collect(),
            fates: BTreeMap::new(),
            is_full: false,
            inside: Inside::new("test".to_owned(), "id".to_owned(), remote),
            reports: Reports(sender),
        };
        (all, said)
    }

    fn listed(ports: impl IntoIterator<Item = u16>) -> Listed {
        let items = ports.into_iter().map(|port| Item {
            port,
            listening: true,
        });
        let items = items.collect();
        Listed { items }
    }

    /// Returns what was said of failures and of too many.
    fn complaints(said: &mut mpsc::Receiver<Word>) -> (usize, usize) {
        let (mut failed, mut full) = (0, 0);
        while let Ok(Word::Say(report)) = said.try_recv() {
            match report {
                Report::Failed { .. } => failed += 1,
                Report::Full { .. } => full += 1,
                Report::Forwarding { .. } | Report::Ended { .. } => {}
            }
        }
        (failed, full)
    }

    #[tokio::test]
    async fn a_workspace_that_lists_all_ports_gets_some_and_it_is_said_once() {
        let (mut all, mut said) = all(HERE, &[20_000]);
        for _ in 0..3 {
            all.change(&listed(20_000..40_000)).await;
        }
        assert_eq!(all.fates.len(), MOST);
        assert!(!all.fates.contains_key(&20_000), "it is forwarded already");
        assert_eq!(complaints(&mut said), (0, 1));
        // Others take the places of those that go.
        all.change(&listed(20_100..40_000)).await;
        assert_eq!(all.fates.len(), MOST);
        assert!(all.fates.keys().all(|port| *port >= 20_100));
        assert_eq!(complaints(&mut said), (0, 0));
    }

    #[tokio::test]
    async fn a_port_that_can_not_be_had_is_said_once_until_it_comes_again() {
        let (mut all, mut said) = all(NOWHERE, &[]);
        for _ in 0..3 {
            all.change(&listed([20_000, 20_001])).await;
        }
        assert_eq!(complaints(&mut said), (2, 0));
        all.change(&listed([20_001])).await;
        all.change(&listed([20_000, 20_001])).await;
        assert_eq!(complaints(&mut said), (1, 0));
    }

    #[tokio::test]
    async fn a_port_here_is_the_same_or_the_next_and_none_of_the_machines_own() {
        let address = IpAddr::V4(Ipv4Addr::new(127, 83, 0, 2));
        let mut taken = Vec::new();
        for (port, here) in [(80, 8080), (8080, 8081), (8080, 8082), (1023, 9023)] {
            let listener = free(address, port).await.unwrap();
            assert_eq!(listener.local_addr().unwrap().port(), here, "{port}");
            taken.push(listener);
        }
        for _ in 0..=NEXT {
            taken.push(free(address, 65_530).await.unwrap());
        }
        assert!(free(address, 65_530).await.is_ok(), "none is free");
    }
}
