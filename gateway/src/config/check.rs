//! What the types can't say: ranges, and names that must be known.

use std::fmt::Display;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::{Config, Period, Size};

/// Key exchange methods that may be offered.
const KEY_EXCHANGE: [&str; 12] = [
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group18-sha512",
];

/// Ciphers that may be offered.
const CIPHERS: [&str; 6] = [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
];

/// Message authentication codes that may be offered.
const MACS: [&str; 4] = [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
];

const DAY: u64 = 24 * 3600;

/// Says of which key's value what is wrong.
pub(super) type Finding = (&'static str, String);

/// Checks what the types leave open.
pub(super) fn check(config: &Config) -> Result<(), Finding> {
    let ssh = &config.ssh;
    period("drain-timeout", config.drain_timeout, 0, DAY)?;
    period("ssh.login-grace", ssh.login_grace, 1, 600)?;
    count("ssh.max-connections", ssh.max_connections, 1_000_000)?;
    count(
        "ssh.max-unauthenticated",
        ssh.max_unauthenticated,
        1_000_000,
    )?;
    count("ssh.max-channels", ssh.max_channels, 100_000)?;
    size("ssh.window", ssh.window, Size::kib(64), Size::kib(64 << 10))?;
    size("ssh.packet", ssh.packet, Size::kib(4), Size::kib(64))?;
    period("ssh.keepalive-interval", ssh.keepalive_interval, 1, 3600)?;
    count("ssh.keepalive-count", ssh.keepalive_count, 1000)?;
    size(
        "ssh.rekey-bytes",
        ssh.rekey_bytes,
        Size::kib(1 << 10),
        Size::kib(64 << 20),
    )?;
    period("ssh.rekey-interval", ssh.rekey_interval, 60, DAY)?;
    known("ssh.key-exchange", &ssh.key_exchange, &KEY_EXCHANGE)?;
    known("ssh.ciphers", &ssh.ciphers, &CIPHERS)?;
    known("ssh.macs", &ssh.macs, &MACS)?;
    for name in &config.http.names {
        let valid = rustls::pki_types::ServerName::try_from(name.as_str()).is_ok();
        if !valid {
            let problem = format!("{name:?} is neither a DNS name nor an IP address");
            return Err(("http.names", problem));
        }
    }
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

fn period(key: &'static str, value: Period, least: u64, most: u64) -> Result<(), Finding> {
    if (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&value.get()) {
        return Ok(());
    }
    out_of_range(key, value, Period::seconds(least), Period::seconds(most))
}

fn size(key: &'static str, value: Size, least: Size, most: Size) -> Result<(), Finding> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    out_of_range(key, value, least, most)
}

fn count(key: &'static str, value: u32, most: u32) -> Result<(), Finding> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    out_of_range(key, value, 1, most)
}

fn out_of_range<T: Display>(key: &'static str, value: T, least: T, most: T) -> Result<(), Finding> {
    Err((
        key,
        format!("{value} is out of range: {least} to {most} are allowed"),
    ))
}

fn known(key: &'static str, names: &[String], allowed: &[&str]) -> Result<(), Finding> {
    let list = allowed.join(", ");
    if names.is_empty() {
        return Err((key, format!("the list is empty: choose from {list}")));
    }
    match names.iter().find(|name| !allowed.contains(&name.as_str())) {
        Some(name) => Err((key, format!("{name:?} is not offered: choose from {list}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_that_may_be_offered_is_one_that_russh_has() {
        for name in KEY_EXCHANGE {
            assert!(russh::kex::Name::try_from(name).is_ok(), "{name}");
        }
        for name in CIPHERS {
            assert!(russh::cipher::Name::try_from(name).is_ok(), "{name}");
        }
        for name in MACS {
            assert!(russh::mac::Name::try_from(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_defaults_pass() {
        assert_eq!(check(&Config::default()), Ok(()));
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
