//! The cookies of application hosts: who opened one, sealed with the gateway's key.
//!
//! A cookie is bound to one host and to one login. It says nothing that the login
//! doesn't: wherever one is shown, the login is asked whether it still lives.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use devgate_certs::{Access, CertsError, read_private_file, write_file};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::identity::Via;
use crate::names::UserId;

/// Name of the key's file.
const FILE: &str = "applications.key";

/// What to do about a key that others may have read.
const EXPOSED: &str = "remove it, and a new one is made: people open applications anew";

/// Length of the key and of a seal, in bytes.
const LENGTH: usize = 32;

/// Longest cookie that is looked at.
const MAX_COOKIE: usize = 400;

/// Seals cookies. `Debug` prints no key.
#[derive(Clone)]
pub struct Seal(Hmac<Sha256>);

/// What a cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Who opened the application.
    pub(super) user: UserId,
    /// By which login.
    pub(super) via: Via,
    /// When the cookie ends.
    pub(super) until: OffsetDateTime,
}

impl Seal {
    /// Loads the key from a folder that only the gateway reads, or makes it: cookies
    /// outlive the gateway's process. Blocks on the disk.
    ///
    /// # Errors
    /// Where the file can't be read or written.
    pub fn open(folder: &Path) -> Result<Self, CertsError> {
        let path = folder.join(FILE);
        let stored = read_private_file(&path, EXPOSED)?;
        let stored = stored.and_then(|text| URL_SAFE_NO_PAD.decode(text.trim_ascii()).ok());
        if let Some(key) = stored.and_then(|key| <[u8; LENGTH]>::try_from(key).ok()) {
            return Ok(Self::of(&key));
        }
        // A damaged one is made anew: people are signed in again without a question.
        let key: [u8; LENGTH] = rand::random();
        write_file(&path, Access::Private, &URL_SAFE_NO_PAD.encode(key))?;
        Ok(Self::of(&key))
    }

    fn of(key: &[u8; LENGTH]) -> Self {
        // A key may have any length; one that is refused is impossible.
        let mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        Self(mac)
    }

    /// Returns the cookie that says this on one host.
    pub(super) fn seal(&self, host: &str, sealed: &Sealed) -> String {
        let (kind, id) = match &sealed.via {
            Via::Login(id) => ('l', id.as_str()),
            Via::Token(id) => ('t', id.as_str()),
        };
        let until = sealed.until.unix_timestamp();
        let claims = format!("{kind}.{id}.{}.{until}", sealed.user);
        let seal = self.mac(host, &claims).finalize().into_bytes();
        format!("{claims}.{}", URL_SAFE_NO_PAD.encode(seal))
    }

    /// Returns what a cookie says, where it was sealed here for that host and hasn't
    /// ended.
    pub(super) fn open_cookie(&self, host: &str, cookie: &str) -> Option<Sealed> {
        if cookie.len() > MAX_COOKIE {
            return None;
        }
        let (claims, seal) = cookie.rsplit_once('.')?;
        let seal = URL_SAFE_NO_PAD.decode(seal).ok()?;
        self.mac(host, claims).verify_slice(&seal).ok()?;
        let mut parts = claims.split('.');
        let (kind, id, user) = (parts.next()?, parts.next()?, parts.next()?);
        let until = parts.next()?.parse().ok()?;
        let until = OffsetDateTime::from_unix_timestamp(until).ok()?;
        let via = match kind {
            "l" => Via::Login(id.parse().ok()?),
            "t" => Via::Token(id.parse().ok()?),
            _ => return None,
        };
        let user = user.parse().ok()?;
        (OffsetDateTime::now_utc() < until).then_some(Sealed { user, via, until })
    }

    fn mac(&self, host: &str, claims: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        // No host has a zero byte in it.
        mac.update(host.as_bytes());
        mac.update(&[0]);
        mac.update(claims.as_bytes());
        mac
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(***)")
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::names::LoginId;

    #[test]
    fn a_cookie_counts_on_its_host_until_its_end_and_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let seal = Seal::open(folder.path()).unwrap();
        let mut sealed = Sealed {
            user: UserId::random(),
            via: Via::Login(LoginId::random()),
            until: (OffsetDateTime::now_utc() + Duration::hours(1))
                .replace_nanosecond(0)
                .unwrap(),
        };
        let cookie = seal.seal("3000--api--ada.localhost", &sealed);
        let again = Seal::open(folder.path()).unwrap();
        let open = |host: &str, cookie: &str| again.open_cookie(host, cookie);
        let host = "3000--api--ada.localhost";
        assert_eq!(open(host, &cookie), Some(sealed.clone()));
        assert_eq!(open("3001--api--ada.localhost", &cookie), None);
        for place in 0..cookie.len() {
            let mut bytes = cookie.clone().into_bytes();
            bytes[place] = if bytes[place] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last digit of base64 holds bits that don't count.
            if place + 1 < cookie.len() {
                assert_eq!(open(host, &changed), None, "{changed}");
            }
        }
        sealed.until = OffsetDateTime::now_utc() - Duration::seconds(1);
        assert_eq!(open(host, &seal.seal(host, &sealed)), None);
        assert_eq!(format!("{seal:?}"), "Seal(***)");
    }
}
