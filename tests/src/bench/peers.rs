//! Those that are compared, each with servers of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::gateway::Gateway;
use crate::memory::pss_kib;
use crate::reach::Reach;
use crate::ssh::{HOST, plain};
use crate::sshd::Sshd;
use crate::survivors::Folder;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// OpenSSH's server, directly.
    Sshd,
    /// OpenSSH's server through another one: what people use as a gateway.
    Jump,
    /// devgate, its agent behind a Unix socket.
    Unix,
    /// devgate, its agent dialling in: TLS.
    Dial,
    /// nginx, in front of a web application.
    Nginx,
    /// The web application, with nothing before it.
    Direct,
    /// `docker`, as one would run it by hand.
    ByHand,
    /// devgate, its workspaces in containers.
    Docker,
    /// devgate, its workspaces in containers of a warm pool.
    Warm,
}

impl Kind {
    /// All that carry SSH.
    pub(super) const ALL: [Self; 4] = [Self::Sshd, Self::Jump, Self::Unix, Self::Dial];

    /// Those that carry HTTP.
    pub(super) const BY_HTTP: [Self; 3] = [Self::Direct, Self::Nginx, Self::Unix];

    /// Those that run workspaces.
    pub(super) const WITH_WORKSPACES: [Self; 4] =
        [Self::ByHand, Self::Docker, Self::Warm, Self::Unix];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Jump => "ProxyJump",
            Self::Unix => "devgate",
            Self::Dial => "devgate TLS",
            Self::Nginx => "nginx",
            Self::Direct => "direct",
            Self::ByHand => "docker by hand",
            Self::Docker => "devgate Docker",
            Self::Warm => "devgate warm pool",
        }
    }
}

/// A server to connect to, and what stands before it.
pub(super) struct Peer {
    kind: Kind,
    config: PathBuf,
    // Dropped in this order: the servers, their folder.
    server: Server,
    folder: Folder,
}

enum Server {
    /// The last one of a chain first.
    Sshd(Vec<Sshd>),
    Devgate(Box<Gateway>),
}

impl Peer {
    pub(super) fn start(kind: Kind) -> Self {
        let folder = Folder::new();
        let (server, config) = match kind {
            Kind::Sshd => {
                let sshd = Sshd::start(folder.path());
                let config = sshd.access().write(folder.path());
                (Server::Sshd(vec![sshd]), config)
            }
            Kind::Jump => jump(folder.path()),
            Kind::Unix => devgate(folder.path(), Reach::Unix),
            Kind::Dial => devgate(folder.path(), Reach::Dial),
            Kind::Nginx | Kind::Direct | Kind::ByHand | Kind::Docker | Kind::Warm => {
                panic!("{} carries no SSH", kind.label())
            }
        };
        Self {
            kind,
            config,
            server,
            folder,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// A folder of the peer's own, on this machine.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program of OpenSSH's that knows the peer as [`HOST`].
    pub(super) fn client(&self, program: &str) -> Command {
        let mut command = plain(program);
        command.arg("-F").arg(&self.config);
        command
    }

    /// `ssh` with options, on its way to run `remote`.
    pub(super) fn ssh(&self, options: &[&str], remote: &str) -> Command {
        let mut command = self.client("ssh");
        command.args(options).arg(HOST).arg(remote);
        command
    }

    /// The gateway, if it is one.
    pub(super) fn gateway(&self) -> Option<&Gateway> {
        match &self.server {
            Server::Devgate(gateway) => Some(gateway),
            Server::Sshd(_) => None,
        }
    }

    /// Memory of all processes that serve, in KiB; what they run for people isn't
    /// counted.
    pub(super) fn memory_kib(&self) -> u64 {
        match &self.server {
            Server::Devgate(gateway) => {
                let agents = gateway.agents();
                let agents = agents.iter().map(|agent| pss_kib(agent.pid));
                pss_kib(gateway.ready().pid) + agents.sum::<u64>()
            }
            Server::Sshd(servers) => servers
                .iter()
                .flat_map(|server| family(server.pid()))
                .map(pss_kib)
                .sum(),
        }
    }
}

fn devgate(folder: &Path, reach: Reach) -> (Server, PathBuf) {
    let gateway = Gateway::start(folder, reach);
    let config = gateway.access().write(folder);
    (Server::Devgate(Box::new(gateway)), config)
}

fn jump(folder: &Path) -> (Server, PathBuf) {
    let (inner, outer) = (folder.join("inner"), folder.join("outer"));
    fs::create_dir(&inner).expect("the folder is writable");
    fs::create_dir(&outer).expect("the folder is writable");
    let (target, gate) = (Sshd::start(&inner), Sshd::start(&outer));
    let config = target.access().write(&inner);
    let hop = gate.access().write(&outer);
    // The first match wins: the hop's own address comes from its own file.
    let hop = fs::read_to_string(&hop)
        .expect("it was written")
        .replace(&format!("Host {HOST}"), "Host hop");
    let text = fs::read_to_string(&config).expect("it was written");
    fs::write(&config, format!("{text}ProxyJump hop\n{hop}")).expect("the folder is writable");
    (Server::Sshd(vec![target, gate]), config)
}

/// The process and its descendants that run the same program.
fn family(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        let children = format!("/proc/{parent}/task/{parent}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        all.extend(
            children
                .split_whitespace()
                .filter_map(|child| child.parse().ok())
                .filter(|child| is_sshd(*child)),
        );
    }
    all
}

fn is_sshd(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.starts_with("sshd"))
}
