//! The repository that is worked on, and what its `devcontainer.json` adds to what a
//! workspace is made of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use devgate_protocol::config::{Credentials, token_user};
use serde::{Deserialize, Serialize};

use crate::secrets::SecretName;

/// A repository of git's, as a template names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repository {
    /// Where it is: `https://…`, `ssh://…`, `USER@HOST:PATH` or `git://…`.
    pub url: String,
    /// The branch or tag; the repository's own choice where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Where it goes in a workspace, relative to the home; named like the repository where
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The secret that its server is shown as a token, over HTTPS: the owner's, else the
    /// installation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretName>,
    /// The user beside the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_user: Option<String>,
    /// Whether its server is shown what the first SSH connection forwards of its
    /// authentication agent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded_agent: bool,
    /// Whether its `devcontainer.json` counts, and which.
    #[serde(default, skip_serializing_if = "DevcontainerChoice::is_default")]
    pub devcontainer: DevcontainerChoice,
}

/// Whether a repository's `devcontainer.json` counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenChoice", into = "WrittenChoice")]
pub enum DevcontainerChoice {
    /// It does where there is one. Not written.
    #[default]
    WhereThere,
    /// It has to be there: `true`.
    Needed,
    /// The one of that name, `.devcontainer/NAME/devcontainer.json`, has to be there.
    Named(String),
    /// It doesn't: `false`.
    Off,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenChoice {
    Nothing(()),
    Flag(bool),
    Name(String),
}

/// What a workspace was made of beside its template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Devcontainer {
    /// Which file it was, if there was one.
    pub file: Option<String>,
    /// The commit; empty where the repository is.
    pub commit: String,
    /// What isn't done of what it says, in lines for people.
    pub notices: Vec<String>,
}

/// A command that runs in a workspace. Where one fails, those after it don't run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LifecycleCommand {
    /// What it is, for people.
    pub name: String,
    /// What runs.
    pub command: LifecycleRun,
    /// Where it runs: absolute.
    pub directory: PathBuf,
    /// How often.
    pub runs: Runs,
    /// Whether the workspace isn't usable before it has ended.
    pub wait: bool,
}

/// What runs. `${containerEnv:NAME}` in it is still to be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifecycleRun {
    /// A text for `/bin/sh`.
    Shell(String),
    /// A program and its arguments.
    Argv(Vec<String>),
    /// Several beside each other, by their names.
    Parallel(BTreeMap<String, LifecycleRun>),
}

/// How often a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runs {
    /// At each start.
    Always,
    /// At the first start of each container.
    OncePerContainer,
}

/// Something that is mounted into one workspace and is nobody else's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OwnMount {
    /// What it is.
    pub kind: OwnMountKind,
    /// Where it is: absolute.
    pub target: PathBuf,
    /// Whether it can't be changed.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnMountKind {
    /// A volume, by its name among the workspace's own. It goes with the workspace.
    Volume {
        /// Its name.
        name: String,
    },
    /// Memory.
    Memory {
        /// Its size in bytes; as that of the `/tmp` where absent.
        size: Option<u64>,
    },
}

impl Repository {
    /// Returns where it is in a workspace with that home.
    pub fn place(&self, home: &Path) -> PathBuf {
        match &self.folder {
            Some(folder) => home.join(folder),
            None => home.join(self.name()),
        }
    }

    /// Returns what its server is shown.
    pub fn credentials(&self) -> Credentials {
        match &self.token {
            Some(secret) => Credentials::Token {
                secret: secret.to_string(),
                user: self.token_user.clone().unwrap_or_else(token_user),
            },
            None if self.forwarded_agent => Credentials::Agent,
            None => Credentials::None,
        }
    }

    /// Returns its name: the last part of its address.
    fn name(&self) -> &str {
        let path = self.url.trim_end_matches('/');
        let last = path.rsplit(['/', ':']).next().unwrap_or_default();
        match last.strip_suffix(".git").unwrap_or(last) {
            "" | "." | ".." => "repository",
            name => name,
        }
    }
}

impl DevcontainerChoice {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<WrittenChoice> for DevcontainerChoice {
    fn from(written: WrittenChoice) -> Self {
        match written {
            WrittenChoice::Nothing(()) => Self::WhereThere,
            WrittenChoice::Flag(true) => Self::Needed,
            WrittenChoice::Flag(false) => Self::Off,
            WrittenChoice::Name(name) => Self::Named(name),
        }
    }
}

impl From<DevcontainerChoice> for WrittenChoice {
    fn from(choice: DevcontainerChoice) -> Self {
        match choice {
            DevcontainerChoice::WhereThere => Self::Nothing(()),
            DevcontainerChoice::Needed => Self::Flag(true),
            DevcontainerChoice::Off => Self::Flag(false),
            DevcontainerChoice::Named(name) => Self::Name(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_a_place_named_like_it() {
        for (url, folder, expected) in [
            ("https://git.example/team/api.git", None, "/home/dev/api"),
            ("https://git.example/team/api/", None, "/home/dev/api"),
            ("git@git.example:api.git", None, "/home/dev/api"),
            (
                "git@git.example:team/api",
                Some("src/api"),
                "/home/dev/src/api",
            ),
            ("ssh://git.example/.git", None, "/home/dev/repository"),
        ] {
            let repository = Repository {
                url: url.to_owned(),
                folder: folder.map(PathBuf::from),
                ..Repository::default()
            };
            assert_eq!(
                repository.place(Path::new("/home/dev")),
                Path::new(expected)
            );
        }
    }

    #[test]
    fn a_choice_is_kept_with_the_record() {
        for choice in [
            DevcontainerChoice::WhereThere,
            DevcontainerChoice::Needed,
            DevcontainerChoice::Named("go".to_owned()),
            DevcontainerChoice::Off,
        ] {
            let repository = Repository {
                url: "https://git.example/api".to_owned(),
                devcontainer: choice,
                ..Repository::default()
            };
            let text = serde_json::to_string(&repository).unwrap();
            assert_eq!(
                serde_json::from_str::<Repository>(&text).unwrap(),
                repository
            );
        }
    }
}
