mod hostile;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::*;

/// A home with a folder `in`, to which the caller is confined, and a secret beside it.
struct Home {
    folder: TempDir,
    names: Names,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        Self {
            folder,
            names: Names::new(),
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn free(&self) -> Root {
        Root::of(self.folder.path(), None).unwrap()
    }

    fn confined(&self) -> Root {
        Root::of(self.folder.path(), Some(b"in")).unwrap()
    }

    /// Both ways to keep somebody in.
    fn both(&self) -> [Root; 2] {
        [self.confined(), self.confined().by_steps()]
    }
}

fn order(path: &str) -> Order {
    Order {
        path: path.into(),
        mode: None,
        parents: false,
        durable: false,
        condition: Condition::None,
        digest: None,
    }
}

fn write(root: &Root, names: &Names, order: Order, text: &str) -> Result<Entry, FileError> {
    let mut writing = Writing::begin(root, order)?;
    writing.write(&[Bytes::copy_from_slice(text.as_bytes())])?;
    writing.finish(names).map(|(entry, _)| entry)
}

fn read(root: &Root, path: &str) -> Result<String, FileError> {
    let opened = read::open(root, path.as_bytes())?;
    let mut text = String::new();
    (&opened.file).read_to_string(&mut text).unwrap();
    Ok(text)
}

fn is_outside<T: std::fmt::Debug>(done: &Result<T, FileError>) -> bool {
    matches!(done, Err(FileError::Outside(_)))
}

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
                is_outside(&delete(&root, bytes, Depth::All, &stop)),
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
                let _ = delete(&root, name.as_bytes(), Depth::All, &stop);
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
            let _ = delete(&root, b"tree", Depth::All, &stop);
            let mut packed = Vec::new();
            if let Ok(source) = tree::source(&root, b"tree") {
                let _ = tree::pack(source, tree::Format::Tar, &mut packed, &stop);
            }
            assert!(!packed.windows(6).any(|text| text == b"secret"));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(at("outside/kept")).unwrap(), "secret");
}

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
fn a_folder_of_any_size_is_listed_page_by_page() {
    let home = Home::new();
    for number in 0..1000 {
        fs::write(home.path(&format!("in/{number:03}")), "").unwrap();
    }
    let root = home.confined();
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let cursor_now: Option<String> = cursor.take();
        let page = list(
            &root,
            &home.names,
            b"",
            97,
            cursor_now.as_deref().map(str::as_bytes),
        );
        let page = page.unwrap();
        assert!(page.items.len() <= 97);
        found.extend(page.items.into_iter().map(|entry| entry.name));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let wanted: Vec<_> = (0..1000).map(|number| format!("{number:03}")).collect();
    assert_eq!(found, wanted);
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
    // Over a folder goes a file, too.
    let _ = copy(&root, names, way("secret", "tree"), Replace::Yes, &stop).unwrap();
    assert_eq!(fs::read_to_string(at("tree")).unwrap(), "secret");
    fs::create_dir(at("full")).unwrap();
    fs::write(at("full/x"), "").unwrap();
    symlink("full", at("short")).unwrap();
    assert!(delete(&root, b"full", Depth::Itself, &stop).is_err());
    delete(&root, b"short", Depth::All, &stop).unwrap();
    assert!(at("full/x").exists(), "a link goes itself");
    delete(&root, b"full", Depth::All, &stop).unwrap();
    for path in [&b""[..], b".", b"/", b"in/.."] {
        assert!(delete(&root, path, Depth::All, &stop).is_err());
    }
    let mut names: Vec<_> = fs::read_dir(home.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["in", "secret", "tree"], "nothing passing is left");
}

#[test]
fn a_tree_comes_out_of_each_archive_as_it_went_in() {
    let home = Home::new();
    let (root, stop) = (home.free(), CancellationToken::new());
    let at = |path: &str| home.path(path);
    let long = format!("tree/{}", "long/".repeat(40));
    fs::create_dir_all(at(&long)).unwrap();
    fs::write(at(&format!("{long}file")), "deep").unwrap();
    fs::write(at("tree/large"), vec![7; 3_000_000]).unwrap();
    fs::write(at("tree/run"), "#!").unwrap();
    fs::set_permissions(at("tree/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run", at("tree/link")).unwrap();
    for (format, to) in [
        (tree::Format::Tar, "a"),
        (tree::Format::TarGz, "b"),
        (tree::Format::Zip, "c"),
    ] {
        let mut packed = Vec::new();
        let source = tree::source(&root, b"tree").unwrap();
        tree::pack(source, format, &mut packed, &stop).unwrap();
        let unpacked = tree::unpack(&root, to.as_bytes(), format, packed.as_slice(), &stop);
        let unpacked = unpacked.unwrap();
        assert_eq!(unpacked.entries, 44, "{format:?}");
        assert_eq!(unpacked.bytes, 3_000_006, "{format:?}");
        let path = |below: &str| at(&format!("{to}/{below}"));
        let deep = long.strip_prefix("tree/").unwrap();
        assert_eq!(
            fs::read_to_string(path(&format!("{deep}file"))).unwrap(),
            "deep"
        );
        assert_eq!(fs::read(path("large")).unwrap(), vec![7; 3_000_000]);
        assert_eq!(fs::read_link(path("link")).unwrap(), Path::new("run"));
        let mode = fs::metadata(path("run")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        // Once more over what is there.
        let _ = tree::unpack(&root, to.as_bytes(), format, packed.as_slice(), &stop).unwrap();
        let half = packed.split_at(packed.len() / 2).0;
        let cut = tree::unpack(&root, b"half", format, half, &stop);
        assert!(
            matches!(cut, Err(FileError::Archive(_))),
            "{format:?} {cut:?}"
        );
    }
}

#[test]
fn no_entry_of_an_archive_leads_out_of_its_folder() {
    let home = Home::new();
    let (root, stop) = (home.free(), CancellationToken::new());
    let entry = |path: &str, kind: tar::EntryType, target: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(u64::from(kind.is_file()));
        if let Some(target) = target {
            header.set_link_name_literal(target).unwrap();
        }
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        if kind.is_file() {
            bytes.extend([b'x'; 512]);
        }
        bytes
    };
    let (file, link) = (tar::EntryType::Regular, tar::EntryType::Symlink);
    let secret = home.path("secret").display().to_string();
    for archive in [
        entry("../new", file, None),
        entry("a/../../new", file, None),
        entry("/tmp/devgate-new", file, None),
        entry("..", file, None),
        [entry("l", link, Some("..")), entry("l/new", file, None)].concat(),
        [
            entry("l", link, Some("/tmp")),
            entry("l/devgate-new", file, None),
        ]
        .concat(),
        entry("h", tar::EntryType::Link, Some("../secret")),
        entry("h", tar::EntryType::Link, Some(&secret)),
    ] {
        let done = tree::unpack(&root, b"in", tree::Format::Tar, archive.as_slice(), &stop);
        assert!(is_outside(&done), "{done:?}");
        let _ = fs::remove_file(home.path("in/l"));
    }
    // A link at a file's own name is replaced, and not written through.
    symlink("../secret", home.path("in/s")).unwrap();
    let archive = entry("s", file, None);
    let _ = tree::unpack(&root, b"in", tree::Format::Tar, archive.as_slice(), &stop).unwrap();
    assert_eq!(fs::read_to_string(home.path("secret")).unwrap(), "secret");
    assert!(!home.path("new").exists());
}

#[test]
fn an_upload_goes_on_where_it_was_cut_off_and_survives_the_agent() {
    let home = Home::new();
    let (root, names) = (home.confined(), &home.names);
    let ask = Ask {
        path: b"sub/file".to_vec(),
        size: 6,
        sha256: None,
        mode: None,
        parents: true,
    };
    let upload = Uploads::new(home.folder.path())
        .create(&root, &ask)
        .unwrap();
    let id = upload.id;
    let uploads = Uploads::new(home.folder.path());
    let mut piece = uploads.piece(&root, &id, 0).unwrap();
    piece.write(&[Bytes::from_static(b"abc")]).unwrap();
    drop(piece);
    let uploads = Uploads::new(home.folder.path());
    assert_eq!(uploads.show(&root, &id).unwrap().offset, 3);
    let wrong = uploads.piece(&root, &id, 0);
    assert!(matches!(wrong, Err(FileError::WrongOffset { offset: 3 })));
    let early = uploads.complete(&root, names, &id, None, false);
    assert!(matches!(
        early,
        Err(FileError::Incomplete { offset: 3, size: 6 })
    ));
    let mut piece = uploads.piece(&root, &id, 3).unwrap().hashed();
    piece.write(&[Bytes::from_static(b"xyz")]).unwrap();
    assert!(matches!(
        piece.finish(Some([0; 32])),
        Err(FileError::Digest)
    ));
    assert_eq!(uploads.show(&root, &id).unwrap().offset, 3, "taken back");
    let mut piece = uploads.piece(&root, &id, 3).unwrap();
    let more = piece.write(&[Bytes::from_static(b"defg")]);
    assert!(matches!(more, Err(FileError::BeyondSize { size: 6 })));
    piece.write(&[Bytes::from_static(b"def")]).unwrap();
    assert_eq!(piece.finish(None).unwrap().offset, 6);
    // Whoever may not reach the file may not reach its upload.
    fs::create_dir(home.path("other")).unwrap();
    let other = Root::of(home.folder.path(), Some(b"other")).unwrap();
    assert!(is_outside(&uploads.show(&other, &id)));
    assert!(is_outside(&uploads.cancel(&other, &id)));
    let bad = uploads.complete(&root, names, &id, Some([1; 32]), false);
    assert!(matches!(bad, Err(FileError::Digest)));
    let entry = uploads.complete(&root, names, &id, None, true).unwrap();
    assert_eq!(entry.size, 6);
    assert_eq!(
        fs::read_to_string(home.path("in/sub/file")).unwrap(),
        "abcdef"
    );
    assert!(matches!(uploads.show(&root, &id), Err(FileError::NoUpload)));
    for id in ["../../x", "", "0123456789abcdeé"] {
        assert!(matches!(uploads.show(&root, id), Err(FileError::NoUpload)));
    }
}

#[test]
fn an_upload_that_nobody_goes_on_with_is_given_up() {
    let home = Home::new();
    let uploads = Uploads::new(home.folder.path());
    let ask = |path: &str| Ask {
        path: path.into(),
        size: 1,
        sha256: None,
        mode: None,
        parents: false,
    };
    let old = uploads.create(&home.free(), &ask("in/old")).unwrap();
    let new = uploads.create(&home.free(), &ask("in/new")).unwrap();
    let file = home.path(&format!("in/.devgate-{}", old.id));
    let day = std::time::Duration::from_hours(25);
    let past = std::time::SystemTime::now() - day;
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(past)
        .unwrap();
    uploads.expire().unwrap();
    assert!(!file.exists());
    assert!(uploads.show(&home.free(), &old.id).is_err());
    assert!(uploads.show(&home.free(), &new.id).is_ok());
}

/// Returns what has the clock for those who wait for a client.
fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_time().build().unwrap()
}

/// Runs a search and returns its lines.
fn lines(search: impl FnOnce(&mut Outgoing) -> Result<(), FileError> + Send) -> Vec<String> {
    let runtime = runtime();
    let (mut out, mut pieces) = {
        let _entered = runtime.enter();
        outgoing()
    };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            search(&mut out).unwrap();
            std::io::Write::flush(&mut out).unwrap();
        });
        let mut text = Vec::new();
        while let Some(piece) = pieces.blocking_recv() {
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    })
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one tree, and all that is asked of it"
)]
fn searches_find_what_is_meant_and_leave_out_what_git_ignores() {
    let home = Home::new();
    let at = |path: &str| home.path(path);
    fs::create_dir_all(at("in/.git")).unwrap();
    fs::create_dir_all(at("in/src/deep")).unwrap();
    fs::create_dir_all(at("in/target")).unwrap();
    fs::write(at("in/.gitignore"), "/target\n*.log\n!kept.log\n").unwrap();
    for (path, text) in [
        ("in/src/main.rs", "fn main() {\n    let Needle = 1;\n}\n"),
        ("in/src/deep/lib.rs", "// a needle\r\nother\n"),
        ("in/src/x.log", "needle"),
        ("in/src/kept.log", "no\nneedle"),
        ("in/target/out.rs", "needle"),
        ("in/.hidden.rs", "needle"),
        ("in/binary", "needle\0needle"),
    ] {
        fs::write(at(path), text).unwrap();
    }
    let root = home.confined();
    let found = |path: &[u8], asked: search::Find| -> Vec<String> {
        let folder = search::folder(&root, path).unwrap();
        let mut found: Vec<String> =
            lines(|out| search::find(&root, &home.names, folder, &asked, out))
                .iter()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
                .map(|line| match line["name"].as_str() {
                    Some(name) => name.to_owned(),
                    None => format!("~{} {}", line["found"], line["truncated"]),
                })
                .collect();
        found.sort();
        found
    };
    let named = |name: &str| search::Find {
        name: Some(search::Glob::new(name.as_bytes()).unwrap()),
        kind: None,
        scope: search::Scope::default(),
        limit: 100,
    };
    assert_eq!(found(b"", named("*.rs")), ["lib.rs", "main.rs", "~2 false"]);
    assert_eq!(found(b"", named("src/*.rs")), ["main.rs", "~1 false"]);
    assert_eq!(found(b"", named("**/*.log")), ["kept.log", "~1 false"]);
    assert_eq!(
        found(b"src", named("*.log")),
        ["kept.log", "~1 false"],
        "rules from above"
    );
    let mut all = named("*.rs");
    all.scope = search::Scope {
        hidden: true,
        ignored: true,
    };
    assert_eq!(
        found(b"", all),
        [".hidden.rs", "lib.rs", "main.rs", "out.rs", "~4 false"]
    );
    let mut folders = named("*");
    folders.kind = Some(Kind::Folder);
    assert_eq!(found(b"", folders), ["deep", "src", "~2 false"]);
    let mut one = named("*.rs");
    one.limit = 1;
    assert_eq!(found(b"", one).last().unwrap(), "~1 true");

    let grepped = |path: &[u8], asked: search::Grep| -> Vec<serde_json::Value> {
        let from = search::start(&root, path).unwrap();
        let mut found: Vec<serde_json::Value> = lines(|out| search::grep(&root, from, &asked, out))
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        found.sort_by_key(|line| line["path"].as_str().map(str::to_owned));
        found
    };
    let how = search::Matching::default();
    let found = grepped(b"", search::Grep::new(b"needle", how).unwrap());
    let end = found.first().unwrap();
    assert_eq!(
        (&end["done"], &end["found"]),
        (&true.into(), &2.into()),
        "{found:?}"
    );
    let line = &found[1];
    assert!(
        line["path"]
            .as_str()
            .unwrap()
            .ends_with("/in/src/deep/lib.rs")
    );
    assert_eq!(
        (&line["line"], &line["text"]),
        (&1.into(), &"// a needle".into())
    );
    assert_eq!(line["matches"][0]["start"], 5);
    let how = search::Matching {
        ignore_case: true,
        ..how
    };
    let mut asked = search::Grep::new(b"needle", how).unwrap();
    asked.context = 1;
    let found = grepped(b"src/main.rs", asked);
    let shown: Vec<_> = found
        .iter()
        .map(|line| (&line["line"], &line["context"]))
        .collect();
    assert_eq!(shown.len(), 4, "{found:?}");
    assert!(
        found
            .iter()
            .any(|line| line["text"] == "}" && line["context"] == true)
    );
    let how = search::Matching {
        fixed: true,
        ..search::Matching::default()
    };
    let found = grepped(b"", search::Grep::new(b"main() {", how).unwrap());
    assert_eq!(found.len(), 2, "{found:?}");
    let bad = search::Grep::new(b"main() {(", search::Matching::default());
    assert!(matches!(bad, Err(FileError::Pattern { .. })));
}

#[test]
fn what_would_keep_one_waiting_is_not_read() {
    let home = Home::new();
    let cwd = rustix::fs::CWD;
    let fifo = home.path("fifo");
    let (kind, mode) = (rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(cwd, &fifo, kind, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(home.path("socket")).unwrap();
    for path in ["fifo", "socket"] {
        let refused = read(&home.free(), path);
        assert!(matches!(refused, Err(FileError::NotAFile(_))), "{path}");
        let written = write(&home.free(), &home.names, order(path), "x");
        assert!(matches!(written, Err(FileError::NotAFile(_))), "{path}");
    }
    assert!(home.free().open(b"fifo", OFlags::PATH).is_ok());
}
