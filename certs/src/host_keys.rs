//! The SSH host keys.

use std::fmt;
use std::path::Path;

use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, PrivateKey};
use tracing::{info, warn};

use crate::CertsError;
use crate::files::{self, Access};

/// What to do about a key that others may have read.
const EXPOSED: &str = "remove it, and a new one is made, of which clients that know the old one \
                       will warn";

/// Size of the RSA key, in bits.
const RSA_BITS: usize = 3072;

/// The gateway's SSH host keys: ed25519, RSA for old clients, and ECDSA for some that know
/// neither ed25519 nor RSA with another hash than SHA-1.
#[derive(Clone)]
pub struct HostKeys {
    keys: Vec<PrivateKey>,
}

#[derive(Clone, Copy)]
enum Kind {
    Ed25519,
    Rsa,
    Ecdsa,
}

const ECDSA: Algorithm = Algorithm::Ecdsa {
    curve: EcdsaCurve::NistP256,
};

impl HostKeys {
    /// Loads the keys from `folder`, or makes them (and it). Blocks on the disk,
    /// and for as long as an RSA key takes on first use.
    pub fn open(folder: &Path) -> Result<Self, CertsError> {
        let _lock = files::open_folder(folder)?;
        let mut keys = vec![
            open_key(folder, Kind::Ed25519)?,
            open_key(folder, Kind::Rsa)?,
        ];
        // It came later than the others, and few need it: nothing stands still for want of it.
        match open_key(folder, Kind::Ecdsa) {
            Ok(key) => keys.push(key),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(
                    error,
                    "there is no ECDSA host key: some old clients can't connect"
                );
            }
        }
        Ok(Self { keys })
    }

    /// Returns the keys, the preferred one first.
    pub fn keys(&self) -> &[PrivateKey] {
        &self.keys
    }

    /// Returns each key's algorithm and its fingerprint as ssh(1) shows it,
    /// `SHA256:…`.
    pub fn fingerprints(&self) -> Vec<(String, String)> {
        let shown = self.keys.iter().map(|key| {
            let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
            (key.algorithm().to_string(), fingerprint)
        });
        shown.collect()
    }
}

impl fmt::Debug for HostKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fingerprints()).finish()
    }
}

fn open_key(folder: &Path, kind: Kind) -> Result<PrivateKey, CertsError> {
    let name = match kind {
        Kind::Ed25519 => "ssh_host_ed25519_key",
        Kind::Rsa => "ssh_host_rsa_key",
        Kind::Ecdsa => "ssh_host_ecdsa_key",
    };
    let path = folder.join(name);
    let public_path = folder.join(format!("{name}.pub"));
    let key = if let Some(text) = files::private_text(&path, EXPOSED)? {
        parse(&path, &text, kind)?
    } else {
        let key = make(kind)?;
        let text = key.to_openssh(LineEnding::LF)?;
        files::write(&path, Access::Private, &text)?;
        info!(key = name, "made an SSH host key");
        key
    };
    let public = format!("{}\n", key.public_key().to_openssh()?);
    if files::public_text(&public_path)?.as_deref() != Some(&public) {
        files::write(&public_path, Access::Public, &public)?;
    }
    Ok(key)
}

fn parse(path: &Path, text: &str, kind: Kind) -> Result<PrivateKey, CertsError> {
    let damaged = |detail: String| CertsError::Damaged {
        path: path.to_owned(),
        detail,
        remedy: "put it back from a backup; or remove it, and a new one is made, of which \
                 clients that know the old one will warn",
    };
    let key = PrivateKey::from_openssh(text).map_err(|error| damaged(error.to_string()))?;
    match (kind, key.algorithm()) {
        _ if key.is_encrypted() => Err(damaged("it has a passphrase".into())),
        (Kind::Ed25519, Algorithm::Ed25519)
        | (Kind::Rsa, Algorithm::Rsa { .. })
        | (Kind::Ecdsa, Algorithm::Ecdsa { .. }) => Ok(key),
        (_, other) => Err(damaged(format!("it is a key of another kind, {other}"))),
    }
}

fn make(kind: Kind) -> Result<PrivateKey, CertsError> {
    let mut rng = rand::rng();
    Ok(match kind {
        Kind::Ed25519 => PrivateKey::random(&mut rng, Algorithm::Ed25519)?,
        Kind::Rsa => {
            let pair = RsaKeypair::random(&mut rng, RSA_BITS)?;
            PrivateKey::new(KeypairData::from(pair), "")?
        }
        Kind::Ecdsa => PrivateKey::random(&mut rng, ECDSA)?,
    })
}
