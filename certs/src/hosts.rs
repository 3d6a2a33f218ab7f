//! Certificates for hosts that come up as people use them.
//!
//! Browsers refuse a wildcard below a name of one label, such as `*.localhost`, so a
//! host gets a certificate of its own when it is first asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::PrivateKeyDer;
use tracing::{debug, warn};

use crate::issue::{self, Validity, validity_of};
use crate::tls::provider;
use crate::{Authority, CertsError};

/// Most certificates that are kept; all are forgotten when there are more.
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
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    certified: Arc<CertifiedKey>,
    validity: Validity,
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
        // A signature takes a tenth of a millisecond, so others can wait for it.
        let mut kept = self.kept();
        if let Some(found) = kept.get(host)
            && found.validity.contains(now)
            && now < found.validity.renew_at()
        {
            return Ok(Arc::clone(&found.certified));
        }
        let names = [host.to_owned()];
        let params = issue::gateway(&names, now, self.authority.validity())?;
        let certificate = params.signed_by(&self.key, self.authority.issuer())?;
        let validity = validity_of(certificate.der()).map_err(CertsError::Pem)?;
        let chain = vec![certificate.der().clone()];
        let certified = Arc::new(CertifiedKey::new(chain, Arc::clone(&self.signing)));
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        let new = Kept {
            certified: Arc::clone(&certified),
            validity,
        };
        kept.insert(host.to_owned(), new);
        debug!(host, "issued a host's certificate");
        Ok(certified)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        // A map is whole after every method: a panic elsewhere breaks nothing.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
    use rustls::ClientConfig;
    use rustls::client::WebPkiServerVerifier;
    use rustls_pki_types::ServerName;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

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
