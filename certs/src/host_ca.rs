//! The authority whose signature on an SSH host certificate people's `known_hosts` believe
//! (`@cert-authority` in sshd(8)).

use std::path::Path;

use ssh_key::certificate::{Builder, CertType};
use ssh_key::{Algorithm, Certificate, HashAlg, LineEnding, PrivateKey};
use tracing::info;

use crate::files::{self, Access};
use crate::ssh_ca::{self, Remedies};
use crate::{CertsError, HostKeys};

const FILE: &str = "ssh_host_ca";

/// From when on a certificate counts, and until when: `always:forever` of ssh-keygen(1). The
/// key that signs lies beside those that are signed: an end would protect nobody.
const ALWAYS: u64 = 0;
const FOREVER: u64 = u64::MAX;

const REMEDIES: Remedies = Remedies {
    damaged: "put it back from a backup; or remove it, and a new one is made: clients that know \
              the old one go by the host keys then",
    exposed: "remove it, and a new one is made: clients that know the old one have to forget it, \
              and go by the host keys then",
};

/// The SSH host CA, an ed25519 key: who knows it accepts whichever host keys come later.
#[derive(Clone)]
pub struct HostCa(PrivateKey);

impl HostCa {
    /// A name of every host that it certifies: for those who know each by an authority of its
    /// own, and whatever address (`HostKeyAlias` in `ssh_config(5)`).
    pub const NAME: &str = "devgate";

    /// Loads the key from `folder`, or makes it (and the folder). Blocks on the disk.
    pub fn open(folder: &Path) -> Result<Self, CertsError> {
        let _lock = files::open_folder(folder)?;
        let path = folder.join(FILE);
        let key = match ssh_ca::read(&path, REMEDIES)? {
            Some(key) => key,
            None => make(&path)?,
        };
        ssh_ca::publish(&path, &key)?;
        Ok(Self(key))
    }

    /// Returns the public key, as files of known hosts have it.
    pub fn public_key(&self) -> Result<String, CertsError> {
        let mut key = self.0.public_key().clone();
        key.set_comment("");
        Ok(key.to_openssh()?)
    }

    /// Signs a certificate for each host key, with the host's names and addresses.
    pub fn certify(
        &self,
        keys: &HostKeys,
        names: &[String],
    ) -> Result<Vec<Certificate>, CertsError> {
        let keys = keys.keys().iter();
        keys.map(|key| self.certificate(key, names)).collect()
    }

    fn certificate(&self, key: &PrivateKey, names: &[String]) -> Result<Certificate, CertsError> {
        let public_key = key.public_key().key_data().clone();
        let mut builder =
            Builder::new_with_random_nonce(&mut rand::rng(), public_key, ALWAYS, FOREVER)?;
        builder.cert_type(CertType::Host)?;
        builder.key_id(key.fingerprint(HashAlg::Sha256).to_string())?;
        for name in names {
            // Clients look for it in small letters.
            builder.valid_principal(name.to_lowercase())?;
        }
        builder.valid_principal(Self::NAME)?;
        Ok(builder.sign(&self.0)?)
    }
}

fn make(path: &Path) -> Result<PrivateKey, CertsError> {
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?;
    files::write(path, Access::Private, &key.to_openssh(LineEnding::LF)?)?;
    info!("made an SSH host CA");
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_stays_and_signs_whichever_host_keys_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certs");
        let first = HostCa::open(&path).unwrap();
        let mode = path.join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = HostCa::open(&path).unwrap();
        assert_eq!(first.public_key().unwrap(), second.public_key().unwrap());
        let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
        let names = ["Dev.example.com".to_owned()];
        let certificate = second.certificate(&key, &names).unwrap();
        assert!(certificate.verify_signature().is_ok());
        assert!(certificate.cert_type().is_host());
        assert_eq!(
            certificate.valid_principals(),
            ["dev.example.com", HostCa::NAME]
        );
        let signer = certificate.signature_key().fingerprint(HashAlg::Sha256);
        assert_eq!(signer, first.0.fingerprint(HashAlg::Sha256));
    }
}
