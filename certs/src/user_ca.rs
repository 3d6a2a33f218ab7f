//! The authority whose signature on an SSH user certificate the gateway believes.

use std::fmt;
use std::path::Path;

use ssh_key::certificate::{Builder, CertType};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, Certificate, Fingerprint, HashAlg, LineEnding, PrivateKey};
use time::{Duration, OffsetDateTime};
use tracing::info;

use crate::files::{self, Access};
use crate::ssh_ca::{self, Remedies};
use crate::{CertsError, Clock};

/// The key, and the one that it replaced.
const NAME: &str = "ssh_user_ca";
const OLD: &str = "ssh_user_ca.old";

/// Begins the key's comment; when it was made follows, in seconds since 1970.
const COMMENT: &str = "devgate-user-ca-";

/// Age at which a start replaces the key.
const ROTATE: Duration = Duration::days(365);

/// The SSH user CA: an ed25519 key, and the one before it, which signs nothing any more.
#[derive(Clone)]
pub struct UserCa {
    key: PrivateKey,
    trusted: Vec<Fingerprint>,
}

/// A certificate that is to be signed.
#[derive(Clone, Debug)]
pub struct UserCertificate<'a> {
    /// The key that it is for.
    pub public_key: &'a KeyData,
    /// Its number.
    pub serial: u64,
    /// What it is called in logs.
    pub key_id: &'a str,
    /// Whom and what it stands for; never none, which OpenSSH takes for everybody.
    pub principals: &'a [String],
    /// From when on it counts, and until when.
    pub validity: (OffsetDateTime, OffsetDateTime),
    /// Networks that it counts from, separated by commas, where it doesn't from all.
    pub source_address: Option<&'a str>,
    /// What it allows, in OpenSSH's words.
    pub extensions: &'a [&'static str],
}

impl UserCa {
    /// Loads the key from `folder`, makes it (and the folder) where there is none, and
    /// replaces one of more than a year. Blocks on the disk.
    pub fn open(folder: &Path) -> Result<Self, CertsError> {
        Self::open_at(folder, &Clock::system())
    }

    /// Does the same by another clock.
    pub fn open_at(folder: &Path, clock: &Clock) -> Result<Self, CertsError> {
        let _lock = files::open_folder(folder)?;
        let (path, old) = (folder.join(NAME), folder.join(OLD));
        let mut key = read(&path)?;
        if let Some(current) = &key
            && made(current).is_some_and(|at| at + ROTATE <= clock.now())
        {
            // What it has signed still counts: for a day at most.
            let text = current.to_openssh(LineEnding::LF)?;
            files::write(&old, Access::Private, &text)?;
            info!("the SSH user CA is replaced");
            key = None;
        }
        let key = match key {
            Some(key) => key,
            None => make(&path, clock)?,
        };
        ssh_ca::publish(&path, &key)?;
        let before = read(&old)?;
        let keys = std::iter::once(&key).chain(&before);
        let trusted = keys.map(|key| key.fingerprint(HashAlg::Sha256)).collect();
        Ok(Self { key, trusted })
    }

    /// Signs a certificate.
    pub fn sign(&self, wanted: &UserCertificate<'_>) -> Result<Certificate, CertsError> {
        let (after, before) = wanted.validity;
        let mut builder = Builder::new_with_random_nonce(
            &mut rand::rng(),
            wanted.public_key.clone(),
            seconds(after),
            seconds(before),
        )?;
        builder.serial(wanted.serial)?;
        builder.cert_type(CertType::User)?;
        builder.key_id(wanted.key_id)?;
        builder.comment(wanted.key_id)?;
        for principal in wanted.principals {
            builder.valid_principal(principal)?;
        }
        if let Some(networks) = wanted.source_address {
            builder.critical_option("source-address", networks)?;
        }
        for extension in wanted.extensions {
            builder.extension(*extension, "")?;
        }
        Ok(builder.sign(&self.key)?)
    }

    /// Tells whether this authority signed a certificate.
    pub fn signed(&self, certificate: &Certificate) -> bool {
        let by = certificate.signature_key().fingerprint(HashAlg::Sha256);
        self.trusted.contains(&by) && certificate.verify_signature().is_ok()
    }
}

impl fmt::Debug for UserCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.trusted).finish()
    }
}

fn seconds(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp()).unwrap_or(0)
}

fn read(path: &Path) -> Result<Option<PrivateKey>, CertsError> {
    let remedies = Remedies {
        damaged: "put it back from a backup; or remove it, and a new one is made: people then \
                  have to get new SSH certificates",
        exposed: "remove it, and a new one is made: people then have to get new SSH certificates",
    };
    ssh_ca::read(path, remedies)
}

fn make(path: &Path, clock: &Clock) -> Result<PrivateKey, CertsError> {
    let mut key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?;
    key.set_comment(format!("{COMMENT}{}", seconds(clock.now())));
    let text = key.to_openssh(LineEnding::LF)?;
    files::write(path, Access::Private, &text)?;
    info!("made an SSH user CA");
    Ok(key)
}

/// Returns when a key was made, where it says so.
fn made(key: &PrivateKey) -> Option<OffsetDateTime> {
    let comment = key.comment().to_string();
    let seconds = comment.strip_prefix(COMMENT)?.parse().ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn signed(ca: &UserCa) -> Certificate {
        let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
        let now = OffsetDateTime::now_utc();
        ca.sign(&UserCertificate {
            public_key: key.public_key().key_data(),
            serial: 7,
            key_id: "ada",
            principals: &["ada".to_owned()],
            validity: (now, now + Duration::minutes(1)),
            source_address: Some("192.0.2.0/24"),
            extensions: &["permit-pty"],
        })
        .unwrap()
    }

    #[test]
    fn the_key_is_its_owner_s_alone_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certs");
        let ca = UserCa::open(&path).unwrap();
        let mode = path.join(NAME).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let certificate = signed(&ca);
        let again = UserCa::open(&path).unwrap();
        assert!(again.signed(&certificate));
        assert_eq!(certificate.serial(), 7);
        assert_eq!(certificate.valid_principals(), ["ada"]);
        let other = UserCa::open(&folder.path().join("other")).unwrap();
        assert!(!other.signed(&certificate));
        assert!(!format!("{ca:?}").contains("PRIVATE"));
    }

    #[test]
    fn after_a_year_another_key_signs_and_the_old_one_still_counts() {
        let folder = tempfile::tempdir().unwrap();
        let begun = OffsetDateTime::now_utc();
        let after = |age| {
            let clock = Clock::from_fn(move || begun + age);
            UserCa::open_at(folder.path(), &clock).unwrap()
        };
        let first = after(Duration::ZERO);
        let second = after(ROTATE);
        assert_ne!(first.trusted.first(), second.trusted.first());
        assert!(second.signed(&signed(&first)));
        let third = after(ROTATE * 2);
        assert!(third.signed(&signed(&second)) && !third.signed(&signed(&first)));
    }
}
