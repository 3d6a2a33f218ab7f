//! The command line in odd surroundings: where its file is a link or of a later version, where
//! there is no home, and where its output goes nowhere.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Stdio;

use e2e::process::{Running, run};

use super::{LIMIT, Machine};

#[test]
fn a_file_of_contexts_that_is_a_link_stays_one() {
    let machine = Machine::start();
    let kept = machine.home.join(".config/devgate/contexts.toml");
    let real = machine.target.make_folder("dotfiles").join("devgate.toml");
    fs::rename(&kept, &real).unwrap();
    symlink(&real, &kept).unwrap();
    machine.ok(&["context", "use", "local"]);
    assert!(kept.symlink_metadata().unwrap().is_symlink());
    assert!(!fs::read_to_string(&real).unwrap().contains("current"));
    machine.ok(&["context", "use", "localhost"]);
    assert!(machine.ok(&["list"]).contains("default"));
}

#[test]
fn what_a_later_version_keeps_is_kept() {
    let machine = Machine::start();
    let kept = machine.home.join(".config/devgate/contexts.toml");
    let before = fs::read_to_string(&kept).unwrap();
    let later = before.replace("\nuser = ", "\nrefresh = \"dgr_x\"\nuser = ");
    fs::write(&kept, format!("since = 2\n{later}\n[more]\nat = 1\n")).unwrap();
    assert!(machine.ok(&["list"]).contains("default"));
    machine.ok(&["context", "use", "local"]);
    machine.ok(&["context", "use", "localhost"]);
    let after = fs::read_to_string(&kept).unwrap();
    for line in ["since = 2", "refresh = \"dgr_x\"", "[more]", "at = 1"] {
        assert!(after.lines().any(|own| own == line), "{line}: {after}");
    }
    assert!(machine.ok(&["list"]).contains("default"));
}

#[test]
fn without_a_home_it_asks_whom_the_environment_names_and_says_what_it_lacks() {
    let machine = Machine::start();
    let token = machine.token("write");
    let ca = machine.target.gateway().data().join("certs/ca.pem");
    let bare = |args: &[&str]| {
        let mut command = machine.command(args);
        command
            .env_remove("HOME")
            .env("DEVGATE_URL", &machine.url)
            .env("DEVGATE_TOKEN", &token)
            .env("DEVGATE_CA", &ca);
        run(&mut command, b"", LIMIT)
    };
    assert!(bare(&["list"]).ok().out().contains("default"));
    let file = machine.folder().join("large");
    let bytes = super::noise(&file, 2 << 20);
    let _ = bare(&["cp", file.to_str().unwrap(), "default:large"]).ok();
    let home = machine.target.gateway().home();
    assert!(fs::read(home.join("large")).unwrap() == bytes);
    let said = bare(&["ssh", "default"]);
    assert_eq!(said.code(), 2, "{said:?}");
    assert!(said.err().contains("HOME"), "{said:?}");
}

#[test]
fn output_that_finds_no_room_is_an_error_that_says_so() {
    let machine = Machine::start();
    for args in [&["list"][..], &["list", "--json"], &["doctor"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = machine.command(args);
        command.stdin(Stdio::null()).stdout(full);
        let said = Running::start_as_it_is(&mut command).finish(LIMIT);
        assert_eq!(said.code(), 1, "{args:?}: {said:?}");
        for word in ["cannot write to stdout", "No space left"] {
            assert!(said.err().contains(word), "{args:?}: {said:?}");
        }
    }
}
