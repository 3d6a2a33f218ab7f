//! Going on after a cut.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use crate::cli::client::Unanswered;
use crate::cli::contexts;
use crate::cli::failure::Kind;
use crate::fingerprint::beginning;
use devgate_certs::{Access, read_private_file, write_file};

/// How long a server that is away is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// How long it has been in vain.
pub(super) struct Patience {
    /// Since the first attempt in vain.
    end: Option<Instant>,
    pause: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            end: None,
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
        if is_passing(&error) && self.pause().await {
            Ok(())
        } else {
            Err(error)
        }
    }

    /// Waits before the next attempt; tells whether there is time for one.
    pub(super) async fn pause(&mut self) -> bool {
        let now = Instant::now();
        if now + self.pause > *self.end.get_or_insert(now + PATIENCE) {
            return false;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        true
    }
}

/// Tells whether a server may answer otherwise in a moment.
pub(super) fn is_passing(error: &Unanswered) -> bool {
    match error {
        Unanswered::Failed(failure) => failure.kind() == Kind::Unreachable,
        Unanswered::Refused(problem) => match problem.code.as_str() {
            "agent-broken" | "shutting-down" | "not-ready" | "agent-unreachable" | "busy"
            | "cut-off" | "stalled" => true,
            // A proxy in between.
            "" => matches!(problem.status, 502..=504),
            _ => false,
        },
        Unanswered::Untrusted(_) | Unanswered::Mistaken(_) => false,
    }
}

/// Returns what stands for something that is copied: the same for the same.
pub(super) fn key(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // No part runs into the next one.
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    beginning(&hash.finalize(), 8)
}

/// What is remembered of a file that isn't whole, for the next command where this one is cut
/// off: which upload it is, or what it came of.
#[derive(Debug)]
pub(super) struct Remembered(Option<PathBuf>);

impl Remembered {
    /// Returns what is remembered of an upload by a key; nothing is where that can't be kept.
    pub(super) fn upload(key: &str) -> Self {
        Self::new("uploads", key)
    }

    /// Returns what is remembered of a file that comes down.
    pub(super) fn download(key: &str) -> Self {
        Self::new("downloads", key)
    }

    /// Remembers nothing.
    pub(super) fn nothing() -> Self {
        Self(None)
    }

    fn new(what: &str, key: &str) -> Self {
        let folder = contexts::folder_made().ok();
        let folder = folder.map(|folder| folder.join(what));
        let folder = folder.filter(|folder| contexts::make(folder).is_ok());
        Self(folder.map(|folder| folder.join(key)))
    }

    pub(super) fn id(&self) -> Option<String> {
        let bytes = read_private_file(self.0.as_ref()?, "remove it").ok()??;
        let text = String::from_utf8(bytes).ok()?;
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
