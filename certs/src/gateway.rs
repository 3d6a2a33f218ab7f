//! The gateway's own TLS certificate, replaced while it is in use.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::info;
use x509_parser::extensions::GeneralName;

use crate::files::{self, Access};
use crate::issue::{self, Validity, validity_of};
use crate::tls::provider;
use crate::{Authority, CertsError};

/// What to do about the file that can't be used, or that others may have read.
const REPLACE: &str = "remove it, and a new one is made";

/// The certificate that the gateway shows, whichever name it is asked for.
#[derive(Debug, Default)]
pub(crate) struct GatewayLeaf(RwLock<Option<Current>>);

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    validity: Validity,
    names: Vec<String>,
}

impl GatewayLeaf {
    fn set(&self, current: Current) {
        *self.0.write() = Some(current);
    }

    fn names(&self) -> Option<Vec<String>> {
        let current = self.0.read();
        current.as_ref().map(|current| current.names.clone())
    }

    pub(crate) fn validity(&self) -> Option<Validity> {
        let current = self.0.read();
        current.as_ref().map(|current| current.validity)
    }
}

impl ResolvesServerCert for GatewayLeaf {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read();
        current.as_ref().map(|current| Arc::clone(&current.key))
    }
}

impl Authority {
    /// Makes the gateway's certificate carry `names` (DNS names, `*.` allowed in
    /// front, and addresses), and returns how long it lives. The one on disk is
    /// used while it suits; another is issued where it is past two thirds of its
    /// life, carries other names or comes from another CA. Handshakes see the new
    /// one at once. Blocks on the disk.
    pub fn gateway_leaf(&self, names: &[String]) -> Result<Validity, CertsError> {
        let _lock = files::open_folder(self.folder())?;
        let path = self.folder().join("gateway.pem");
        let stored = match files::private_text(&path, REPLACE)? {
            Some(pem) => Some(parse(&path, &pem)?),
            None => None,
        };
        let current = match stored {
            Some(stored) if self.suits(&stored, names) => stored,
            _ => {
                let params = issue::gateway(names, self.now(), self.validity())?;
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                let certificate = params.signed_by(&key, self.issuer())?;
                let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
                let current = parse(&path, &pem)?;
                files::write(&path, Access::Private, &pem)?;
                info!(?names, until = %current.validity.not_after, "issued the gateway's certificate");
                current
            }
        };
        let validity = current.validity;
        // What was asked for, so that a renewal asks for the same.
        let names = names.to_vec();
        self.leaf.set(Current { names, ..current });
        Ok(validity)
    }

    /// Issues the gateway's certificate again where its time has come. Nothing
    /// happens before [`Authority::gateway_leaf`] has told its names. Blocks on
    /// the disk.
    pub fn renew_gateway_leaf(&self) -> Result<Option<Validity>, CertsError> {
        match self.leaf.names() {
            Some(names) => self.gateway_leaf(&names).map(Some),
            None => Ok(None),
        }
    }

    fn suits(&self, stored: &Current, names: &[String]) -> bool {
        let now = self.now();
        let mut wanted: Vec<_> = names.iter().map(|name| canonical(name)).collect();
        let mut carried = stored.names.clone();
        wanted.sort();
        wanted.dedup();
        carried.sort();
        carried.dedup();
        wanted == carried
            && stored.validity.contains(now)
            && now < stored.validity.renew_at()
            && stored
                .key
                .cert
                .first()
                .is_some_and(|leaf| self.issued(leaf))
    }

    /// Whether the CA's key signed the certificate.
    fn issued(&self, leaf: &CertificateDer<'_>) -> bool {
        let roots = self.ca_pem();
        let Ok(ca) = CertificateDer::from_pem_slice(roots.as_bytes()) else {
            return false;
        };
        match (
            x509_parser::parse_x509_certificate(leaf),
            x509_parser::parse_x509_certificate(&ca),
        ) {
            (Ok((_, leaf)), Ok((_, ca))) => leaf.verify_signature(Some(ca.public_key())).is_ok(),
            _ => false,
        }
    }
}

fn parse(path: &Path, pem: &str) -> Result<Current, CertsError> {
    let damaged = |detail: String| CertsError::Damaged {
        path: path.to_owned(),
        detail,
        remedy: REPLACE,
    };
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| damaged(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| damaged(error.to_string()))?;
    let leaf = chain
        .first()
        .ok_or_else(|| damaged("it holds no certificate".into()))?;
    let validity = validity_of(leaf).map_err(&damaged)?;
    let names = names_of(leaf).map_err(&damaged)?;
    let key = CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| damaged(error.to_string()))?;
    Ok(Current {
        key: Arc::new(key),
        validity,
        names,
    })
}

fn names_of(leaf: &CertificateDer<'_>) -> Result<Vec<String>, String> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(leaf).map_err(|error| error.to_string())?;
    let names = parsed
        .subject_alternative_name()
        .map_err(|error| error.to_string())?;
    let names = names.map(|names| &names.value.general_names);
    let texts = names.into_iter().flatten().map(|name| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => address(bytes),
        other => other.to_string(),
    });
    Ok(texts.collect())
}

fn address(bytes: &[u8]) -> String {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return std::net::Ipv4Addr::from(bytes).to_string();
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) => std::net::Ipv6Addr::from(bytes).to_string(),
        Err(_) => String::new(),
    }
}

/// One spelling for each address, so that `::1` equals `0:0:0:0:0:0:0:1`.
fn canonical(name: &str) -> String {
    match name.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => name.to_owned(),
    }
}
