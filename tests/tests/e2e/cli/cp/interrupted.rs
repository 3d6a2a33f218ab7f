//! Copies that a signal ends.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;

use e2e::component::{built, program};
use e2e::process::run;
use nix::sys::signal::Signal;

use super::down::parts;
use super::*;

/// How many files a tree has, and how large each is: so small that none is worth going on with.
const FILES: usize = 24;
const SIZE: usize = 700_001;

/// Makes a tree, and returns what each of its files holds.
#[track_caller]
fn tree(root: &Path) -> Vec<u8> {
    fs::create_dir_all(root.join("a/b")).unwrap();
    let bytes = noise(&root.join("a/b/0"), SIZE);
    for number in 1..FILES {
        fs::write(root.join(format!("a/b/{number}")), &bytes).unwrap();
    }
    bytes
}

/// Returns how many files came; each of them is whole.
#[track_caller]
fn whole(root: &Path, bytes: &[u8]) -> usize {
    let entries = fs::read_dir(root.join("a/b"))
        .into_iter()
        .flatten()
        .flatten();
    let paths = entries.map(|entry| entry.path());
    let named = paths.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    named
        .map(|path| {
            assert!(
                fs::read(&path).unwrap() == bytes,
                "{} is half",
                path.display()
            );
        })
        .count()
}

#[test]
fn a_tree_that_is_interrupted_has_whole_files_alone_and_the_same_command_completes_it() {
    let (machine, proxy) = cuttable();
    by_way_of(&machine, &proxy);
    let (here, back) = (machine.folder().join("tree"), machine.folder().join("back"));
    let bytes = tree(&here);
    let there = machine.target.gateway().home().join("tree");
    let up = ["cp", "-r", text(&here), "default:tree"];
    let down = ["cp", "-r", "default:tree", text(&back)];
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    for (args, made) in [(up, &there), (down, &back)] {
        for signal in signals {
            proxy.stall_after(5 * SIZE);
            let going = machine.start_running(&args);
            until(SOON, "some of the files", || whole(made, &bytes) >= 2);
            going.signal(signal);
            let ended = going.finish(SOON);
            assert_eq!(ended.status.signal(), Some(signal as i32), "{ended:?}");
            assert!(
                ended.err().contains("the same command goes on"),
                "{ended:?}"
            );
            assert!(whole(made, &bytes) < FILES);
            assert_eq!(parts(&made.join("a/b")), Vec::<PathBuf>::new());
            proxy.cut();
            proxy.resume();
            fs::remove_dir_all(made).unwrap();
        }
        machine.ok(&args);
        assert_eq!(whole(made, &bytes), FILES);
        let all = fs::read_dir(made.join("a/b")).unwrap().count();
        assert_eq!(all, FILES, "something else is left");
    }
}

#[test]
fn a_signal_that_is_ignored_ends_nothing() {
    let (machine, proxy) = cuttable();
    by_way_of(&machine, &proxy);
    let file = machine.folder().join("file");
    let bytes = noise(&file, 16 << 20);
    proxy.stall_after(4 << 20);
    let mut nohup = Command::new(program("nohup"));
    let devgate = machine.command(&["cp", text(&file), "default:up"]);
    nohup
        .arg(built("devgate"))
        .args(devgate.get_args())
        .env_clear();
    for (name, value) in devgate.get_envs() {
        nohup.env(name, value.unwrap());
    }
    let going = Running::start(&mut nohup);
    until(SOON, "an upload that is remembered", || {
        remembered(&machine) == 1
    });
    going.signal(Signal::SIGHUP);
    proxy.resume();
    let _ = going.finish(LIMIT).ok();
    let home = machine.target.gateway().home();
    assert!(fs::read(home.join("up")).unwrap() == bytes, "another file");
}

#[test]
fn a_shell_ends_its_loop_with_the_copy_that_is_interrupted() {
    let (machine, proxy) = cuttable();
    by_way_of(&machine, &proxy);
    let file = machine.folder().join("file");
    noise(&file, 16 << 20);
    proxy.stall_after(1 << 20);
    let script = format!(
        "for turn in 1 2; do devgate cp {} default:up; echo went-on-$turn; done",
        text(&file)
    );
    let mut bash = Command::new(program("bash"));
    let devgate = machine.command(&[]);
    bash.args(["-c", &script]).env_clear();
    for (name, value) in devgate.get_envs() {
        bash.env(name, value.unwrap());
    }
    let going = Running::start(&mut bash);
    until(SOON, "an upload that is remembered", || {
        remembered(&machine) == 1
    });
    // As a terminal does, to all of them.
    let group = going.pid().to_string();
    let mut kill = Command::new(program("kill"));
    let _ = run(
        kill.args(["-s", "INT", "--", &format!("-{group}")]),
        b"",
        SOON,
    )
    .ok();
    let ended = going.finish(SOON);
    assert_eq!(ended.out(), "", "{ended:?}");
    assert_eq!(
        ended.status.signal(),
        Some(Signal::SIGINT as i32),
        "{ended:?}"
    );
}
