//! Whom a server elsewhere is taken for: what its certificate has to be issued by.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::authority;
use crate::cli::failure::{Failure, Kind};

/// Who may have issued a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Trust {
    /// Whoever this machine trusts.
    System,
    /// One of these alone, PEM.
    Pinned(String),
    /// Anybody: for asking who it was, and for nothing else.
    Anybody,
}

impl Trust {
    /// Returns a client's TLS.
    pub(in crate::cli) fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
        let roots = match self {
            Self::Anybody => {
                let verifier = Arc::new(Unverified(provider));
                let builder = builder.dangerous();
                let builder = builder.with_custom_certificate_verifier(verifier);
                return Ok(Arc::new(builder.with_no_client_auth()));
            }
            Self::System => {
                let mut roots = RootCertStore::empty();
                // What of it can't be read is trusted by nobody.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots
            }
            Self::Pinned(pem) => pinned(pem)?,
        };
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn pinned(pem: &str) -> Result<RootCertStore, Failure> {
    let unusable = |why: String| {
        let message = format!("the certificate authority can't be used: {why}");
        Failure::new(Kind::Usage, message)
    };
    let mut roots = RootCertStore::empty();
    for certificate in authority::certificates(pem).map_err(unusable)? {
        let added = roots.add(certificate);
        added.map_err(|error| unusable(error.to_string()))?;
    }
    Ok(roots)
}

/// Tells why a certificate was refused; `None` where something else went wrong.
pub(in crate::cli) fn refused(error: &io::Error) -> Option<&CertificateError> {
    let cause = error.get_ref()?.downcast_ref::<Error>()?;
    match cause {
        Error::InvalidCertificate(why) => Some(why),
        _ => None,
    }
}

/// Takes any certificate. What is read over such a connection is compared with what a
/// person knows, and nothing secret is sent.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_not_trusted() {
        assert!(Trust::Pinned("nothing".to_owned()).config().is_err());
    }
}
