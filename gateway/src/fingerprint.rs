//! What things hash to, in writing: certificates, for people to compare, among them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

/// Returns the beginning of a hash, so many bytes of it, in hexadecimal digits.
pub(crate) fn beginning(hash: &[u8], bytes: usize) -> String {
    hex::encode(hash.get(..bytes).unwrap_or(hash))
}

/// What a certificate hashes to (SHA-256), written as in `SHA256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Returns that of the first certificate in a PEM.
    pub(crate) fn of(pem: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        Some(Self(Sha256::digest(&certificate).into()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0))
    }
}

/// As devgate writes it, or in hexadecimal as `openssl x509 -fingerprint -sha256` does.
impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "a fingerprint is SHA256:… as `devgate status` shows it".to_owned();
        let digest = text.strip_prefix("SHA256:").unwrap_or(text);
        let digits: String = digest.chars().filter(|c| *c != ':').collect();
        let bytes = if digits.len() == 64 && digits.is_ascii() {
            let pairs = digits.as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
            pairs.map(byte).collect::<Option<Vec<u8>>>()
        } else {
            STANDARD_NO_PAD.decode(digest.trim_end_matches('=')).ok()
        };
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_in_both_spellings() {
        let print = Fingerprint(Sha256::digest(b"x").into());
        assert_eq!(print.to_string().parse(), Ok(print.clone()));
        let hex: Vec<_> = print.0.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex.join(":").parse(), Ok(print.clone()));
        assert_eq!(format!("SHA256:{}", hex.concat()).parse(), Ok(print));
        for bad in ["", "SHA256:", "SHA256:abc", "MD5:00"] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
        assert!(Fingerprint::of("nothing").is_none());
    }
}
