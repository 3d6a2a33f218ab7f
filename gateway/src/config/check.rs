//! What the types can't say: ranges and forms.

use std::fmt::Display;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::docker::{is_image, is_name, is_user};
use super::mounts::is_home;
use super::{Config, Cpus, DriverName, EngineUrl, Period, ReachBy, Size, TlsMode};
use crate::http::Origin;
use crate::sleep::InvalidSchedule;

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

fn docker(config: &Config) -> Result<(), Finding> {
    let docker = &config.docker;
    let finding = |key, problem: &str| Err((key, problem.to_owned()));
    match &docker.image {
        None if config.workspaces.driver == DriverName::Docker => {
            return finding(
                "workspaces.driver",
                "\"docker\" needs an image: name one with docker.image (--image), as in \
                 \"debian:12\"",
            );
        }
        Some(image) if !is_image(image) => {
            let problem = format!("{image:?} is not the name of an image, as in \"debian:12\"");
            return Err(("docker.image", problem));
        }
        _ => {}
    }
    if !is_user(&docker.user) {
        let problem = format!(
            "{:?} is not a user: write USER or USER:GROUP, names of the image's or numbers, as \
             in \"1000:1000\"",
            docker.user
        );
        return Err(("docker.user", problem));
    }
    if !is_home(&docker.home) {
        return finding(
            "docker.home",
            "write an absolute path where a volume can be mounted, as in \"/home/dev\"",
        );
    }
    for (number, mount) in docker.mounts.iter().enumerate() {
        let before = docker.mounts.get(..number).unwrap_or_default();
        if let Some(problem) = mount.taken(before, &docker.home) {
            return Err(("docker.mounts", format!("{mount}: {problem}")));
        }
    }
    for (key, path) in [
        ("docker.socket", Some(&docker.socket)),
        ("docker.shell", docker.shell.as_ref()),
    ] {
        if path.is_some_and(|path| !path.is_absolute()) {
            return finding(key, "write an absolute path");
        }
    }
    hosts(config)?;
    if let Some(network) = &docker.network
        && !is_name(network)
    {
        return Err((
            "docker.network",
            format!("{network:?} is not the name of a network"),
        ));
    }
    if docker.cpus.is_some_and(|cpus| cpus < Cpus::hundredth()) {
        let problem = format!("write at least {}", Cpus::hundredth());
        return Err(("docker.cpus", problem));
    }
    if let Some(memory) = docker.memory {
        size(
            "docker.memory",
            memory,
            Size::kib(64 << 10),
            Size::kib(1 << 40),
        )?;
    }
    size(
        "docker.tmp-size",
        docker.tmp_size,
        Size::kib(1 << 10),
        Size::kib(1 << 40),
    )?;
    if !(32..=4_000_000).contains(&docker.pids) {
        return out_of_range("docker.pids", docker.pids, 32, 4_000_000);
    }
    Ok(())
}

fn limits(config: &Config) -> Result<(), Finding> {
    period("limits.disk-interval", config.limits.disk_interval, 1, DAY)?;
    if config.workspaces.driver != DriverName::Docker {
        return Ok(());
    }
    // What takes all that there is can't be counted.
    for (key, limited, given) in [
        (
            "limits.user.cpus",
            config.limits.user.cpus.is_some(),
            config.docker.cpus.is_some(),
        ),
        (
            "limits.total.cpus",
            config.limits.total.cpus.is_some(),
            config.docker.cpus.is_some(),
        ),
        (
            "limits.user.memory",
            config.limits.user.memory.is_some(),
            config.docker.memory.is_some(),
        ),
        (
            "limits.total.memory",
            config.limits.total.memory.is_some(),
            config.docker.memory.is_some(),
        ),
    ] {
        if limited && !given {
            let each = key.replace("limits.user", "docker");
            let each = each.replace("limits.total", "docker");
            let problem = format!(
                "it needs {each}, what one workspace may use: without that each may use all \
                 that there is"
            );
            return Err((key, problem));
        }
    }
    Ok(())
}

/// Returns what is worth telling of a configuration that can be used.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    if config.workspaces.driver == DriverName::Docker {
        return Vec::new();
    }
    let limits = &config.limits;
    let set = [
        ("limits.user.cpus", limits.user.cpus.is_some()),
        ("limits.total.cpus", limits.total.cpus.is_some()),
        ("limits.user.memory", limits.user.memory.is_some()),
        ("limits.total.memory", limits.total.memory.is_some()),
    ];
    let set = set.into_iter().filter(|(_, set)| *set);
    set.map(|(key, _)| {
        format!(
            "{key} limits nothing with driver = \"process\": what processes use is limited in \
             containers alone (driver = \"docker\")"
        )
    })
    .collect()
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

/// Checks the Docker hosts.
fn hosts(config: &Config) -> Result<(), Finding> {
    let wrong = |problem: String| Err(("docker.hosts", problem));
    let hosts = &config.docker.hosts;
    for (number, host) in hosts.iter().enumerate() {
        let name = &host.name;
        if !is_name(name) {
            return wrong(format!("{name:?} can't be the name of a host"));
        }
        if hosts.iter().take(number).any(|other| other.name == *name) {
            return wrong(format!("there are two hosts named {name}"));
        }
        let label = host.labels.iter().find(|label| !is_name(label));
        if let Some(label) = label {
            return wrong(format!("{name}: {label:?} can't be a label"));
        }
        let needed = [
            ("ca", host.ca.is_some()),
            ("certificate", host.certificate.is_some()),
            ("key", host.key.is_some()),
            ("gateway", host.gateway.is_some()),
        ];
        for (key, is_there) in needed {
            let is_far = matches!(host.url, EngineUrl::Tcp(_));
            if is_far && !is_there {
                return wrong(format!("{name}: a tcp:// engine needs {key}, too"));
            }
            if !is_far && is_there {
                return wrong(format!("{name}: {key} is for tcp:// engines only"));
            }
        }
    }
    let far = hosts
        .iter()
        .any(|host| matches!(host.url, EngineUrl::Tcp(_)));
    if far && config.http.tls == TlsMode::Off {
        let problem = "their agents dial in by TLS, so http.tls = \"off\" leaves them outside";
        return wrong(problem.to_owned());
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

fn within(value: Period, least: u64, most: u64) -> Result<(), String> {
    if (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&value.get()) {
        return Ok(());
    }
    let (least, most) = (Period::seconds(least), Period::seconds(most));
    Err(range(value, least, most))
}

fn period(key: &'static str, value: Period, least: u64, most: u64) -> Result<(), Finding> {
    within(value, least, most).map_err(|problem| (key, problem))
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
    Err((key, range(value, least, most)))
}

fn range<T: Display>(value: T, least: T, most: T) -> String {
    format!("{value} is out of range: {least} to {most} are allowed")
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
