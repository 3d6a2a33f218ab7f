//! Names of signals as they travel: without `SIG` (RFC 4254 §6.10).

use russh::Sig;

/// What an agent knows besides: the RFC's that russh has no name for, and those that make
/// shells' job control useful.
const MORE: [&str; 4] = ["USR2", "CONT", "STOP", "TSTP"];

/// Whether a program can be sent a signal.
pub(super) fn is_known(signal: &Sig) -> bool {
    match signal {
        Sig::Custom(name) => MORE.contains(&name.as_str()),
        _ => true,
    }
}

/// Returns the name of a signal.
pub(super) fn name(signal: &Sig) -> &str {
    match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    }
}

/// Returns the signal of a name; one that russh doesn't know travels as it is.
pub(super) fn parse(name: String) -> Sig {
    match name.as_str() {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "FPE" => Sig::FPE,
        "HUP" => Sig::HUP,
        "ILL" => Sig::ILL,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        "USR1" => Sig::USR1,
        _ => Sig::Custom(name),
    }
}
