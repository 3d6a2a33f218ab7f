//! The TLS configurations of both sides.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Authority, CertsError, Clock};

/// The only application protocol: WebSocket upgrades are HTTP/1.1's.
const ALPN: &[u8] = b"http/1.1";

impl Authority {
    /// Returns the configuration of the gateway's HTTPS listener: TLS 1.3, and 1.2
    /// for old browsers; a client may show a certificate, and one that isn't
    /// issued by this CA fails the handshake.
    ///
    /// The certificate that it shows is the one of [`Authority::gateway_leaf`],
    /// also when that changes later.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, CertsError> {
        self.configuration(Arc::clone(&self.leaf) as _)
    }

    /// Returns that configuration with another choice of certificates.
    pub(crate) fn configuration(
        &self,
        resolver: Arc<dyn ResolvesServerCert>,
    ) -> Result<Arc<ServerConfig>, CertsError> {
        let provider = Arc::new(provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::clone(self.roots()),
            Arc::clone(&provider),
        )
        .allow_unauthenticated()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
        let clock = Arc::new(self.clock().clone());
        let mut config = ServerConfig::builder_with_details(provider, clock)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.ignore_client_order = true;
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        // An agent's burst takes a ticket a connection.
        config.send_tls13_tickets = 4;
        Ok(Arc::new(config))
    }
}

/// Returns the configuration of an agent: TLS 1.3, trusting the gateway's CA only.
///
/// `key_pem` may hold several keys; the one that the certificate belongs to is
/// used, so that key and certificate can be replaced one after the other.
pub fn client_config(
    ca_pem: &str,
    chain_pem: &str,
    key_pem: &str,
) -> Result<Arc<ClientConfig>, CertsError> {
    let unreadable = |error: rustls_pki_types::pem::Error| CertsError::Pem(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(unreadable)?)?;
    }
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    let provider = Arc::new(provider());
    let key = matching_key(&chain, key_pem, &provider)?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| CertsError::Pem(error.to_string()))?;
    let clock = Arc::new(Clock::system());
    let mut config = ClientConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn matching_key(
    chain: &[CertificateDer<'static>],
    key_pem: &str,
    provider: &CryptoProvider,
) -> Result<PrivateKeyDer<'static>, CertsError> {
    let mut last = CertsError::Pem("no private key".into());
    for key in PrivateKeyDer::pem_slice_iter(key_pem.as_bytes()) {
        let key = key.map_err(|error| CertsError::Pem(error.to_string()))?;
        match CertifiedKey::from_der(chain.to_vec(), key.clone_key(), provider) {
            Ok(_) => return Ok(key),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Returns why a handshake failed in words for the log, where the cause is a
/// certificate.
pub fn why_refused(error: &rustls::Error) -> Option<String> {
    use rustls::CertificateError as Bad;
    let reason = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "it expired".to_owned(),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "it isn't valid yet: compare the clocks".to_owned()
            }
            Bad::UnknownIssuer => "it was issued by another CA".to_owned(),
            Bad::BadSignature => "its signature is wrong: it was tampered with".to_owned(),
            Bad::BadEncoding => "it can't be read: it was tampered with".to_owned(),
            other => other.to_string(),
        },
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate),
        ) => format!("the other side refused ours: {alert:?}"),
        _ => return None,
    };
    Some(reason)
}

/// The default one, AES-128-GCM first: it is the fastest where the processor has AES.
pub(crate) fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let first = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != first);
    provider
}
