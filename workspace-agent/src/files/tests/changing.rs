//! Files that are written, moved, copied and deleted.

use rustix::io::Errno;

use super::*;

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let home = Home::new();
    let (root, names) = (home.free(), &home.names);
    let at = |path: &str| home.path(path);
    let entry = write(&root, names, order("file"), "one").unwrap();
    assert_eq!((entry.size, entry.kind), (3, Kind::File));
    assert_eq!(Path::new(&entry.path), at("file").canonicalize().unwrap());
    fs::set_permissions(at("file"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("file", at("link")).unwrap();
    let _ = write(&root, names, order("link"), "two").unwrap();
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "two");
    assert!(at("link").is_symlink());
    assert_eq!(
        fs::metadata(at("file")).unwrap().permissions().mode() & 0o7777,
        0o750
    );
    // Cut off.
    let mut cut = Writing::begin(&root, order("file")).unwrap();
    cut.write(&[Bytes::from_static(b"half")]).unwrap();
    drop(cut);
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "two");
    let before = fs::read_dir(home.folder.path()).unwrap().count();
    assert_eq!(before, 4, "in, secret, file, link");
    // What isn't as it must be.
    let with = |condition: Condition| Order {
        condition,
        ..order("file")
    };
    let entry = stat(&root, names, b"file", true).unwrap();
    let tagged = Condition::Tagged(vec![entry.etag]);
    for refused in [Condition::Absent, Condition::Tagged(vec!["\"x\"".into()])] {
        let done = write(&root, names, with(refused), "no");
        assert!(matches!(done, Err(FileError::Precondition(_))));
    }
    let _ = write(&root, names, with(tagged.clone()), "three").unwrap();
    let done = write(&root, names, with(tagged), "no");
    assert!(
        matches!(done, Err(FileError::Precondition(_))),
        "it has changed"
    );
    let digest = Order {
        digest: Some([0; 32]),
        ..order("file")
    };
    assert!(matches!(
        write(&root, names, digest, "no"),
        Err(FileError::Digest)
    ));
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "three");
    assert!(write(&root, names, order("in"), "no").is_err(), "a folder");
}

#[test]
fn things_are_moved_copied_and_deleted_with_all_that_is_in_them() {
    let home = Home::new();
    let (root, names, stop) = (home.free(), &home.names, CancellationToken::new());
    let at = |path: &str| home.path(path);
    fs::create_dir_all(at("tree/sub")).unwrap();
    fs::write(at("tree/sub/run"), "#!").unwrap();
    fs::set_permissions(at("tree/sub/run"), fs::Permissions::from_mode(0o751)).unwrap();
    symlink("/nowhere", at("tree/link")).unwrap();
    fs::set_permissions(at("tree/sub"), fs::Permissions::from_mode(0o555)).unwrap();
    let way = |from: &'static str, to: &'static str| (from.as_bytes(), to.as_bytes());
    let _ = copy(&root, names, way("tree", "copy"), Replace::No, &stop).unwrap();
    let mode = |path| fs::symlink_metadata(at(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("copy/sub/run"), mode("copy/sub")), (0o751, 0o555));
    assert_eq!(
        fs::read_link(at("copy/link")).unwrap(),
        Path::new("/nowhere")
    );
    let times = |path| fs::metadata(at(path)).unwrap().modified().unwrap();
    assert_eq!(times("copy/sub/run"), times("tree/sub/run"));
    let again = copy(&root, names, way("tree", "copy"), Replace::No, &stop);
    assert!(matches!(again, Err(FileError::System { .. })));
    let inside = copy(&root, names, way("tree", "tree/sub/x"), Replace::No, &stop);
    assert!(matches!(inside, Err(FileError::IntoItself(_))));
    let inside = move_to(&root, names, way("tree", "tree/sub/x"), Replace::No, &stop);
    assert!(matches!(inside, Err(FileError::IntoItself(_))));
    fs::set_permissions(at("copy/sub"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(at("tree/sub"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(at("copy/only"), "").unwrap();
    let taken = move_to(&root, names, way("copy", "tree"), Replace::No, &stop);
    assert!(matches!(taken, Err(FileError::System { .. })));
    let _ = move_to(&root, names, way("copy", "tree"), Replace::Yes, &stop).unwrap();
    assert!(at("tree/only").exists() && !at("copy").exists());
    fs::create_dir(at("full")).unwrap();
    fs::write(at("full/x"), "").unwrap();
    symlink("full", at("short")).unwrap();
    assert!(delete(&root, b"full", Depth::Itself, &Condition::None, &stop).is_err());
    delete(&root, b"short", Depth::All, &Condition::None, &stop).unwrap();
    assert!(at("full/x").exists(), "a link goes itself");
    delete(&root, b"full", Depth::All, &Condition::None, &stop).unwrap();
    for path in [&b""[..], b".", b"/", b"in/.."] {
        assert!(delete(&root, path, Depth::All, &Condition::None, &stop).is_err());
    }
    let mut names: Vec<_> = fs::read_dir(home.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["in", "secret", "tree"], "nothing passing is left");
}

#[test]
fn a_file_replaces_no_folder_and_a_folder_no_file() {
    let home = Home::new();
    let (root, names, stop) = (home.free(), &home.names, CancellationToken::new());
    let at = |path: &str| home.path(path);
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("folder/kept"), "kept").unwrap();
    fs::write(at("file"), "file").unwrap();
    symlink("file", at("link")).unwrap();
    for (from, to, why) in [
        ("file", "folder", Errno::ISDIR),
        ("link", "folder", Errno::ISDIR),
        ("folder", "file", Errno::NOTDIR),
        ("folder", "link", Errno::NOTDIR),
    ] {
        let way = (from.as_bytes(), to.as_bytes());
        for bring in [copy, move_to] {
            let done = bring(&root, names, way, Replace::Yes, &stop);
            let Err(FileError::System { source, .. }) = done else {
                panic!("{from} over {to}: {done:?}");
            };
            assert_eq!(source, why, "{from} over {to}");
        }
    }
    assert_eq!(fs::read_to_string(at("folder/kept")).unwrap(), "kept");
    assert_eq!(fs::read_to_string(at("link")).unwrap(), "file");
    // A folder in a folder's place is what was asked for.
    fs::create_dir(at("other")).unwrap();
    let way = (&b"other"[..], &b"folder"[..]);
    let _ = copy(&root, names, way, Replace::Yes, &stop).unwrap();
    assert!(!at("folder/kept").exists());
    let left = fs::read_dir(home.folder.path()).unwrap().count();
    assert_eq!(left, 6, "in, secret, folder, file, link, other");
}

#[test]
fn a_file_that_moves_to_another_of_its_names_loses_the_first() {
    let home = Home::new();
    let (root, names, stop) = (home.free(), &home.names, CancellationToken::new());
    let at = |path: &str| home.path(path);
    fs::write(at("one"), "text").unwrap();
    fs::hard_link(at("one"), at("in/two")).unwrap();
    let way = (&b"one"[..], &b"in/two"[..]);
    assert!(move_to(&root, names, way, Replace::No, &stop).is_err());
    assert!(at("one").exists());
    let moved = move_to(&root, names, way, Replace::Yes, &stop).unwrap();
    assert_eq!(moved.name, "two");
    assert!(!at("one").exists());
    // To its own name, however it is written.
    let way = (&b"in/two"[..], &b"in/../in/two"[..]);
    let _ = move_to(&root, names, way, Replace::Yes, &stop).unwrap();
    assert_eq!(fs::read_to_string(at("in/two")).unwrap(), "text");
}
