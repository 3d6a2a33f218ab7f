//! Containers, their hosts and what people may use of them.

use super::range::{out_of_range, period, size};
use super::{DAY, Finding};
use crate::config::docker::{is_name, is_user};
use crate::config::image_name::check_image;
use crate::config::mounts::is_home;
use crate::config::{Config, Cpus, DriverName, EngineUrl, Size, TlsMode};

/// Checks what containers are made of, and where.
pub(super) fn docker(config: &Config) -> Result<(), Finding> {
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
        Some(image) => check_image(image).map_err(|problem| ("docker.image", problem))?,
        None => {}
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

/// Checks what people may use.
pub(super) fn limits(config: &Config) -> Result<(), Finding> {
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
pub(in crate::config) fn warnings(config: &Config) -> Vec<String> {
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
