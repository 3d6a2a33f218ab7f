//! What others do to files meanwhile, and archives that were made to do harm.

use std::sync::Barrier;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, mknodat};
use tar::EntryType;
use zip::ZipWriter;
use zip::write::FullFileOptions;

use super::*;

/// Where the notes of uploads are, in the home.
const NOTES: &str = ".local/state/devgate/uploads";

fn ask(path: &str) -> Ask {
    Ask {
        path: path.into(),
        size: 3,
        sha256: None,
        mode: None,
        parents: false,
    }
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// An entry of a tar archive.
fn entry(name: &str, kind: EntryType, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len().try_into().unwrap());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn untar(home: &Home, archive: &[u8]) -> Result<tree::Unpacked, FileError> {
    let stop = CancellationToken::new();
    tree::unpack(&home.free(), b"in", tree::Format::Tar, archive, &stop)
}

#[test]
fn of_those_who_replace_the_same_version_one_succeeds() {
    let home = Home::new();
    for round in 0..50 {
        let path = format!("in/{round}");
        let (root, names) = (home.free(), &home.names);
        let first = write(&root, names, order(&path), "first").unwrap();
        let begin = Barrier::new(4);
        let done: usize = std::thread::scope(|scope| {
            let write = |number: usize| {
                let condition = Condition::Tagged(vec![first.etag.clone()]);
                let order = Order {
                    condition,
                    ..order(&path)
                };
                let mut writing = Writing::begin(&root, order).unwrap();
                let text = Bytes::from(number.to_string());
                writing.write(&[text]).unwrap();
                begin.wait();
                match writing.finish(names) {
                    Ok(_) => 1,
                    Err(FileError::Precondition(_)) => 0,
                    Err(error) => panic!("{error}"),
                }
            };
            let all: Vec<_> = (0..4).map(|n| scope.spawn(move || write(n))).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(done, 1);
    }
}

#[test]
fn a_pipe_in_the_place_of_an_upload_keeps_nobody_waiting() {
    let home = Home::new();
    let (root, names) = (home.free(), &home.names);
    let uploads = Uploads::new(home.folder.path());
    let content = uploads.create(&root, &ask("in/a")).unwrap().id;
    let note = uploads.create(&root, &ask("in/b")).unwrap().id;
    let path = home.path(&format!("in/.devgate-{content}"));
    fs::remove_file(&path).unwrap();
    pipe(&path);
    let path = home.path(&format!("{NOTES}/{note}"));
    fs::remove_file(&path).unwrap();
    pipe(&path);
    for id in [&content, &note] {
        assert!(uploads.piece(&root, id, 0).is_err());
        assert!(uploads.complete(&root, names, id, None, false).is_err());
        assert!(uploads.show(&root, id).is_err());
    }
    uploads.expire().unwrap();
}

#[test]
fn notes_of_uploads_go_through_no_link_and_make_nobody_else_of_a_file() {
    let home = Home::new();
    let uploads = Uploads::new(home.folder.path());
    fs::create_dir(home.path("elsewhere")).unwrap();
    fs::create_dir_all(home.path(".local/state")).unwrap();
    symlink(home.path("elsewhere"), home.path(".local/state/devgate")).unwrap();
    assert!(uploads.create(&home.free(), &ask("in/file")).is_err());
    let left = fs::read_dir(home.path("elsewhere")).unwrap().count();
    assert_eq!(
        (left, fs::read_dir(home.path("in")).unwrap().count()),
        (0, 0)
    );
    fs::remove_file(home.path(".local/state/devgate")).unwrap();
    let id = uploads.create(&home.free(), &ask("in/file")).unwrap().id;
    let note = home.path(&format!("{NOTES}/{id}"));
    let said = fs::read_to_string(&note).unwrap();
    let said = said.replace("\"mode\":null", &format!("\"mode\":{}", 0o4755));
    fs::write(&note, said).unwrap();
    let mut piece = uploads.piece(&home.free(), &id, 0).unwrap();
    piece.write(&[Bytes::from_static(b"abc")]).unwrap();
    let (root, names) = (home.free(), &home.names);
    let _ = uploads.complete(&root, names, &id, None, false).unwrap();
    let mode = fs::metadata(home.path("in/file")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o755);
}

#[test]
fn a_note_that_nobody_can_read_expires_too() {
    let home = Home::new();
    let uploads = Uploads::new(home.folder.path());
    let id = uploads.create(&home.free(), &ask("in/file")).unwrap().id;
    let note = home.path(&format!("{NOTES}/{id}"));
    fs::write(&note, "no note").unwrap();
    uploads.expire().unwrap();
    assert!(note.exists(), "it may be somebody's still");
    let past = SystemTime::now() - Duration::from_hours(25);
    let file = fs::File::options().write(true).open(&note).unwrap();
    file.set_modified(past).unwrap();
    uploads.expire().unwrap();
    assert!(!note.exists());
}

#[test]
fn a_search_ends_with_its_client() {
    let home = Home::new();
    fs::write(home.path("in/file"), "nothing of it is looked for\n").unwrap();
    let runtime = runtime();
    let _entered = runtime.enter();
    let (mut out, pieces) = outgoing();
    drop(pieces);
    let root = home.free();
    let from = search::start(&root, b"in/file").unwrap();
    let grep = search::Grep::new(b"absent", search::Matching::default()).unwrap();
    let searched = search::grep(&root, from, &grep, &mut out);
    assert!(matches!(searched, Err(FileError::CutOff)), "{searched:?}");
}

#[test]
fn what_describes_the_entries_of_an_archive_fits_into_memory() {
    let home = Home::new();
    let long = vec![b'a'; 3 * 1024 * 1024];
    let file = entry("file", EntryType::Regular, 0o644, b"x");
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
    ] {
        let archive = [entry("long", kind, 0o644, &long), file.clone()].concat();
        let done = untar(&home, &archive);
        assert!(
            matches!(done, Err(FileError::Archive(_))),
            "{kind:?}: {done:?}"
        );
    }
    // As much of content, or of what is left out, is fine.
    let odd = EntryType::new(b'Z');
    let archive = [
        entry("odd", odd, 0, &long),
        entry("big", EntryType::Regular, 0o644, &long),
    ];
    let done = untar(&home, &[archive.concat(), file].concat()).unwrap();
    assert_eq!((done.entries, done.skipped), (2, 1));
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let comment = "c".repeat(60_000);
    for number in 0..300 {
        let options = FullFileOptions::default().with_file_comment(comment.as_str());
        zip.start_file(number.to_string(), options).unwrap();
    }
    let archive = zip.finish().unwrap().into_inner();
    let stop = CancellationToken::new();
    let done = tree::unpack(
        &home.free(),
        b"in",
        tree::Format::Zip,
        archive.as_slice(),
        &stop,
    );
    assert!(matches!(done, Err(FileError::Archive(_))), "{done:?}");
}

#[test]
fn folders_of_an_archive_get_their_permissions_after_what_is_in_them() {
    let home = Home::new();
    let folder = |name| entry(name, EntryType::Directory, 0o555, b"");
    let file = entry("a/b/file", EntryType::Regular, 0o600, b"x");
    let archive = [folder("a/"), folder("a/b/"), folder("a/"), file].concat();
    assert_eq!(untar(&home, &archive).unwrap().entries, 4);
    for path in ["in/a", "in/a/b"] {
        let path = home.path(path);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o555
        );
        // So that it can be deleted.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_file_of_an_archive_that_breaks_off_stays_as_it_was() {
    let home = Home::new();
    fs::write(home.path("in/file"), "before").unwrap();
    let archive = entry("file", EntryType::Regular, 0o644, &[b'x'; 4096]);
    assert!(untar(&home, archive.split_at(2048).0).is_err());
    assert_eq!(fs::read_to_string(home.path("in/file")).unwrap(), "before");
    assert_eq!(fs::read_dir(home.path("in")).unwrap().count(), 1);
    assert_eq!(untar(&home, &archive).unwrap().bytes, 4096);
    assert_eq!(fs::read(home.path("in/file")).unwrap().len(), 4096);
}

#[test]
fn what_is_to_move_and_cannot_be_copied_is_kept() {
    let home = Home::new();
    fs::create_dir(home.path("in/tree")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(home.path("in/tree/socket")).unwrap();
    let (root, names, stop) = (home.free(), &home.names, CancellationToken::new());
    let way = (&b"in/tree"[..], &b"in/new"[..]);
    let moved = copy::copy_all(&root, names, way, Replace::No, copy::Odd::Refused, &stop);
    assert!(matches!(moved, Err(FileError::NotAFile(_))), "{moved:?}");
    assert!(!home.path("in/new").exists());
    let _ = copy(&root, names, way, Replace::No, &stop).unwrap();
    assert!(home.path("in/new").exists());
}
