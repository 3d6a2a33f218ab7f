//! The SDKs: their examples over the packages as they are installed, and their own tests.

use std::fs;
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
    /// Returns one of the examples of its package, beside the package as it is installed, with
    /// what tells it where the gateway is.
    #[track_caller]
    pub fn example(self, target: &Target, api: &Api, name: &str, args: &[&str]) -> Command {
        let example = self.installed().join("examples").join(name);
        let mut command = match self {
            Self::TypeScript => {
                let mut node = plain("node");
                node.arg(example.with_extension("mjs"));
                node
            }
            Self::Python => {
                let mut python = Command::new(self.installed().join("venv/bin/python"));
                python
                    .arg(example.with_extension("py"))
                    .env_remove("PYTHONPATH")
                    .env("PYTHONDONTWRITEBYTECODE", "1");
                python
            }
        };
        command.args(args);
        tell(&mut command, target, api);
        command
    }

    /// Returns what runs the text of a program with its package as it is installed.
    #[track_caller]
    pub fn program(self, target: &Target, api: &Api, text: &str) -> Command {
        let installed = self.installed();
        let mut command = match self {
            Self::TypeScript => {
                let mut node = plain("node");
                node.args(["--input-type=module", "-e", text]);
                node
            }
            Self::Python => {
                let mut python = Command::new(installed.join("venv/bin/python"));
                python.env_remove("PYTHONPATH").args(["-c", text]);
                python
            }
        };
        // Node looks for the package from here.
        command.current_dir(installed);
        tell(&mut command, target, api);
        command
    }

    /// Returns what checks the types of the installed package and of its examples, as strictly
    /// as a user's project may be.
    #[track_caller]
    pub fn checks_of_types(self) -> Command {
        let installed = self.installed();
        let examples = files(&installed.join("examples"));
        let mut command = match self {
            Self::TypeScript => {
                let mut tsc = plain("node");
                tsc.arg(self.folder().join("node_modules/typescript/bin/tsc"))
                    .args("--noEmit --strict --allowJs --checkJs".split(' '))
                    .args("--skipLibCheck false --target es2022 --module nodenext".split(' '));
                tsc
            }
            Self::Python => {
                let mut mypy = self.python();
                mypy.env_remove("PYTHONPATH")
                    .args(["-m", "mypy", "--strict", "--scripts-are-modules"])
                    .arg("--python-executable")
                    .arg(installed.join("venv/bin/python"));
                mypy
            }
        };
        command.args(examples).current_dir(installed);
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

    /// Returns where its package is installed, by `scripts/sdk.sh` from what there is now.
    #[track_caller]
    fn installed(self) -> PathBuf {
        let folder = self.folder();
        let name = folder.file_name().expect("it has a name");
        let installed = folder.join("../.installed").join(name);
        assert_installed(&installed.join("done"));
        let (source, package) = match self {
            Self::TypeScript => (
                folder.join("src"),
                installed.join("node_modules/devgate/src"),
            ),
            Self::Python => {
                let mut versions = fs::read_dir(installed.join("venv/lib")).unwrap();
                let version = versions.next().expect("it has a Python").unwrap().path();
                let package = version.join("site-packages/devgate");
                (folder.join("src/devgate"), package)
            }
        };
        let examples = folder.join("examples");
        for (ours, theirs) in [(source, package), (examples, installed.join("examples"))] {
            for file in files(&ours) {
                let path = file.strip_prefix(&ours).expect("it is below it");
                assert!(
                    fs::read(theirs.join(path))
                        .is_ok_and(|there| there == fs::read(&file).unwrap()),
                    "{} isn't what is installed: sh scripts/sdk.sh",
                    file.display()
                );
            }
        }
        installed
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

/// Tells a program where the gateway is.
fn tell(command: &mut Command, target: &Target, api: &Api) {
    command
        .env("DEVGATE_URL", api.origin())
        .env("DEVGATE_TOKEN", api.token())
        .env("DEVGATE_CA", target.gateway().data().join("certs/ca.pem"));
}

#[track_caller]
fn assert_installed(path: &Path) {
    assert!(
        path.exists(),
        "{} is missing: sh scripts/sdk.sh",
        path.display()
    );
}

/// Returns the files in a folder and below it, but for what Python keeps there.
#[track_caller]
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            found.push(path);
        } else if !path.ends_with("__pycache__") {
            found.extend(files(&path));
        }
    }
    found
}
