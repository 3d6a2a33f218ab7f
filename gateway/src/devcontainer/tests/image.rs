//! Images: named, or built from a Dockerfile.

use std::fs;

use super::Case;
use crate::config::DriverName;
use crate::names::InstallationId;
use crate::workspaces::Image;

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
    let id = InstallationId::random();
    let of = |image: &str| Case::of(&format!(r#"{{"image": "{image}"}}"#));
    for image in [
        format!("devgate-{id}/snapshot:e4f5"),
        format!("devgate-{id}:cafe"),
        format!("devgate-{id}-for-x"),
        format!(
            "docker.io/library/devgate-{id}@sha256:{}",
            "cafe".repeat(16)
        ),
    ] {
        let refused = of(&image).read().unwrap_err();
        assert!(
            refused.problem.contains("devgate's own"),
            "{image}: {refused}"
        );
    }
    // Others may begin like them.
    for image in ["devgate-test/debian", "registry.example/devgate-tools:1"] {
        let (made, _) = of(image).made();
        assert_eq!(made.image, Some(Image::Named(image.to_owned())));
    }
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
