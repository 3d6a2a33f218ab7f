//! Certificates for hosts that come up as people use them.
//!
//! Browsers refuse a wildcard below a name of one label, such as `*.localhost`, so a
//! host gets a certificate of its own when it is first asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::PrivateKeyDer;
use time::OffsetDateTime;
use tracing::{debug, warn};

use crate::issue::{self, Validity, validity_of};
use crate::tls::provider;
use crate::{Authority, CertsError};

/// Most certificates that are kept; the least recently used is forgotten when there are
/// more. Whoever asks for many hosts makes only their own handshakes slower: each
/// certificate costs one signature, as each handshake does anyway.
const MAX_KEPT: usize = 1024;

/// Says whether a host, in small letters, is to have a certificate.
pub type Wanted = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Shows a certificate for each host that is wanted, and the gateway's for all else.
struct Hosts {
    authority: Arc<Authority>,
    wanted: Wanted,
    /// One for all: each costs a signature, and no key.
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    kept: Mutex<Kept>,
}

/// The certificates that were issued. Invariant: there are at most [`MAX_KEPT`].
#[derive(Default)]
struct Kept {
    hosts: HashMap<String, Host>,
    /// How often any was used.
    uses: u64,
}

struct Host {
    certified: Arc<CertifiedKey>,
    validity: Validity,
    /// The last use.
    used: u64,
}

impl Authority {
    /// Returns the configuration of [`Authority::server_config`], which shows hosts
    /// that are wanted a certificate of their own, issued when one is first asked for.
    pub fn server_config_for(
        self: &Arc<Self>,
        wanted: Wanted,
    ) -> Result<Arc<ServerConfig>, CertsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let der = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| CertsError::Pem(error.to_owned()))?;
        let signing = provider().key_provider.load_private_key(der)?;
        self.configuration(Arc::new(Hosts {
            authority: Arc::clone(self),
            wanted,
            key,
            signing,
            kept: Mutex::default(),
        }))
    }
}

impl Hosts {
    fn of(&self, host: &str) -> Result<Arc<CertifiedKey>, CertsError> {
        let now = self.authority.now();
        if let Some(certified) = self.kept.lock().get(host, now) {
            return Ok(certified);
        }
        // Others needn't wait for the signature. Two that ask for a new host at the same
        // time get one each, and the later is kept.
        let names = [host.to_owned()];
        let params = issue::gateway(&names, now, self.authority.validity())?;
        let certificate = params.signed_by(&self.key, self.authority.issuer())?;
        let validity = validity_of(certificate.der()).map_err(CertsError::Pem)?;
        let chain = vec![certificate.der().clone()];
        let certified = Arc::new(CertifiedKey::new(chain, Arc::clone(&self.signing)));
        debug!(host, "issued a host's certificate");
        self.kept.lock().put(host, Arc::clone(&certified), validity);
        Ok(certified)
    }
}

impl Kept {
    fn get(&mut self, host: &str, now: OffsetDateTime) -> Option<Arc<CertifiedKey>> {
        let found = self.hosts.get_mut(host)?;
        if !found.validity.contains(now) || now >= found.validity.renew_at() {
            return None;
        }
        self.uses += 1;
        found.used = self.uses;
        Some(Arc::clone(&found.certified))
    }

    fn put(&mut self, host: &str, certified: Arc<CertifiedKey>, validity: Validity) {
        if self.hosts.len() >= MAX_KEPT && !self.hosts.contains_key(host) {
            let oldest = self.hosts.iter().min_by_key(|(_, host)| host.used);
            if let Some(oldest) = oldest.map(|(host, _)| host.clone()) {
                self.hosts.remove(&oldest);
            }
        }
        self.uses += 1;
        let new = Host {
            certified,
            validity,
            used: self.uses,
        };
        self.hosts.insert(host.to_owned(), new);
    }
}

impl ResolvesServerCert for Hosts {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().map(str::to_ascii_lowercase);
        if let Some(host) = host
            && (self.wanted)(&host)
        {
            match self.of(&host) {
                Ok(certified) => return Some(certified),
                Err(error) => warn!(host, %error, "can't issue a host's certificate"),
            }
        }
        self.authority.leaf.resolve(hello)
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use rustls::ClientConfig;
    use rustls::client::WebPkiServerVerifier;
    use rustls_pki_types::ServerName;
    use tokio_rustls::{TlsAcceptor, TlsConnector};
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;

    fn hosts(folder: &Path) -> Hosts {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Hosts {
            authority: Arc::new(Authority::open(&folder.join("certs")).unwrap()),
            wanted: Arc::new(|_| true),
            key,
            signing: provider().key_provider.load_private_key(der).unwrap(),
            kept: Mutex::default(),
        }
    }

    #[test]
    fn no_two_certificates_have_one_serial_number() {
        let folder = tempfile::tempdir().unwrap();
        let hosts = hosts(folder.path());
        let mut seen = HashSet::new();
        // The host "again" loses its certificate, and gets another one.
        for host in ["one", "two", "again", "again"] {
            let certified = hosts.of(host).unwrap();
            hosts.kept.lock().hosts.remove("again");
            let (_, parsed) = X509Certificate::from_der(&certified.cert[0]).unwrap();
            let serial = parsed.raw_serial();
            // RFC 5280 §4.1.2.2: positive, and at most 20 octets.
            assert!(serial[0] & 0x80 == 0 && serial.len() <= 20, "{serial:?}");
            assert!(seen.insert(serial.to_vec()), "{host}");
        }
    }

    #[test]
    fn hosts_that_nobody_comes_back_to_push_out_none_that_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let hosts = hosts(folder.path());
        let used = hosts.of("used").unwrap();
        let unused = hosts.of("unused").unwrap();
        for number in 0..MAX_KEPT {
            hosts.of(&format!("host-{number}")).unwrap();
            let again = hosts.of("used").unwrap();
            assert!(Arc::ptr_eq(&used, &again));
        }
        assert_eq!(hosts.kept.lock().hosts.len(), MAX_KEPT);
        assert!(!Arc::ptr_eq(&unused, &hosts.of("unused").unwrap()));
    }

    #[tokio::test]
    async fn a_wanted_host_gets_a_certificate_of_its_own_and_no_other_does() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Arc::new(Authority::open(&folder.path().join("certs")).unwrap());
        authority.gateway_leaf(&["localhost".to_owned()]).unwrap();
        let wanted: Wanted = Arc::new(|host| host == "3000--api--ada.localhost");
        let server = authority.server_config_for(wanted).unwrap();
        let provider = Arc::new(provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::clone(authority.roots()),
            Arc::clone(&provider),
        );
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_webpki_verifier(verifier.build().unwrap())
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(client));
        let mut shown = Vec::new();
        for (host, accepted) in [
            ("3000--api--ada.localhost", true),
            ("3000--API--ada.localhost", true),
            ("localhost", true),
            ("3001--api--ada.localhost", false),
        ] {
            let (near, far) = tokio::io::duplex(1 << 16);
            let acceptor = TlsAcceptor::from(Arc::clone(&server));
            let name = ServerName::try_from(host).unwrap();
            let (connected, _) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
            assert_eq!(connected.is_ok(), accepted, "{host}");
            if let Ok(tls) = connected {
                let chain = tls.get_ref().1.peer_certificates().unwrap();
                shown.push(chain[0].clone());
            }
        }
        assert_eq!(shown[0], shown[1], "the certificate is kept");
        assert_ne!(shown[0], shown[2]);
    }
}
