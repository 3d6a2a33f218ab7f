//! Workspaces in containers that are made from templates.

use std::fs;

use e2e::docker::{BUSYBOX, Containers, DEBIAN};
use e2e::process::Finished;

/// Adds a template with that text.
#[track_caller]
fn add(it: &Containers, name: &str, text: &str) -> Finished {
    let file = it.target().path(&format!("{name}.toml"));
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    it.target()
        .gateway()
        .cli(&["templates", "add", name, &file])
}

#[test]
fn a_workspace_is_what_its_template_says_and_takes_up_a_change_when_it_is_rebuilt() {
    let it = Containers::start(BUSYBOX, &[]);
    let gateway = it.target().gateway();
    let text = |greeting: &str| {
        format!(
            "description = \"for tests\"\n\
             image = \"{DEBIAN}\"\n\
             user = \"ana\"\n\
             [resources]\n\
             cpus = \"0.5\"\n\
             max-cpus = \"1.5\"\n\
             memory = \"128MiB\"\n\
             pids = 100\n\
             [environment]\n\
             GREETING = \"{greeting}\"\n"
        )
    };
    let _ = add(&it, "tests", &text("hello")).ok();
    let _ = gateway
        .cli(&["create", "api", "--template", "tests", "--cpus", "1.5"])
        .ok();
    let ssh = || it.target().ssh().user("api");
    let done = ssh()
        .run("id -un; echo $GREETING; grep ^ID= /etc/os-release")
        .ok();
    assert_eq!(done.out(), "ana\nhello\nID=debian\n");
    let limits = || {
        let container = it.container("api").unwrap();
        let format = "{{with .HostConfig}}{{.NanoCpus}} {{.Memory}} {{.PidsLimit}}{{end}}";
        let args = ["inspect", "--format", format, &container];
        it.engine().run(&args).ok().out()
    };
    assert_eq!(limits(), "1500000000 134217728 100\n");
    let _ = ssh()
        .run("echo kept > file; echo lost > /var/tmp/file")
        .ok();

    // What changes in the template changes nothing that is there.
    let _ = add(&it, "tests", &text("welcome")).ok();
    let _ = gateway.cli(&["restart", "api"]).ok();
    assert_eq!(ssh().run("echo $GREETING").ok().out(), "hello\n");
    assert!(gateway.cli(&["list"]).ok().out().contains("tests (behind)"));
    let _ = gateway.cli(&["rebuild", "api", "--yes"]).ok();
    let done = ssh().run("echo $GREETING; cat file; ls /var/tmp").ok();
    assert_eq!(done.out(), "welcome\nkept\n");
    let chosen = "1500000000 134217728 100\n";
    assert_eq!(limits(), chosen, "what was chosen stays so");
    assert!(!gateway.cli(&["list"]).ok().out().contains("behind"));

    // Without any change a rebuild still makes all but the home anew.
    let before = it.container("api").unwrap();
    let _ = gateway.cli(&["rebuild", "api", "--yes"]).ok();
    assert_ne!(it.container("api").unwrap(), before);
    assert_eq!(ssh().run("cat file").ok().out(), "kept\n");
}

#[test]
fn an_image_is_built_once_and_anew_when_its_files_change() {
    let it = Containers::start(BUSYBOX, &[]);
    let gateway = it.target().gateway();
    let files = gateway.data().join("templates/files");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("motd"), "first\n").unwrap();
    let text = format!(
        "[build]\ncontext = \"files\"\ndockerfile = \"\"\"\nFROM {BUSYBOX}\nARG WHO\n\
         COPY motd /etc/motd\nENV WHO=$WHO\n\"\"\"\n[build.arguments]\nWHO = \"me\"\n"
    );
    let _ = add(&it, "built", &text).ok();
    for name in ["one", "two"] {
        let _ = gateway.cli(&["create", name, "--template", "built"]).ok();
        let done = it.target().ssh().user(name).run("cat /etc/motd; echo $WHO");
        assert_eq!(done.ok().out(), "first\nme\n");
    }
    let builds = |log: String| log.matches("built an image").count();
    assert_eq!(builds(gateway.log()), 1, "{}", gateway.log());
    fs::write(files.join("motd"), "second\n").unwrap();
    let _ = gateway.cli(&["rebuild", "one", "--yes"]).ok();
    let done = it.target().ssh().user("one").run("cat /etc/motd");
    assert_eq!(done.ok().out(), "second\n");
    assert_eq!(builds(gateway.log()), 2);
}

#[test]
fn a_build_that_fails_says_so_and_a_mended_template_helps() {
    let it = Containers::start(BUSYBOX, &[]);
    let gateway = it.target().gateway();
    let text = |path: &str| {
        format!("[build]\ndockerfile = \"\"\"\nFROM {BUSYBOX}\nCOPY {path} /\n\"\"\"\n")
    };
    let _ = add(&it, "bad", &text("nowhere")).ok();
    let done = gateway.cli(&["create", "api", "--template", "bad"]);
    assert_eq!(done.code(), 1);
    assert!(done.err().contains("can't be built"), "{done:?}");
    assert!(done.err().contains("nowhere"), "{done:?}");
    let _ = add(&it, "bad", &text(".devgate.Dockerfile")).ok();
    let _ = gateway.cli(&["rebuild", "api", "--yes"]).ok();
    assert_eq!(
        it.target().ssh().user("api").run("echo in").ok().out(),
        "in\n"
    );
}

#[test]
fn what_a_template_does_not_allow_is_refused_and_leaves_nothing() {
    let it = Containers::start(BUSYBOX, &[]);
    let gateway = it.target().gateway();
    let _ = add(&it, "small", "[resources]\nmax-cpus = \"1\"\n").ok();
    for (args, words) in [
        (
            &["--template", "small", "--cpus", "2"][..],
            "at most 1 cpus",
        ),
        (
            &["--template", "small", "--memory", "1GiB"],
            "no choice of memory",
        ),
        (&["--template", "none"], "no template named none"),
        (&["--cpus", "1"], "without a template"),
    ] {
        let mut all = vec!["create", "api"];
        all.extend_from_slice(args);
        let done = gateway.cli(&all);
        assert_ne!(done.code(), 0, "{args:?}");
        assert!(done.err().contains(words), "{done:?}");
    }
    let done = add(&it, "wrong", "image = \"debian\"\ncpus = \"1\"\n");
    assert_ne!(done.code(), 0);
    assert!(done.err().contains("line 2"), "{done:?}");
    assert!(!gateway.cli(&["list"]).ok().out().contains("api"));
    assert!(
        !gateway
            .cli(&["templates", "list"])
            .ok()
            .out()
            .contains("wrong")
    );
}
