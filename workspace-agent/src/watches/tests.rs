mod roots;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::time::timeout;

use super::log::Kind;
use super::pattern::Patterns;
use super::raw::{Batch, Raw, Source};
use super::tree::{Depth, Tree};
use super::*;
use crate::files::Root;

/// How long an event may take on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

fn set() -> Watches {
    Watches::new(TaskTracker::new(), CancellationToken::new())
}

fn wanted(path: &Path) -> Wanted {
    Wanted {
        path: path.to_owned(),
        within: None,
        recursive: true,
        include: Vec::new(),
        exclude: Vec::new(),
        keep: Duration::from_mins(1),
    }
}

async fn next(follower: &mut Follower) -> Event {
    timeout(SOON, follower.next()).await.unwrap().unwrap()
}

/// Takes events until `last` was made, and returns what they say below `root`.
async fn until_made(follower: &mut Follower, root: &Path, last: &str) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        let event = next(follower).await;
        let below = |path: &str| {
            let below = Path::new(path).strip_prefix(root).unwrap();
            below.display().to_string()
        };
        let path = below(&event.path);
        if path == last {
            return said;
        }
        let kind = match event.kind {
            Kind::Created => "+",
            Kind::Modified => "~",
            Kind::Removed => "-",
            Kind::Renamed => ">",
            Kind::Overflow => "!",
        };
        let to = event.to.as_deref().map(below).unwrap_or_default();
        let slash = if event.folder { "/" } else { "" };
        said.push(format!("{kind}{path}{slash}{to}"));
    }
}

#[tokio::test]
async fn what_happens_is_told_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("there")).unwrap();
    let watches = set();
    let watch = watches.start(wanted(root)).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    let at = |name: &str| root.join(name);
    fs::write(at("a"), "").unwrap();
    fs::write(at("a"), "text").unwrap();
    fs::rename(at("a"), at("there/b")).unwrap();
    fs::rename(at("there"), at("moved")).unwrap();
    fs::write(at("moved/c"), "").unwrap();
    fs::rename(at("moved/c"), root.parent().unwrap().join("devgate-c")).unwrap();
    fs::rename(root.parent().unwrap().join("devgate-c"), at("d")).unwrap();
    fs::remove_file(at("d")).unwrap();
    fs::remove_dir_all(at("moved")).unwrap();
    fs::write(at("end"), "").unwrap();
    let said = until_made(&mut follower, root, "end").await;
    assert_eq!(
        said,
        [
            "+a",
            "~a",
            ">athere/b",
            ">there/moved",
            "+moved/c",
            "-moved/c",
            "+d",
            "-d",
            "-moved/b",
            "-moved/",
        ]
    );
}

#[tokio::test]
async fn folders_that_are_made_are_watched_without_a_gap_and_nothing_is_told_twice() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let watches = set();
    let watch = watches.start(wanted(&root)).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    let making = root.clone();
    let made = tokio::task::spawn_blocking(move || {
        let mut made = BTreeSet::new();
        for outer in 0..100 {
            let mut path = making.join(format!("d{outer}"));
            for inner in 0..5 {
                fs::create_dir(&path).unwrap();
                made.insert(path.display().to_string());
                for file in 0..4 {
                    let file = path.join(format!("f{file}"));
                    fs::write(&file, "").unwrap();
                    made.insert(file.display().to_string());
                }
                path = path.join(format!("e{inner}"));
            }
        }
        fs::write(making.join("end"), "").unwrap();
        made
    });
    let made = made.await.unwrap();
    let mut told = BTreeSet::new();
    loop {
        let event = next(&mut follower).await;
        if event.path.ends_with("/end") {
            break;
        }
        assert_eq!(event.kind, Kind::Created, "{event:?}");
        assert!(told.insert(event.path.clone()), "twice: {event:?}");
    }
    // Those of the last folders may follow the last file, which is nearer to the root.
    while told.len() < made.len() {
        let event = next(&mut follower).await;
        assert!(told.insert(event.path.clone()), "twice: {event:?}");
    }
    assert_eq!(told, made);
}

#[tokio::test]
async fn patterns_choose_and_spare_folders() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("node_modules/deep")).unwrap();
    let watches = set();
    let wanted = Wanted {
        include: vec!["*.rs".to_owned(), "end".to_owned()],
        exclude: vec!["node_modules".to_owned(), "secret.rs".to_owned()],
        ..wanted(root)
    };
    let watch = watches.start(wanted).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    for name in [
        "a.rs",
        "a.txt",
        "secret.rs",
        "node_modules/a.rs",
        "node_modules/deep/b.rs",
    ] {
        fs::write(root.join(name), "").unwrap();
    }
    fs::rename(root.join("a.txt"), root.join("b.rs")).unwrap();
    fs::rename(root.join("b.rs"), root.join("b.txt")).unwrap();
    fs::create_dir(root.join("new")).unwrap();
    fs::write(root.join("new/c.rs"), "").unwrap();
    fs::write(root.join("end"), "").unwrap();
    let mut said = until_made(&mut follower, root, "end").await;
    said.sort();
    said.retain(|said| said != "+new/c.rs");
    assert_eq!(said, ["+a.rs", "+b.rs", "-b.rs"]);
}

#[tokio::test]
async fn a_file_is_watched_through_its_replacement() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("config"), "").unwrap();
    let watches = set();
    let watch = watches.start(wanted(&root.join("config"))).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    fs::write(root.join("other"), "x").unwrap();
    fs::write(root.join("config.new"), "x").unwrap();
    fs::rename(root.join("config.new"), root.join("config")).unwrap();
    let event = next(&mut follower).await;
    assert_eq!(event.kind, Kind::Created);
    assert!(event.path.ends_with("/config"));
    fs::write(root.join("config"), "y").unwrap();
    assert_eq!(next(&mut follower).await.kind, Kind::Modified);
}

#[tokio::test]
async fn who_comes_again_gets_what_they_missed_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let watches = set();
    let watch = watches.start(wanted(root)).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    fs::write(root.join("1"), "").unwrap();
    let first = next(&mut follower).await;
    drop(follower);
    fs::write(root.join("2"), "").unwrap();
    fs::write(root.join("3"), "").unwrap();
    let mut follower = watch.follow(first.sequence).unwrap();
    let second = next(&mut follower).await;
    assert_eq!(second.sequence, first.sequence + 1);
    assert!(second.path.ends_with("/2"));
    assert!(next(&mut follower).await.path.ends_with("/3"));
    assert!(watch.follow(99).is_err());
}

#[tokio::test]
async fn a_watch_that_nobody_follows_ends() {
    let folder = tempfile::tempdir().unwrap();
    let watches = set();
    let wanted = Wanted {
        keep: Duration::from_millis(50),
        ..wanted(folder.path())
    };
    let watch = watches.start(wanted).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    drop(watch.follow(0).unwrap());
    // One of two still follows: it goes on for as long as that.
    fs::write(folder.path().join("a"), "").unwrap();
    let _ = next(&mut follower).await;
    drop(follower);
    timeout(SOON, async {
        while !watches.all(None).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let id = watch.id.clone();
    assert!(watches.find(&id, None).is_err());
}

#[tokio::test]
async fn what_is_not_there_cannot_be_watched() {
    let folder = tempfile::tempdir().unwrap();
    let watches = set();
    let missing = watches.start(wanted(&folder.path().join("missing"))).await;
    assert!(matches!(missing, Err(WatchError::Missing(_))));
    assert!(watches.all(None).is_empty());
    let held: Vec<_> = (0..MAX_WATCHES)
        .map(|_| watches.places.take(MAX_WATCHES).unwrap())
        .collect();
    let more = watches.start(wanted(folder.path())).await;
    assert!(matches!(more, Err(WatchError::TooMany)));
    drop(held);
    assert!(watches.start(wanted(folder.path())).await.is_ok());
}

#[tokio::test]
async fn who_is_confined_to_a_folder_watches_that_and_knows_of_no_other_watch() {
    let home = tempfile::tempdir().unwrap();
    let inside = home.path().join("in");
    fs::create_dir_all(&inside).unwrap();
    fs::create_dir_all(home.path().join("other/deep")).unwrap();
    std::os::unix::fs::symlink("../other", inside.join("link")).unwrap();
    let root = Arc::new(Root::of(home.path(), Some(b"in")).unwrap());
    let watches = set();
    let confined = Wanted {
        within: Some(Within {
            folder: b"in".to_vec(),
            root: Arc::clone(&root),
        }),
        ..wanted(&inside)
    };
    let own = watches.start(confined).await.unwrap();
    let all = watches.start(wanted(home.path())).await.unwrap();
    let shown = |confined| watches.all(confined).len();
    assert_eq!(
        (shown(None), shown(Some(b"in")), shown(Some(b"i"))),
        (2, 1, 0)
    );
    assert!(watches.find(&own.id, Some(b"in")).is_ok());
    assert!(watches.find(&all.id, Some(b"in")).is_err());
    assert!(watches.end(&all.id, Some(b"in")).is_err());
    let mut follower = own.follow(0).unwrap();
    fs::create_dir(inside.join("sub")).unwrap();
    fs::write(home.path().join("other/file"), "").unwrap();
    fs::write(inside.join("sub/file"), "").unwrap();
    fs::write(inside.join("end"), "").unwrap();
    let said = until_made(&mut follower, &inside, "end").await;
    assert_eq!(said, ["+sub/", "+sub/file"]);
    // A folder that became a link is what a path may lead through.
    let open = |path: &Path, within| {
        let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let patterns = Patterns::new(&[], &[]).unwrap();
        Tree::open(kernel, within, path, Depth::All, patterns)
    };
    let deep = inside.join("link/deep");
    assert!(open(&deep, None).is_ok());
    assert!(open(&deep, Some(Arc::clone(&root))).is_err());
    assert!(open(&inside.join("sub"), Some(root)).is_ok());
}

#[tokio::test]
async fn a_folder_whose_name_was_taken_again_is_watched_by_its_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let at = |name: &str| root.join(name);
    let watches = set();
    let watch = watches.start(wanted(root)).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    // Nothing of it is read before all of it is done.
    fs::create_dir(at("a")).unwrap();
    fs::rename(at("a"), at("b")).unwrap();
    fs::create_dir(at("a")).unwrap();
    fs::write(at("one"), "").unwrap();
    until_made(&mut follower, root, "one").await;
    fs::write(at("a/in-a"), "").unwrap();
    fs::write(at("b/in-b"), "").unwrap();
    fs::write(at("two"), "").unwrap();
    let said = until_made(&mut follower, root, "two").await;
    assert_eq!(said, ["+a/in-a", "+b/in-b"]);
}

#[tokio::test]
async fn two_folders_change_their_names_with_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("a/deep-a")).unwrap();
    fs::create_dir_all(at("b/deep-b")).unwrap();
    let watches = set();
    let watch = watches.start(wanted(root)).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    renameat_with(CWD, at("a"), CWD, at("b"), RenameFlags::EXCHANGE).unwrap();
    fs::write(at("one"), "").unwrap();
    let said = until_made(&mut follower, root, "one").await;
    assert_eq!(said, [">a/b", ">b/a"]);
    fs::write(at("a/deep-b/x"), "").unwrap();
    fs::write(at("b/deep-a/y"), "").unwrap();
    fs::write(at("two"), "").unwrap();
    let said = until_made(&mut follower, root, "two").await;
    assert_eq!(said, ["+a/deep-b/x", "+b/deep-a/y"]);
}

#[tokio::test]
async fn after_lost_events_folders_are_called_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let root = folder.path();
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("a")).unwrap();
    fs::create_dir_all(at("out")).unwrap();
    let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    let mut source = Source::new(kernel.try_clone().unwrap()).unwrap();
    let patterns = Patterns::new(&[], &[]).unwrap();
    let mut tree = Tree::open(kernel, None, root, Depth::All, patterns).unwrap();
    fs::rename(at("a"), at("b")).unwrap();
    fs::rename(at("out"), elsewhere.path().join("out")).unwrap();
    drop(source.next().await.unwrap());
    let lost = Batch {
        events: vec![Raw {
            watch: -1,
            flags: ReadFlags::QUEUE_OVERFLOW,
            cookie: 0,
            name: OsString::new(),
        }],
        is_all: true,
    };
    let told = tree.take(&lost);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind, Kind::Overflow);
    fs::write(elsewhere.path().join("out/no"), "").unwrap();
    fs::write(at("b/yes"), "").unwrap();
    let told = tree.take(&source.next().await.unwrap());
    let told: Vec<_> = told.iter().map(|change| change.path.clone()).collect();
    assert_eq!(told, [at("b/yes")]);
    assert!(!tree.is_incomplete());
}

#[tokio::test]
async fn a_name_that_is_no_text_is_told_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let watches = set();
    let watch = watches.start(wanted(root)).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    let odd = root.join(OsStr::from_bytes(b"odd\xff"));
    fs::write(&odd, "").unwrap();
    fs::rename(&odd, root.join(OsStr::from_bytes(b"\xfe"))).unwrap();
    let event = next(&mut follower).await;
    assert!(event.path.ends_with("/odd\u{fffd}"));
    assert!(event.raw_path.unwrap().ends_with("/odd%FF"));
    let event = next(&mut follower).await;
    assert!(event.raw_path.unwrap().ends_with("/odd%FF"));
    assert!(event.raw_to.unwrap().ends_with("/%FE"));
}
