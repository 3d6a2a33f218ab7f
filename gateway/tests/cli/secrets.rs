//! `devgate secrets`.

use std::io::Write as _;
use std::process::Stdio;

use crate::home::Home;

#[test]
fn a_secret_is_read_from_stdin_and_listed_by_its_name() {
    let home = Home::new();
    let _server = home.up(&[]);
    let mut set = home
        .command(&["secrets", "set", "TOKEN"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = set.stdin.take().unwrap();
    stdin.write_all(b"a value\n").unwrap();
    drop(stdin);
    let said = set.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), "TOKEN is set\n");
    let listed = home.json(&["secrets", "list"]);
    assert_eq!(listed[0]["name"], "TOKEN", "{listed}");
    assert!(!listed.to_string().contains("a value"));
    let shown = home.run(&["secrets", "list", "--installation"]);
    assert!(shown.out.contains("No secrets"), "{shown:?}");
    let removed = home.run(&["secrets", "remove", "TOKEN"]);
    assert_eq!(removed.out, "TOKEN is removed\n", "{removed:?}");
    home.run(&["secrets", "remove", "TOKEN"])
        .failed(3, &["there is no secret TOKEN"]);
    // Nothing is no value.
    let empty = home.run(&["secrets", "set", "TOKEN"]);
    assert!(empty.err.contains("1 to 32768 bytes"), "{empty:?}");
    let bad = home.run(&["secrets", "set", "A-B"]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
    let other = home.run(&["secrets", "set", "A", "--user", "nobody"]);
    assert!(other.err.contains("no user named nobody"), "{other:?}");
}
