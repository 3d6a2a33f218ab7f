//! What a process is to be, as it is asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use devgate_protocol::frame::{PtyRequest, Size};
use serde::Deserialize;

use super::RunError;
use crate::agent::Agent;
use crate::process::terminal::{COLUMNS, ROWS, TERM};
use crate::terminals::MAX_CELLS;

/// How much of each output is kept unless something else is asked for, and at most, in
/// bytes.
const KEEP: u32 = 1024 * 1024;
const MAX_KEEP: u32 = 16 * 1024 * 1024;

/// Longest label, in characters.
const MAX_LABEL: usize = 200;

/// How much of what is run is shown later, in bytes and in words.
const MAX_SHOWN: usize = 64 * 1024;
const MAX_WORDS: usize = 1024;

/// Longest path, in bytes: the kernel takes no longer one.
const MAX_PATH: usize = 4096;

/// Longest time that a process may be given, in seconds: a year.
const MAX_TIME: u64 = 31_536_000;

/// Longest name of a kind of terminal, in bytes.
const MAX_TERM: usize = 100;

/// Asks for a process.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    #[serde(default)]
    pub(crate) command: Option<Vec<String>>,
    /// What is shown in the command's place, where that has a secret in it.
    #[serde(skip)]
    pub(crate) shown: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) script: Option<String>,
    #[serde(default)]
    pub(crate) cwd: Option<String>,
    #[serde(default)]
    pub(crate) env: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) stdin: Option<Stdin>,
    #[serde(default)]
    pub(crate) input: Option<String>,
    #[serde(default)]
    pub(crate) pty: Option<Pty>,
    #[serde(default)]
    pub(crate) timeout_seconds: Option<u64>,
    #[serde(default)]
    pub(crate) label: Option<String>,
    #[serde(default)]
    pub(crate) keep_bytes: Option<u32>,
    #[serde(default)]
    pub(crate) detach: Option<bool>,
}

/// What a process reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stdin {
    /// Nothing.
    None,
    /// What is sent.
    Open,
}

/// A terminal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pty {
    #[serde(default)]
    columns: Option<u16>,
    #[serde(default)]
    rows: Option<u16>,
    #[serde(default)]
    term: Option<String>,
}

/// The size of a terminal, in cells.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cells {
    columns: u16,
    rows: u16,
}

impl Cells {
    /// Returns the size as terminals have it.
    ///
    /// # Errors
    /// Where it isn't 1 to 1000 cells each way.
    pub(crate) fn checked(self) -> Result<Size, RunError> {
        let allowed = 1..=MAX_CELLS;
        if !allowed.contains(&self.columns) || !allowed.contains(&self.rows) {
            return Err(bad("a terminal has 1 to 1000 columns and rows"));
        }
        Ok(Size {
            columns: self.columns.into(),
            rows: self.rows.into(),
            width: 0,
            height: 0,
        })
    }
}

/// What is run.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A program and its arguments; there is at least the program.
    Command(Vec<String>),
    /// A text for the log-in shell.
    Script(String),
}

impl What {
    /// Returns what of it is shown later, as long ones would be kept by the thousand.
    pub(super) fn shown(self) -> Self {
        let mut left = MAX_SHOWN;
        let mut cut = |mut text: String| {
            if text.len() > left {
                text.truncate(text.floor_char_boundary(left));
                text.shrink_to_fit();
                text.push('\u{2026}');
            }
            left = left.saturating_sub(text.len());
            text
        };
        match self {
            Self::Script(script) => Self::Script(cut(script)),
            Self::Command(words) => {
                let words = words.into_iter().take(MAX_WORDS);
                Self::Command(words.map(&mut cut).collect())
            }
        }
    }
}

/// A request that can be tried.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) what: What,
    /// As it is shown later.
    pub(super) shown: What,
    pub(super) folder: PathBuf,
    pub(super) env: BTreeMap<String, String>,
    pub(super) stdin: Stdin,
    pub(super) input: Option<String>,
    pub(super) terminal: Option<PtyRequest>,
    pub(super) limit: Option<Duration>,
    pub(super) label: Option<String>,
    pub(super) keep: usize,
}

impl Plan {
    /// Checks a request.
    pub(super) fn of(agent: &Agent, request: Request) -> Result<Self, RunError> {
        let what = what(request.command, request.script)?;
        let cwd = request.cwd.unwrap_or_default();
        if cwd.contains('\0') || cwd.len() > MAX_PATH {
            return Err(bad("`cwd` is a path of at most 4096 bytes without a NUL"));
        }
        let input = request.input;
        let stdin = match (request.stdin, &input) {
            (Some(Stdin::Open), Some(_)) => {
                return Err(bad(
                    "`input` ends stdin, so that it can't be `open` as well: give one of both",
                ));
            }
            (asked, _) => asked.unwrap_or(Stdin::None),
        };
        let limit = request.timeout_seconds;
        if limit.is_some_and(|seconds| !(1..=MAX_TIME).contains(&seconds)) {
            return Err(bad("`timeout_seconds` is 1 to 31536000, a year"));
        }
        if let Some(label) = &request.label
            && label.chars().count() > MAX_LABEL
        {
            return Err(bad("`label` has at most 200 characters"));
        }
        let keep = request.keep_bytes.unwrap_or(KEEP);
        if keep > MAX_KEEP {
            return Err(bad("`keep_bytes` is at most 16777216, 16 MiB"));
        }
        let shown = request.shown.map_or_else(|| what.clone(), What::Command);
        Ok(Self {
            shown: shown.shown(),
            what,
            // Without a slash at the end.
            folder: agent.path(&cwd).components().collect(),
            env: variables(request.env.unwrap_or_default())?,
            stdin,
            input,
            terminal: request.pty.map(terminal).transpose()?,
            limit: limit.map(Duration::from_secs),
            label: request.label,
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
        })
    }
}

fn what(command: Option<Vec<String>>, script: Option<String>) -> Result<What, RunError> {
    let (what, has_nul) = match (command, script) {
        (Some(words), None) if words.first().is_some_and(|program| !program.is_empty()) => {
            let has_nul = words.iter().any(|word| word.contains('\0'));
            (What::Command(words), has_nul)
        }
        (None, Some(script)) if !script.is_empty() => {
            let has_nul = script.contains('\0');
            (What::Script(script), has_nul)
        }
        _ => {
            return Err(bad(
                "give what to run: `command`, a list of the program and its arguments, or \
                 `script`, a text for the shell",
            ));
        }
    };
    if has_nul {
        return Err(bad("what is run can't have a NUL in it"));
    }
    Ok(what)
}

/// Checks that variables can be passed on.
fn variables(env: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, RunError> {
    for (name, value) in &env {
        if name.is_empty() {
            return Err(bad("a variable of `env` has no name: leave it out"));
        }
        if name.contains(['=', '\0']) {
            let detail =
                format!("`env` names {name:?}, and no variable's name has `=` or NUL in it");
            return Err(RunError::BadCommand(detail));
        }
        if value.contains('\0') {
            // The value may be a secret.
            let detail = format!("the value of {name:?} in `env` has a NUL in it");
            return Err(RunError::BadCommand(detail));
        }
    }
    Ok(env)
}

fn terminal(pty: Pty) -> Result<PtyRequest, RunError> {
    let term = pty.term.unwrap_or_else(|| TERM.to_owned());
    if term.len() > MAX_TERM || term.contains('\0') {
        return Err(bad("`term` has at most 100 bytes, and no NUL"));
    }
    let cells = Cells {
        columns: pty.columns.unwrap_or(COLUMNS),
        rows: pty.rows.unwrap_or(ROWS),
    };
    Ok(PtyRequest {
        term,
        size: cells.checked()?,
        // UTF-8 (RFC 8160), for the erasing of characters in the kernel's line editor.
        modes: vec![(42, 1)],
    })
}

fn bad(detail: &str) -> RunError {
    RunError::BadCommand(detail.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_run_and_nothing_else() {
        let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        let text = |text: &str| Some(text.to_owned());
        assert!(what(words(&["true"]), None).is_ok());
        assert!(what(words(&["printf", ""]), None).is_ok());
        assert!(what(None, text("true")).is_ok());
        for (command, script) in [
            (None, None),
            (words(&[]), None),
            (words(&[""]), None),
            (None, text("")),
            (words(&["true"]), text("true")),
            (words(&["a\0b"]), None),
            (None, text("a\0b")),
        ] {
            assert!(
                what(command.clone(), script.clone()).is_err(),
                "{command:?} {script:?}"
            );
        }
    }

    #[test]
    fn a_variable_that_can_not_be_passed_on_is_refused_by_name() {
        let refused = |name: &str, value: &str| {
            let env = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            variables(env).err().map(|error| error.to_string())
        };
        assert_eq!(refused("HOME", "/tmp"), None);
        assert_eq!(refused("A", ""), None);
        assert!(refused("", "x").unwrap().contains("no name"));
        assert!(refused("A=B", "x").unwrap().contains("\"A=B\""));
        assert!(refused("A\0", "x").unwrap().contains("\"A\\0\""));
        let nul = refused("TOKEN", "se\0cret").unwrap();
        assert!(nul.contains("\"TOKEN\"") && !nul.contains("cret"), "{nul}");
    }

    #[test]
    fn long_ones_are_shown_in_part() {
        let long = "ä".repeat(MAX_SHOWN);
        let What::Script(script) = What::Script(long.clone()).shown() else {
            panic!("it is a script");
        };
        assert!(script.len() <= MAX_SHOWN + 3 && script.ends_with("ä\u{2026}"));
        let What::Command(words) = What::Command(vec![long; 5000]).shown() else {
            panic!("it is a command");
        };
        assert_eq!(words.len(), MAX_WORDS);
        assert!(words.concat().len() < MAX_SHOWN + 4 * MAX_WORDS);
    }

    #[test]
    fn a_word_that_is_not_known_is_refused() {
        for text in [r#"{"script":"true","timeout":3}"#, r#"{"script":1}"#] {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
    }
}
