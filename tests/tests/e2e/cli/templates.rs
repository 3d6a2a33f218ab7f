//! `devgate templates` and `devgate extend`.

use std::fs;

use e2e::wait::{SOON, until};
use serde_json::Value;

use super::Machine;

#[test]
fn a_template_is_shown_as_its_file_says_it_and_removed() {
    let machine = Machine::start();
    let text = "# Ours.\ndescription = \"small\"\n";
    let file = machine.folder().join("small.toml");
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    machine.ok(&["templates", "add", "small", &file]);
    assert_eq!(machine.ok(&["templates", "show", "small"]), text);
    let shown = machine.ok(&["templates", "show", "small", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["name"], &shown["text"]),
        (&"small".into(), &text.into())
    );

    let made = machine.ok(&["create", "api", "--template", "small", "--no-start"]);
    assert!(made.contains("is created"), "{made}");
    machine.fails(&["templates", "remove", "small"], 2, &["--yes"]);
    let removed = machine.ok(&["templates", "remove", "small", "--yes"]);
    assert_eq!(removed, "small is removed\n");
    machine.fails(&["templates", "show", "small"], 3, &["small"]);
    machine.fails(&["templates", "remove", "small", "--yes"], 3, &["small"]);
    // What was made from it goes on.
    assert!(machine.ok(&["start", "api"]).contains("is running"));
}

#[test]
fn a_workspace_lives_longer_but_never_longer_than_its_template_says() {
    let machine = Machine::start();
    let file = machine.folder().join("short.toml");
    fs::write(&file, "time-to-live = \"2h\"\n").unwrap();
    let file = file.display().to_string();
    machine.ok(&["templates", "add", "short", &file]);
    let read = |said: &str| -> Value { serde_json::from_str(said).unwrap() };
    let create = [
        "create",
        "api",
        "--template",
        "short",
        "--no-start",
        "--json",
    ];
    let made = read(&machine.ok(&create));
    let end = made["expires"].as_str().unwrap();

    // What is shorter than it would live anyway changes nothing.
    let same = read(&machine.ok(&["extend", "api", "--for", "1h", "--json"]));
    assert_eq!(same["expires"], end);
    until(SOON, "a later end", || {
        let longer = read(&machine.ok(&["extend", "api", "--json"]));
        longer["expires"].as_str().unwrap() > end
    });
    let said = machine.ok(&["extend", "api"]);
    let lives = format!("api.{} lives until ", made["owner"].as_str().unwrap());
    assert!(said.starts_with(&lives), "{said}");

    machine.fails(&["extend", "api", "--for", "3h"], 2, &["up to 2h"]);
    machine.fails(&["extend", "default"], 1, &["no time to live"]);
    machine.fails(&["extend", "nothing"], 3, &["devgate list"]);
}
