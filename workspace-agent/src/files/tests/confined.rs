//! Nobody leaves the folder that they are confined to, whatever they do.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn nothing_leads_out_of_the_folder_that_one_is_confined_to() {
    let home = Home::new();
    let at = |path: &str| home.path(path);
    fs::create_dir_all(at("in/a/b")).unwrap();
    fs::write(at("in/a/file"), "inside").unwrap();
    symlink("../secret", at("in/up")).unwrap();
    symlink(at("secret"), at("in/absolute")).unwrap();
    symlink("..", at("in/out")).unwrap();
    symlink("a", at("in/link")).unwrap();
    symlink("../a/file", at("in/a/round")).unwrap();
    symlink("/proc/self/root", at("in/magic")).unwrap();
    let absolute = at("in/a/file");
    let secret = at("secret");
    for root in home.both() {
        for path in [
            "a/file",
            "./a//file",
            "a/b/../file",
            "link/file",
            "a/round",
            "link/b/../file",
        ] {
            assert_eq!(read(&root, path).unwrap(), "inside", "{path}");
        }
        assert_eq!(read(&root, absolute.to_str().unwrap()).unwrap(), "inside");
        for path in [
            "../secret",
            "a/../../secret",
            "a/b/../../../secret",
            "up",
            "absolute",
            "out/secret",
            "out/in/a/file",
            "magic/etc/passwd",
            "/etc/passwd",
            secret.to_str().unwrap(),
            "..",
        ] {
            let path = path.to_owned();
            assert!(is_outside(&read(&root, &path)), "{path}");
            assert!(
                is_outside(&stat(&root, &home.names, path.as_bytes(), true)),
                "{path}"
            );
        }
        let stop = CancellationToken::new();
        let names = &home.names;
        for path in ["../new", "out/new", "a/../../new", "/tmp/new", "up"] {
            let bytes = path.as_bytes();
            assert!(is_outside(&write(&root, names, order(path), "x")), "{path}");
            let way = |from, to| move_to(&root, names, (from, to), Replace::Yes, &stop);
            let copied = |from, to| copy(&root, names, (from, to), Replace::Yes, &stop);
            if path == "up" {
                // The link itself is in the folder.
                continue;
            }
            assert!(is_outside(&way(b"a/file", bytes)), "{path}");
            assert!(is_outside(&way(bytes, b"new")), "{path}");
            assert!(is_outside(&copied(b"a/file", bytes)), "{path}");
            assert!(is_outside(&copied(bytes, b"new")), "{path}");
            assert!(
                is_outside(&make_folder(&root, names, bytes, None, true)),
                "{path}"
            );
            assert!(is_outside(&link(&root, names, bytes, b"x")), "{path}");
            assert!(
                is_outside(&delete(&root, bytes, Depth::All, &Condition::None, &stop)),
                "{path}"
            );
            let mode = Mode::from_raw_mode(0o600);
            assert!(
                is_outside(&set_mode(&root, names, bytes, mode, Depth::All, &stop)),
                "{path}"
            );
            assert!(is_outside(&list(&root, names, b"out", 10, None)));
        }
        let mut parents = order("out/x/y");
        parents.parents = true;
        assert!(is_outside(&write(&root, names, parents, "x")));
    }
    assert_eq!(fs::read_to_string(at("secret")).unwrap(), "secret");
    assert!(!at("new").exists() && !at("x").exists());
    let nul = read(&home.free(), "a\0b");
    assert!(matches!(nul, Err(FileError::BadPath(..))));
}

/// Looks at files while another thread puts a link that leaves in a folder's place.
#[test]
fn nobody_wins_a_race_with_a_link_out_of_the_folder() {
    let home = Home::new();
    let at = |path: &str| home.path(path);
    for (folder, text) in [("in/d", "inside"), ("outside", "secret")] {
        fs::create_dir(at(folder)).unwrap();
        fs::write(at(folder).join("file"), text).unwrap();
    }
    symlink("../outside", at("in/l")).unwrap();
    let over = AtomicBool::new(false);
    let (folder, link) = (at("in/d"), at("in/l"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            let cwd = rustix::fs::CWD;
            while !over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(cwd, &folder, cwd, &link, flags).unwrap();
            }
        });
        let (mut let_in, mut kept_out) = (0, 0);
        for root in home.both() {
            for turn in 0..3000 {
                match read(&root, "d/file") {
                    Ok(text) => {
                        assert_eq!(text, "inside");
                        let_in += 1;
                    }
                    Err(FileError::Outside(_)) => kept_out += 1,
                    Err(FileError::System { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
                let name = format!("d/new{turn}");
                let _ = write(&root, &home.names, order(&name), "new");
                let stop = CancellationToken::new();
                let _ = delete(&root, name.as_bytes(), Depth::All, &Condition::None, &stop);
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(let_in > 0 && kept_out > 0, "{let_in} {kept_out}");
    });
    let left: Vec<_> = fs::read_dir(at("outside")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_tree_that_is_deleted_or_packed_is_not_left_through_a_link_that_came_meanwhile() {
    let home = Home::new();
    let at = |path: &str| home.path(path);
    fs::create_dir(at("outside")).unwrap();
    fs::write(at("outside/kept"), "secret").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = fs::create_dir_all(at("in/tree/sub"));
                let _ = fs::write(at("in/tree/sub/x"), "inside");
                let _ = fs::rename(at("in/tree/sub"), at("in/tree/old"));
                let _ = symlink("../../outside", at("in/tree/sub"));
                let _ = fs::remove_file(at("in/tree/sub"));
            }
        });
        let root = home.confined();
        let stop = CancellationToken::new();
        for _ in 0..500 {
            let _ = delete(&root, b"tree", Depth::All, &Condition::None, &stop);
            let mut packed = Vec::new();
            if let Ok(source) = source(&root, b"tree", tree::Format::Tar) {
                let _ = tree::pack(source, tree::Format::Tar, &mut packed, &stop);
            }
            assert!(!packed.windows(6).any(|text| text == b"secret"));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(at("outside/kept")).unwrap(), "secret");
}
