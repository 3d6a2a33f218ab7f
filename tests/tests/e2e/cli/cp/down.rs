//! Copies from a workspace, of which nothing is trusted, to a machine that has things.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use e2e::process::{Finished, run};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

/// Runs `devgate` in a folder, with what a shell does before.
#[track_caller]
fn in_folder(machine: &Machine, (folder, first): (&Path, &str), args: &str) -> Finished {
    let line = format!(
        "cd '{}' && {first} {}",
        folder.display(),
        machine.line(args)
    );
    run(Command::new("/bin/sh").args(["-c", &line]), b"", LIMIT)
}

#[test]
fn a_link_that_a_workspace_laid_down_is_not_followed() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    let private = machine.folder().join("private");
    let here = machine.folder().join("here");
    fs::create_dir(&private).unwrap();
    fs::create_dir(&here).unwrap();
    symlink(&private, home.join("proj")).unwrap();
    let _ = in_folder(&machine, (&here, ""), "cp -r default:. .").ok();
    assert!(here.join("proj").is_symlink());
    // It is something else by now.
    fs::remove_file(home.join("proj")).unwrap();
    fs::create_dir(home.join("proj")).unwrap();
    fs::write(home.join("proj/authorized_keys"), "mine").unwrap();
    let again = in_folder(&machine, (&here, ""), "cp -r default:proj .");
    assert_eq!(again.code(), 1, "{again:?}");
    assert!(again.err().contains("in the way"), "{again:?}");
    assert_eq!(fs::read_dir(&private).unwrap().count(), 0);
}

#[test]
fn what_is_named_and_no_file_is_an_error() {
    let machine = Machine::start();
    let here = machine.folder().join("null").display().to_string();
    let words = ["/dev/null", "a device", "devgate exec"];
    machine.fails(&["cp", "default:/dev/null", &here], 1, &words);
    machine.fails(&["cp", "default:/dev/null", "default:null"], 1, &words);
    assert!(!Path::new(&here).exists());
    // What else is named is copied.
    fs::write(machine.target.gateway().home().join("one"), "1").unwrap();
    let here = machine.folder();
    let both = [
        "cp",
        "default:/dev/null",
        "default:one",
        here.to_str().unwrap(),
    ];
    let both = machine.run(&both);
    assert_eq!(both.code(), 1, "{both:?}");
    assert_eq!(fs::read_to_string(here.join("one")).unwrap(), "1");
}

#[test]
fn what_is_made_here_has_no_more_permissions_than_this_machine_gives() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    let tree = home.join("tree");
    fs::create_dir_all(tree.join("there")).unwrap();
    fs::create_dir(tree.join("new")).unwrap();
    for file in ["there/file", "new/file", "new/secret"] {
        fs::write(tree.join(file), "from there").unwrap();
        fs::set_permissions(tree.join(file), fs::Permissions::from_mode(0o666)).unwrap();
    }
    for folder in ["", "there", "new"] {
        fs::set_permissions(tree.join(folder), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let here = machine.folder().join("here");
    fs::create_dir_all(here.join("there")).unwrap();
    fs::write(here.join("there/file"), "secret").unwrap();
    for (path, mode) in [("", 0o711), ("there", 0o1703), ("there/file", 0o600)] {
        fs::set_permissions(here.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let place = (machine.folder(), "umask 027;");
    let _ = in_folder(&machine, place, "cp -r default:tree/. here").ok();
    for (path, mode) in [
        ("", 0o711),
        ("there", 0o1703),
        ("there/file", 0o600),
        ("new", 0o750),
        ("new/file", 0o640),
    ] {
        let found = fs::metadata(here.join(path)).unwrap().mode() & 0o7777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
    assert_eq!(
        fs::read_to_string(here.join("there/file")).unwrap(),
        "from there"
    );
}

#[test]
fn what_the_kernel_makes_up_is_read_to_its_end() {
    let machine = Machine::start();
    let to = machine.folder().join("version");
    machine.ok(&["cp", "default:/proc/version", text(&to)]);
    let version = fs::read("/proc/version").unwrap();
    assert!(!version.is_empty() && fs::read(&to).unwrap() == version);
    // The other way round, too.
    machine.ok(&["cp", "/proc/version", "default:version"]);
    let home = machine.target.gateway().home();
    assert!(fs::read(home.join("version")).unwrap() == version);
}

#[test]
fn what_is_no_file_is_written_to_and_a_typed_link_is_followed() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    let bytes = noise(&home.join("file"), 3 << 20);
    let at = |name: &str| machine.folder().join(name);
    let pipe = at("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    machine.ok(&["cp", "default:file", text(&pipe)]);
    assert!(reader.join().unwrap() == bytes);
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    let out = machine.run(&["cp", "default:file", "/dev/stdout"]).ok();
    assert!(out.stdout == bytes);

    fs::write(at("target"), "old").unwrap();
    symlink("target", at("link")).unwrap();
    machine.ok(&["cp", "default:file", text(&at("link"))]);
    assert!(at("link").is_symlink() && fs::read(at("target")).unwrap() == bytes);
    symlink("nothing", at("dangling")).unwrap();
    machine.fails(
        &["cp", "default:file", text(&at("dangling"))],
        1,
        &["link to nothing"],
    );
    assert!(!at("nothing").exists());
    // A name from the workspace replaces no pipe, and no folder.
    fs::create_dir(at("folder")).unwrap();
    mkfifo(&at("folder/file"), Mode::S_IRWXU).unwrap();
    machine.fails(
        &["cp", "default:file", text(&at("folder"))],
        1,
        &["in the way"],
    );
    fs::remove_file(at("folder/file")).unwrap();
    fs::create_dir(at("folder/file")).unwrap();
    machine.fails(
        &["cp", "default:file", text(&at("folder"))],
        1,
        &["in the way"],
    );
}

#[test]
fn one_that_can_not_be_copied_is_listed_and_the_others_are_copied() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    let tree = home.join("tree");
    fs::create_dir_all(tree.join("z")).unwrap();
    let odd = OsStr::from_bytes(b"\xff\xfe");
    let long = "n".repeat(255);
    for name in [
        OsStr::new("file"),
        OsStr::new("z/last"),
        odd,
        OsStr::new(&long),
    ] {
        fs::write(tree.join(name), "1").unwrap();
    }
    let here = machine.folder().join("tree");
    fs::create_dir_all(here.join("file")).unwrap();
    let to = machine.folder();
    let copied = machine.run(&["cp", "-r", "default:tree", text(to), "--json"]);
    assert_eq!(copied.code(), 1, "{copied:?}");
    let told: Value = serde_json::from_str(&copied.out()).unwrap();
    assert_eq!(told["files"], 3, "{told}");
    assert_eq!(told["failed"][0]["path"], "tree/file", "{told}");
    assert_eq!(told["failed"].as_array().unwrap().len(), 1, "{told}");
    for name in [OsStr::new("z/last"), odd, OsStr::new(&long)] {
        assert_eq!(fs::read(here.join(name)).unwrap(), b"1", "{name:?}");
    }
    // Several are as good.
    let copied = machine.run(&["cp", "default:missing", "default:tree/z/last", text(to)]);
    assert_eq!(copied.code(), 1, "{copied:?}");
    assert!(copied.err().contains("missing"), "{copied:?}");
    assert!(machine.folder().join("last").exists());
}

/// The parts that are in a folder.
pub(super) fn parts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "part"))
        .collect()
}

#[test]
fn what_came_of_a_file_is_gone_on_with_or_removed_by_the_next_command() {
    let (machine, proxy) = cuttable();
    by_way_of(&machine, &proxy);
    let file = machine.target.gateway().home().join("file");
    let here = machine.folder().join("here");
    fs::create_dir(&here).unwrap();
    let to = here.join("file");
    let args = ["cp", "default:file", text(&to)];
    let interrupt = || {
        fs::write(&file, noise(&file, 1_000_003).repeat(256)).unwrap();
        // Far from the end, and far enough for some of it to come.
        proxy.stall_after(8 << 20);
        let going = machine.start_running(&args);
        let came = || {
            parts(&here)
                .iter()
                .any(|part| fs::metadata(part).is_ok_and(|part| part.len() > 0))
        };
        until(SOON, "what comes of the file", came);
        going.signal(Signal::SIGINT);
        let ended = going.finish(SOON);
        proxy.cut();
        proxy.resume();
        // A shell's loop ends with it, as with any other program.
        assert_eq!(
            ended.status.signal(),
            Some(Signal::SIGINT as i32),
            "{ended:?}"
        );
        assert!(
            ended.err().contains("the same command goes on"),
            "{ended:?}"
        );
        let left = parts(&here);
        let [part] = left.as_slice() else {
            panic!("{left:?}");
        };
        assert!(!to.exists());
        fs::metadata(part).unwrap().ino()
    };
    let part = interrupt();
    machine.ok(&args);
    assert!(fs::read(&to).unwrap() == fs::read(&file).unwrap());
    assert_eq!(fs::metadata(&to).unwrap().ino(), part, "it began anew");
    fs::remove_file(&to).unwrap();
    // What came is of a file that is another one by then.
    interrupt();
    let other = noise(&file, 2 << 20);
    fs::write(&file, [&b"other"[..], &other].concat()).unwrap();
    machine.ok(&args);
    assert!(fs::read(&to).unwrap() == fs::read(&file).unwrap());
    assert_eq!(parts(&here), Vec::<PathBuf>::new());
}

#[test]
fn two_at_once_do_not_mix_what_they_bring() {
    let machine = Machine::start();
    let bytes = noise(&machine.target.gateway().home().join("file"), 64 << 20);
    let to = machine.folder().join("file");
    let args = ["cp", "default:file", text(&to)];
    let both = [machine.start_running(&args), machine.start_running(&args)];
    let both = both.map(|running| running.finish(LIMIT));
    assert!(both.iter().any(|ended| ended.code() == 0), "{both:?}");
    for ended in both.iter().filter(|ended| ended.code() != 0) {
        assert!(ended.err().contains("another devgate cp"), "{both:?}");
    }
    assert!(fs::read(&to).unwrap() == bytes, "they are mixed");
    assert_eq!(parts(machine.folder()), Vec::<PathBuf>::new());
}
