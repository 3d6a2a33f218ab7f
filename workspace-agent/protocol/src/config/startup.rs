//! What is done in a workspace when its agent starts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds;

/// User that a token is shown for where none is named: forges that take tokens look at
/// the token alone, or know this one.
const TOKEN_USER: &str = "oauth2";

/// What is done when the agent starts, in this order: the repository, then the steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Startup {
    /// What is cloned where its folder isn't there.
    pub repository: Option<Repository>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// How it is found out that the workspace can be used.
    pub readiness: Option<Readiness>,
    /// Folder that is fresh with each new container and outlives the agent: it tells
    /// which steps ran in this container.
    pub state_folder: Option<PathBuf>,
    /// Names of the secrets that the gateway tells in its welcome. Where there are any,
    /// nothing is done before.
    pub secrets: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Its name, which no other step of the workspace has.
    pub name: String,
    /// What it runs.
    pub command: Command,
    /// Where; a relative one starts at the home directory. The home where absent.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// Environment beside the workspace's own.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How long it may take, in seconds; 0 is for ever.
    #[serde(default, with = "seconds")]
    pub timeout: Duration,
    /// When it runs.
    #[serde(default)]
    pub runs: Runs,
    /// What its failure means for those after it.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether the workspace isn't ready before it is over.
    #[serde(default)]
    pub wait: bool,
}

/// What a step runs, as devcontainer.json's lifecycle commands have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// A command line, for the log-in shell.
    Shell(String),
    /// A program and its arguments.
    Argv(Vec<String>),
    /// Several at one time, by name.
    Parallel(BTreeMap<String, Single>),
}

/// One of several commands that run at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Single {
    /// A command line, for the log-in shell.
    Shell(String),
    /// A program and its arguments.
    Argv(Vec<String>),
}

/// When a step runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runs {
    /// With each start.
    #[default]
    Always,
    /// Until it has succeeded in this container.
    OncePerContainer,
    /// Until it has succeeded with this home.
    OncePerHome,
}

/// What a step's failure means for those after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They don't run.
    #[default]
    Stop,
    /// They run all the same.
    GoOn,
}

/// A repository to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Repository {
    /// Where from, as git has it.
    pub url: String,
    /// Branch or tag; the repository's own where absent.
    #[serde(default)]
    pub branch: Option<String>,
    /// Where to; a relative one starts at the home directory. The repository's name in
    /// the home where absent.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// What is shown to the repository's host.
    #[serde(default)]
    pub credentials: Credentials,
    /// How many commits of its history; all where absent.
    #[serde(default)]
    pub depth: Option<u32>,
    /// Whether the workspace isn't ready before it is there.
    #[serde(default)]
    pub wait: bool,
}

/// What is shown to a repository's host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "by",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Credentials {
    /// What the home has, if anything.
    #[default]
    None,
    /// What the first SSH connection forwards of its authentication agent.
    Agent,
    /// A secret, over HTTPS.
    Token {
        /// The secret's name.
        secret: String,
        /// The user beside it.
        #[serde(default = "token_user")]
        user: String,
    },
}

/// Returns the user that a token is shown for where none is named.
pub fn token_user() -> String {
    TOKEN_USER.to_owned()
}

/// Returns scheme and host of a URL by which a token can be sent: HTTPS, or HTTP that
/// doesn't leave the machine.
pub fn token_server(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let is_own = ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| {
        host.strip_prefix(own)
            .is_some_and(|port| port.is_empty() || port.starts_with(':'))
    });
    let scheme = scheme.to_ascii_lowercase();
    let safe = scheme == "https" || (scheme == "http" && is_own);
    (safe && !host.is_empty()).then(|| format!("{scheme}://{host}"))
}

/// How it is found out that the workspace can be used. It is asked again and again, once
/// the steps that it waits for are over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Readiness {
    /// A command line that succeeds then.
    pub command: Option<String>,
    /// A TCP port of the workspace that takes connections then.
    pub port: Option<u16>,
    /// How long that may take, in seconds; 0 is for ever.
    #[serde(with = "seconds")]
    pub timeout: Duration,
}

impl Startup {
    /// Tells whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.repository.is_none() && self.steps.is_empty() && self.readiness.is_none()
    }
}

impl From<Single> for Command {
    fn from(single: Single) -> Self {
        match single {
            Single::Shell(line) => Self::Shell(line),
            Single::Argv(words) => Self::Argv(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_where_nobody_listens() {
        for (url, host) in [
            ("https://git.example/a/b.git", Some("https://git.example")),
            (
                "https://me@git.example:8443/a",
                Some("https://git.example:8443"),
            ),
            ("http://127.0.0.1:3000/a", Some("http://127.0.0.1:3000")),
            ("http://127.0.0.1.evil.example/a", None),
            ("http://git.example/a", None),
            ("ssh://git@git.example/a", None),
            ("git@git.example:a", None),
        ] {
            assert_eq!(token_server(url).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn commands_are_written_as_in_a_devcontainer() {
        let read = |text: &str| serde_json::from_str::<Command>(text).unwrap();
        assert_eq!(read(r#""make""#), Command::Shell("make".into()));
        let argv = Command::Argv(vec!["npm".into(), "ci".into()]);
        assert_eq!(read(r#"["npm", "ci"]"#), argv);
        let both = [
            ("a".to_owned(), Single::Shell("make".into())),
            ("b".to_owned(), Single::Argv(vec!["npm".into()])),
        ];
        assert_eq!(
            read(r#"{"a": "make", "b": ["npm"]}"#),
            Command::Parallel(both.into())
        );
    }

    #[test]
    fn what_is_left_out_has_its_usual_value() {
        let step: Step = serde_json::from_str(r#"{"name": "a", "command": "b"}"#).unwrap();
        assert_eq!(step.runs, Runs::Always);
        assert_eq!(step.on_failure, OnFailure::Stop);
        assert!(step.timeout.is_zero() && !step.wait);
        let text = r#"{"by": "token", "secret": "GIT"}"#;
        let token: Credentials = serde_json::from_str(text).unwrap();
        let expected = Credentials::Token {
            secret: "GIT".into(),
            user: TOKEN_USER.into(),
        };
        assert_eq!(token, expected);
        assert!(Startup::default().is_empty());
    }
}
