//! An agent that ended by itself, and what is told of it once it is started again.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::drivers::Exit;

/// How long a crash is told in the workspace's status; its history keeps it.
const TOLD: time::Duration = time::Duration::DAY;

/// The last end of an agent that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    /// When it was noticed.
    pub(crate) at: OffsetDateTime,
    /// How the agent ended.
    pub(crate) exit: Exit,
}

impl Crash {
    /// Returns what a status says of it at that time, unless it is long ago.
    pub(super) fn text(self, now: OffsetDateTime) -> Option<String> {
        let at = self.at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()?;
        let exit = self.exit;
        (now - self.at < TOLD).then(|| {
            format!(
                "its agent ended by itself at {at}, with {exit}, and with it what ran there; it \
                 was started again"
            )
        })
    }
}

/// Says it of the moment, as the history does.
impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exit = self.exit;
        write!(
            f,
            "its agent ended by itself with {exit}: it is started again"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_told_with_its_time_and_reason_for_a_while() {
        let crash = Crash {
            at: OffsetDateTime::UNIX_EPOCH,
            exit: Exit::OutOfMemory,
        };
        let text = crash.text(crash.at + time::Duration::HOUR).unwrap();
        assert!(text.contains("at 1970-01-01T00:00:00Z"), "{text}");
        assert!(text.contains("its memory used up"), "{text}");
        assert_eq!(crash.text(crash.at + TOLD), None);
    }
}
