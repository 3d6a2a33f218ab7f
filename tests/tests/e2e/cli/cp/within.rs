//! Copies within a workspace.

use super::*;

#[test]
fn folders_are_merged_and_nothing_is_replaced_by_what_it_is_not() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    let at = |path: &str| home.join(path);
    fs::create_dir_all(at("a/sub/new")).unwrap();
    fs::write(at("a/file"), "new").unwrap();
    fs::write(at("a/sub/one"), "1").unwrap();
    fs::write(at("a/sub/new/.two"), "22").unwrap();
    symlink("file", at("a/link")).unwrap();
    fs::create_dir_all(at("b/a/sub")).unwrap();
    fs::write(at("b/a/kept"), "kept").unwrap();
    fs::write(at("b/a/file"), "old").unwrap();
    fs::write(at("b/a/sub/kept"), "kept").unwrap();
    let told = machine.ok(&["cp", "-r", "default:a", "default:b", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["files"], &told["bytes"]), (&3.into(), &6.into()));
    assert_eq!((&told["folders"], &told["links"]), (&3.into(), &1.into()));
    for (path, text) in [
        ("b/a/kept", "kept"),
        ("b/a/sub/kept", "kept"),
        ("b/a/file", "new"),
        ("b/a/link", "new"),
        ("b/a/sub/one", "1"),
        ("b/a/sub/new/.two", "22"),
    ] {
        assert_eq!(fs::read_to_string(at(path)).unwrap(), text, "{path}");
    }
    // A new one is as good, and counted.
    let told = machine.ok(&["cp", "-r", "default:a", "default:fresh"]);
    assert!(
        told.contains("3 files, 3 folders, 1 link copied, 6 B"),
        "{told}"
    );

    fs::create_dir_all(at("dir/conf/full")).unwrap();
    fs::write(at("conf"), "conf").unwrap();
    machine.fails(
        &["cp", "default:conf", "default:dir"],
        1,
        &["dir/conf", "folder"],
    );
    assert!(at("dir/conf/full").is_dir());
    fs::create_dir(at("c")).unwrap();
    fs::write(at("c/conf"), "a file").unwrap();
    fs::create_dir_all(at("d/conf")).unwrap();
    fs::write(at("d/other"), "other").unwrap();
    let merged = machine.run(&["cp", "-r", "default:d/.", "default:c"]);
    assert_eq!(merged.code(), 1, "{merged:?}");
    assert!(merged.err().contains("c/conf is in the way"), "{merged:?}");
    assert_eq!(fs::read_to_string(at("c/conf")).unwrap(), "a file");
    assert_eq!(fs::read_to_string(at("c/other")).unwrap(), "other");
}

#[test]
fn the_home_is_copied_into_a_folder_but_not_that_folder_into_itself() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    fs::create_dir_all(home.join("src/deep")).unwrap();
    fs::write(home.join("src/deep/file"), "file").unwrap();
    fs::create_dir(home.join("dir")).unwrap();
    let copied = machine.run(&["cp", "-r", "default:.", "default:dir"]);
    assert_eq!(copied.code(), 1, "{copied:?}");
    assert!(copied.err().contains("into itself"), "{copied:?}");
    let file = home.join("dir/src/deep/file");
    assert_eq!(fs::read_to_string(file).unwrap(), "file");
    assert!(!home.join("dir/dir").exists());
    let _ = machine
        .run(&["cp", "-r", "default:src/.", "default:."])
        .ok();
    assert_eq!(fs::read_to_string(home.join("deep/file")).unwrap(), "file");
    machine.fails(&["cp", "-r", "default:src", "default:."], 2, &["the same"]);
}
