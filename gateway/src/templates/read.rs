//! Reading a template's text, and saying of what is wrong in which line it is.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::check::{Finding, check};
use super::template::Template;
use crate::config::BindMount;

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TemplateError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong in it, and what is allowed.
    pub problem: String,
}

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
    check(&template).map_err(|finding| refused(text, finding))?;
    Ok(template)
}

/// Says what is wrong with a part of a template with that text.
pub(super) fn refused(text: &str, (path, problem): Finding) -> TemplateError {
    TemplateError {
        line: line_of(text, find(text, &path)),
        problem: format!("{}: {problem}", path.join(".")),
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

    fn error_of(text: &str) -> (usize, String) {
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
            ("image = \"UPPER/x\"\n", 1, "in lowercase letters"),
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
            ("[resources]\nmemory = \"0B\"\n", 2, "at least 64MiB"),
            ("[resources]\nmax-memory = \"2097152GiB\"\n", 2, "at most"),
            ("[resources]\ntmp-size = \"0B\"\n", 2, "at least 1MiB"),
            ("[resources]\nmax-cpus = \"0.009\"\n", 2, "at least 0.01"),
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
            let (at, problem) = error_of(text);
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
