//! A certificate that somebody else issued, in files that are read again when they
//! change.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::gateway::GatewayLeaf;
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

    /// Reads the files again where they have changed; `true` where that was so. The
    /// certificate before stays where they can't be used. Blocks on the disk.
    pub fn refresh(&self) -> Result<bool, CertsError> {
        // Before they are read: what changes meanwhile is read the next time.
        let stamps = [stamp(&self.certificate)?, stamp(&self.key)?];
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == stamps {
            return Ok(false);
        }
        let fresh = Arc::new(read(&self.certificate, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
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
        let current = self.given.current.read();
        let current = current.unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertsError> {
    let chain = CertificateDer::pem_slice_iter(&bytes(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| damaged(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(damaged(certificate, "it holds no certificate".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?)
        .map_err(|error| damaged(key, error.to_string()))?;
    CertifiedKey::from_der(chain, private, &provider())
        .map_err(|error| damaged(key, error.to_string()))
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
        let shown = || given.current.read().unwrap().cert[0].clone();
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

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [chain, _] = write(folder.path(), "one.example");
        let kept = fs::read(&chain).unwrap();
        let [chain, key] = write(folder.path(), "two.example");
        fs::write(&chain, kept).unwrap();
        assert!(Given::open(&chain, &key).is_err());
    }
}
