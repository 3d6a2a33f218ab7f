//! Which variables a client may set for its session's program (RFC 4254 §6.4).
//!
//! Both sides go by the same rule: what the gateway takes, the agent takes, too.

use serde::Serialize;

use crate::frame::MAX_FRAME;

/// Most variables of one session.
pub const MAX_VARIABLES: usize = 1024;

/// Their most bytes together, as they travel: a single one then fits a frame.
pub const MAX_BYTES: usize = MAX_FRAME;

/// Prefixes of the variables that nobody from outside sets: those of the loader, which would
/// change every program of the session before its first instruction, and ours.
const RESERVED: [&str; 2] = ["LD_", "DEVGATE_"];

/// Whether a variable of that name is nobody's to set.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a client may set a variable, and a program can be given it.
pub fn is_allowed(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0') && !is_reserved(name)
}

/// What one session's variables have taken of their room.
#[derive(Debug, Default)]
pub struct Room {
    variables: usize,
    bytes: usize,
}

/// What becomes of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The program is given it.
    Yes,
    /// Nobody may set it.
    Forbidden,
    /// There is no room for it; smaller ones may still find some.
    TooMuch,
}

impl Room {
    /// Decides on a variable, and counts it where it is taken.
    pub fn take(&mut self, name: &str, value: &str) -> Taken {
        if !is_allowed(name, value) {
            return Taken::Forbidden;
        }
        let bytes = self.bytes.saturating_add(encoded(name, value));
        if self.variables == MAX_VARIABLES || bytes > MAX_BYTES {
            return Taken::TooMuch;
        }
        self.variables += 1;
        self.bytes = bytes;
        Taken::Yes
    }
}

/// Returns how long the payload of a frame with a variable is, in bytes.
fn encoded(name: &str, value: &str) -> usize {
    #[derive(Serialize)]
    struct Variable<'a> {
        name: &'a str,
        value: &'a str,
    }
    serde_json::to_vec(&Variable { name, value }).map_or(usize::MAX, |payload| payload.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    #[test]
    fn a_client_sets_what_it_likes_but_the_loader_and_our_own() {
        for (name, value, allowed) in [
            ("GIT_PROTOCOL", "version=2", true),
            ("LC_ALL", "de_DE.UTF-8", true),
            ("LD_PRELOAD", "/tmp/x.so", false),
            ("DEVGATE_WORKSPACE_ID", "other", false),
            ("A=B", "c", false),
            ("", "c", false),
            ("A", "b\0c", false),
        ] {
            assert_eq!(is_allowed(name, value), allowed, "{name:?}");
            assert_eq!(Room::default().take(name, value) == Taken::Yes, allowed);
        }
    }

    #[test]
    fn what_finds_no_room_leaves_it_to_what_is_smaller() {
        let mut room = Room::default();
        let large = "x".repeat(100_000);
        let taken = (0..20).filter(|_| room.take("LARGE", &large) == Taken::Yes);
        assert_eq!(taken.count(), 10);
        assert_eq!(room.take("LARGE", &large), Taken::TooMuch);
        assert_eq!(room.take("SMALL", "x"), Taken::Yes);
        let more = (0..2000).filter(|_| room.take("SMALL", "x") == Taken::Yes);
        assert_eq!(more.count(), MAX_VARIABLES - 11);
    }

    #[test]
    fn whatever_is_taken_fits_a_frame() {
        // Six bytes each, where they travel.
        let escaped = "\u{1}".repeat(MAX_BYTES / 6);
        assert_eq!(Room::default().take("A", &escaped), Taken::TooMuch);
        let escaped = "\u{1}".repeat(MAX_BYTES / 6 - 5);
        assert_eq!(Room::default().take("A", &escaped), Taken::Yes);
        let length = encoded("A", &escaped);
        let variable = frame::Variable {
            name: "A".to_owned(),
            value: escaped,
        };
        assert_eq!(serde_json::to_vec(&variable).unwrap().len(), length);
        assert!(frame::header(frame::Kind::Environment, length).is_ok());
    }
}
