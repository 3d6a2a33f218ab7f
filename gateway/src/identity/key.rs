//! SSH public keys as people hand them in.

use std::path::{Path, PathBuf};

use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey};
use time::OffsetDateTime;

/// Smallest RSA modulus, in bits.
const MIN_RSA: u32 = 2048;

/// Largest RSA modulus, in bits: verifying costs more with each.
const MAX_RSA: u32 = 16384;

/// Longest line, in bytes; an RSA key of 16384 bits takes 2800.
const MAX_LINE: usize = 16 * 1024;

/// Longest comment that is kept, in characters.
const MAX_COMMENT: usize = 120;

/// Largest file of keys, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// A public key that may sign somebody in: checked, without options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizedKey {
    openssh: String,
    comment: String,
    fingerprint: String,
}

/// A key in the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its fingerprint, `SHA256:…`.
    pub fingerprint: String,
    /// Type and key as in a `.pub` file, without a comment.
    pub public_key: String,
    /// What its owner calls it; may be empty.
    pub comment: String,
    /// When it was added.
    pub added: OffsetDateTime,
}

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// It isn't a public key.
    #[error("not an SSH public key: give the one line of a .pub file")]
    Unreadable,
    /// It is a private key.
    #[error("this is a private key: keep it to yourself and give its .pub file")]
    Private,
    /// It is a certificate.
    #[error("certificates are not accepted: give the plain public key that it certifies")]
    Certificate,
    /// Its algorithm is no longer safe.
    #[error("DSA keys are no longer safe: make a new key with `ssh-keygen -t ed25519`")]
    Dsa,
    /// It is too short.
    #[error(
        "an RSA key of {0} bits is too short (at least {MIN_RSA}): \
         make a new key with `ssh-keygen -t ed25519`"
    )]
    ShortRsa(u32),
    /// It is too long.
    #[error(
        "an RSA key of {0} bits is too long (at most {MAX_RSA}): \
         make a new key with `ssh-keygen -t ed25519`"
    )]
    LongRsa(u32),
    /// Its algorithm isn't known.
    #[error("keys of this type are not supported: use ed25519, ecdsa, rsa or their -sk kinds")]
    Unsupported,
}

/// A line of a file of keys that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {line}: {reason}", path.display())]
pub struct RefusedLine {
    /// The file.
    pub path: PathBuf,
    /// The line's number, from 1.
    pub line: usize,
    /// Why.
    pub reason: KeyRefused,
}

/// A file of keys that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refuses.
    #[error("can't read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is larger than any list of keys.
    #[error("{} is too large for a file of public keys", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl AuthorizedKey {
    /// Returns the key itself.
    pub fn public_key(&self) -> Option<PublicKey> {
        PublicKey::from_openssh(&self.openssh).ok()
    }

    /// Reads one line of a `.pub` or `authorized_keys` file. Options before the
    /// key are dropped: what a key may do is decided here, not by its line.
    ///
    /// # Errors
    /// What is wrong with the key, and what to do instead.
    pub fn parse(line: &str) -> Result<Self, KeyRefused> {
        if line.contains("PRIVATE KEY") {
            return Err(KeyRefused::Private);
        }
        if line.len() > MAX_LINE {
            return Err(KeyRefused::Unreadable);
        }
        let line = without_options(line.trim()).ok_or(KeyRefused::Unreadable)?;
        let mut fields = line.splitn(3, [' ', '\t']);
        let (kind, data) = (fields.next(), fields.next());
        let (Some(kind), Some(data)) = (kind, data) else {
            return Err(KeyRefused::Unreadable);
        };
        if kind.contains("-cert-v01@") {
            return Err(KeyRefused::Certificate);
        }
        if kind == "ssh-dss" {
            return Err(KeyRefused::Dsa);
        }
        let key = PublicKey::from_openssh(&format!("{kind} {data}"))
            .map_err(|_| KeyRefused::Unreadable)?;
        check(&key)?;
        let comment = fields.next().unwrap_or_default();
        Ok(Self {
            openssh: key.to_openssh().map_err(|_| KeyRefused::Unreadable)?,
            comment: printable(comment),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        })
    }

    /// Reads a file of keys: one a line, `#` begins a comment. Good lines come
    /// first, refused ones with their reasons second.
    ///
    /// # Errors
    /// Where the file can't be read at all.
    pub fn parse_file(path: &Path) -> Result<(Vec<Self>, Vec<RefusedLine>), KeyFileError> {
        let io = |source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        };
        if std::fs::metadata(path).map_err(io)?.len() > MAX_FILE {
            return Err(KeyFileError::TooLarge {
                path: path.to_owned(),
            });
        }
        let text = std::fs::read(path).map_err(io)?;
        let text = String::from_utf8_lossy(&text);
        if text.contains("PRIVATE KEY") {
            let refused = RefusedLine {
                path: path.to_owned(),
                line: 1,
                reason: KeyRefused::Private,
            };
            return Ok((Vec::new(), vec![refused]));
        }
        let (mut keys, mut refused) = (Vec::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match Self::parse(line) {
                Ok(key) => keys.push(key),
                Err(reason) => refused.push(RefusedLine {
                    path: path.to_owned(),
                    line: index + 1,
                    reason,
                }),
            }
        }
        Ok((keys, refused))
    }

    /// Returns type and key, without a comment.
    pub fn as_openssh(&self) -> &str {
        &self.openssh
    }

    /// Returns the key with another comment.
    #[must_use]
    pub fn with_comment(self, comment: &str) -> Self {
        Self {
            comment: printable(comment),
            ..self
        }
    }

    /// Returns the comment; may be empty.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Returns the fingerprint, `SHA256:…`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

fn check(key: &PublicKey) -> Result<(), KeyRefused> {
    match (key.algorithm(), key.key_data()) {
        (_, KeyData::Certificate(_)) => Err(KeyRefused::Certificate),
        (Algorithm::Dsa, _) => Err(KeyRefused::Dsa),
        (Algorithm::Rsa { .. }, KeyData::Rsa(rsa)) => match rsa.key_size() {
            bits if bits < MIN_RSA => Err(KeyRefused::ShortRsa(bits)),
            bits if bits > MAX_RSA => Err(KeyRefused::LongRsa(bits)),
            _ => Ok(()),
        },
        (
            Algorithm::Ed25519
            | Algorithm::Ecdsa { .. }
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaSha2NistP256,
            _,
        ) => Ok(()),
        _ => Err(KeyRefused::Unsupported),
    }
}

/// Returns the line from the key's type on. Options are one field, in which
/// quotes hide spaces (sshd(8), "`AUTHORIZED_KEYS` FILE FORMAT").
fn without_options(line: &str) -> Option<&str> {
    if is_key_type(line) {
        return Some(line);
    }
    let mut quoted = false;
    let mut escaped = false;
    for (index, byte) in line.bytes().enumerate() {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            b' ' | b'\t' if !quoted => {
                let rest = line.get(index..)?.trim_start();
                return is_key_type(rest).then_some(rest);
            }
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    None
}

fn is_key_type(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-", "rsa-sha2-"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
}

/// Bounds a comment and takes from it what would confuse a terminal.
fn printable(comment: &str) -> String {
    comment
        .trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_COMMENT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn a_key_is_kept_without_options_and_with_its_comment() {
        let plain = AuthorizedKey::parse(&format!("{ED25519} ada@\x1b[31mhome  laptop\n")).unwrap();
        assert_eq!(plain.as_openssh(), ED25519);
        assert_eq!(plain.comment(), "ada@[31mhome  laptop");
        assert!(plain.fingerprint().starts_with("SHA256:"));
        let with_options = format!(r#"command="echo \"a b\"",no-pty {ED25519}"#);
        let same = AuthorizedKey::parse(&with_options).unwrap();
        assert_eq!(same.fingerprint(), plain.fingerprint());
        assert_eq!(same.comment(), "");
    }

    #[test]
    fn what_is_not_a_usable_public_key_is_refused_with_its_reason() {
        let rsa_1024 = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7zJ3fNgZBvoRlPoaQc8Hsw9ZuJzBB+fQrXW/8FYr0EdMuO6ZSt2dHNsBoRuCcAHq30dPY6bS3qg3FCKcYLpFJlgJkX9dMnUsLXTl7PFiBb8AUW3vzW8fFJXUzrhzr1wB0vlZqbzXcUzOQgdPgzA4P5+1jjcXsYqn9X7DSNqbpPQ== x";
        for (line, reason) in [
            ("", KeyRefused::Unreadable),
            ("hello", KeyRefused::Unreadable),
            ("ssh-ed25519", KeyRefused::Unreadable),
            ("ssh-ed25519 AAAA", KeyRefused::Unreadable),
            ("no-pty hello world", KeyRefused::Unreadable),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", KeyRefused::Private),
            ("ssh-dss AAAAB3NzaC1kc3M=", KeyRefused::Dsa),
            (
                "ssh-ed25519-cert-v01@openssh.com AAAA",
                KeyRefused::Certificate,
            ),
            (rsa_1024, KeyRefused::ShortRsa(1024)),
        ] {
            assert_eq!(AuthorizedKey::parse(line).unwrap_err(), reason, "{line}");
        }
        let endless = format!("{ED25519} {}", "x".repeat(MAX_LINE));
        assert_eq!(
            AuthorizedKey::parse(&endless).unwrap_err(),
            KeyRefused::Unreadable
        );
    }

    #[test]
    fn a_file_gives_its_good_lines_and_names_the_bad_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authorized_keys");
        std::fs::write(&path, format!("# mine\n\n{ED25519} a\r\nnonsense\n")).unwrap();
        let (keys, refused) = AuthorizedKey::parse_file(&path).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(refused.iter().map(|bad| bad.line).collect::<Vec<_>>(), [4]);
        let missing = AuthorizedKey::parse_file(&folder.path().join("nil"));
        assert!(matches!(missing, Err(KeyFileError::Io { .. })));
    }
}
