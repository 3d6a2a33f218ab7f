//! What the types can't say: ranges and forms.

mod containers;
mod range;

use tracing_subscriber::EnvFilter;

use super::{Config, Period, ReachBy, Size, TlsMode};
use crate::http::Origin;
use crate::sleep::InvalidSchedule;
pub(super) use containers::warnings;
use containers::{docker, limits};
use range::{count, period, size, within};

const DAY: u64 = 24 * 3600;

/// Says of which key's value what is wrong.
pub(super) type Finding = (&'static str, String);

/// Checks what the types leave open.
pub(super) fn check(config: &Config) -> Result<(), Finding> {
    let ssh = &config.ssh;
    period("drain-timeout", config.drain_timeout, 0, DAY)?;
    period("ssh.login-grace", ssh.login_grace, 1, 600)?;
    count(
        "ssh.max-unauthenticated",
        ssh.max_unauthenticated,
        1_000_000,
    )?;
    size("ssh.window", ssh.window, Size::kib(64), Size::kib(64 << 10))?;
    period("ssh.keepalive-interval", ssh.keepalive_interval, 1, 3600)?;
    count("ssh.keepalive-count", ssh.keepalive_count, 1000)?;
    size(
        "ssh.rekey-after",
        ssh.rekey_after,
        Size::kib(1 << 10),
        Size::kib(1 << 20),
    )?;
    period("ssh.rekey-interval", ssh.rekey_interval, 1, DAY)?;
    period("ssh.approval-timeout", ssh.approval_timeout, 1, 600)?;
    period("ssh.approval-window", ssh.approval_window, 0, 3600)?;
    http(config)?;
    count("lockout.failures", config.lockout.failures, 1_000_000)?;
    period("lockout.period", config.lockout.period, 1, DAY)?;
    period("lockout.duration", config.lockout.duration, 1, 7 * DAY)?;
    period(
        "workspaces.start-timeout",
        config.workspaces.start_timeout,
        1,
        3600,
    )?;
    period(
        "workspaces.stop-grace",
        config.workspaces.stop_grace,
        0,
        600,
    )?;
    sleep(config)?;
    period(
        "workspaces.delete-grace",
        config.workspaces.delete_grace,
        0,
        3650 * DAY,
    )?;
    period(
        "editor.idle-timeout",
        config.editor.idle_timeout,
        0,
        30 * DAY,
    )?;
    period("editor.start-timeout", config.editor.start_timeout, 1, 3600)?;
    period("terminals.keep", config.terminals.keep, 1, 365 * DAY)?;
    count("terminals.scrollback", config.terminals.scrollback, 100_000)?;
    startup(config)?;
    docker(config)?;
    limits(config)?;
    for (key, variables) in [
        ("process.environment", &config.process.environment),
        ("docker.environment", &config.docker.environment),
    ] {
        for (name, value) in variables {
            variable(name, value).map_err(|problem| (key, problem))?;
        }
    }
    if let Err(error) = EnvFilter::builder().parse(&config.log.filter) {
        let problem = format!(
            "{error}: use error, warn, info, debug or trace, or something like \
             \"info,devgate::ssh=debug\""
        );
        return Err(("log.filter", problem));
    }
    if config.data_dir.as_os_str().is_empty() {
        return Err(("data-dir", "it is empty: name a folder".to_owned()));
    }
    Ok(())
}

/// Longest script, in bytes: it is an argument of the shell's.
const MAX_SCRIPT: usize = 64 * 1024;

/// Most secrets that a workspace gets.
const MAX_SECRETS: usize = 100;

fn startup(config: &Config) -> Result<(), Finding> {
    let startup = &config.startup;
    startup_timeout(startup.timeout).map_err(|problem| ("startup.timeout", problem))?;
    if let Some(script) = &startup.script
        && (script.len() > MAX_SCRIPT || script.contains('\0'))
    {
        let problem = format!(
            "it is longer than {MAX_SCRIPT} bytes, or has a NUL: put it into a file of the image \
             and run that"
        );
        return Err(("startup.script", problem));
    }
    if startup.secrets.len() > MAX_SECRETS {
        let problem = format!("there are more than {MAX_SECRETS}: leave some out");
        return Err(("startup.secrets", problem));
    }
    Ok(())
}

fn sleep(config: &Config) -> Result<(), Finding> {
    let sleep = &config.sleep;
    sleep_after(sleep.after).map_err(|problem| ("sleep.after", problem))?;
    sleep_warn(sleep.warn).map_err(|problem| ("sleep.warn", problem))?;
    sleep.schedule().map(drop).map_err(|error| {
        let key = match error {
            InvalidSchedule::Zone(_) => "sleep.time-zone",
            InvalidSchedule::Pattern { which: "start", .. }
            | InvalidSchedule::Never { which: "start", .. } => "sleep.start",
            InvalidSchedule::Pattern { .. }
            | InvalidSchedule::Never { .. }
            | InvalidSchedule::Empty => "sleep.stop",
        };
        (key, error.to_string())
    })
}

fn http(config: &Config) -> Result<(), Finding> {
    let http = &config.http;
    if http.listen.collides_with(&config.ssh.listen) {
        let problem = "ssh.listen is the same: choose another port for one of them";
        return Err(("http.listen", problem.to_owned()));
    }
    for name in &http.names {
        let valid = rustls::pki_types::ServerName::try_from(name.as_str()).is_ok();
        if !valid {
            let problem = format!("{name:?} is neither a DNS name nor an IP address");
            return Err(("http.names", problem));
        }
    }
    let is_dns = matches!(
        rustls::pki_types::ServerName::try_from(http.domain.as_str()),
        Ok(rustls::pki_types::ServerName::DnsName(_))
    );
    if !is_dns || http.domain != http.domain.to_ascii_lowercase() || http.domain.ends_with('.') {
        let problem = format!("{:?} is not a DNS name in small letters", http.domain);
        return Err(("http.domain", problem));
    }
    if let Some(url) = &http.url
        && let Err(error) = url.parse::<Origin>()
    {
        return Err(("http.url", error.to_string()));
    }
    count("http.max-connections", http.max_connections, 1_000_000)?;
    count(
        "http.max-connections-per-address",
        http.max_connections_per_address,
        1_000_000,
    )?;
    let files = http.tls == TlsMode::Files;
    for (key, file) in [
        ("http.certificate", &http.certificate),
        ("http.key", &http.key),
    ] {
        match file {
            None if files => {
                let problem = "tls = \"files\" needs it: name the file in PEM".to_owned();
                return Err((key, problem));
            }
            Some(_) if !files => {
                let problem = "it is used with tls = \"files\" only: set that, or leave it out";
                return Err((key, problem.to_owned()));
            }
            _ => {}
        }
    }
    if http.tls == TlsMode::Off && config.process.reach == ReachBy::Dial {
        let problem = "agents dial in by TLS, so tls = \"off\" leaves them outside: use \"unix\"";
        return Err(("process.reach", problem.to_owned()));
    }
    Ok(())
}

/// Longest variable, name and value, in bytes; Linux starts no program with one
/// beyond 128 KiB.
const MAX_VARIABLE: usize = 64 * 1024;

/// Tells what is wrong with a variable of the environment.
pub(crate) fn variable(name: &str, value: &str) -> Result<(), String> {
    let shown: String = name.chars().take(60).collect();
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return Err(format!(
            "{shown:?} can't be the name of a variable, or its value has a NUL"
        ));
    }
    if name.starts_with("DEVGATE_") {
        return Err(format!(
            "{shown}: what begins with DEVGATE_ is devgate's own"
        ));
    }
    if name.len() + value.len() > MAX_VARIABLE {
        return Err(format!("{shown} is longer than {MAX_VARIABLE} bytes"));
    }
    Ok(())
}

/// Tells what is wrong with the time after which workspaces go to sleep; 0 is never.
pub(crate) fn sleep_after(value: Period) -> Result<(), String> {
    if value == Period::seconds(0) {
        return Ok(());
    }
    within(value, 1, 365 * DAY)
}

/// Tells what is wrong with the time before a sleep at which people are warned.
pub(crate) fn sleep_warn(value: Period) -> Result<(), String> {
    within(value, 0, DAY)
}

/// Tells what is wrong with the time that a step of a start may take; 0 is for ever.
pub(crate) fn startup_timeout(value: Period) -> Result<(), String> {
    within(value, 0, DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass() {
        assert_eq!(check(&Config::default()), Ok(()));
    }

    #[test]
    fn a_schedule_that_can_not_be_kept_is_refused_at_its_key() {
        let mut config = Config::default();
        config.sleep.stop = Some("at eight".to_owned());
        assert_eq!(check(&config).unwrap_err().0, "sleep.stop");
        config.sleep.stop = Some("0 20 * * 1-5".to_owned());
        assert_eq!(check(&config), Ok(()));
        config.sleep.time_zone = "Berlin".to_owned();
        assert_eq!(check(&config).unwrap_err().0, "sleep.time-zone");
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_the_range() {
        let mut config = Config::default();
        config.ssh.window = Size::kib(1);
        let (key, problem) = check(&config).unwrap_err();
        assert_eq!(key, "ssh.window");
        assert_eq!(problem, "1KiB is out of range: 64KiB to 64MiB are allowed");
    }
}
