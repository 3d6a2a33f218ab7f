//! Shapes of the certificates, and how long they live.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};

use crate::CertsError;

/// Life of the CA.
const CA_LIFE: Duration = Duration::days(3650);

/// Life of the gateway's certificate; browsers accept up to 398 days.
const GATEWAY_LIFE: Duration = Duration::days(90);

/// Life of an agent's certificate, renewed over the tunnel.
const AGENT_LIFE: Duration = Duration::days(30);

/// How far a certificate's life begins in the past, for hosts whose clock is slow.
const SKEW: Duration = Duration::hours(1);

/// When a certificate may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub not_before: OffsetDateTime,
    /// Its last moment.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// Returns the moment at which two thirds of its life are over.
    pub fn renew_at(&self) -> OffsetDateTime {
        self.not_before + (self.not_after - self.not_before) * 2 / 3
    }

    /// Whether `moment` lies in it.
    pub fn contains(&self, moment: OffsetDateTime) -> bool {
        (self.not_before..=self.not_after).contains(&moment)
    }

    fn from(now: OffsetDateTime, life: Duration) -> Self {
        Self {
            not_before: now - SKEW,
            not_after: now + life,
        }
    }

    /// Cut to the life of the issuer: what outlives it couldn't be verified.
    fn within(self, issuer: Self) -> Self {
        Self {
            not_before: self.not_before.max(issuer.not_before),
            not_after: self.not_after.min(issuer.not_after),
        }
    }
}

/// Returns when the first certificate of a PEM text may be used.
pub fn validity(pem: &str) -> Result<Validity, CertsError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| CertsError::Pem(error.to_string()))?;
    validity_of(&der).map_err(CertsError::Pem)
}

pub(crate) fn validity_of(der: &CertificateDer<'_>) -> Result<Validity, String> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(der).map_err(|error| error.to_string())?;
    let validity = certificate.validity();
    Ok(Validity {
        not_before: validity.not_before.to_datetime(),
        not_after: validity.not_after.to_datetime(),
    })
}

/// Returns the shape of a CA that signs leaves only.
pub(crate) fn ca(now: OffsetDateTime) -> CertificateParams {
    let mut params = shape("devgate CA", Validity::from(now, CA_LIFE));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Returns the shape of the gateway's certificate.
pub(crate) fn gateway(
    names: &[String],
    now: OffsetDateTime,
    issuer: Validity,
) -> Result<CertificateParams, CertsError> {
    let life = Validity::from(now, GATEWAY_LIFE).within(issuer);
    let mut params = leaf("devgate", life, ExtendedKeyUsagePurpose::ServerAuth);
    for name in names {
        let parsed = CertificateParams::new(vec![name.clone()]).ok();
        let names = parsed.map(|params| params.subject_alt_names);
        match names {
            Some(names) if is_name(name) => params.subject_alt_names.extend(names),
            _ => return Err(CertsError::Name(name.clone())),
        }
    }
    Ok(params)
}

/// Returns the shape of the certificate of a workspace's agent.
pub(crate) fn agent(
    uri: String,
    now: OffsetDateTime,
    issuer: Validity,
) -> Result<CertificateParams, CertsError> {
    let life = Validity::from(now, AGENT_LIFE).within(issuer);
    let mut params = leaf("devgate agent", life, ExtendedKeyUsagePurpose::ClientAuth);
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    Ok(params)
}

fn leaf(name: &str, life: Validity, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = shape(name, life);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Client and server apart: no agent can pass for a gateway.
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params
}

fn shape(name: &str, life: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = life.not_before;
    params.not_after = life.not_after;
    params.serial_number = Some(serial());
    params
}

/// Returns a serial number that no other certificate of the CA has (RFC 5280 §4.1.2.2): what
/// is made of the key would be that of all hosts, and Firefox takes no second one with it.
fn serial() -> SerialNumber {
    let [first, rest @ ..]: [u8; 16] = rand::random();
    // Positive, and as long as it looks.
    let mut bytes = vec![first & 0x7f | 0x40];
    bytes.extend(rest);
    bytes.into()
}

/// Whether it is an IP address or a DNS name, whose first label may be `*`.
fn is_name(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    rustls_pki_types::ServerName::try_from(host).is_ok()
}
