//! `devgate config`, and configurations that can't be used.

use crate::home::Home;

#[test]
fn a_broken_file_is_one_line_that_names_the_place() {
    let home = Home::new();
    let file = home.write("c.toml", "[ssh\n");
    let said = home.run(&["serve", "--config", &file]);
    said.failed(2, &["c.toml:1: not valid TOML"]);
    assert!(!home.data().exists());
}

#[test]
fn an_unknown_key_is_one_line_with_the_nearest_one() {
    let home = Home::new();
    let file = home.write("c.toml", "[ssh]\nlistn = \"127.0.0.1:0\"\n");
    let said = home.run(&["serve", "--config", &file]);
    said.failed(
        2,
        &["c.toml:2", "ssh.listn", "did you mean \"ssh.listen\"?"],
    );
    assert!(!home.data().exists());
}

#[test]
fn a_bad_value_is_one_line_wherever_it_comes_from() {
    let home = Home::new();
    home.run(&["up", "--ssh-listen", "nowhere"])
        .failed(2, &["--ssh-listen", "HOST:PORT"]);
    let mut command = home.command(&["up"]);
    let output = command
        .env("DEVGATE_SSH_LISTEN", "nowhere")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("DEVGATE_SSH_LISTEN"), "{said}");
    assert!(!home.data().exists());
}

#[test]
fn serve_without_a_file_says_what_to_do() {
    Home::new().run(&["serve"]).failed(2, &["--config FILE"]);
}

#[test]
fn what_config_prints_is_what_the_layers_make() {
    let home = Home::new();
    let file = home.write(
        "c.toml",
        "drain-timeout = \"5s\"\n[ssh]\nwindow = \"1MiB\"\n",
    );
    let said = home.run(&["config", "print", "--config", &file]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("drain-timeout = \"5s\""), "{said:?}");
    let json = home.json(&["config", "print", "--config", &file]);
    assert_eq!(json["ssh"]["window"], "1MiB");
    assert_eq!(json["data-dir"], home.data().to_str().unwrap());

    let printed = home.write("printed.toml", &said.out);
    let said = home.run(&["config", "check", "--config", &printed]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
}

#[test]
fn check_reads_the_certificate_as_the_start_does() {
    let home = Home::new();
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let key = home.write("key.pem", key);
    let missing = home.path("missing.pem");
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\ntls = \"files\"\ncertificate = {missing:?}\nkey = {key:?}\n\
         [ssh]\nlisten = \"127.0.0.1:0\"\n"
    );
    let file = home.write("c.toml", &text);
    let words = ["missing.pem", "No such file"];
    home.run(&["config", "check", "--config", &file])
        .failed(2, &words);
    let started = home.run(&["serve", "--config", &file]);
    assert_eq!(started.code, Some(1), "{started:?}");
    assert!(started.err.contains("missing.pem"), "{started:?}");
}

#[test]
fn config_takes_the_flags_of_the_server() {
    let home = Home::new();
    let flags = ["--ssh-listen", "127.0.0.1:4022", "--driver", "docker"];
    let more = ["--image", "busybox", "--http-listen", "127.0.0.1:4443"];
    let flags = [flags, more].concat();
    let json = home.json(&[&["config", "print"], flags.as_slice()].concat());
    assert_eq!(json["ssh"]["listen"], "127.0.0.1:4022");
    assert_eq!(json["http"]["listen"], "127.0.0.1:4443");
    assert_eq!(json["workspaces"]["driver"], "docker");
    assert_eq!(json["docker"]["image"], "busybox");
    let said = home.run(&[&["config", "check"], flags.as_slice()].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    home.run(&["config", "check", "--ssh-listen", "nowhere"])
        .failed(2, &["--ssh-listen"]);
}

#[test]
fn check_looks_for_programs_and_folders() {
    let home = Home::new();
    let plain = home.write("plain", "");
    let missing = home.path("missing").display().to_string();
    let check = |text: &str| {
        let file = home.write("c.toml", text);
        home.run(&["config", "check", "--config", &file])
    };
    for (table, key) in [("process", "agent"), ("process", "shell")] {
        for path in [&missing, &plain] {
            check(&format!("[{table}]\n{key} = {path:?}\n"))
                .failed(2, &[&format!("{table}.{key}"), path]);
        }
        let said = check(&format!("[{table}]\n{key} = \"/bin/sh\"\n"));
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    }
    let templates = |path: &str| check(&format!("[workspaces]\ntemplates = {path:?}\n"));
    templates(&plain).failed(2, &["workspaces.templates", &plain, "a file"]);
    // It is made with the first one that is added.
    templates(&missing).failed(0, &["warning", "workspaces.templates", &missing]);
    let said = templates(home.path("").to_str().unwrap());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
}

#[test]
fn help_documents_the_exit_codes() {
    let said = Home::new().run(&["--help"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("Exit codes:"), "{said:?}");
}
