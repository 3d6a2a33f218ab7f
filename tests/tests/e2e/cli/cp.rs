//! `devgate cp`, with a token alone.

mod down;
mod interrupted;
mod up;
mod within;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use e2e::component::program;
use e2e::process::{Running, run};
use e2e::proxy::Proxy;
use e2e::tmux::Terminal;
use e2e::wait::{SOON, until};
use serde_json::Value;

use super::{LIMIT, Machine, noise};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_file_goes_there_and_back_with_its_mode() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    let here = machine.folder().join("here");
    fs::create_dir(&here).unwrap();
    for (name, size) in [("empty", 0), ("small", 1000), ("large", 20 << 20)] {
        let file = here.join(name);
        let bytes = noise(&file, size);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o750)).unwrap();
        let told = machine.ok(&["cp", text(&file), "default:", "--json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["files"], &told["bytes"]), (&1.into(), &size.into()));
        assert!(
            fs::read(home.join(name)).unwrap() == bytes,
            "{name} is another"
        );
        assert_eq!(mode(&home.join(name)), 0o750);
        let back = here.join(format!("{name}.back"));
        machine.ok(&["cp", &format!("default:{name}"), text(&back)]);
        assert!(
            fs::read(&back).unwrap() == bytes,
            "{name} came back as another"
        );
        assert_eq!(mode(&back), 0o750);
    }
    // Nothing is left beside them.
    let left = fs::read_dir(&here).unwrap().count();
    assert_eq!(left, 6);
    machine.ok(&["cp", "default:small", "default:copy"]);
    assert_eq!(fs::read(home.join("copy")).unwrap().len(), 1000);
}

#[test]
fn a_tree_goes_there_and_back_with_links_and_modes() {
    let machine = Machine::start();
    let home = machine.target.gateway().home();
    let tree = machine.folder().join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::create_dir(tree.join("closed")).unwrap();
    fs::write(tree.join("a/b/one"), "1").unwrap();
    fs::write(tree.join("a/ü two"), "2").unwrap();
    fs::write(tree.join("closed/three"), "3").unwrap();
    fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o550)).unwrap();
    symlink("a/b", tree.join("link")).unwrap();
    symlink("/nowhere", tree.join("dangling")).unwrap();
    machine.fails(&["cp", text(&tree), "default:"], 2, &["-r"]);
    for _ in 0..2 {
        // A second time it is all replaced.
        let told = machine.ok(&["cp", "-r", text(&tree), "default:", "--json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["files"], 3, "{told}");
        assert_eq!(told["links"], 2, "{told}");
    }
    let there = home.join("tree");
    assert_eq!(fs::read_to_string(there.join("a/ü two")).unwrap(), "2");
    assert_eq!(mode(&there.join("closed")), 0o550);
    assert_eq!(
        fs::read_link(there.join("dangling")).unwrap(),
        Path::new("/nowhere")
    );

    let back = machine.folder().join("back");
    machine.fails(&["cp", "default:tree", text(&back)], 2, &["-r"]);
    for _ in 0..2 {
        machine.ok(&["cp", "-r", "default:tree", text(&back)]);
        fs::rename(&back, machine.folder().join("moved")).unwrap();
        let moved = machine.folder().join("moved");
        assert_eq!(fs::read_to_string(moved.join("a/b/one")).unwrap(), "1");
        assert_eq!(fs::read_link(moved.join("link")).unwrap(), Path::new("a/b"));
        assert_eq!(mode(&moved.join("closed")), 0o550);
        fs::set_permissions(moved.join("closed"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::remove_dir_all(&moved).unwrap();
    }
    for folder in [tree.join("closed"), there.join("closed")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o750)).unwrap();
    }
}

#[test]
fn what_can_not_be_copied_is_said() {
    let machine = Machine::start();
    let file = machine.folder().join("file");
    fs::write(&file, "x").unwrap();
    machine.fails(&["cp", "default:missing", "."], 3, &["missing"]);
    machine.fails(&["cp", "/missing", "default:"], 3, &["/missing"]);
    machine.fails(
        &["cp", text(&file), "default:no/folder/"],
        3,
        &["no folder"],
    );
    machine.fails(&["cp", text(&file), "nothing:"], 3, &["devgate list"]);
    machine.fails(&["cp", text(&file), "/tmp/x"], 2, &["WORKSPACE:PATH"]);
    let unwritable = machine.run(&["cp", text(&file), "default:/proc/x"]);
    assert_ne!(unwritable.code(), 0, "{unwritable:?}");
    assert!(unwritable.err().contains("/proc/x"), "{unwritable:?}");
}

/// A machine whose way to the server can be cut.
fn cuttable() -> (Machine, Proxy) {
    let machine = Machine::start();
    let http = machine.target.gateway().ready().http;
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], http.port())));
    (machine, proxy)
}

/// Signs in by way of the proxy: the certificate is for the name, whatever the port.
fn by_way_of(machine: &Machine, proxy: &Proxy) {
    let token = machine.token("write");
    let url = format!("https://localhost:{}", proxy.address().port());
    machine.sign_in(&url, &token);
}

#[test]
fn a_cut_is_gone_over_both_ways() {
    let (machine, proxy) = cuttable();
    by_way_of(&machine, &proxy);
    let home = machine.target.gateway().home();
    let file = machine.folder().join("file");
    let bytes = noise(&file, 96 << 20);
    let going = machine.start_running(&["cp", text(&file), "default:up"]);
    let cuts = cut_while(&proxy, going, || remembered(&machine) == 1);
    assert!(cuts > 0, "it was over before it was cut");
    assert!(fs::read(home.join("up")).unwrap() == bytes, "another file");
    let back = machine.folder().join("back");
    let coming = machine.start_running(&["cp", "default:up", text(&back)]);
    let is_part = |name: &str| Path::new(name).extension().is_some_and(|it| it == "part");
    cut_while(&proxy, coming, || count(machine.folder(), is_part) == 1);
    assert!(fs::read(&back).unwrap() == bytes, "another file came back");
}

/// Tells how many uploads can be gone on with.
fn remembered(machine: &Machine) -> usize {
    // What was being written when it was killed has another name.
    let is_key = |name: &str| name.len() == 16 && name.chars().all(|c| c.is_ascii_hexdigit());
    count(&machine.home.join(".config/devgate/uploads"), is_key)
}

/// Counts what is in a folder, if that is there, by the names.
fn count(folder: &Path, is_one: impl Fn(&str) -> bool) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| is_one(&entry.file_name().to_string_lossy()))
        .count()
}

/// Cuts the connection again and again while a command runs, once it has begun; returns how
/// often.
fn cut_while(proxy: &Proxy, mut running: Running, has_begun: impl Fn() -> bool) -> u32 {
    let mut cuts = 0;
    until(SOON, "its beginning", || {
        has_begun() || running.ended().is_some()
    });
    until(LIMIT * 2, "the end of the copy", || {
        std::thread::sleep(std::time::Duration::from_millis(400));
        if running.ended().is_some() {
            return true;
        }
        if cuts < 4 {
            proxy.cut();
            cuts += 1;
        }
        false
    });
    let _ = running.finish(SOON).ok();
    cuts
}

#[test]
fn the_next_command_goes_on_where_one_was_killed() {
    let (machine, proxy) = cuttable();
    by_way_of(&machine, &proxy);
    let file = machine.folder().join("file");
    let bytes = noise(&file, 64 << 20);
    let going = machine.start_running(&["cp", text(&file), "default:up"]);
    until(SOON, "an upload that is remembered", || {
        remembered(&machine) == 1
    });
    proxy.stall();
    drop(going);
    proxy.cut();
    machine.ok(&["cp", text(&file), "default:up"]);
    assert_eq!(remembered(&machine), 0);
    let home = machine.target.gateway().home();
    assert!(fs::read(home.join("up")).unwrap() == bytes, "another file");
}

#[test]
fn on_a_terminal_it_shows_how_far_it_is() {
    let (machine, proxy) = cuttable();
    by_way_of(&machine, &proxy);
    let file = machine.folder().join("file");
    noise(&file, 48 << 20);
    let line = machine.line(&format!("cp {} default:up", file.display()));
    let terminal = Terminal::start(machine.folder(), &line, 100, 10);
    terminal.wait("bar", |screen| screen.contains("/48.00 MiB"));
    terminal.wait_for_line("1 file copied, 48.00 MiB");
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn names_that_are_no_utf_8_are_copied_in_all_directions() {
    let machine = Machine::start();
    let odd = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let tree = machine.folder().join(odd(b"tree\xff"));
    fs::create_dir_all(tree.join(odd(b"in\xfe"))).unwrap();
    noise(&tree.join(odd(b"in\xfe/small\xfd%41")), 1000);
    noise(&tree.join(odd(b"in\xfe/large\xfc")), 3 << 20);
    symlink("target", tree.join(odd(b"link\xfb"))).unwrap();
    let home = machine.target.gateway().home();
    let copy = |from: OsString, to: OsString| {
        let mut cp = machine.command(&["cp", "-r"]);
        let _ = run(cp.arg(from).arg(to), b"", LIMIT).ok();
    };
    let same = |one: &Path, other: &Path| {
        let mut diff = Command::new(program("diff"));
        diff.args(["-r", "--no-dereference"]).arg(one).arg(other);
        let _ = run(&mut diff, b"", LIMIT).ok();
    };
    copy(tree.clone().into(), "default:".into());
    same(&tree, &home.join(odd(b"tree\xff")));
    copy(odd(b"default:tree\xff"), odd(b"default:other\xfa"));
    same(&tree, &home.join(odd(b"other\xfa")));
    // Once more, over what is there.
    copy(odd(b"default:tree\xff/."), odd(b"default:other\xfa"));
    same(&tree, &home.join(odd(b"other\xfa")));
    let back = machine.folder().join(odd(b"back\xf9"));
    copy(odd(b"default:other\xfa"), back.clone().into());
    same(&tree, &back);
}
