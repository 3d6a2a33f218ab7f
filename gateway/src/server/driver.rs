//! Makes what runs the workspaces, as the configuration says.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use devgate_certs::Authority;
use devgate_protocol::config::{Credentials as Shown, EditorConfig, TerminalsConfig};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tracing::{error, warn};

use super::StartError;
use super::folder::DataFolder;
use crate::chain::chain;
use crate::config::{Config, DockerHostConfig, DriverName, EngineUrl, Gpus, ReachBy, Size};
use crate::drivers::docker::{
    DockerDriver, DockerHost, DockerHosts, DockerOptions, DockerReach, Endpoint, nanos,
};
use crate::drivers::process::{ProcessDriver, ProcessOptions, ProcessReach};
use crate::drivers::{AgentCredentials, Driver, DriverError, Issue};
use crate::repositories::{Credential, Credentials, Repositories, RepositoryOptions};
use crate::secrets::Vault;

/// Returns what runs the workspaces' agents.
pub(super) async fn new(
    config: &Config,
    agent: PathBuf,
    folder: &DataFolder,
    (authority, https): (&Arc<Authority>, &TcpListener),
) -> Result<Arc<dyn Driver>, StartError> {
    match config.workspaces.driver {
        DriverName::Process => process(config, agent, folder, (authority, https)).await,
        DriverName::Docker => {
            let options = docker_options(config, agent, folder);
            let issue = issue(authority);
            let hosts = config.docker.hosts.iter();
            let port = https.local_addr().map_err(StartError::NoAddress)?.port();
            let host = |host| docker_host(host, &options, &issue, port);
            let hosts: Vec<_> = hosts.map(host).collect();
            let opened = spawn_blocking(move || -> Result<Arc<dyn Driver>, DriverError> {
                if hosts.is_empty() {
                    return Ok(Arc::new(DockerDriver::open(options)?));
                }
                Ok(Arc::new(DockerHosts::open(options.folder, hosts)?))
            });
            opened.await?.map_err(StartError::Driver)
        }
    }
}

async fn process(
    config: &Config,
    agent: PathBuf,
    folder: &DataFolder,
    (authority, https): (&Arc<Authority>, &TcpListener),
) -> Result<Arc<dyn Driver>, StartError> {
    let reach = match config.process.reach {
        ReachBy::Unix => ProcessReach::Socket,
        ReachBy::Dial => ProcessReach::Dial {
            gateways: vec![reachable(https)?],
            issue: issue(authority),
        },
    };
    let driver = Arc::new(ProcessDriver::new(ProcessOptions {
        folder: folder.join("workspaces"),
        agent,
        shell: config.process.shell.clone(),
        environment: config.process.environment.clone(),
        editor: editor(config),
        terminals: terminals(config),
        startup: config.startup.for_agents(),
        reach,
    }));
    let noting = Arc::clone(&driver);
    if let Err(failure) = spawn_blocking(move || noting.note_homes()).await? {
        warn!(failure = chain(&failure), "can't take note of all homes");
    }
    Ok(driver)
}

/// Returns what makes the certificates of agents that dial in.
fn issue(authority: &Arc<Authority>) -> Issue {
    let authority = Arc::clone(authority);
    Arc::new(move |id| {
        Ok(AgentCredentials {
            identity: authority.issue_agent(id.as_str())?,
            ca_pem: authority.ca_pem().to_owned(),
        })
    })
}

/// Returns where the engines are that a configuration names.
pub fn engines(config: &Config) -> Vec<Endpoint> {
    let docker = &config.docker;
    if docker.hosts.is_empty() {
        return vec![Endpoint::Socket(docker.socket.clone())];
    }
    docker.hosts.iter().map(endpoint).collect()
}

fn endpoint(host: &DockerHostConfig) -> Endpoint {
    match &host.url {
        EngineUrl::Unix(path) => Endpoint::Socket(path.clone()),
        EngineUrl::Tcp(address) => {
            // The configuration was checked: they are there.
            let file = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
            Endpoint::Tls {
                host: host.name.clone(),
                address: address.to_string(),
                ca: file(&host.ca),
                certificate: file(&host.certificate),
                key: file(&host.key),
            }
        }
    }
}

fn docker_host(
    host: &DockerHostConfig,
    all: &DockerOptions,
    issue: &Issue,
    https: u16,
) -> DockerHost {
    let mut options = all.clone();
    options.engine = endpoint(host);
    if let EngineUrl::Tcp(_) = &host.url {
        options.reach = DockerReach::Dial {
            gateways: host.gateway.iter().map(|it| it.or_at(https)).collect(),
            issue: Arc::clone(issue),
        };
    }
    DockerHost {
        name: host.name.clone(),
        labels: host.labels.clone(),
        options,
    }
}

fn docker_options(config: &Config, agent: PathBuf, folder: &DataFolder) -> DockerOptions {
    let docker = &config.docker;
    DockerOptions {
        folder: folder.join("docker"),
        engine: Endpoint::Socket(docker.socket.clone()),
        reach: DockerReach::Folder,
        agent,
        // The configuration was checked: there is one.
        image: docker.image.clone().unwrap_or_default(),
        build: None,
        user: docker.user.clone(),
        home: docker.home.clone(),
        shell: docker.shell.clone(),
        nano_cpus: docker.cpus.map(nanos),
        memory: docker.memory.map(Size::bytes),
        pids: docker.pids,
        tmp_size: docker.tmp_size.bytes(),
        mounts: docker.mounts.clone(),
        own_mounts: Vec::new(),
        extra_hosts: docker.extra_hosts.iter().map(ToString::to_string).collect(),
        gpus: docker.gpus == Gpus::All,
        network: docker.network.clone(),
        environment: docker.environment.clone(),
        remote_environment: BTreeMap::new(),
        editor: editor(config),
        terminals: terminals(config),
        startup: config.startup.for_agents(),
    }
}

/// Returns what looks at the workspaces' repositories.
pub(super) fn repositories(config: &Config, folder: &DataFolder, vault: &Vault) -> Repositories {
    let docker = &config.docker;
    Repositories::new(RepositoryOptions {
        folder: folder.join("repositories"),
        driver: config.workspaces.driver,
        image: docker.image.clone().unwrap_or_default(),
        user: docker.user.clone(),
        mounts: docker.mounts.clone(),
        credentials: credentials(vault),
    })
}

/// Returns what finds the tokens that repositories' servers are shown.
fn credentials(vault: &Vault) -> Credentials {
    let vault = vault.clone();
    Arc::new(move |workspace, repository| {
        let (vault, owner) = (vault.clone(), workspace.owner.clone());
        let shown = (repository.token.clone(), repository.credentials());
        Box::pin(async move {
            let (Some(name), Shown::Token { user, .. }) = shown else {
                return None;
            };
            let found = vault.find(&owner, &name).await;
            let token = found.unwrap_or_else(|failure| {
                error!(%name, failure = chain(&failure), "a secret can't be read");
                None
            });
            token.map(|token| Credential { user, token })
        })
    })
}

fn editor(config: &Config) -> EditorConfig {
    EditorConfig {
        program: config.editor.program.clone(),
        extensions: config.editor.extensions.clone(),
        idle_timeout: config.editor.idle_timeout.get(),
        start_timeout: config.editor.start_timeout.get(),
        ..EditorConfig::default()
    }
}

fn terminals(config: &Config) -> TerminalsConfig {
    TerminalsConfig {
        keep: config.terminals.keep.get(),
        scrollback: usize::try_from(config.terminals.scrollback).unwrap_or(usize::MAX),
    }
}

/// Returns the address by which this host reaches a listener of its own.
fn reachable(listener: &TcpListener) -> Result<String, StartError> {
    let mut address = listener.local_addr().map_err(StartError::NoAddress)?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Ok(address.to_string())
}
