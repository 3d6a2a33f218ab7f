//! Features: layers on top of an image.

use std::fs;
use std::path::PathBuf;

use super::Case;
use crate::workspaces::Image;

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
