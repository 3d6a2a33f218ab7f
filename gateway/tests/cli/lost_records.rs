//! Homes whose records are gone.

use std::fs;

use crate::home::Home;

const ANY_PORT: [&str; 5] = [
    "up",
    "--ssh-listen",
    "127.0.0.1:0",
    "--http-listen",
    "127.0.0.1:0",
];

#[test]
fn homes_without_records_are_not_set_up_anew() {
    let home = Home::new();
    let mut server = home.up(&[]);
    assert_eq!(home.run(&["start", "default"]).code, Some(0));
    assert_eq!(home.run(&["stop", "default"]).code, Some(0));
    let id = home.json(&["status", "default"])["id"].clone();
    assert_eq!(server.terminate(), Some(0), "{}", home.log());
    let (database, backup) = (home.data().join("devgate.db"), home.path("backup.db"));
    fs::rename(&database, &backup).unwrap();

    let refused = || {
        let said = home.run(&ANY_PORT);
        said.failed(1, &["devgate.db", "homes", "backup", "--data-dir"]);
    };
    refused();
    assert!(!database.exists());
    fs::write(&database, "").unwrap();
    refused();
    assert_eq!(database.metadata().unwrap().len(), 0);
    // One that a server made which set nothing up.
    let other = home.path("other");
    let file = home.write("c.toml", "");
    let mut args = vec!["serve", "--config", &file, "--data-dir"];
    args.extend([other.to_str().unwrap(), "--ready-file"]);
    let ready = home.path("ready.json");
    args.push(ready.to_str().unwrap());
    args.extend(&ANY_PORT[1..]);
    let mut empty = home.command(&args).spawn().unwrap();
    while !ready.exists() {
        assert_eq!(empty.try_wait().unwrap(), None, "it has ended");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = nix::unistd::Pid::from_raw(empty.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(empty.wait().unwrap().success());
    fs::copy(other.join("devgate.db"), &database).unwrap();
    refused();
    assert!(!home.data().join("devgate.db-wal").exists());

    fs::copy(&backup, &database).unwrap();
    let mut server = home.up(&[]);
    assert_eq!(home.json(&["status", "default"])["id"], id);
    assert_eq!(home.run(&["stop", "default"]).code, Some(0));
    assert_eq!(server.terminate(), Some(0), "{}", home.log());
    // Begun anew, as the error says.
    fs::rename(home.data(), home.path("away")).unwrap();
    let _server = home.up(&[]);
    assert_ne!(home.json(&["status", "default"])["id"], id);
}

#[test]
fn a_first_run_that_was_cut_short_goes_on() {
    let home = Home::new();
    let mut server = home.up(&[]);
    assert_eq!(home.run(&["delete", "--yes", "default"]).code, Some(0));
    assert_eq!(home.run(&["purge", "--yes", "default"]).code, Some(0));
    assert_eq!(server.terminate(), Some(0), "{}", home.log());
    // Keys and certificates are made first, and then the records.
    fs::write(home.data().join("devgate.db"), "").unwrap();
    let _server = home.up(&[]);
    assert_eq!(home.json(&["list"]).as_array().unwrap().len(), 1);
}
