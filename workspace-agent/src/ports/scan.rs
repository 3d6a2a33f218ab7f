//! One look at the listening ports.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use devgate_protocol::mark::Mark;
use procfs::ProcResult;
use procfs::net::{TcpNetEntry, TcpState, tcp, tcp6};
use procfs::process::{FDTarget, Process};
use rustix::process::Pid;
use serde::Serialize;
use time::OffsetDateTime;

use crate::processes;

/// Most ports that are reported.
const MAX_PORTS: usize = 256;

/// A port that a program of the workspace listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "they are the API's names")]
pub(crate) struct Port {
    pub(crate) port: u16,
    /// The address that it is bound to.
    pub(crate) address: IpAddr,
    /// Name of the process that holds it.
    pub(crate) process: String,
    pub(crate) pid: i32,
    /// When it was first seen.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) since: OffsetDateTime,
}

/// Looks again and again; what didn't change isn't looked up again.
#[derive(Debug)]
pub(super) struct Scanner {
    mark: Mark,
    /// Sockets that listened at the last look.
    listening: BTreeSet<u64>,
    /// The workspace's among them, and their processes.
    held: HashMap<u64, Port>,
}

impl Scanner {
    pub(super) fn new(mark: Mark) -> Self {
        Self {
            mark,
            listening: BTreeSet::new(),
            held: HashMap::new(),
        }
    }

    /// Returns the workspace's listening ports, in order.
    pub(super) fn scan(&mut self) -> ProcResult<Vec<Port>> {
        let entries = listeners()?;
        let listening: BTreeSet<u64> = entries.iter().map(|entry| entry.inode).collect();
        let gone = |port: &Port| Pid::from_raw(port.pid).and_then(processes::name).is_none();
        if listening != self.listening || self.held.values().any(gone) {
            self.look_up(&entries, &listening);
            self.listening = listening;
        }
        let mut ports: Vec<Port> = self.held.values().cloned().collect();
        ports.sort_by_key(|port| (port.port, port.address));
        ports.truncate(MAX_PORTS);
        Ok(ports)
    }

    /// Finds out which processes hold the sockets.
    fn look_up(&mut self, entries: &[TcpNetEntry], listening: &BTreeSet<u64>) {
        let mut holders = HashMap::new();
        let strays = processes::strays(&self.mark);
        for pid in processes::descendants(&strays) {
            for inode in sockets(pid) {
                // A parent comes before the children that inherited its socket.
                if listening.contains(&inode) {
                    holders.entry(inode).or_insert(pid);
                }
            }
        }
        let now = OffsetDateTime::now_utc();
        let mut held = HashMap::new();
        for entry in entries {
            let Some(&pid) = holders.get(&entry.inode) else {
                continue;
            };
            let before = self.held.get(&entry.inode);
            let port = Port {
                port: entry.local_address.port(),
                address: entry.local_address.ip(),
                process: processes::name(pid).unwrap_or_default(),
                pid: pid.as_raw_nonzero().get(),
                since: before.map_or(now, |port| port.since),
            };
            held.insert(entry.inode, port);
        }
        self.held = held;
    }
}

fn listeners() -> ProcResult<Vec<TcpNetEntry>> {
    let mut entries = tcp()?;
    // There may be no IPv6 here.
    entries.extend(tcp6().unwrap_or_default());
    entries.retain(|entry| entry.state == TcpState::Listen && entry.inode != 0);
    Ok(entries)
}

/// Returns the sockets that a process holds; none where it may not be looked at.
fn sockets(pid: Pid) -> HashSet<u64> {
    let descriptors = Process::new(pid.as_raw_nonzero().get()).and_then(|process| process.fd());
    let Ok(descriptors) = descriptors else {
        return HashSet::new();
    };
    descriptors
        .flatten()
        .filter_map(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect()
}
