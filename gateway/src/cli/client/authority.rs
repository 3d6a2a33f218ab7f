//! Certificates of authorities, as text: what is trusted is what was compared, and nothing
//! beside it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::cli::failure::{Failure, Kind};

/// Largest text of authorities that is taken, in bytes.
pub(in crate::cli) const MAX_AUTHORITY: usize = 16 * 1024;

/// Length of a line of base64 in a PEM (RFC 7468 §2), in characters.
const LINE: usize = 64;

/// Returns the certificates of a PEM that holds nothing else.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|error| error.to_string())?;
    if found.len() != pem.matches("-----BEGIN ").count() {
        return Err("there is something else in it than certificates".to_owned());
    }
    if found.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    Ok(found)
}

/// Returns the one certificate of an answer, written anew as PEM: whoever gave it may have
/// put others beside that which is compared.
pub(in crate::cli) fn only(answer: &[u8]) -> Result<String, Failure> {
    let unusable = |why: &str| {
        let message = format!("the server's authority can't be used: {why}");
        Failure::new(Kind::Unreachable, message)
    };
    if answer.len() > MAX_AUTHORITY {
        return Err(unusable("it is larger than a certificate"));
    }
    let text = std::str::from_utf8(answer).map_err(|_| unusable("it is no text"))?;
    let found = certificates(text).map_err(|why| unusable(&why))?;
    match found.as_slice() {
        [only] => Ok(pem(only)),
        several => Err(unusable(&format!(
            "these are {} certificates where it has one; somebody may be in between",
            several.len()
        ))),
    }
}

/// Reads a file of authorities.
pub(in crate::cli) fn read(path: &Path) -> Result<String, Failure> {
    let place = path.display();
    let usage = |why: String| Failure::new(Kind::Usage, why);
    let failed = |error: std::io::Error| usage(format!("cannot read {place}: {error}"));
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_AUTHORITY).unwrap_or(u64::MAX);
    let file = File::open(path).map_err(failed)?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > MAX_AUTHORITY {
        let most = MAX_AUTHORITY / 1024;
        return Err(usage(format!(
            "{place} has more than {most} KiB: name the file of one authority alone"
        )));
    }
    let no_authority = |why: &str| usage(format!("{place} is no authority: {why}"));
    let text = String::from_utf8(bytes).map_err(|_| no_authority("it is no text; PEM is"))?;
    certificates(&text).map_err(|why| no_authority(&why))?;
    Ok(text)
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let text = STANDARD.encode(certificate);
    for (index, c) in text.chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            pem.push('\n');
        }
        pem.push(c);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Fingerprint;

    fn authority() -> String {
        let folder = tempfile::tempdir().unwrap();
        let authority = devgate_certs::Authority::open(&folder.path().join("certs")).unwrap();
        authority.ca_pem().to_owned()
    }

    #[test]
    fn an_answer_with_anything_beside_one_certificate_is_refused() {
        let (real, other) = (authority(), authority());
        let pinned = only(real.as_bytes()).unwrap();
        assert_eq!(certificates(&pinned), certificates(&real));
        assert_eq!(Fingerprint::of(&pinned), Fingerprint::of(&real));
        assert!(Fingerprint::of(&pinned).is_some());

        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let unfinished = other.lines().next().unwrap();
        for beside in [other.as_str(), real.as_str(), key, unfinished] {
            for both in [format!("{real}{beside}"), format!("{beside}{real}")] {
                assert!(only(both.as_bytes()).is_err(), "{both}");
            }
        }
        let large = format!("{real}{}", " ".repeat(MAX_AUTHORITY));
        for bad in [b"".as_slice(), b"nothing", b"\xff", large.as_bytes()] {
            assert!(only(bad).is_err());
        }
        // What is told beside it is not kept.
        assert_eq!(only(format!("hello\n{real}").as_bytes()).unwrap(), pinned);
    }

    #[test]
    fn a_file_of_authorities_is_read_whole_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let several = format!("{}{}", authority(), authority());
        let large = several.repeat(MAX_AUTHORITY / several.len() + 1);
        let key = format!("{several}-----BEGIN PRIVATE KEY-----\n");
        for (text, good) in [(&several, true), (&large, false), (&key, false)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).is_ok(), good, "{}", text.len());
        }
    }
}
