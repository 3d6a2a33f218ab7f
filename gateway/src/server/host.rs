//! What the gateway shows of itself: certificates, names, SSH host keys.

use std::path::Path;
use std::sync::Arc;

use devgate_certs::{Authority, CertsError, HostCa, HostKeys};
use russh::keys::Certificate;
use rustls::pki_types::ServerName;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use super::StartError;
use super::folder::DataFolder;
use crate::config::Config;
use crate::http::admin::wire::HostKey;
use crate::ssh;

/// Loads the CA and the keys, or makes them, and has the gateway's certificate
/// carry its names.
pub(super) async fn certificates(
    config: &Config,
    folder: &DataFolder,
    http: &TcpListener,
) -> Result<(Arc<Authority>, Host), StartError> {
    let names = certificate_names(config, http);
    let path = folder.join("certs");
    // An RSA key takes seconds to make, once.
    spawn_blocking(move || {
        let authority = Authority::open(&path)?;
        authority.gateway_leaf(&names)?;
        Ok((Arc::new(authority), Host::open(&path, &names)?))
    })
    .await?
}

/// What the SSH side shows of itself.
pub(super) struct Host {
    keys: HostKeys,
    certificates: Vec<Certificate>,
    /// Public key of what signed them, as files of known hosts have it.
    pub(super) authority: String,
}

impl Host {
    fn open(folder: &Path, names: &[String]) -> Result<Self, CertsError> {
        let keys = HostKeys::open(folder)?;
        let ca = HostCa::open(folder)?;
        Ok(Self {
            certificates: ca.certify(&keys, names)?,
            authority: ca.public_key()?,
            keys,
        })
    }

    /// Returns it as the SSH side takes it.
    pub(super) fn shown(&self) -> ssh::Host<'_> {
        ssh::Host {
            keys: self.keys.keys(),
            certificates: &self.certificates,
        }
    }

    /// Returns the keys as files of known hosts have them.
    pub(super) fn public_keys(&self) -> Vec<String> {
        let lines = self.keys.keys().iter().map(|key| {
            let mut key = key.public_key().clone();
            key.set_comment("");
            key.to_openssh()
        });
        // A key that was read can be written.
        lines.filter_map(Result::ok).collect()
    }

    /// Returns what people compare.
    pub(super) fn fingerprints(&self) -> Vec<HostKey> {
        self.keys
            .fingerprints()
            .into_iter()
            .map(|(algorithm, fingerprint)| HostKey {
                algorithm,
                fingerprint,
            })
            .collect()
    }
}

/// Returns the names and addresses that the gateway's certificate carries.
fn certificate_names(config: &Config, http: &TcpListener) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let own = nix::unistd::gethostname().ok();
    names.extend(own.and_then(|name| name.into_string().ok()));
    names.push(config.http.listen.host().to_owned());
    if let Ok(address) = http.local_addr() {
        names.push(address.ip().to_string());
    }
    names.extend(config.http.names.iter().cloned());
    let hosts = config.docker.hosts.iter();
    let gateways = hosts.filter_map(|host| host.gateway.as_ref());
    names.extend(gateways.map(|gateway| gateway.host().to_owned()));
    names.retain(|name| match ServerName::try_from(name.as_str()) {
        Ok(ServerName::IpAddress(address)) => !std::net::IpAddr::from(address).is_unspecified(),
        Ok(_) => true,
        // A host's own name may have characters that no certificate takes; what
        // the configuration names was checked.
        Err(_) => false,
    });
    names.sort();
    names.dedup();
    names
}
