//! The SSH port, and who answers there.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use russh::client;
use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::{self, PublicKeyOrCertificate};
use tokio::time::timeout;

use super::finding::Findings;
use super::network::{PATIENCE, addresses, bare, dial};
use crate::cli::contexts;
use crate::cli::ssh::slug;
use crate::http::Origin;
use crate::http::api::wire::Connection;

/// What this looks at first.
pub(super) const CHECK: &str = "ssh-port";

/// Takes no key, but remembers the one that was shown.
#[derive(Clone, Debug, Default)]
struct Shown(Arc<Mutex<Option<keys::PublicKey>>>);

impl client::Handler for Shown {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            PublicKeyOrCertificate::Certificate(certificate) => {
                keys::PublicKey::from(certificate.public_key().clone())
            }
        };
        *self.0.lock() = Some(key);
        Ok(false)
    }
}

/// Looks at the SSH port and its host key. `way` is how the server is reached over HTTPS, and
/// what it is called.
pub(super) async fn look(
    connection: &Connection,
    way: Option<(&Origin, &str)>,
    findings: &mut Findings,
) {
    let (host, port) = (bare(&connection.ssh_host), connection.ssh_port);
    let at = format!("{host} port {port}");
    let loopback = |host: &str| {
        let ip = host.parse::<IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    };
    if let Some((origin, _)) = way
        && loopback(host)
        && !loopback(bare(origin.host()))
    {
        let remedy = "set ssh.listen for other machines, and http.names to the name that people \
                      use; until then `devgate ssh` goes over the HTTPS port";
        let detail = format!("the server says that SSH is at {at}, of its own machine alone");
        return findings.failed(CHECK, detail, remedy);
    }
    let dialled = async {
        let found = addresses(host, port).await?;
        let mut last = std::io::Error::other("no address");
        for address in found {
            match dial(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    let tcp = match dialled.await {
        Ok(tcp) => tcp,
        Err(error) => {
            let remedy = "have the network let that port through, or use `devgate ssh` and \
                          `devgate config-ssh`, which go over the HTTPS port";
            let detail = format!("{at} doesn't take connections: {error}");
            return findings.failed(CHECK, detail, remedy);
        }
    };
    let shown = Shown::default();
    let config = Arc::new(client::Config::default());
    let shaking = client::connect_stream(config, tcp, shown.clone());
    // It ends there, as no key is taken.
    let ended = timeout(PATIENCE, shaking).await;
    let key = shown.0.lock().take();
    let Some(key) = key else {
        let why = match ended {
            Ok(Err(error)) => error.to_string(),
            Ok(Ok(_)) => "it showed no key".to_owned(),
            Err(_) => "it says nothing".to_owned(),
        };
        let remedy = "something else than devgate answers there: see ssh.listen";
        return findings.failed(CHECK, format!("no SSH server at {at}: {why}"), remedy);
    };
    findings.ok(CHECK, format!("an SSH server answers at {at}"));
    host_key(connection, &key, way.map(|(_, name)| name), findings);
}

/// Compares the key that was shown with those that the server has, and with what is known.
fn host_key(
    connection: &Connection,
    shown: &keys::PublicKey,
    name: Option<&str>,
    findings: &mut Findings,
) {
    const CHECK: &str = "ssh-host-key";
    let own: Vec<keys::PublicKey> = connection
        .public_keys
        .iter()
        .filter_map(|line| keys::PublicKey::from_openssh(line).ok())
        .collect();
    let is_own = |key: &keys::PublicKey| own.iter().any(|own| own.key_data() == key.key_data());
    if !is_own(shown) {
        let detail = format!(
            "{} port {} shows a key that isn't the server's: {}",
            connection.ssh_host,
            connection.ssh_port,
            shown.fingerprint(keys::HashAlg::Sha256)
        );
        let remedy = "somebody is in between, or another SSH server has that port: don't connect \
                      there before whoever runs the server has told which";
        return findings.failed(CHECK, detail, remedy);
    }
    let (host, port) = (bare(&connection.ssh_host), connection.ssh_port);
    if let Some(home) = std::env::var_os("HOME") {
        let file = Path::new(&home).join(".ssh/known_hosts");
        let known = known_host_keys_path(host, port, &file).unwrap_or_default();
        let known: Vec<_> = known.into_iter().map(|(_, key)| key).collect();
        if !known.is_empty() && !known.iter().any(is_own) {
            let at = if port == 22 {
                host.to_owned()
            } else {
                format!("[{host}]:{port}")
            };
            let detail = format!("{} has another key for {at}", file.display());
            let remedy = format!(
                "ssh refuses to connect: if the server was made anew, ssh-keygen -R '{at}'"
            );
            return findings.failed(CHECK, detail, remedy);
        }
    }
    if let Some(name) = name
        && let Ok(folder) = contexts::folder_made()
        && let Ok(pinned) =
            std::fs::read_to_string(folder.join(format!("{}.known_hosts", slug(name))))
    {
        let authority = keys::PublicKey::from_openssh(&connection.host_authority).ok();
        let is_authority = |key: &keys::PublicKey| {
            let authority = authority.as_ref();
            authority.is_some_and(|authority| authority.key_data() == key.key_data())
        };
        // Either is enough: the authority signs for keys that the server has later.
        let is_known = |line: &str| match line.strip_prefix("@cert-authority ") {
            Some(line) => pinned_key(line).is_some_and(|key| is_authority(&key)),
            None => pinned_key(line).is_some_and(|key| is_own(&key)),
        };
        if !pinned.lines().any(is_known) {
            let detail = "the keys that `devgate ssh` has pinned aren't the server's any more";
            let remedy = "if the server was made anew, `devgate config-ssh` pins its new ones";
            return findings.failed(CHECK, detail, remedy);
        }
    }
    let fingerprint = shown.fingerprint(keys::HashAlg::Sha256);
    findings.ok(CHECK, format!("it is the server's: {fingerprint}"));
}

/// Returns the key of a line of known hosts that has no marker.
fn pinned_key(line: &str) -> Option<keys::PublicKey> {
    let (_, key) = line.split_once(' ')?;
    keys::PublicKey::from_openssh(key).ok()
}
