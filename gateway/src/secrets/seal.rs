//! Seals secrets for the records: AES-256-GCM, with a key in a file of its own. What is
//! sealed is bound to its holder and its name, so that nobody who writes to the records
//! can put it under another.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use devgate_certs::{Access, CertsError, read_private_file, write_file};
use devgate_protocol::Secret;

use super::{Holder, SecretName};

/// Name of the key's file.
const FILE: &str = "secrets.key";

/// What the file holds when somebody gives up what was sealed with a key that is lost.
const GIVEN_UP: &str = "new";

/// What to do about a key that others may have read.
const EXPOSED: &str = "replace the secrets where they come from, and set them anew here once \
                       devgate runs; don't remove the file, without which they are all lost";

/// Length of the key, in bytes.
const LENGTH: usize = 32;

/// How what is sealed begins: a version of this form.
const VERSION: u8 = 1;

/// Why a secret can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key's file can't be read or written.
    #[error(transparent)]
    File(#[from] CertsError),
    /// The key's file holds something else.
    #[error(
        "{} holds no key: put the one from your backup there; without it the secrets are lost, and \
         `(umask 077; echo new > {0})` has a new one made for new ones",
        path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// There is no key, but what was sealed with one.
    #[error(
        "{} is missing, and the secrets in the database can't be read without it ({sealed}): put the \
         one from your backup there; without it they are lost, and `(umask 077; echo new > {0})` has \
         a new one made for new ones",
        path.display()
    )]
    KeyMissing {
        /// The file.
        path: PathBuf,
        /// How many secrets there are.
        sealed: u64,
    },
    /// It was sealed with another key, for another name or holder, or was changed.
    #[error("the secret {name} was sealed with another key or changed: set it again")]
    Damaged {
        /// Its name.
        name: SecretName,
    },
    /// The system has no random numbers.
    #[error("the secret can't be sealed")]
    Sealing,
}

/// Seals secrets. `Debug` prints no key.
pub struct Seal(RandomizedNonceKey);

impl Seal {
    /// Loads the key from a folder that only the gateway reads, or makes it; `sealed` is how
    /// many secrets there are that need it. Blocks on the disk.
    ///
    /// # Errors
    /// `Key` where the file is damaged, and `KeyMissing` where it is gone: a new key would lose
    /// all secrets.
    pub fn open(folder: &Path, sealed: u64) -> Result<Self, SealError> {
        let path = folder.join(FILE);
        let stored = match read_private_file(&path, EXPOSED)? {
            None if sealed > 0 => return Err(SealError::KeyMissing { path, sealed }),
            stored => stored.filter(|text| text.trim_ascii() != GIVEN_UP.as_bytes()),
        };
        let Some(stored) = stored else {
            let key: [u8; LENGTH] = rand::random();
            write_file(&path, Access::Private, &STANDARD.encode(key))?;
            return Self::of(&key, path);
        };
        let key = STANDARD.decode(stored.trim_ascii()).ok();
        match key.and_then(|key| <[u8; LENGTH]>::try_from(key).ok()) {
            Some(key) => Self::of(&key, path),
            None => Err(SealError::Key { path }),
        }
    }

    fn of(key: &[u8; LENGTH], path: PathBuf) -> Result<Self, SealError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key);
        key.map(Self).map_err(|_| SealError::Key { path })
    }

    /// Returns a secret as the records keep it.
    pub(super) fn seal(
        &self,
        holder: &Holder,
        name: &SecretName,
        value: &Secret<String>,
    ) -> Result<String, SealError> {
        let mut text = value.expose().clone().into_bytes();
        let sealed = self
            .0
            .seal_in_place_append_tag(bound(holder, name), &mut text);
        let nonce = sealed.map_err(|_| SealError::Sealing)?;
        let sealed = [&[VERSION], nonce.as_ref().as_slice(), &text].concat();
        Ok(STANDARD.encode(sealed))
    }

    /// Returns what was sealed.
    pub(super) fn open_sealed(
        &self,
        holder: &Holder,
        name: &SecretName,
        sealed: &str,
    ) -> Result<Secret<String>, SealError> {
        let open = || {
            let sealed = STANDARD.decode(sealed).ok()?;
            let (&[VERSION], rest) = sealed.split_first_chunk::<1>()? else {
                return None;
            };
            let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
            let mut text = text.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opened = self.0.open_in_place(nonce, bound(holder, name), &mut text);
            String::from_utf8(opened.ok()?.to_vec()).ok()
        };
        let opened = open().ok_or_else(|| SealError::Damaged { name: name.clone() });
        opened.map(Secret::new)
    }
}

/// Returns what is authenticated beside the secret.
fn bound(holder: &Holder, name: &SecretName) -> Aad<Vec<u8>> {
    // Neither a holder nor a name has a zero byte in it.
    let parts = ["devgate secret", holder.as_str(), name.as_str()];
    Aad::from(parts.join("\0").into_bytes())
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::names::UserId;

    #[test]
    fn a_secret_opens_for_its_holder_under_its_name_and_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let seal = Seal::open(folder.path(), 0).unwrap();
        let holder = Holder::User(UserId::random());
        let name: SecretName = "TOKEN".parse().unwrap();
        let value = Secret::new("the value".to_owned());
        let sealed = seal.seal(&holder, &name, &value).unwrap();
        assert_ne!(sealed, seal.seal(&holder, &name, &value).unwrap());
        // The next gateway's.
        let seal = Seal::open(folder.path(), 0).unwrap();
        let opened = seal.open_sealed(&holder, &name, &sealed).unwrap();
        assert_eq!(opened.expose(), "the value");
        assert!(
            seal.open_sealed(&Holder::Installation, &name, &sealed)
                .is_err()
        );
        let other = "OTHER".parse().unwrap();
        assert!(seal.open_sealed(&holder, &other, &sealed).is_err());
        let bytes = STANDARD.decode(&sealed).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let changed = STANDARD.encode(changed);
            assert!(
                seal.open_sealed(&holder, &name, &changed).is_err(),
                "{place}"
            );
        }
    }

    #[test]
    fn the_key_is_private_and_never_made_anew_over_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        drop(Seal::open(folder.path(), 0).unwrap());
        let path = folder.path().join(FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for damaged in [b"damaged".as_slice(), b"", b"\xff\xfe"] {
            std::fs::write(&path, damaged).unwrap();
            assert!(matches!(
                Seal::open(folder.path(), 0),
                Err(SealError::Key { .. })
            ));
            assert_eq!(std::fs::read(&path).unwrap(), damaged);
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = Seal::open(folder.path(), 0).unwrap_err().to_string();
        assert!(exposed.contains("chmod 600"), "{exposed}");
        assert!(exposed.contains("don't remove"), "{exposed}");
    }

    #[test]
    fn a_lost_key_is_made_anew_only_where_nothing_needs_it_or_somebody_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        drop(Seal::open(folder.path(), 0).unwrap());
        let away = folder.path().join("backup");
        std::fs::rename(&path, &away).unwrap();
        let lost = Seal::open(folder.path(), 3).unwrap_err();
        assert!(matches!(lost, SealError::KeyMissing { sealed: 3, .. }));
        let said = lost.to_string();
        assert!(said.contains(&path.display().to_string()), "{said}");
        assert!(!path.exists());
        // As the message says.
        let command = said.split('`').nth(1).unwrap();
        let mut shell = std::process::Command::new("/bin/sh");
        assert!(shell.args(["-c", command]).status().unwrap().success());
        drop(Seal::open(folder.path(), 3).unwrap());
        let made = std::fs::read_to_string(&path).unwrap();
        assert_ne!(made, std::fs::read_to_string(&away).unwrap());
        drop(Seal::open(folder.path(), 3).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), made);
    }
}
