//! Files that are wrong, and repositories that mean harm.

use std::fmt::Write as _;
use std::fs;

use super::{Case, assert_named};
use crate::devcontainer::MAX_NOTICES;
use crate::workspaces::OwnMountKind;

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
