//! A certificate that somebody else issued, in files that are read again when they
//! change.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use x509_parser::x509::X509Version;

use crate::gateway::GatewayLeaf;
use crate::issue::validity_of;
use crate::tls::provider;
use crate::{Authority, CertsError};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// A certificate and its key from files.
#[derive(Debug)]
pub struct Given {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
    /// What the files looked like when they were read.
    seen: Mutex<[Stamp; 2]>,
}

/// What tells a file from another version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// Shows the given certificate, and to agents the CA's own.
#[derive(Debug)]
struct Choice {
    given: Arc<Given>,
    own: Arc<GatewayLeaf>,
}

impl Given {
    /// Reads both files. Blocks on the disk.
    ///
    /// # Errors
    /// Where a file can't be read, or certificate and key don't belong together.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, CertsError> {
        let seen = [stamp(certificate)?, stamp(key)?];
        Ok(Self {
            current: RwLock::new(Arc::new(read(certificate, key)?)),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            seen: Mutex::new(seen),
        })
    }

    /// Says why clients refuse the certificate at this time, where they do.
    pub fn untimely(&self, now: OffsetDateTime) -> Option<String> {
        let current = Arc::clone(&self.current.read());
        let validity = validity_of(current.cert.first()?).ok()?;
        let path = self.certificate.display();
        let shown = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_else(|_| at.to_string());
        if now < validity.not_before {
            let from = shown(validity.not_before);
            return Some(format!(
                "the certificate {path} is valid from {from} on, and refused by clients until \
                 then: compare that with this machine's clock"
            ));
        }
        (now > validity.not_after).then(|| {
            let end = shown(validity.not_after);
            format!(
                "the certificate {path} expired at {end}, and is refused by clients: have it \
                 renewed; it is read again without a restart"
            )
        })
    }

    /// Reads the files again where they have changed; `true` where that was so. The
    /// certificate before stays where they can't be used. Blocks on the disk.
    pub fn refresh(&self) -> Result<bool, CertsError> {
        // Before they are read: what changes meanwhile is read the next time.
        let stamps = [stamp(&self.certificate)?, stamp(&self.key)?];
        let mut seen = self.seen.lock();
        if *seen == stamps {
            return Ok(false);
        }
        let fresh = Arc::new(read(&self.certificate, &self.key)?);
        *self.current.write() = fresh;
        *seen = stamps;
        Ok(true)
    }

    /// Reads the files again whenever they change, until `stop`. What can't be used is
    /// told once and tried again: key and certificate may be replaced one after the
    /// other.
    pub async fn refresh_forever(self: Arc<Self>, stop: CancellationToken) {
        let mut told = String::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let given = Arc::clone(&self);
            let problem = match tokio::task::spawn_blocking(move || given.refresh()).await {
                Ok(Ok(changed)) => {
                    if changed {
                        let path = self.certificate.display();
                        info!(%path, "the certificate was read again");
                    }
                    String::new()
                }
                Ok(Err(problem)) => problem.to_string(),
                Err(problem) => problem.to_string(),
            };
            if !problem.is_empty() && problem != told {
                error!(problem, "the certificate before stays in use");
            }
            told = problem;
        }
    }
}

impl Authority {
    /// Returns the configuration of a listener that shows a given certificate. A client
    /// that names no server, as agents do that dial an address, is shown the one of
    /// [`Authority::gateway_leaf`], which they trust.
    pub fn server_config_with(&self, given: Arc<Given>) -> Result<Arc<ServerConfig>, CertsError> {
        let own = Arc::clone(&self.leaf);
        self.configuration(Arc::new(Choice { given, own }))
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.server_name().is_none() {
            return self.own.resolve(hello);
        }
        Some(Arc::clone(&self.given.current.read()))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertsError> {
    let chain = CertificateDer::pem_slice_iter(&bytes(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| damaged(certificate, error.to_string()))?;
    let Some(own) = chain.first() else {
        return Err(damaged(certificate, "it holds no certificate".to_owned()));
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(own)
        .map_err(|error| damaged(certificate, error.to_string()))?;
    if parsed.version() != X509Version::V3 {
        let problem = "its first certificate is not one of version 3 of X.509, which clients ask \
                       for: have it issued anew";
        return Err(unusable(certificate, problem.to_owned()));
    }
    let private = private(key)?;
    CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => unusable(
            certificate,
            format!(
                "its first certificate must be the server's own, before those that issued it, \
                 and {} must be its key",
                key.display()
            ),
        ),
        rustls::Error::InvalidCertificate(_) => damaged(certificate, error.to_string()),
        _ => damaged(key, error.to_string()),
    })
}

/// What PEM texts have of private keys that nobody reads without a passphrase (RFC 7468 §11,
/// RFC 1421 §4.6.1.1).
const ENCRYPTED: [&[u8]; 2] = [
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
    b"Proc-Type: 4,ENCRYPTED",
];

fn private(path: &Path) -> Result<PrivateKeyDer<'static>, CertsError> {
    let text = bytes(path)?;
    let has = |mark: &[u8]| text.windows(mark.len()).any(|part| part == mark);
    if ENCRYPTED.into_iter().any(has) {
        let problem = format!(
            "the key is encrypted, and devgate can't ask for its passphrase: write it without \
             one with `openssl pkey -in {} -out FILE`",
            path.display()
        );
        return Err(unusable(path, problem));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let problem = "it holds no private key in PEM: name the file with the certificate's";
            unusable(path, problem.to_owned())
        }
        error => damaged(path, error.to_string()),
    })
}

fn unusable(path: &Path, problem: String) -> CertsError {
    let path = path.to_owned();
    CertsError::Unusable { path, problem }
}

fn damaged(path: &Path, detail: String) -> CertsError {
    CertsError::Damaged {
        path: path.to_owned(),
        detail,
        remedy: "put the certificate's chain and its key there, in PEM",
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, CertsError> {
    let failed = |source| unreadable(path, source);
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(damaged(path, format!("it is larger than {MAX_FILE} bytes")));
    }
    fs::read(path).map_err(failed)
}

fn stamp(path: &Path) -> Result<Stamp, CertsError> {
    let found: Metadata = fs::metadata(path).map_err(|source| unreadable(path, source))?;
    Ok(Stamp {
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

fn unreadable(path: &Path, source: std::io::Error) -> CertsError {
    CertsError::File {
        action: "read",
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as Issued, generate_simple_self_signed};

    use super::*;

    fn write(folder: &Path, name: &str) -> [PathBuf; 2] {
        let Issued { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
        let paths = ["chain.pem", "key.pem"].map(|file| folder.join(file));
        let [chain, key] = &paths;
        fs::write(chain, cert.pem()).unwrap();
        fs::write(key, signing_key.serialize_pem()).unwrap();
        paths
    }

    #[test]
    fn files_that_change_are_read_again_and_bad_ones_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [chain, key] = write(folder.path(), "one.example");
        let given = Given::open(&chain, &key).unwrap();
        let shown = || given.current.read().cert[0].clone();
        let first = shown();
        assert!(!given.refresh().unwrap());
        write(folder.path(), "another.example");
        assert!(given.refresh().unwrap());
        let second = shown();
        assert_ne!(first, second);
        fs::write(&chain, "nonsense").unwrap();
        let problem = given.refresh().unwrap_err().to_string();
        assert!(problem.contains("chain.pem"), "{problem}");
        assert_eq!(shown(), second);
    }

    /// A certificate of version 1.
    const OLD: &str = "\
        -----BEGIN CERTIFICATE-----\n\
        MIIBJTCBzQIUEIH2kjyeVySfmCwYNneCeAscwkQwCgYIKoZIzj0EAwIwFTETMBEG\n\
        A1UEAwwKdjEuZXhhbXBsZTAgFw0yNjEyMDEwMzM1MDFaGA8yMTI2MTEwNzAzMzUw\n\
        MVowFTETMBEGA1UEAwwKdjEuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEH\n\
        A0IABGDmaJ1XAURFzcnZ9fEVoPeVUwZuQohi8RQ6B71300GowecVtsHN49uWMXRA\n\
        +jc7M2lOLWVOUIFDFPuulok/CD8wCgYIKoZIzj0EAwIDRwAwRAIgGM659mjyqTjQ\n\
        EvjXo9YtJwbbzB+BKx7+QILc5s53aV4CIGjKH/KeMpa+g523ahUDmCItWGDGfyr7\n\
        mI/1SRo60xDm\n\
        -----END CERTIFICATE-----\n\
        ";

    /// Returns what is said of files that can't be used.
    fn refused([chain, key]: &[PathBuf; 2]) -> String {
        Given::open(chain, key).unwrap_err().to_string()
    }

    #[test]
    fn what_can_not_be_used_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let paths = write(folder.path(), "one.example");
        let issuer = fs::read_to_string(&paths[0]).unwrap();
        let paths = write(folder.path(), "two.example");
        let [chain, key] = paths.clone().map(|path| fs::read_to_string(path).unwrap());

        fs::write(&paths[0], format!("{issuer}{chain}")).unwrap();
        let said = refused(&paths);
        assert!(
            said.contains("chain.pem") && said.contains("first"),
            "{said}"
        );
        fs::write(&paths[0], OLD).unwrap();
        let said = refused(&paths);
        assert!(
            said.contains("chain.pem") && said.contains("version 3"),
            "{said}"
        );
        fs::write(&paths[0], format!("{chain}{issuer}")).unwrap();
        Given::open(&paths[0], &paths[1]).unwrap();

        for mark in [
            "PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
            "ENCRYPTED PRIVATE KEY-----\n",
        ] {
            fs::write(&paths[1], key.replacen("PRIVATE KEY-----\n", mark, 1)).unwrap();
            let said = refused(&paths);
            assert!(
                said.contains("key.pem") && said.contains("openssl pkey"),
                "{said}"
            );
        }
        fs::write(&paths[1], &chain).unwrap();
        let said = refused(&paths);
        assert!(
            said.contains("key.pem") && said.contains("no private key"),
            "{said}"
        );
    }

    #[test]
    fn a_certificate_that_clients_refuse_by_the_clock_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let [chain, key] = write(folder.path(), "one.example");
        let given = Given::open(&chain, &key).unwrap();
        let at = |year| {
            let first = time::Date::from_ordinal_date(year, 1).unwrap();
            given.untimely(first.midnight().assume_utc())
        };
        assert_eq!(given.untimely(OffsetDateTime::now_utc()), None);
        // Of those that don't say when, rcgen's are valid from 1975 to 4096.
        let early = at(1970).unwrap();
        assert!(
            early.contains("valid from") && early.contains("chain.pem"),
            "{early}"
        );
        let late = at(5000).unwrap();
        assert!(
            late.contains("expired") && late.contains("chain.pem"),
            "{late}"
        );
    }
}
