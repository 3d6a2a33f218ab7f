//! Names of signals (RFC 4254 §6.10).

use rustix::process::Signal;

/// The RFC's names, and two that shells' job control makes useful.
const NAMES: [(&str, Signal); 16] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    // Not the RFC's, from here on: accepted, never sent.
    ("CONT", Signal::CONT),
    ("STOP", Signal::STOP),
    ("TSTP", Signal::TSTP),
];

/// How many of them are the RFC's.
const STANDARD: usize = 13;

/// What an `exit-signal` says for a signal that the RFC has no name for; OpenSSH's
/// server says the same.
const OTHER: &str = "SIG@openssh.com";

/// Returns the signal of that name, without its `SIG`.
pub(super) fn by_name(name: &str) -> Option<Signal> {
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, signal)| signal)
}

/// Returns the name of a signal that ended a program.
pub(super) fn name(number: i32) -> &'static str {
    NAMES
        .iter()
        .take(STANDARD)
        .find(|(_, signal)| signal.as_raw() == number)
        .map_or(OTHER, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_the_names_of_the_rfc() {
        assert_eq!(by_name("INT"), Some(Signal::INT));
        assert_eq!(by_name("SIGINT"), None);
        assert_eq!(name(15), "TERM");
        assert_eq!(name(7), "SIG@openssh.com"); // SIGBUS
        assert_eq!(name(19), "SIG@openssh.com"); // SIGSTOP
    }
}
