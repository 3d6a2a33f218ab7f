//! What can go wrong with certificates and keys.

use std::io;
use std::path::PathBuf;

/// A certificate, a key or their folder that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// The system refused an operation on a file or folder.
    #[error("can't {action} {}", path.display())]
    File {
        /// What was tried, as a verb: `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A private key that others than its owner may read.
    #[error(
        "{} holds a private key and others can read it (mode {mode:03o}): run `chmod 600` on it; \
         where somebody may have read it, {remedy}",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What to do about it where somebody may have read it.
        remedy: &'static str,
    },
    /// A folder where a file should be.
    #[error(
        "{} is a folder and should be a file: move it out of the way, and put the file there from \
         your backup",
        path.display()
    )]
    IsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A file whose content isn't what it should be.
    #[error("{} is damaged ({detail}): {remedy}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A certificate or a key that somebody gave, and that can't be used.
    #[error("{} can't be used: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A certificate without its key.
    #[error(
        "{} is missing while {} is there: put the key back from a backup, or remove the \
         certificate, and a new CA is made that agents learn when they are started again",
        key.display(),
        certificate.display()
    )]
    KeyMissing {
        /// The file that is missing.
        key: PathBuf,
        /// The file that needs it.
        certificate: PathBuf,
    },
    /// The CA is past its end.
    #[error(
        "the CA in {} expired: move `ca.key` and `ca.pem` out of its folder, and a new CA is \
         made that agents learn when they are started again",
        path.display()
    )]
    AuthorityExpired {
        /// The certificate.
        path: PathBuf,
    },
    /// A name that no certificate can carry.
    #[error("{0:?} is neither a DNS name nor an IP address: correct the gateway's names")]
    Name(String),
    /// An id of a workspace that no certificate can carry.
    #[error("{0:?} is not the id of a workspace")]
    WorkspaceId(String),
    /// A request for a certificate that can't be fulfilled.
    #[error("the certificate request is not acceptable: {0}")]
    Request(String),
    /// A PEM text that doesn't hold what is needed.
    #[error("unreadable PEM: {0}")]
    Pem(String),
    /// A certificate couldn't be made.
    #[error("can't make a certificate")]
    Issue(#[from] rcgen::Error),
    /// A TLS configuration couldn't be made.
    #[error("can't configure TLS")]
    Tls(#[from] rustls::Error),
    /// An SSH key or certificate couldn't be made.
    #[error("can't make an SSH key or certificate")]
    SshKey(#[from] ssh_key::Error),
}
