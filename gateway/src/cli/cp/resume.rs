//! Going on after a cut.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use crate::cli::client::Unanswered;
use crate::cli::contexts;
use crate::cli::failure::Kind;
use devgate_certs::{Access, read_file, write_file};

/// How long a server that is away is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// How long it has been in vain.
pub(super) struct Patience {
    end: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            end: Instant::now() + PATIENCE,
            pause: FIRST_PAUSE,
        }
    }

    /// Something went well: it begins anew.
    pub(super) fn renew(&mut self) {
        *self = Self::new();
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// With the error, where another attempt wouldn't help or would be too late.
    pub(super) async fn after(&mut self, error: Unanswered) -> Result<(), Unanswered> {
        if !is_passing(&error) || Instant::now() + self.pause > self.end {
            return Err(error);
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        Ok(())
    }
}

/// Tells whether a server may answer otherwise in a moment.
fn is_passing(error: &Unanswered) -> bool {
    match error {
        Unanswered::Failed(failure) => failure.kind() == Kind::Unreachable,
        Unanswered::Refused(problem) => matches!(
            problem.code.as_str(),
            "application-broken"
                | "shutting-down"
                | "not-ready"
                | "agent-unreachable"
                | "busy"
                | "cut-off"
                | "stalled"
        ),
        Unanswered::Untrusted(_) | Unanswered::Mistaken(_) => false,
    }
}

/// Returns what stands for something that is copied: the same for the same.
pub(super) fn key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let whole = hex(&hash.finalize());
    whole.chars().take(16).collect()
}

/// Returns bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What is remembered of an upload, for the next command where this one is cut off.
pub(super) struct Remembered(Option<PathBuf>);

impl Remembered {
    /// Returns what is remembered by a key; nothing is where that can't be kept.
    pub(super) fn new(key: &str) -> Self {
        let folder = contexts::folder_made().ok();
        let folder = folder.map(|folder| folder.join("uploads"));
        let folder = folder.filter(|folder| contexts::make(folder).is_ok());
        Self(folder.map(|folder| folder.join(key)))
    }

    pub(super) fn id(&self) -> Option<String> {
        let text = read_file(self.0.as_ref()?, Access::Private).ok()??;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (!text.is_empty() && text.len() <= 100 && text.chars().all(fits)).then_some(text)
    }

    pub(super) fn keep(&self, id: &str) {
        if let Some(file) = &self.0 {
            // Without it the next command begins anew.
            let _ = write_file(file, Access::Private, id);
        }
    }

    pub(super) fn forget(&self) {
        if let Some(file) = &self.0 {
            let _ = fs::remove_file(file);
        }
    }
}
