//! Starts that are refused, as to go on would lose something.

use std::fs;

use e2e::gateway::Gateway;
use e2e::process::is_running;
use e2e::reach::Reach;
use e2e::target::Target;

const ANY_PORT: [&str; 4] = [
    "--ssh-listen",
    "127.0.0.1:0",
    "--http-listen",
    "127.0.0.1:0",
];

/// Starts a gateway that ends at once, and returns what it says of that.
#[track_caller]
fn refusal(gateway: &Gateway, more: &[&str]) -> String {
    let args = [&["up"], ANY_PORT.as_slice(), more].concat();
    let done = gateway.cli(&args);
    assert_eq!(done.code(), 1, "{done:?}");
    done.err()
}

#[test]
fn another_driver_is_refused_while_there_are_workspaces_of_this_one() {
    let mut target = Target::devgate(Reach::Unix);
    let _ = target.ssh().run("echo mine > work").ok();
    let _ = target.gateway().cli(&["create", "api", "--no-start"]).ok();
    let agent = target.gateway().agent();
    let file = target.path("docker.toml");
    let text = "[workspaces]\ndriver = \"docker\"\n[docker]\nimage = \"busybox\"\n";
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    assert_eq!(target.gateway_mut().terminate(), 0);

    let said = refusal(target.gateway(), &["--config", &file]);
    for word in ["default of ", "docker", "process", "devgate purge"] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    // It has no home yet, and can get one anywhere.
    assert!(!said.contains("api of "), "{said}");
    assert!(is_running(agent));
    assert!(!target.path("data/docker").exists());
    target.gateway_mut().start_again();
    assert_eq!(target.ssh().run("cat work").ok().out(), "mine\n");
    assert_eq!(target.gateway().agent(), agent);
}

#[test]
fn a_home_of_the_driver_that_is_named_counts_where_both_have_one() {
    let mut target = Target::devgate(Reach::Unix);
    let home = target.gateway().home();
    assert_eq!(target.gateway_mut().terminate(), 0);
    let id = home.parent().and_then(|folder| folder.file_name()).unwrap();
    let other = target.path("data/docker").join(id);
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("home"), "").unwrap();
    target.gateway_mut().start_again();
    assert_eq!(target.ssh().run("echo good").ok().out(), "good\n");
}

#[test]
fn a_home_that_is_gone_is_not_replaced_and_comes_back() {
    let target = Target::devgate(Reach::Unix);
    let _ = target.ssh().run("echo mine > work").ok();
    let (gateway, home) = (target.gateway(), target.gateway().home());
    let _ = gateway.cli(&["stop", "default"]).ok();
    let away = target.path("away");
    fs::rename(&home, &away).unwrap();
    let done = gateway.cli(&["start", "default"]);
    assert_ne!(done.code(), 0, "{done:?}");
    assert!(done.err().contains(&home.display().to_string()), "{done:?}");
    assert!(!home.exists());
    fs::rename(&away, &home).unwrap();
    let _ = gateway.cli(&["start", "default"]).ok();
    assert_eq!(target.ssh().run("cat work").ok().out(), "mine\n");
}

#[test]
fn a_lost_key_of_secrets_is_refused_while_there_are_secrets() {
    let mut target = Target::devgate(Reach::Unix);
    let key = target.path("data/certs/secrets.key");
    let away = target.path("backup");
    // Where nothing needs it, a new one is made.
    assert_eq!(target.gateway_mut().terminate(), 0);
    fs::remove_file(&key).unwrap();
    target.gateway_mut().start_again();
    let set = ["secrets", "set", "TOKEN"];
    let _ = target.gateway().cli_with(&set, b"secret-value").ok();
    assert_eq!(target.gateway_mut().terminate(), 0);

    fs::rename(&key, &away).unwrap();
    let said = refusal(target.gateway(), &[]);
    assert!(said.contains(&key.display().to_string()), "{said}");
    assert!(said.contains("backup"), "{said}");
    assert!(!key.exists());
    fs::rename(&away, &key).unwrap();
    target.gateway_mut().start_again();
}
