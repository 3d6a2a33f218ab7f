//! The SDKs, driven by their own examples and tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::api::Api;
use crate::component::cache;
use crate::ssh::plain;
use crate::target::Target;

/// An SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// `sdk/typescript`.
    TypeScript,
    /// `sdk/python`.
    Python,
}

impl Sdk {
    /// Returns one of its examples, with what tells it where the gateway is.
    #[track_caller]
    pub fn example(self, target: &Target, api: &Api, name: &str, args: &[&str]) -> Command {
        let examples = self.folder().join("examples");
        let mut command = match self {
            Self::TypeScript => {
                assert_installed(&self.folder().join("dist/index.js"));
                let mut node = plain("node");
                node.arg(examples.join(name).with_extension("mjs"));
                node
            }
            Self::Python => {
                let mut python = self.python();
                python.arg(examples.join(name).with_extension("py"));
                python
            }
        };
        command
            .args(args)
            .env("DEVGATE_URL", api.origin())
            .env("DEVGATE_TOKEN", api.token())
            .env("DEVGATE_CA", target.gateway().data().join("certs/ca.pem"));
        command
    }

    /// Returns what checks it: its own tests, its types, its form, and that what is generated
    /// is what the API's document gives.
    #[track_caller]
    pub fn checks(self) -> Vec<Command> {
        match self {
            Self::TypeScript => {
                assert_installed(&self.folder().join("node_modules/.bin/tsc"));
                let mut npm = plain("npm");
                npm.args(["run", "--silent", "check"]);
                vec![npm]
            }
            Self::Python => ["ruff check .", "ruff format --check .", "mypy", "pytest -q"]
                .map(|words| {
                    let mut python = self.python();
                    python.arg("-m").args(words.split(' '));
                    python
                })
                .into(),
        }
        .into_iter()
        .map(|mut command| {
            command.current_dir(self.folder());
            command
        })
        .collect()
    }

    fn folder(self) -> PathBuf {
        let name = match self {
            Self::TypeScript => "typescript",
            Self::Python => "python",
        };
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../sdk")
            .join(name)
    }

    #[track_caller]
    fn python(self) -> Command {
        let path = cache().join("sdk/python/bin/python");
        assert_installed(&path);
        let mut command = Command::new(path);
        command
            .env("PYTHONPATH", self.folder().join("src"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

#[track_caller]
fn assert_installed(path: &Path) {
    assert!(
        path.exists(),
        "{} is missing: sh scripts/sdk.sh",
        path.display()
    );
}
