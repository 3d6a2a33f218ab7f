//! The certificate of one context, and its key.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use devgate_certs::{Access, write_file};
use ssh_key::{Algorithm, Certificate, LineEnding, PrivateKey};
use time::OffsetDateTime;

use crate::cli::client::Rest;
use crate::cli::contexts;
use crate::cli::failure::{Failure, Kind};
use crate::cli::ssh::{quoted, slug};
use crate::http::api::wire::{ActionName, SignSshCertificate, SshCertificate};

/// What has to be left of one at least, in seconds: a log-in takes a moment.
const LEAST_LEFT: u64 = 20;

/// Part of a certificate's life, as a divisor, that is left when it is renewed.
const LAST_PART: u64 = 4;

/// The certificate of one context: where it is, and its key.
pub(in crate::cli) struct Kept {
    key: PathBuf,
}

impl Kept {
    /// Returns that of a context, whether it is there or not.
    pub(in crate::cli) fn of(name: &str) -> Result<Self, Failure> {
        let folder = contexts::folder_made()?.join("ssh");
        contexts::make(&folder)?;
        let key = folder.join(format!("{}.key", slug(name)));
        Ok(Self { key })
    }

    /// Returns the file that the key is in, where no agent has it.
    pub(in crate::cli) fn key(&self) -> &Path {
        &self.key
    }

    /// Tells whether the key is in a file.
    pub(in crate::cli) fn is_file(&self) -> bool {
        self.key.exists()
    }

    /// Tells whether there is one, in time or not.
    pub(in crate::cli) fn is_there(&self) -> bool {
        self.read().is_some()
    }

    /// Tells whether it counts, and its key is at hand.
    pub(in crate::cli) fn is_valid(&self) -> bool {
        let certificate = self.read();
        certificate.is_some_and(|it| it.valid_before() > now() && self.has_key(&it))
    }

    /// Tells whether it counts for a good while yet.
    pub(in crate::cli) fn is_fresh(&self) -> bool {
        let Some(certificate) = self.read() else {
            return false;
        };
        let life = certificate.valid_before() - certificate.valid_after();
        let left = certificate.valid_before().saturating_sub(now());
        left > LEAST_LEFT.max(life / LAST_PART) && self.has_key(&certificate)
    }

    /// Returns ssh's options that name it.
    pub(in crate::cli) fn options(&self) -> Result<[(&'static str, String); 2], Failure> {
        Ok([
            ("IdentityFile", quoted(&self.key)?),
            ("CertificateFile", quoted(&self.beside("-cert.pub"))?),
        ])
    }

    /// Keeps other processes from getting one at the same time.
    pub(in crate::cli) fn lock(&self) -> Result<File, Failure> {
        let mut options = OpenOptions::new();
        let lock = options.create(true).append(true).mode(0o600);
        let lock = lock.open(self.beside(".lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    /// Gets one for a fresh key, and puts both in their places.
    pub(in crate::cli) async fn get(
        &self,
        rest: &mut Rest,
        wish: SignSshCertificate,
    ) -> Result<SshCertificate, Failure> {
        let mut key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)
            .map_err(|error| failed(&error))?;
        key.set_comment(format!("devgate {}", rest.name()));
        self.certify(rest, &key, wish).await
    }

    /// Gets another one like it, unless another process just has.
    pub(in crate::cli) async fn renew(&self, rest: &mut Rest) -> Result<(), Failure> {
        let _lock = self.lock()?;
        if self.is_fresh() {
            return Ok(());
        }
        let Some(before) = self.read() else {
            return Ok(());
        };
        // Who connects just now may have read one of the two files already.
        let wish = again(&before);
        match PrivateKey::read_openssh_file(&self.key) {
            Ok(key) => self.certify(rest, &key, wish).await.map(|_| ()),
            Err(_) => self.get(rest, wish).await.map(|_| ()),
        }
    }

    /// Gets one like that of before for a fresh key; `None` where there is none.
    pub(in crate::cli) async fn get_again(
        &self,
        rest: &mut Rest,
    ) -> Result<Option<SshCertificate>, Failure> {
        let Some(before) = self.read() else {
            return Ok(None);
        };
        self.get(rest, again(&before)).await.map(Some)
    }

    async fn certify(
        &self,
        rest: &mut Rest,
        key: &PrivateKey,
        mut wish: SignSshCertificate,
    ) -> Result<SshCertificate, Failure> {
        wish.public_key = key
            .public_key()
            .to_openssh()
            .map_err(|error| failed(&error))?;
        let signed = rest.sign_certificate(&wish).await?;
        let text = key
            .to_openssh(LineEnding::LF)
            .map_err(|error| failed(&error))?;
        let certificate = format!("{}\n", signed.certificate);
        let left = signed.about.expires_at - OffsetDateTime::now_utc();
        if self.to_agent(&text, &certificate, left.whole_seconds().max(1)) {
            let _ = fs::remove_file(&self.key);
        } else {
            put(&self.key, &text)?;
        }
        put(&self.beside(".pub"), &format!("{}\n", wish.public_key))?;
        put(&self.beside("-cert.pub"), &certificate)?;
        Ok(signed.about)
    }

    /// Gives the key to the ssh-agent for as long as the certificate counts; `false` where
    /// there is none that takes it.
    fn to_agent(&self, key: &str, certificate: &str, seconds: i64) -> bool {
        if env::var_os("SSH_AUTH_SOCK").is_none_or(|socket| socket.is_empty()) {
            return false;
        }
        // ssh-add finds a certificate beside its key's file.
        let path = self.beside(".adding");
        let beside = with(&path, "-cert.pub");
        let added = put(&path, key).is_ok()
            && put(&beside, certificate).is_ok()
            && quietly(
                Command::new("ssh-add")
                    .args(["-q", "-t"])
                    .arg(seconds.to_string())
                    .arg(&path),
            );
        let _ = fs::remove_file(&path);
        let _ = fs::remove_file(&beside);
        added
    }

    /// Tells whether a certificate's key is in its file or in the agent.
    fn has_key(&self, certificate: &Certificate) -> bool {
        if self.is_file() {
            // Who was stopped between the two may have left one of each.
            let key = PrivateKey::read_openssh_file(&self.key);
            return key.is_ok_and(|key| key.public_key().key_data() == certificate.public_key());
        }
        let Ok(known) = certificate.to_openssh() else {
            return false;
        };
        let data = known.split_whitespace().nth(1).map(str::to_owned);
        let listed = Command::new("ssh-add")
            .arg("-L")
            .stdin(Stdio::null())
            .output();
        let (Some(data), Ok(listed)) = (data, listed) else {
            return false;
        };
        String::from_utf8_lossy(&listed.stdout).contains(&data)
    }

    fn read(&self) -> Option<Certificate> {
        let text = fs::read_to_string(self.beside("-cert.pub")).ok()?;
        Certificate::from_openssh(text.trim()).ok()
    }

    fn beside(&self, ending: &str) -> PathBuf {
        with(&self.key, ending)
    }
}

/// Forgets a context's certificate and key.
pub(in crate::cli) fn forget(name: &str) -> Result<(), Failure> {
    let kept = Kept::of(name)?;
    if kept.is_there() && !kept.is_file() {
        // Where the agent has forgotten it by itself, this fails.
        quietly(
            Command::new("ssh-add")
                .args(["-q", "-d"])
                .arg(kept.beside(".pub")),
        );
    }
    for ending in ["", ".pub", "-cert.pub", ".lock"] {
        match fs::remove_file(kept.beside(ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Asks for another certificate like one.
fn again(before: &Certificate) -> SignSshCertificate {
    let life = before.valid_before() - before.valid_after();
    let networks = before.critical_options().get("source-address");
    let networks = networks.map(|networks| networks.split(',').map(str::to_owned).collect());
    // A workspace's is WORKSPACE.OWNER, a user's has no dot.
    let workspaces = before.valid_principals().iter();
    let workspaces = workspaces.filter(|principal| principal.contains('.'));
    let allowed = [
        ("permit-pty", ActionName::Pty),
        ("permit-port-forwarding", ActionName::PortForwarding),
        ("permit-agent-forwarding", ActionName::AgentForwarding),
        ("permit-X11-forwarding", ActionName::X11Forwarding),
    ];
    let allowed = allowed.into_iter();
    let allowed = allowed.filter(|(name, _)| before.extensions().contains_key(*name));
    SignSshCertificate {
        public_key: String::new(),
        // It began a minute before it was signed.
        valid_seconds: Some(u32::try_from(life.saturating_sub(60).clamp(1, 86_400)).unwrap_or(1)),
        source_addresses: networks,
        workspaces: Some(workspaces.cloned().collect()),
        actions: Some(allowed.map(|(_, action)| action).collect()),
    }
}

fn now() -> u64 {
    u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0)
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut text = OsString::from(path);
    text.push(ending);
    PathBuf::from(text)
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let written = write_file(path, Access::Private, text);
    written.map_err(|error| Failure::new(Kind::Failed, error.to_string()))
}

/// Runs a program without a word, and tells whether it went well.
fn quietly(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn failed(error: &ssh_key::Error) -> Failure {
    Failure::new(Kind::Failed, format!("no key can be made: {error}"))
}

#[cfg(test)]
mod tests {
    use ssh_key::certificate::Builder;

    use super::*;

    #[test]
    fn a_file_with_another_key_is_not_the_certificate_s() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept {
            key: folder.path().join("there.key"),
        };
        let [ca, own, other] =
            [(); 3].map(|()| PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap());
        let public = own.public_key().key_data().clone();
        let mut certificate =
            Builder::new_with_random_nonce(&mut rand::rng(), public, now() - 60, now() + 600)
                .unwrap();
        certificate.valid_principal("ada").unwrap();
        let certificate = certificate.sign(&ca).unwrap().to_openssh().unwrap();
        put(&kept.beside("-cert.pub"), &certificate).unwrap();
        let is_valid = |text: &str| {
            put(&kept.key, text).unwrap();
            assert_eq!(kept.is_valid(), kept.is_fresh());
            kept.is_valid()
        };
        let text = |key: &PrivateKey| key.to_openssh(LineEnding::LF).unwrap();
        assert!(is_valid(&text(&own)));
        assert!(!is_valid(&text(&other)) && !is_valid("no key"));
    }
}
