//! Checks of a template beyond what its types say.

use std::path::{Component, Path};
use std::time::Duration;

use devgate_protocol::config::token_server;

use super::template::Template;
use crate::config::rules::{check_image, is_name, is_user, variable};
use crate::config::{Cpus, Period, Size};
use crate::repositories::{address, is_branch};
use crate::workspaces::{DevcontainerChoice, Repository};

/// Least memory that an engine gives a container, and that an agent needs.
pub(super) const MIN_MEMORY: Size = Size::kib(64 << 10);

/// Most that a size says, as in the configuration.
const MAX_SIZE: Size = Size::kib(1 << 40);

/// Smallest `/tmp`, as in the configuration; to the kernel nothing means no limit.
const MIN_TMP: Size = Size::kib(1 << 10);

/// Least of a processor that a kernel gives a container.
pub(super) const MIN_CPUS: Cpus = Cpus::hundredth();

/// Fewest processes that a shell with an agent needs.
const MIN_PIDS: u32 = 32;

/// Most ports of a template.
const MAX_PORTS: usize = 50;

/// Most secrets of a template.
const MAX_SECRETS: usize = 50;

/// Most workspaces that a template keeps ready.
const MAX_READY: u32 = 20;

/// Shortest time to live: one that is less is a slip, which would cost people their work.
const MIN_LIFE: Duration = Duration::from_mins(1);

/// Longest time to live.
const MAX_LIFE: Duration = Duration::from_hours(3650 * 24);

/// A part of a template, and what is wrong with it.
pub(super) type Finding = (Vec<String>, String);

/// Checks what the types leave open.
pub(super) fn check(template: &Template) -> Result<(), Finding> {
    let wrong = |path: &[&str], problem: String| {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Err((path, problem))
    };
    if template.description.chars().count() > 200 {
        return wrong(&["description"], "write at most 200 characters".to_owned());
    }
    match (&template.image, &template.build) {
        (Some(_), Some(_)) => {
            let problem = "there is an image beside it: name one of the two".to_owned();
            return wrong(&["build"], problem);
        }
        (Some(image), None) => {
            if let Err(problem) = check_image(image) {
                return wrong(&["image"], problem);
            }
        }
        (None, _) => {}
    }
    if let Some(build) = &template.build {
        if build.dockerfile.trim().is_empty() {
            return wrong(&["build", "dockerfile"], "it is empty".to_owned());
        }
        if build.context.as_deref().is_some_and(|path| !stays(path)) {
            let problem = "write a path below the templates' folder, without \"..\"".to_owned();
            return wrong(&["build", "context"], problem);
        }
    }
    if let Some(label) = template.host_labels.iter().find(|label| !is_name(label)) {
        return wrong(&["host-labels"], format!("{label:?} can't be a label"));
    }
    if let Some(user) = &template.user
        && !is_user(user)
    {
        let problem = format!(
            "{user:?} is not a user: write USER or USER:GROUP, names of the image's or numbers"
        );
        return wrong(&["user"], problem);
    }
    if template
        .shell
        .as_deref()
        .is_some_and(|path| !path.is_absolute())
    {
        return wrong(&["shell"], "write an absolute path".to_owned());
    }
    if let Some(startup) = &template.startup
        && (startup.script.trim().is_empty() || startup.script.contains('\0'))
    {
        return wrong(&["startup", "script"], "write a command line".to_owned());
    }
    if template.secrets.len() > MAX_SECRETS {
        return wrong(&["secrets"], format!("there are more than {MAX_SECRETS}"));
    }
    let life = template.time_to_live.map(Period::get);
    if life.is_some_and(|life| life < MIN_LIFE || life > MAX_LIFE) {
        let problem = "write a time from 1m to 3650d".to_owned();
        return wrong(&["time-to-live"], problem);
    }
    readiness(template)?;
    resources(template)?;
    for (name, value) in &template.environment {
        if let Err(problem) = variable(name, value) {
            return wrong(&["environment", name], problem);
        }
    }
    ports(template)?;
    repository(template)?;
    pool(template)
}

fn pool(template: &Template) -> Result<(), Finding> {
    let wrong = |problem: String| Err((vec!["pool".to_owned(), "ready".to_owned()], problem));
    if template.ready() > MAX_READY {
        return wrong(format!("write at most {MAX_READY}"));
    }
    if template.ready() > 0 && template.repository.is_some() {
        let problem = "a repository is cloned for its workspace's owner, whom one that is kept \
                       ready doesn't have yet: leave out one of the two";
        return wrong(problem.to_owned());
    }
    Ok(())
}

fn readiness(template: &Template) -> Result<(), Finding> {
    let Some(readiness) = &template.readiness else {
        return Ok(());
    };
    let wrong = |path: &[&str], problem: &str| {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Err((path, problem.to_owned()))
    };
    match (&readiness.command, readiness.port) {
        (None, None) => wrong(&["readiness"], "write a command, a port, or both"),
        (Some(line), _) if line.trim().is_empty() || line.contains('\0') => {
            wrong(&["readiness", "command"], "write a command line")
        }
        (_, Some(0)) => wrong(&["readiness", "port"], "write a port from 1 to 65535"),
        _ => Ok(()),
    }
}

fn repository(template: &Template) -> Result<(), Finding> {
    let Some(repository) = &template.repository else {
        return Ok(());
    };
    let wrong =
        |key: &str, problem: String| Err((vec!["repository".to_owned(), key.to_owned()], problem));
    if let Err(problem) = address(&repository.url) {
        return wrong("url", problem.to_owned());
    }
    if let Some(branch) = &repository.branch
        && !is_branch(branch)
    {
        return wrong(
            "branch",
            format!("{branch:?} can't be the name of a branch or a tag"),
        );
    }
    if let Some(folder) = &repository.folder
        && (folder.as_os_str().is_empty() || !stays(folder))
    {
        let problem = "write a path below the home, without \"..\"".to_owned();
        return wrong("folder", problem);
    }
    if let DevcontainerChoice::Named(name) = &repository.devcontainer
        && !is_file_name(name)
    {
        let problem = "write true, false, or the name of a folder in .devcontainer".to_owned();
        return wrong("devcontainer", problem);
    }
    credentials(repository).or_else(|(key, problem)| wrong(key, problem.to_owned()))
}

/// Checks what a repository's server is shown.
fn credentials(repository: &Repository) -> Result<(), (&'static str, &'static str)> {
    let is_read = repository.devcontainer != DevcontainerChoice::Off;
    if repository.token.is_some() && repository.forwarded_agent {
        return Err(("token", "there is forwarded-agent beside it: choose one"));
    }
    if repository.token.is_some() && token_server(&repository.url).is_none() {
        return Err((
            "token",
            "a token is shown over HTTPS alone: write an https:// address",
        ));
    }
    if repository.token.is_none() && repository.token_user.is_some() {
        return Err(("token-user", "there is no token that it goes with"));
    }
    let user = repository.token_user.as_deref();
    if user.is_some_and(|user| user.is_empty() || user.contains(char::is_control)) {
        return Err(("token-user", "write a user's name"));
    }
    if repository.forwarded_agent && is_read {
        let problem = "it is read before anybody connects and forwards an agent: write \
                       `devcontainer = false`, or name a token";
        return Err(("devcontainer", problem));
    }
    Ok(())
}

/// Tells whether a text names one file or folder, and can be shown.
fn is_file_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(['/', '\\'])
        && !name.contains(char::is_control)
}

fn resources(template: &Template) -> Result<(), Finding> {
    let resources = &template.resources;
    let wrong =
        |key: &str, problem: String| Err((vec!["resources".to_owned(), key.to_owned()], problem));
    for (key, size, least) in [
        ("memory", resources.memory, MIN_MEMORY),
        ("max-memory", resources.max_memory, MIN_MEMORY),
        ("tmp-size", resources.tmp_size, MIN_TMP),
    ] {
        if size.is_some_and(|size| size < least) {
            return wrong(key, format!("write at least {least}"));
        }
        if size.is_some_and(|size| size > MAX_SIZE) {
            return wrong(key, format!("write at most {MAX_SIZE}"));
        }
    }
    for (key, cpus) in [("cpus", resources.cpus), ("max-cpus", resources.max_cpus)] {
        if cpus.is_some_and(|cpus| cpus < MIN_CPUS) {
            return wrong(key, format!("write at least {MIN_CPUS}"));
        }
    }
    if resources.pids.is_some_and(|pids| pids < MIN_PIDS) {
        return wrong("pids", format!("write at least {MIN_PIDS}"));
    }
    if let (Some(usual), Some(most)) = (resources.cpus, resources.max_cpus)
        && usual > most
    {
        return wrong(
            "max-cpus",
            format!("it is less than cpus, which is {usual}"),
        );
    }
    if let (Some(usual), Some(most)) = (resources.memory, resources.max_memory)
        && usual > most
    {
        return wrong(
            "max-memory",
            format!("it is less than memory, which is {usual}"),
        );
    }
    Ok(())
}

fn ports(template: &Template) -> Result<(), Finding> {
    let wrong = |path: &[&str], problem: String| {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Err((path, problem))
    };
    if template.ports.len() > MAX_PORTS {
        return wrong(&["ports"], format!("there are more than {MAX_PORTS}"));
    }
    for (number, rule) in template.ports.iter().enumerate() {
        let at = number.to_string();
        if rule.port == 0 {
            let problem = "write a port from 1 to 65535".to_owned();
            return wrong(&["ports", &at, "port"], problem);
        }
        let before = template.ports.iter().take(number);
        if before.into_iter().any(|other| other.port == rule.port) {
            let problem = format!("the port {} is there twice", rule.port);
            return wrong(&["ports", &at, "port"], problem);
        }
        if rule.name.chars().count() > 40 || rule.name.contains(char::is_control) {
            let problem = "write at most 40 printable characters".to_owned();
            return wrong(&["ports", &at, "name"], problem);
        }
    }
    Ok(())
}

/// Tells whether a relative path stays below its folder.
fn stays(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
