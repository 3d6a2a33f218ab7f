//! The certificate authority.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use tracing::{info, warn};

use crate::files::{self, Access};
use crate::gateway::GatewayLeaf;
use crate::issue::{self, Validity, validity_of};
use crate::{CertsError, Clock};

/// What to do about a key that others may have read.
const EXPOSED: &str = "remove it and `ca.pem`, and a new CA is made that agents learn when they \
                       are started again, and that whoever imported the old one has to import";

/// How long before the CA's end an operator is told.
const CA_WARNING: Duration = Duration::days(180);

/// The CA of one installation: it issues the gateway's certificate and those of
/// agents, and nothing else trusts it but they and who imports it.
pub struct Authority {
    folder: PathBuf,
    clock: Clock,
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
    validity: Validity,
    roots: Arc<RootCertStore>,
    pub(crate) leaf: Arc<GatewayLeaf>,
}

impl Authority {
    /// Loads the CA from `folder`, or makes both. Blocks on the disk.
    pub fn open(folder: &Path) -> Result<Self, CertsError> {
        Self::open_at(folder, Clock::system())
    }

    /// Does what [`Authority::open`] does, by another clock.
    pub fn open_at(folder: &Path, clock: Clock) -> Result<Self, CertsError> {
        let _lock = files::open_folder(folder)?;
        let key_path = folder.join("ca.key");
        let certificate_path = folder.join("ca.pem");
        let key = files::private_text(&key_path, EXPOSED)?;
        let certificate = files::public_text(&certificate_path)?;

        let key = match (key, &certificate) {
            (Some(pem), _) => KeyPair::from_pem(&pem).map_err(|error| CertsError::Damaged {
                path: key_path,
                detail: error.to_string(),
                remedy: "put it back from a backup; or remove it and `ca.pem`, and a new CA is \
                         made that agents learn when they are started again",
            })?,
            (None, Some(_)) => {
                return Err(CertsError::KeyMissing {
                    key: key_path,
                    certificate: certificate_path,
                });
            }
            (None, None) => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                files::write(&key_path, Access::Private, &key.serialize_pem())?;
                key
            }
        };
        let ca_pem = if let Some(pem) = certificate {
            pem
        } else {
            let pem = issue::ca(clock.now()).self_signed(&key)?.pem();
            files::write(&certificate_path, Access::Public, &pem)?;
            info!(folder = %folder.display(), "made a certificate authority");
            pem
        };
        Self::assemble(folder, clock, key, ca_pem)
    }

    fn assemble(
        folder: &Path,
        clock: Clock,
        key: KeyPair,
        ca_pem: String,
    ) -> Result<Self, CertsError> {
        let path = folder.join("ca.pem");
        let damaged = |detail: String| CertsError::Damaged {
            path: path.clone(),
            detail,
            remedy: "put it back from a backup, or remove it, and it is made again for the same \
                     key",
        };
        let der = CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .map_err(|error| damaged(error.to_string()))?;
        let validity = validity_of(&der).map_err(&damaged)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| damaged(error.to_string()))?;
        let own = &parsed.public_key().subject_public_key.data;
        if own.as_ref() != key.public_key_raw() {
            return Err(damaged("it belongs to another key than `ca.key`".into()));
        }
        if parsed.verify_signature(None).is_err() {
            return Err(damaged("its signature is wrong".into()));
        }
        let left = validity.not_after - clock.now();
        if left.is_negative() {
            return Err(CertsError::AuthorityExpired { path });
        }
        if left < CA_WARNING {
            warn!(
                days = left.whole_days(),
                "the certificate authority expires soon"
            );
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        let mut roots = RootCertStore::empty();
        roots.add(der).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            folder: folder.to_owned(),
            clock,
            issuer,
            ca_pem,
            validity,
            roots: Arc::new(roots),
            leaf: Arc::default(),
        })
    }

    /// Returns the CA's certificate, PEM: what agents and people trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns the file that holds the CA's certificate.
    pub fn ca_path(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    pub(crate) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("folder", &self.folder)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}
