//! Names of secrets, which are names of variables, too.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
const MAX_NAME: usize = 64;

/// Prefixes of variables that would change programs before their first instruction, and
/// of devgate's own.
const RESERVED_PREFIXES: [&str; 2] = ["LD_", "DEVGATE_"];

/// The one of devgate's own that people choose: with it programs ask the server.
const TOKEN: &str = "DEVGATE_TOKEN";

/// Variables that each session decides.
const RESERVED: [&str; 6] = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];

/// Why a text names no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} can't be the name of a secret: use 1 to {MAX_NAME} characters out of A-Z, a-z, 0-9 \
     and '_', not beginning with a digit, and none of the names that shells or devgate need"
)]
pub struct InvalidSecretName(String);

/// Names one secret of its holder: 1 to 64 bytes of `[A-Za-z0-9_]`, as a variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

impl SecretName {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = InvalidSecretName;

    fn from_str(text: &str) -> Result<Self, InvalidSecretName> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let begins = text
            .bytes()
            .next()
            .is_some_and(|byte| !byte.is_ascii_digit());
        let reserved = RESERVED.contains(&text)
            || RESERVED_PREFIXES
                .iter()
                .any(|prefix| text.starts_with(prefix));
        let free = !reserved || text == TOKEN;
        if plain && begins && free && text.len() <= MAX_NAME {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidSecretName(text.chars().take(MAX_NAME).collect()))
    }
}

impl TryFrom<String> for SecretName {
    type Error = InvalidSecretName;

    fn try_from(text: String) -> Result<Self, InvalidSecretName> {
        text.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_variables_and_none_that_programs_need() {
        for good in ["NPM_TOKEN", "a", "_x9", &"A".repeat(MAX_NAME)] {
            assert!(good.parse::<SecretName>().is_ok(), "{good}");
        }
        let long = "A".repeat(MAX_NAME + 1);
        for bad in [
            "",
            "9A",
            "A-B",
            "PATH",
            "LD_PRELOAD",
            "DEVGATE_X",
            "Ä",
            &long,
        ] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad}");
        }
    }
}
