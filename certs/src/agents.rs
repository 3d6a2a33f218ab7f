//! The certificates of agents.

use rcgen::{CertificateParams, CertificateSigningRequestParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;

use crate::issue::{self, validity_of};
use crate::{Authority, CertsError, Secret};

/// Begins the identity in an agent's certificate; the workspace's id follows.
const URI: &str = "devgate://workspace/";

/// Longest id of a workspace, in bytes.
const MAX_ID: usize = 64;

/// What an agent proves itself with.
#[derive(Clone, Debug)]
pub struct AgentIdentity {
    /// The certificate chain, leaf first, PEM.
    pub chain_pem: String,
    /// The private key, PKCS #8 PEM.
    pub key_pem: Secret<String>,
}

/// A new key, and the request for its certificate.
#[derive(Debug)]
pub struct AgentRequest {
    /// The certificate signing request (RFC 2986), PEM.
    pub request_pem: String,
    /// The private key, PKCS #8 PEM. It stays with the agent.
    pub key_pem: Secret<String>,
}

/// Why a client's certificate names no agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownAgent {
    /// The client showed no certificate.
    #[error("no client certificate")]
    Absent,
    /// The certificate can't be read.
    #[error("unreadable client certificate: {0}")]
    Unreadable(String),
    /// The certificate expired after the TLS session began, or isn't valid yet.
    #[error("the client certificate is not valid at this time")]
    OutOfTime,
    /// The certificate is ours, but no agent's.
    #[error("the client certificate names no workspace")]
    NoWorkspace,
}

/// Makes a new key and a request for its certificate, in the agent.
pub fn agent_request() -> Result<AgentRequest, CertsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let request = CertificateParams::default().serialize_request(&key)?;
    Ok(AgentRequest {
        request_pem: request.pem()?,
        key_pem: Secret::new(key.serialize_pem()),
    })
}

impl Authority {
    /// Issues a key and a certificate for the agent of the workspace `id`.
    pub fn issue_agent(&self, id: &str) -> Result<AgentIdentity, CertsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let params = self.agent_params(id)?;
        let certificate = params.signed_by(&key, self.issuer())?;
        Ok(AgentIdentity {
            chain_pem: certificate.pem(),
            key_pem: Secret::new(key.serialize_pem()),
        })
    }

    /// Issues a certificate for the key of a request and returns its chain, PEM.
    /// The identity is `id`, that of the tunnel, whatever the request says.
    ///
    /// # Errors
    /// [`CertsError::Request`] where the request can't be read or isn't signed by
    /// its own key.
    pub fn sign_agent_request(&self, id: &str, request_pem: &str) -> Result<String, CertsError> {
        let request = CertificateSigningRequestParams::from_pem(request_pem)
            .map_err(|error| CertsError::Request(error.to_string()))?;
        let params = self.agent_params(id)?;
        let certificate = params.signed_by(&request.public_key, self.issuer())?;
        Ok(certificate.pem())
    }

    /// Returns the id of the workspace whose agent showed these certificates in a
    /// TLS handshake, which has verified their chain. A resumed TLS session isn't
    /// verified again, so their time is.
    pub fn agent_of(&self, chain: &[CertificateDer<'_>]) -> Result<String, UnknownAgent> {
        let leaf = chain.first().ok_or(UnknownAgent::Absent)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf)
            .map_err(|error| UnknownAgent::Unreadable(error.to_string()))?;
        let validity = validity_of(leaf).map_err(UnknownAgent::Unreadable)?;
        if !validity.contains(self.now()) {
            return Err(UnknownAgent::OutOfTime);
        }
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| UnknownAgent::Unreadable(error.to_string()))?
            .ok_or(UnknownAgent::NoWorkspace)?;
        match names.value.general_names.as_slice() {
            [GeneralName::URI(uri)] => uri
                .strip_prefix(URI)
                .filter(|id| is_id(id))
                .map(str::to_owned)
                .ok_or(UnknownAgent::NoWorkspace),
            _ => Err(UnknownAgent::NoWorkspace),
        }
    }

    fn agent_params(&self, id: &str) -> Result<CertificateParams, CertsError> {
        if !is_id(id) {
            let quoted = id.chars().take(MAX_ID).collect();
            return Err(CertsError::WorkspaceId(quoted));
        }
        let now: OffsetDateTime = self.now();
        issue::agent(format!("{URI}{id}"), now, self.validity())
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
