//! The short codes that people compare.

use std::fmt;
use std::str::FromStr;

/// Letters of a short code: no vowels, so no words, and none that look alike (RFC 8628
/// §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Letters in a short code: one guess is right with a chance of 256 in 20^8.
const LENGTH: usize = 8;

/// A short code, as in `WDJB-MJHT`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserCode(String);

/// A text that is no short code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has eight letters, as in WDJB-MJHT")]
pub struct InvalidCode;

impl UserCode {
    /// Returns a new one.
    pub(super) fn random() -> Self {
        let letters = (0..LENGTH).map(|_| {
            let index = rand::random_range(0..LETTERS.len());
            LETTERS.get(index).copied().map_or('B', char::from)
        });
        Self(letters.collect())
    }
}

/// With a hyphen in the middle, as it is easiest to compare.
impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at(LENGTH / 2);
        write!(f, "{first}-{second}")
    }
}

/// Until it is spent it gives somebody a token.
impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for UserCode {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        let letters = text.chars().filter(|c| !matches!(c, '-' | ' '));
        let letters: String = letters
            .take(LENGTH + 1)
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let valid = letters.len() == LENGTH && letters.bytes().all(|b| LETTERS.contains(&b));
        valid.then_some(Self(letters)).ok_or(InvalidCode)
    }
}
