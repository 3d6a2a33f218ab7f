//! Templates in a folder, and what workspaces get of them.

use std::fs;

use super::*;

fn templates(driver: DriverName) -> (tempfile::TempDir, Templates) {
    let folder = tempfile::tempdir().unwrap();
    let templates = Templates::new(
        folder.path().join("templates"),
        driver,
        AtStart::default(),
        home(),
    );
    (folder, templates)
}

fn home() -> PathBuf {
    PathBuf::from("/home/dev")
}

fn name(text: &str) -> TemplateName {
    text.parse().unwrap()
}

const GO: &str = r#"
image = "golang:1"
[resources]
cpus = "1"
max-cpus = "2"
[environment]
A = "b"
[extensions]
go = ["golang.go"]
basics = ["a.b", "c.d"]
"#;

#[tokio::test]
async fn what_was_written_is_read_again_and_a_version_stands_for_what_it_says() {
    let (_folder, templates) = templates(DriverName::Docker);
    assert!(templates.list().await.unwrap().is_empty());
    let first = templates.put(&name("go"), GO.to_owned()).await.unwrap();
    let again = templates.put(&name("go"), GO.to_owned()).await.unwrap();
    assert_eq!(first.version, again.version);
    let changed = GO.replace("golang:1", "golang:2");
    let second = templates.put(&name("go"), changed).await.unwrap();
    assert_ne!(first.version, second.version);
    let found = templates.list().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].version, second.version);
    templates.remove(&name("go")).await.unwrap();
    let gone = templates.get(&name("go")).await.unwrap_err();
    assert!(matches!(gone, TemplatesError::NoSuchTemplate(_)));
}

#[tokio::test]
async fn a_bad_template_is_not_written_and_one_in_the_folder_is_listed_with_what_is_wrong() {
    let (_folder, templates) = templates(DriverName::Docker);
    let refused = templates.put(&name("bad"), "\nimag = 1\n".to_owned()).await;
    assert!(matches!(refused, Err(TemplatesError::Invalid { error, .. }) if error.line == 2));
    assert!(templates.list().await.unwrap().is_empty());
    fs::create_dir_all(&templates.inner.folder).unwrap();
    fs::write(templates.inner.folder.join("bad.toml"), "imag = 1").unwrap();
    fs::write(templates.inner.folder.join("Not A Name.toml"), "").unwrap();
    fs::write(templates.inner.folder.join("notes.md"), "").unwrap();
    let found = templates.list().await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].template.is_err());
    let refused = templates
        .blueprint(Some(&name("bad")), Choices::default(), None)
        .await;
    assert!(matches!(refused, Err(TemplatesError::Invalid { .. })));
}

#[tokio::test]
async fn a_choice_stays_within_what_the_template_allows() {
    let (_folder, templates) = templates(DriverName::Docker);
    let go = name("go");
    templates.put(&go, GO.to_owned()).await.unwrap();
    let choose = |cpus: Option<&str>, memory: Option<&str>| Choices {
        cpus: cpus.map(|text| text.parse().unwrap()),
        memory: memory.map(|text| text.parse().unwrap()),
    };
    let made = templates
        .blueprint(Some(&go), choose(None, None), None)
        .await;
    let blueprint = made.unwrap();
    assert_eq!(blueprint.cpus, Some("1".parse().unwrap()));
    assert_eq!(blueprint.extensions, ["a.b", "c.d", "golang.go"]);
    let made = templates
        .blueprint(Some(&go), choose(Some("2"), None), None)
        .await;
    assert_eq!(made.unwrap().cpus, Some("2".parse().unwrap()));
    let refused = templates
        .blueprint(Some(&go), choose(Some("3"), None), None)
        .await;
    assert!(matches!(refused, Err(TemplatesError::TooMuch { .. })));
    let refused = templates
        .blueprint(Some(&go), choose(None, Some("1GiB")), None)
        .await;
    assert!(matches!(refused, Err(TemplatesError::NoChoice { .. })));
    let refused = templates
        .blueprint(None, choose(None, Some("1GiB")), None)
        .await;
    assert!(matches!(refused, Err(TemplatesError::NoTemplate(_))));
}

#[tokio::test]
async fn nobody_chooses_less_than_a_workspace_takes_nor_nothing_which_is_no_limit() {
    let (_folder, templates) = templates(DriverName::Docker);
    let go = name("go");
    let text = "[resources]\nmax-cpus = \"2\"\nmax-memory = \"1GiB\"\n".to_owned();
    templates.put(&go, text).await.unwrap();
    let choose = async |cpus: Option<&str>, memory: Option<&str>| {
        let choices = Choices {
            cpus: cpus.map(|text| text.parse().unwrap()),
            memory: memory.map(|text| text.parse().unwrap()),
        };
        templates.blueprint(Some(&go), choices, None).await
    };
    for memory in ["0B", "0KiB", "0GiB", "1MiB", "65535KiB"] {
        let refused = choose(None, Some(memory)).await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("at least 64MiB memory"), "{memory}: {text}");
    }
    let refused = choose(Some("0.009"), None).await.unwrap_err();
    assert!(
        refused.to_string().contains("at least 0.01 cpus"),
        "{refused}"
    );
    let made = choose(Some("0.01"), Some("64MiB")).await.unwrap();
    assert_eq!(made.memory, Some("64MiB".parse().unwrap()));
    // One that chose less before can't be rebuilt with that.
    let before = Blueprint {
        choices: Choices {
            memory: Some("0B".parse().unwrap()),
            cpus: None,
        },
        ..made
    };
    let refused = templates.anew(&before, None, Choices::default()).await;
    assert!(matches!(refused, Err(TemplatesError::TooLittle { .. })));
}

#[tokio::test]
async fn what_is_no_text_is_listed_with_what_is_wrong_and_hinders_no_other() {
    let (_folder, templates) = templates(DriverName::Docker);
    templates.put(&name("go"), GO.to_owned()).await.unwrap();
    let path = |of: &str| templates.inner.path(&name(of));
    fs::write(path("latin"), b"# a\n# caf\xe9\n").unwrap();
    fs::create_dir(path("old")).unwrap();
    fs::write(path("long"), "#".repeat(MAX_TEXT * 4 + 1)).unwrap();
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink(path("itself"), path("itself")).unwrap();
    let found = templates.list().await.unwrap();
    let said = found.iter().map(|it| {
        let wrong = it.template.as_ref().err().map(ToString::to_string);
        (it.name.as_str(), wrong.unwrap_or_default())
    });
    let said: Vec<_> = said.collect();
    for ((of, said), (expected, wrong)) in said.iter().zip([
        ("go", ""),
        ("itself", "can't be read"),
        ("latin", "line 2: this is no UTF-8"),
        ("long", "too long"),
        ("old", "no file"),
        ("pipe", "no file"),
    ]) {
        assert_eq!(*of, expected);
        assert!(said.contains(wrong), "{of}: {said}");
    }
    assert_eq!(said.len(), 6);
    let versions = templates.versions().await.unwrap();
    assert_eq!(versions.keys().collect::<Vec<_>>(), [&name("go")]);
    assert!(templates.builds().await.unwrap().is_none());
    for of in ["itself", "latin", "long", "old", "pipe"] {
        let choices = Choices::default();
        let refused = templates.blueprint(Some(&name(of)), choices, None).await;
        assert!(
            matches!(refused, Err(TemplatesError::Invalid { .. })),
            "{of}"
        );
    }
}

#[tokio::test]
async fn a_pool_is_no_part_of_what_workspaces_are_made_of() {
    let (_folder, templates) = templates(DriverName::Docker);
    let go = name("go");
    let plain = templates.put(&go, GO.to_owned()).await.unwrap();
    assert_eq!(templates.pools().await.unwrap(), []);
    let text = |ready: u32| format!("{GO}\n[pool]\nready = {ready}\n");
    for ready in [2, 3] {
        let found = templates.put(&go, text(ready)).await.unwrap();
        assert_eq!(found.version, plain.version);
        let made = templates.blueprint(Some(&go), Choices::default(), None);
        let of = Some((usize::try_from(ready).unwrap(), made.await.unwrap()));
        let wanted = WantedPool {
            template: go.clone(),
            of,
        };
        assert_eq!(templates.pools().await.unwrap(), [wanted]);
    }
    templates.put(&go, text(0)).await.unwrap();
    assert_eq!(templates.pools().await.unwrap(), []);
    fs::write(templates.inner.path(&go), "imag = 1\n[pool]\nready = 1\n").unwrap();
    let unreadable = WantedPool {
        template: go,
        of: None,
    };
    // One that can't be read at all is nobody else's concern.
    fs::create_dir(templates.inner.path(&name("other"))).unwrap();
    let other = WantedPool {
        template: name("other"),
        of: None,
    };
    assert_eq!(templates.pools().await.unwrap(), [unreadable, other]);
}

#[tokio::test]
async fn no_script_runs_in_a_pool_that_would_miss_its_owners_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let pool = "[pool]\nready = 1\n";
    let script = "[startup]\nscript = \"make\"\n";
    let asks = "[readiness]\ncommand = \"make\"\n";
    let secrets = "secrets = [\"TOKEN\"]\n";
    for (secrets_of_all, script_of_all, before, is_refused) in [
        (false, false, script.to_owned(), false),
        (false, true, String::new(), false),
        (true, false, String::new(), false),
        (false, false, secrets.to_owned(), false),
        (true, false, script.to_owned(), true),
        (true, true, String::new(), true),
        (true, false, asks.to_owned(), true),
        (false, true, secrets.to_owned(), true),
        (false, false, format!("{secrets}{script}"), true),
    ] {
        let at_start = AtStart {
            secrets: secrets_of_all,
            script: script_of_all,
        };
        let templates = Templates::new(
            folder.path().to_owned(),
            DriverName::Docker,
            at_start,
            home(),
        );
        for (text, is_refused) in [(format!("{before}{pool}"), is_refused), (before, false)] {
            let found = templates.check(&name("go"), text.clone()).await.unwrap();
            let error = found.template.err();
            assert_eq!(error.is_some(), is_refused, "{at_start:?} {text}");
            let line = 2 + text.lines().take_while(|line| *line != "[pool]").count();
            assert!(error.is_none_or(|it| it.line == line), "{text}");
        }
    }
}

#[tokio::test]
async fn processes_have_no_image() {
    let (_folder, templates) = templates(DriverName::Process);
    templates.put(&name("go"), GO.to_owned()).await.unwrap();
    let plain = "[environment]\nA = \"b\"\n".to_owned();
    templates.put(&name("plain"), plain).await.unwrap();
    let refused = templates
        .blueprint(Some(&name("go")), Choices::default(), None)
        .await;
    assert!(matches!(
        refused,
        Err(TemplatesError::NeedsContainers { key: "image", .. })
    ));
    let made = templates
        .blueprint(Some(&name("plain")), Choices::default(), None)
        .await;
    assert_eq!(made.unwrap().environment["A"], "b");
}

#[tokio::test]
async fn the_files_of_a_build_are_part_of_the_version() {
    let (_folder, templates) = templates(DriverName::Docker);
    let files = templates.inner.folder.join("files");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("motd"), "one").unwrap();
    let text =
        "[build]\ndockerfile = \"FROM debian\\nCOPY motd /etc/motd\\n\"\ncontext = \"files\"\n";
    let built = name("built");
    let first = templates.put(&built, text.to_owned()).await.unwrap();
    fs::write(files.join("motd"), "two").unwrap();
    assert_ne!(first.version, templates.get(&built).await.unwrap().version);
    fs::remove_dir_all(&files).unwrap();
    assert!(templates.get(&built).await.unwrap().template.is_err());
}

#[tokio::test]
async fn times_and_mounts_are_checked_as_the_configurations_are_unless_they_are_there_already() {
    let (_folder, templates) = templates(DriverName::Docker);
    fs::create_dir_all(&templates.inner.folder).unwrap();
    for (text, line, words) in [
        (
            "[startup]\nscript = \"a\"\ntimeout = \"9d\"\n",
            3,
            "0s to 1d",
        ),
        ("[readiness]\nport = 80\ntimeout = \"2d\"\n", 3, "0s to 1d"),
        ("[sleep]\nafter = \"1ms\"\n", 2, "1s to 365d"),
        ("[sleep]\nafter = \"9000d\"\n", 2, "1s to 365d"),
        ("[sleep]\nafter = \"1h\"\nwarn = \"9000d\"\n", 3, "0s to 1d"),
        (
            "mounts = [\n\"/x:/y\",\n\"/x:/home/dev/\"]\n",
            3,
            "home is at /home/dev",
        ),
        ("mounts = [\"/x:/tmp\"]\n", 1, "/tmp of its own"),
        (
            "mounts = [\"/x:/y\",\n\"/z:/y\"]\n",
            2,
            "mounted at /y already",
        ),
    ] {
        let checked = templates
            .check(&name("new"), text.to_owned())
            .await
            .unwrap();
        let error = checked.template.unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.problem.contains(words), "{text}: {error}");
        let refused = templates.put(&name("new"), text.to_owned()).await;
        assert!(
            matches!(refused, Err(TemplatesError::Invalid { .. })),
            "{text}"
        );
        fs::write(templates.inner.folder.join("old.toml"), text).unwrap();
        let old = templates.get(&name("old")).await.unwrap();
        assert!(old.template.is_ok(), "{text}: {:?}", old.template);
    }
    for text in [
        "[sleep]\nafter = \"0s\"\nwarn = \"0s\"\n[startup]\nscript = \"a\"\ntimeout = \"0s\"\n",
        "mounts = [\"/x:/home/dev/x\", \"/x:/tmp/x\"]\n",
    ] {
        let checked = templates
            .check(&name("new"), text.to_owned())
            .await
            .unwrap();
        assert!(checked.template.is_ok(), "{:?}", checked.template);
    }
}
