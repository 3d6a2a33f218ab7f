//! Secrets that people carry: made at random, kept as what they hash to.
//!
//! They have 256 bits of chance, so a plain hash is enough, and looking the hash up
//! tells nobody's clock how much of a guess was right.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Bytes of chance in a secret.
const LENGTH: usize = 32;

/// Longest text that is looked at.
const MAX_TEXT: usize = 100;

/// A secret, to be shown once. `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What a secret hashes to: 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretHash(String);

impl Secret {
    /// Makes one that begins with `prefix`.
    pub fn random(prefix: &str) -> Self {
        let bytes: [u8; LENGTH] = rand::random();
        Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Takes what somebody shows for one; `None` where it can't be any.
    pub fn shown(text: &str) -> Option<Self> {
        let valid = (LENGTH..=MAX_TEXT).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        valid.then(|| Self(text.to_owned()))
    }

    /// Returns the text itself; to be handed to whom it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns what it hashes to.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl SecretHash {
    /// Returns what bytes hash to.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// Returns its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed_and_hashes_alike_when_shown_again() {
        let secret = Secret::random("dgt_");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose().len(), 4 + 43);
        assert_ne!(secret, Secret::random("dgt_"));
        let again = Secret::shown(secret.expose()).unwrap();
        assert_eq!(again.hash(), secret.hash());
        assert_eq!(secret.hash().as_str().len(), 64);
    }

    #[test]
    fn what_can_not_be_a_secret_is_not_looked_up() {
        for bad in [
            "",
            "short",
            &"x".repeat(101),
            &format!("{}\0", "x".repeat(43)),
            &"ä".repeat(30),
        ] {
            assert_eq!(Secret::shown(bad), None, "{bad}");
        }
    }
}
