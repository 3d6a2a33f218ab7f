//! Deleting, restoring, renaming, and what people may have.

use std::fs;

use crate::home::Home;

#[test]
fn a_deleted_workspace_is_restored_with_its_home_or_purged() {
    let home = Home::new();
    let _server = home.up(&[]);
    let made = home.json(&["create", "api", "--no-start"]);
    let (id, owner) = (
        made["id"].as_str().unwrap(),
        made["owner"].as_str().unwrap(),
    );
    let started = home.json(&["start", "api"]);
    assert_eq!(started["state"], "running");
    let folder = home.data().join("workspaces").join(id);
    fs::write(folder.join("home/kept"), "work").unwrap();

    home.run(&["delete", "api"]).failed(2, &["--yes"]);
    let deleted = home.run(&["delete", "--yes", "api"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    assert!(
        deleted.out.contains(&format!("devgate restore {id}")),
        "{deleted:?}"
    );
    home.run(&["start", "api"]).failed(3, &["api"]);
    let again = home.json(&["create", "api", "--no-start"]);
    assert_ne!(again["id"], made["id"]);
    let listed = home.json(&["list", "--deleted"]);
    assert_eq!(listed[0]["id"], made["id"]);
    assert!(listed[0]["restorable_until"].is_string(), "{listed}");
    let table = home.run(&["list", "--deleted"]).out;
    assert!(table.contains(id) && table.contains("UNTIL"), "{table}");

    home.run(&["restore", "nowhere"])
        .failed(3, &["devgate list --deleted"]);
    home.run(&["restore", "api"])
        .failed(1, &["api", "another name"]);
    let restored = home.json(&["restore", "api", "--as", "old"]);
    assert_eq!(
        (&restored["state"], &restored["id"]),
        (&"stopped".into(), &made["id"])
    );
    assert_eq!(home.json(&["start", "old"])["state"], "running");
    assert_eq!(
        fs::read_to_string(folder.join("home/kept")).unwrap(),
        "work"
    );

    // Of several that had the name, the id says which one.
    assert_eq!(home.run(&["delete", "--yes", "api"]).code, Some(0));
    assert_eq!(home.json(&["rename", "old", "api"])["name"], "api");
    assert_eq!(home.run(&["delete", "--yes", "api"]).code, Some(0));
    home.run(&["restore", "api"]).failed(1, &[id, "several"]);
    home.run(&["purge", "api", "--yes"]).failed(1, &["several"]);
    let purged = home.run(&["purge", id, "--yes"]);
    assert!(purged.out.contains("for good"), "{purged:?}");
    assert!(!folder.exists());
    let left = home.json(&["list", "--deleted"]);
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
    let name = format!("api.{owner}");
    assert_eq!(home.json(&["restore", &name])["id"], again["id"]);
    let gone = home.run(&["delete", "--purge", "--yes", "api"]);
    assert!(gone.out.contains("for good"), "{gone:?}");
    assert_eq!(
        home.json(&["list", "--deleted"]).as_array().unwrap().len(),
        0
    );
}

#[test]
fn a_workspace_changes_its_name_and_its_owner_while_it_runs() {
    let home = Home::new();
    let _server = home.up(&[]);
    assert_eq!(home.run(&["users", "add", "bob"]).code, Some(0));
    let before = home.json(&["status", "default"]);
    let renamed = home.run(&["rename", "default", "main"]);
    assert!(renamed.out.contains("main."), "{renamed:?}");
    home.run(&["status", "default"]).failed(3, &["default"]);
    let given = home.json(&["transfer", "main", "bob", "--as", "theirs"]);
    assert_eq!(given["id"], before["id"]);
    assert_eq!(
        (&given["owner"], &given["name"]),
        (&"bob".into(), &"theirs".into())
    );
    assert_eq!(given["state"], "running");
    home.json(&["create", "theirs", "--no-start"]);
    home.run(&["transfer", "theirs", "bob"])
        .failed(1, &["theirs", "another name"]);
    home.run(&["transfer", "theirs.bob", "nobody"])
        .failed(3, &["nobody"]);
}

#[test]
fn a_limit_names_itself_and_has_an_exit_code_of_its_own() {
    let home = Home::new();
    let config = "[limits.user]\nworkspaces = 3\nrunning = 1\ndisk = \"1GiB\"\n\
                  [limits.total]\nmemory = \"1GiB\"\n";
    let config = home.write("limits.toml", config);
    let checked = home.run(&["config", "check", "--config", &config]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked.err.contains("limits.total.memory") && checked.err.contains("docker"),
        "{checked:?}"
    );
    let _server = home.up(&["--config", &config]);
    home.run(&["create", "two"])
        .failed(6, &["1 of 1", "run at once (default)", "stop one"]);
    home.json(&["create", "two", "--no-start"]);
    home.run(&["start", "two"]).failed(6, &["1 of 1"]);
    home.json(&["create", "three", "--no-start"]);
    home.run(&["create", "four", "--no-start"])
        .failed(6, &["3 of 3 workspaces", "delete one"]);
    assert_eq!(home.json(&["stop", "default"])["state"], "stopped");
    assert_eq!(home.json(&["start", "two"])["state"], "running");

    let limits = home.json(&["limits"]);
    let own = &limits[0]["own"];
    assert_eq!(own["running"], serde_json::json!({ "limit": 1, "used": 1 }));
    assert_eq!(own["workspaces"]["used"], 3);
    assert_eq!(own["disk_bytes"]["limit"], 1 << 30);
    assert_eq!(limits[0]["total"]["memory_bytes"]["limit"], 1 << 30);
    let table = home.run(&["limits"]).out;
    assert!(
        table.contains("3 of 3") && table.contains("(all)"),
        "{table}"
    );
    home.run(&["limits", "nobody"]).failed(3, &["nobody"]);
}

#[test]
fn limits_that_count_nothing_are_refused() {
    let home = Home::new();
    let text = "[workspaces]\ndriver = \"docker\"\n[docker]\nimage = \"debian:12\"\n\
                [limits.user]\nmemory = \"4GiB\"\n";
    let config = home.write("limits.toml", text);
    home.run(&["config", "check", "--config", &config])
        .failed(2, &["limits.user.memory", "docker.memory"]);
}
