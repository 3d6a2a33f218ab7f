//! Signals as the API names them: as the system does, without `SIG`.

use std::str::FromStr;

use rustix::process::Signal;

/// Returns the signal of that name, with or without its `SIG`.
pub(super) fn by_name(name: &str) -> Option<Signal> {
    let name = name.strip_prefix("SIG").unwrap_or(name);
    let known = nix::sys::signal::Signal::from_str(&format!("SIG{name}")).ok()?;
    Signal::from_named_raw(known as i32)
}

/// Returns the name of a signal, without its `SIG`; of one that has none its number.
pub(super) fn name(number: i32) -> String {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signal.as_str().trim_start_matches("SIG").to_owned(),
        Err(_) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_systems_names() {
        assert_eq!(by_name("TERM"), Some(Signal::TERM));
        assert_eq!(by_name("SIGWINCH"), Some(Signal::WINCH));
        for unknown in ["", "SIG", "term", "9", "SIGSIGTERM"] {
            assert_eq!(by_name(unknown), None, "{unknown}");
        }
        assert_eq!(name(9), "KILL");
        assert_eq!(name(7), "BUS");
        assert_eq!(name(40), "40");
    }
}
