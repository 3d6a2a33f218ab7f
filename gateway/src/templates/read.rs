//! Reading a template's text, and saying of what is wrong in which line it is.

use std::ops::Range;
use std::path::{Component, Path};

use devgate_protocol::config::token_server;
use toml::de::{DeTable, DeValue};

use super::template::Template;
use crate::config::rules::{is_image, is_name, is_user, variable};
use crate::config::{BindMount, Size};
use crate::repositories::{address, is_branch};
use crate::workspaces::{DevcontainerChoice, Repository};

/// Least memory that an engine gives a container, and that an agent needs.
const MIN_MEMORY: Size = Size::kib(64 << 10);

/// Fewest processes that a shell with an agent needs.
const MIN_PIDS: u32 = 32;

/// Most ports of a template.
const MAX_PORTS: usize = 50;

/// Most secrets of a template.
const MAX_SECRETS: usize = 50;

/// Most workspaces that a template keeps ready.
const MAX_READY: u32 = 20;

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TemplateError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong in it, and what is allowed.
    pub problem: String,
}

/// A part of a template, and what is wrong with it.
type Finding = (Vec<String>, String);

/// Reads a template's text.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn read(text: &str) -> Result<Template, TemplateError> {
    let template: Template = toml::from_str(text).map_err(|error| {
        let mount = error.message().contains("is not a mount");
        let mount = mount.then(|| bad_mount(text)).flatten();
        TemplateError {
            line: line_of(text, mount.or(error.span())),
            problem: error.message().replace('\n', "; "),
        }
    })?;
    check(&template).map_err(|(path, problem)| TemplateError {
        line: line_of(text, find(text, &path)),
        problem: format!("{}: {problem}", path.join(".")),
    })?;
    Ok(template)
}

/// Checks what the types leave open.
fn check(template: &Template) -> Result<(), Finding> {
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
        (Some(image), None) if !is_image(image) => {
            let problem = format!("{image:?} is not the name of an image, as in \"debian:12\"");
            return wrong(&["image"], problem);
        }
        _ => {}
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

/// Says what is wrong with the pool of a template with that text.
pub(super) fn pool_refused(text: &str, problem: &str) -> TemplateError {
    let path = ["pool".to_owned(), "ready".to_owned()];
    TemplateError {
        line: line_of(text, find(text, &path)),
        problem: format!("pool.ready: {problem}"),
    }
}

/// Returns a template's text without what it says of its pool, of which no workspace is
/// made.
pub(super) fn without_pool(text: &str) -> String {
    let Some(said) = pool_lines(text) else {
        return text.to_owned();
    };
    let before = text.get(..said.start).unwrap_or_default();
    let after = text.get(said.end..).unwrap_or_default();
    let before = before.trim_end_matches(char::is_whitespace);
    if before.is_empty() {
        return after.trim_start().to_owned();
    }
    format!("{before}\n{after}")
}

/// Returns where the lines are that a template says of its pool.
fn pool_lines(text: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let (name, value) = entry(table.get_ref(), "pool")?;
    let entries = value.as_table().into_iter().flatten();
    let ends = entries.map(|(key, value)| key.span().end.max(value.span().end));
    let end = ends.max().unwrap_or(0).max(name.end);
    let start = text.get(..name.start)?.rfind('\n').map_or(0, |at| at + 1);
    let rest = text.get(end..)?.find('\n');
    Some(start..rest.map_or(text.len(), |at| end + at + 1))
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
    for (key, size) in [
        ("memory", resources.memory),
        ("max-memory", resources.max_memory),
    ] {
        if size.is_some_and(|size| size < MIN_MEMORY) {
            return wrong(key, format!("write at least {MIN_MEMORY}"));
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

/// Returns where a part of a template is in its text, or the nearest thing around it.
fn find(text: &str, path: &[String]) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let mut found = None;
    let mut value: Option<&DeValue<'_>> = None;
    for part in path {
        let next = match value {
            None => entry(table.get_ref(), part),
            Some(DeValue::Table(table)) => entry(table, part),
            Some(DeValue::Array(entries)) => {
                let at: usize = part.parse().ok()?;
                entries.get(at).map(|entry| (entry.span(), entry.get_ref()))
            }
            Some(_) => None,
        };
        let Some((span, inner)) = next else {
            break;
        };
        found = Some(span);
        value = Some(inner);
    }
    found
}

/// Returns where an entry of `mounts` is that can't be one: its error knows only the list.
fn bad_mount(text: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let (_, mounts) = entry(table.get_ref(), "mounts")?;
    let bad = mounts.as_array()?.iter().find(|mount| {
        let mount = mount.get_ref().as_str();
        mount.is_some_and(|mount| mount.parse::<BindMount>().is_err())
    })?;
    Some(bad.span())
}

fn entry<'a, 'text>(
    table: &'a DeTable<'text>,
    name: &str,
) -> Option<(Range<usize>, &'a DeValue<'text>)> {
    let mut entries = table.iter();
    entries.find_map(|(key, value)| {
        (key.get_ref().as_ref() == name).then(|| (key.span(), value.get_ref()))
    })
}

fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let before = span.and_then(|span| text.get(..span.start));
    1 + before.map_or(0, |before| before.matches('\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (usize, String) {
        let error = read(text).unwrap_err();
        (error.line, error.problem)
    }

    #[test]
    fn a_whole_template_is_read() {
        let template = read(
            r#"
description = "Go services"
image = "golang:1.24"
user = "1000:1000"
mounts = ["cache:/var/cache"]

[resources]
cpus = "2"
max-cpus = "4"
memory = "4GiB"
max-memory = "8GiB"

[environment]
GOFLAGS = "-mod=mod"

[[ports]]
port = 8080
name = "web"
visibility = "members"

[repository]
url = "https://git.example/team/api.git"
branch = "main"
devcontainer = "go"

[extensions]
go = ["golang.go"]
"#,
        )
        .unwrap();
        assert_eq!(template.image.as_deref(), Some("golang:1.24"));
        assert_eq!(template.ports[0].port, 8080);
        assert_eq!(template.needs_containers(), Some("image"));
        let text = toml::to_string(&template).unwrap();
        assert_eq!(read(&text).unwrap(), template, "{text}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, words) in [
            ("image = \n", 1, ""),
            ("\n\nimages = \"debian\"\n", 3, "unknown field `images`"),
            ("image = \"de bian\"\n", 1, "not the name of an image"),
            (
                "image = \"a\"\n[build]\ndockerfile = \"FROM b\"\n",
                2,
                "one of the two",
            ),
            (
                "[build]\ndockerfile = \"FROM b\"\ncontext = \"../x\"\n",
                3,
                "below the",
            ),
            ("[resources]\ncpus = \"two\"\n", 2, "number of processors"),
            ("[resources]\n\nmemory = \"1MiB\"\n", 3, "at least 64MiB"),
            (
                "[resources]\ncpus = \"4\"\nmax-cpus = \"2\"\n",
                3,
                "less than cpus",
            ),
            ("[environment]\nA = \"b\"\n\"1=\" = \"c\"\n", 3, ""),
            (
                "[[ports]]\nport = 80\n[[ports]]\nname = \"x\"\nport = 80\n",
                5,
                "twice",
            ),
            ("[[ports]]\nport = 80\nvisibility = \"all\"\n", 3, "private"),
            ("[repository]\nbranch = \"x\"\n", 1, "url"),
            ("[repository]\nurl = \"/srv/api\"\n", 2, "https://"),
            (
                "[repository]\nurl = \"https://me:pw@git.example/api\"\n",
                2,
                "password",
            ),
            (
                "[repository]\nurl = \"https://git.example/api\"\nbranch = \"-x\"\n",
                3,
                "branch",
            ),
            (
                "[repository]\nurl = \"git@git.example:api\"\n\nfolder = \"../x\"\n",
                4,
                "below the home",
            ),
            (
                "[repository]\nurl = \"git@git.example:api\"\ndevcontainer = \"a/b\"\n",
                3,
                "true, false",
            ),
            (
                "[repository]\nurl = \"git@git.example:api\"\ndevcontainer = 1\n",
                3,
                "",
            ),
            ("[pool]\nready = 21\n", 2, "at most 20"),
            ("[pool]\nready = -1\n", 2, ""),
            ("[pool]\n", 1, "ready"),
            (
                "[repository]\nurl = \"https://git.example/api\"\n[pool]\n\nready = 1\n",
                5,
                "repository",
            ),
            (
                "[repository]\nurl = \"git@git.example:api\"\ntoken = \"GIT\"\n",
                3,
                "https://",
            ),
            (
                "[repository]\nurl = \"https://git.example/api\"\ntoken = \"G T\"\n",
                3,
                "name of a secret",
            ),
            (
                "[repository]\nurl = \"git@git.example:api\"\nforwarded-agent = true\n\
                 devcontainer = true\n",
                4,
                "before anybody connects",
            ),
            ("secrets = [\"A\", \"PATH\"]\n", 1, "name of a secret"),
            ("\n[readiness]\ntimeout = \"1m\"\n", 2, "a command, a port"),
            ("[readiness]\nport = 0\n", 2, "from 1 to 65535"),
            (
                "mounts = [\n  \"/a:/b\",\n  \"nonsense\",\n]\n",
                3,
                "not a mount",
            ),
        ] {
            let (at, problem) = refused(text);
            assert_eq!(at, line, "{text}: {problem}");
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }

    #[test]
    fn what_is_said_of_a_pool_is_found_wherever_it_stands() {
        let plain = "image = \"a\"\n[environment]\nA = \"[pool]\"\n";
        for text in [
            "image = \"a\"\n[environment]\nA = \"[pool]\"\n\n[pool]\n# Some.\nready = 2\n",
            "image = \"a\"\n\n[pool]\nready = 2 # two\n[environment]\nA = \"[pool]\"\n",
            "pool = { ready = 2 }\n\nimage = \"a\"\n[environment]\nA = \"[pool]\"\n",
            "image = \"a\"\npool.ready = 2\n[environment]\nA = \"[pool]\"\n",
            plain,
        ] {
            assert!(read(text).is_ok(), "{text}");
            assert_eq!(without_pool(text), plain, "{text}");
        }
    }
}
