//! Copies into a workspace.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

#[test]
fn a_pipe_is_copied_to_its_end() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    let bytes = noise(&machine.folder().join("noise"), 24 << 20);
    let pipe = machine.folder().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let writer = thread::spawn({
        let (pipe, bytes) = (pipe.clone(), bytes.clone());
        move || {
            let mut to = fs::File::options().write(true).open(pipe).unwrap();
            to.write_all(&bytes).unwrap();
        }
    });
    machine.ok(&["cp", text(&pipe), "default:file"]);
    writer.join().unwrap();
    assert!(fs::read(home.join("file")).unwrap() == bytes);
    assert_eq!(mode(&home.join("file")), 0o644);
}

#[test]
fn one_that_can_not_be_copied_is_listed_and_the_others_are_copied() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    let tree = machine.folder().join("tree");
    fs::create_dir_all(tree.join("z")).unwrap();
    fs::write(tree.join(OsStr::from_bytes(b"\xff")), "1").unwrap();
    fs::write(tree.join("z/last"), "1").unwrap();
    fs::write(tree.join("file"), "1").unwrap();
    symlink("file", tree.join("link")).unwrap();
    symlink(OsStr::from_bytes(b"\xff"), tree.join("odd")).unwrap();
    // What is in the way stays: also an empty folder where a link should be.
    fs::create_dir_all(home.join("tree/file")).unwrap();
    fs::create_dir_all(home.join("tree/link")).unwrap();
    let copied = machine.run(&["cp", "-r", text(&tree), "default:", "--json"]);
    assert_eq!(copied.code(), 1, "{copied:?}");
    let told: Value = serde_json::from_str(&copied.out()).unwrap();
    assert_eq!((&told["files"], &told["links"]), (&2.into(), &0.into()));
    let failed = told["failed"].as_array().unwrap();
    let failed: Vec<_> = failed
        .iter()
        .map(|one| one["path"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    // What a link names goes as text.
    assert_eq!(failed, ["file", "link", "odd"], "{told}");
    assert_eq!(copied.err().lines().count(), 4, "{copied:?}");
    assert!(home.join("tree").join(OsStr::from_bytes(b"\xff")).exists());
    assert!(home.join("tree/file").is_dir() && home.join("tree/link").is_dir());
    assert!(home.join("tree/z/last").exists());
    // What is in a folder goes into the home.
    machine.ok(&[
        "cp",
        "-r",
        &format!("{}/.", text(&tree.join("z"))),
        "default:",
    ]);
    assert!(home.join("last").exists());
}
