//! What code-server and its supervisor write, in one log.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::warn;

use crate::log::LogFile;

/// Adds a line of the supervisor's own.
pub(super) fn note(log: &LogFile, text: &str) {
    let time = OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default();
    // What can't be noted is in the agent's log as well.
    let _ = log.append(format!("[{time}] devgate: {text}\n").as_bytes());
}

/// Begins it anew if it is large.
pub(super) fn rotate(log: &LogFile) {
    if let Err(error) = log.rotate() {
        warn!(%error, "the editor's log can't be rotated");
    }
}
