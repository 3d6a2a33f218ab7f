//! Completions and man pages.

use std::fs;
use std::process::Command;

use e2e::component::program;
use e2e::process::run;
use e2e::tmux::Terminal;

use super::{LIMIT, Machine};

#[test]
fn bash_completes_commands_and_names_of_workspaces() {
    let machine = Machine::start();
    machine.ok(&["create", "frontend", "--no-start"]);
    let script = machine.folder().join("completions");
    fs::write(&script, machine.ok(&["completions", "bash"])).unwrap();
    let rc = machine.folder().join("bashrc");
    fs::write(&rc, format!("PS1='$ '\nsource {}\n", script.display())).unwrap();
    let line = format!(
        "env -i PATH='{}' HOME='{}' TERM=xterm {} --noprofile --rcfile {}",
        Machine::path(),
        machine.home.display(),
        program("bash").display(),
        rc.display()
    );
    let terminal = Terminal::start(machine.folder(), &line, 100, 20);
    terminal.wait("prompt", |screen| screen.starts_with('$'));
    terminal.keys(&["devgate port-f", "Tab", "fro", "Tab"]);
    terminal.wait_for_line("$ devgate port-forward frontend");
    terminal.keys(&["C-u", "devgate cp ~/x fro", "Tab"]);
    terminal.wait_for_line("$ devgate cp ~/x frontend:");
}

#[test]
fn every_shell_has_a_script_that_asks_the_program() {
    let machine = Machine::start();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = machine.ok(&["completions", shell]);
        assert!(script.contains("_DEVGATE_COMPLETE"), "{shell}: {script}");
    }
    // Without a server names can't be completed, and commands can.
    let mut complete = machine.command(&["--", "devgate", "start", ""]);
    complete
        .env("_DEVGATE_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "2")
        .env("_CLAP_IFS", "\n");
    let names = run(&mut complete, b"", LIMIT).ok().out();
    assert!(names.lines().any(|name| name == "default"), "{names}");
    let nobody = complete.env("HOME", machine.folder());
    let names = run(nobody, b"", LIMIT).ok().out();
    assert!(!names.lines().any(|name| name == "default"), "{names}");
    assert!(names.lines().any(|name| name == "--json"), "{names}");
}

#[test]
fn every_command_has_a_man_page() {
    let machine = Machine::start();
    let folder = machine.folder().join("man");
    machine.ok(&["man", "--out", &folder.display().to_string()]);
    assert!(machine.ok(&["man"]).contains(".SH NAME"));
    let help = machine.ok(&["--help"]);
    let commands = help.split_once("Commands:").unwrap().1;
    let commands = commands.split_once("Options:").unwrap().0;
    let mut pages = 0;
    for line in commands.lines().filter(|line| line.starts_with("  ")) {
        // What goes on in the next line is further in.
        let Some(name) = line.get(2..).and_then(|line| line.split(' ').next()) else {
            continue;
        };
        if name.is_empty() || name == "help" {
            continue;
        }
        let page = folder.join(format!("devgate-{name}.1"));
        let text = fs::read_to_string(&page).unwrap_or_else(|_| panic!("no {}", page.display()));
        assert!(text.contains(".TH devgate-"), "{name}: {text}");
        pages += 1;
    }
    assert!(pages > 30, "{pages}");
}

#[test]
fn what_is_installed_is_found_by_shells() {
    let machine = Machine::start();
    let share = machine.folder().join("share");
    let mut install = Command::new("/bin/sh");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/install-shell.sh");
    install
        .arg(script)
        .arg(e2e::component::built("devgate"))
        .arg(&share);
    let _ = run(&mut install, b"", LIMIT).ok();
    for file in [
        "bash-completion/completions/devgate",
        "zsh/site-functions/_devgate",
        "fish/vendor_completions.d/devgate.fish",
        "man/man1/devgate.1",
        "man/man1/devgate-port-forward.1",
    ] {
        assert!(share.join(file).is_file(), "{file}");
    }
}
