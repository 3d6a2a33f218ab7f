//! The server of a data folder, on its own machine.

use std::net::SocketAddr;

use super::finding::Findings;
use super::network::{bare, dial, is_about_issuer, shake};
use super::{editor, ssh, wildcard};
use crate::cli::args::{Settings, Source};
use crate::cli::client::{Client, Trust, certificate_refused, read_authority};
use crate::cli::workspaces::show;
use crate::config::{Config, DriverName, TlsMode};
use crate::drivers::DriverError;
use crate::http::admin::wire::{ServerStatus, StateName};
use crate::http::api::wire::{ApplicationsBy, Connection};
use crate::identity::Target;
use crate::server::{engines, given as certificate};

/// Looks at it.
pub(super) async fn look(source: &Source, target: Option<&Target>, findings: &mut Findings) {
    let config = match source.load(&Settings::default()) {
        Ok(config) => config,
        Err(failure) => {
            let remedy = "mend the configuration: `devgate config check` tells where";
            return findings.failed("configuration", failure.to_string(), remedy);
        }
    };
    // As `devgate config check` and the start do.
    match certificate(&config.http) {
        Ok(_) => findings.ok("configuration", "it can be read"),
        Err(error) => {
            let remedy = "put the files that http.certificate and http.key name in order: a server \
                          that runs keeps the certificate that it has, and doesn't start anew";
            findings.failed("configuration", crate::chain::chain(&error), remedy);
        }
    }
    let mut client = Client::new(&config.data_dir);
    let status: Result<ServerStatus, _> = client.get("/status").await;
    let runs = status.as_ref().ok().and_then(|status| status.driver);
    docker(&config, runs, findings).await;
    wildcard::look_here(&config, findings).await;
    editor::look(&config, status.as_ref().ok(), findings);
    let status = match status {
        Ok(status) => status,
        Err(failure) => {
            let remedy = "start it: `devgate up`, or the service that runs `devgate serve`";
            return findings.failed("server", failure.to_string(), remedy);
        }
    };
    findings.ok("server", format!("version {} runs", status.version));
    https(&config, &status, findings).await;
    ssh_port(&config, &status, findings).await;
    if let Some(target) = target {
        workspace(&mut client, target, findings).await;
    }
}

/// Asks each Docker Engine for a sign of life. What the server that runs says of its
/// workspaces counts more than this command's configuration, which may be another one.
async fn docker(config: &Config, runs: Option<DriverName>, findings: &mut Findings) {
    match (runs, config.workspaces.driver) {
        (Some(DriverName::Process), _) => {
            return findings.skipped("docker", "workspaces are processes of this machine");
        }
        (None, DriverName::Process) => {
            let detail = "by this command's configuration, workspaces are processes of this \
                          machine; where the server has a file of its own, name it: `devgate \
                          doctor --config FILE`";
            return findings.skipped("docker", detail);
        }
        (Some(DriverName::Docker), DriverName::Process) => {
            let detail = "the server's workspaces are containers, and where its engine is says \
                          its configuration, which isn't this command's: name the server's file \
                          (`devgate doctor --config FILE`)";
            return findings.skipped("docker", detail);
        }
        (_, DriverName::Docker) => {}
    }
    for engine in engines(config) {
        match engine.answers().await {
            Ok(()) => findings.ok("docker", format!("the engine at {engine} answers")),
            Err(error) => {
                let remedy = match &error {
                    DriverError::EngineUnreachable { remedy, .. } => remedy,
                    _ => "see the engine's log",
                };
                let remedy = format!("{remedy}, or mend [docker] in the configuration");
                let detail = format!("the engine at {engine}: {}", crate::chain::chain(&error));
                findings.failed("docker", detail, &remedy);
            }
        }
    }
}

/// Returns where a listener is reached from this machine.
fn near(listener: &str) -> Option<SocketAddr> {
    let mut address: SocketAddr = listener.parse().ok()?;
    if address.ip().is_unspecified() {
        let loopback = match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(loopback);
    }
    Some(address)
}

async fn https(config: &Config, status: &ServerStatus, findings: &mut Findings) {
    let Some(address) = near(&status.http) else {
        return;
    };
    let tcp = match dial(address).await {
        Ok(tcp) => tcp,
        Err(error) => {
            let remedy = "see the server's log, and whether a firewall is on this machine";
            let detail = format!("{address} doesn't take connections: {error}");
            return findings.failed("port", detail, remedy);
        }
    };
    findings.ok("port", format!("{address} takes connections"));
    match config.http.tls {
        TlsMode::OwnCa if status.ca_fingerprint.is_none() => {
            let detail = "the server's certificate isn't of its own authority, and where it is from \
                          says its configuration, which isn't this command's: name the server's \
                          file (`devgate doctor --config FILE`)";
            return findings.skipped("tls", detail);
        }
        TlsMode::OwnCa => {}
        TlsMode::Files => return given(config, address, findings).await,
        TlsMode::Off => {
            return findings.skipped("tls", "a proxy in front has the certificate (http.tls)");
        }
    }
    let ca = config.data_dir.join("certs/ca.pem");
    let trusted = match read_authority(&ca) {
        Ok(pem) => Trust::Pinned(pem).config(),
        Err(failure) => Err(failure),
    };
    let shaken = match trusted {
        Ok(trusted) => shake(trusted, "localhost", tcp).await,
        Err(failure) => {
            let remedy = "restore certs/ of the data folder from a backup";
            return findings.failed("tls", failure.to_string(), remedy);
        }
    };
    match shaken {
        Ok(()) => findings.ok("tls", "the certificate is of the server's own authority"),
        Err(error) => {
            let remedy = "restart the server, which issues a new one; if that doesn't help, see \
                          its log";
            findings.failed(
                "tls",
                format!("the certificate isn't trusted: {error}"),
                remedy,
            );
        }
    }
}

/// Looks at the certificate that is in files. Whoever issued it may be in there as well, or be
/// trusted by this machine.
async fn given(config: &Config, address: SocketAddr, findings: &mut Findings) {
    const CHECK: &str = "tls";
    let domain = bare(&config.http.domain);
    let file = config.http.certificate.as_deref();
    let chain = file.and_then(|file| read_authority(file).ok());
    let is_there = chain.is_some();
    let mut shaken = Ok(());
    for trust in chain.map(Trust::Pinned).into_iter().chain([Trust::System]) {
        let (Ok(config), Ok(tcp)) = (trust.config(), dial(address).await) else {
            continue;
        };
        shaken = shake(config, domain, tcp).await;
        let refused = shaken.as_ref().err().and_then(certificate_refused);
        if !refused.is_some_and(is_about_issuer) {
            break;
        }
    }
    let Err(error) = shaken else {
        return findings.ok(CHECK, format!("the certificate counts for {domain}"));
    };
    let Some(why) = certificate_refused(&error) else {
        let detail = format!("{address} doesn't speak TLS: {error}");
        return findings.failed(CHECK, detail, "see the server's log");
    };
    let detail = format!("browsers that look for {domain} don't trust the certificate: {why}");
    if is_about_issuer(why) && !is_there {
        let detail = "who issued the certificate that the server shows is told by its file alone, \
                      which can't be read";
        findings.skipped(CHECK, detail);
    } else if is_about_issuer(why) {
        let remedy = "have the file in http.certificate hold the whole chain, unless browsers \
                      know the authority itself";
        findings.warning(CHECK, detail, remedy);
    } else {
        let remedy = "put one that counts, for http.domain, into the files that \
                      http.certificate and http.key name: they are read again by themselves";
        findings.failed(CHECK, detail, remedy);
    }
}

async fn ssh_port(config: &Config, status: &ServerStatus, findings: &mut Findings) {
    let Some(address) = near(&status.ssh) else {
        return;
    };
    let folder = config.data_dir.join("certs");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let keys = files.filter_map(|file| {
        let path = file.path();
        let name = path.file_name()?.to_str()?;
        let is_one = name.starts_with("ssh_host_") && name.ends_with("_key.pub");
        std::fs::read_to_string(&path).ok().filter(|_| is_one)
    });
    let keys: Vec<_> = keys.map(|key| key.trim().to_owned()).collect();
    if keys.is_empty() && !status.host_keys.is_empty() {
        let detail = "the server has host keys that are no longer in certs/ of the data folder";
        let remedy = "restore certs/ from a backup before the server starts anew: it would make \
                      other ones, which no client knows";
        return findings.failed("ssh-host-key", detail, remedy);
    }
    let connection = Connection {
        ssh_host: address.ip().to_string(),
        ssh_port: address.port(),
        url: String::new(),
        domain: String::new(),
        applications: ApplicationsBy::Path,
        host_keys: status.host_keys.clone(),
        public_keys: keys,
        host_authority: String::new(),
        delete_grace_seconds: 0,
    };
    ssh::look(&connection, None, findings).await;
}

async fn workspace(client: &mut Client, target: &Target, findings: &mut Findings) {
    const CHECK: &str = "workspace";
    match show(client, target).await {
        Ok(view) => match (view.state, &view.failure) {
            (StateName::Running, _) => findings.ok(CHECK, format!("{target} is running")),
            (_, Some(failure)) => {
                let remedy = format!("`devgate logs {target}` tells more");
                findings.failed(CHECK, failure.detail.clone(), remedy);
            }
            (state, None) => {
                let word = crate::cli::workspaces::word(state);
                let remedy = format!("devgate start {target}");
                findings.warning(CHECK, format!("{target} is {word}"), remedy);
            }
        },
        Err(failure) => {
            findings.failed(CHECK, failure.to_string(), "`devgate create` makes one");
        }
    }
}
