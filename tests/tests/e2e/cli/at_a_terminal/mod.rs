//! Every command at a terminal: what it leaves on the screen, and what is asked first.

mod people;
mod secrets;
mod servers;
mod snapshots;
mod workspaces;

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::Machine;
use super::terminal::Shell;
use crate::requirements::listed;

/// Commands with tests of their own at a terminal.
const ELSEWHERE: &[(&str, &str)] = &[
    ("completions", BASH_COMPLETES),
    ("config-ssh", LEAVES),
    ("cp", "cli::cp::on_a_terminal_it_shows_how_far_it_is"),
    ("create", LEAVES),
    (
        "delete",
        "cli::terminal::nothing_is_deleted_unless_the_answer_is_yes",
    ),
    (
        "doctor",
        "cli::doctor::on_a_terminal_each_remedy_stands_below_what_failed",
    ),
    (
        "exec",
        "cli::exec::on_a_terminal_it_has_one_there_with_its_size",
    ),
    ("list", LEAVES),
    (
        "login",
        "cli::terminal::login_shows_a_code_and_goes_on_once_it_is_approved",
    ),
    ("logs", "cli::terminal::ctrl_c_ends_a_log_that_is_followed"),
    (
        "open",
        "cli::open::a_desktop_is_given_the_link_and_a_machine_without_one_prints_it",
    ),
    (
        "port-forward",
        "cli::port_forward::on_a_terminal_ctrl_c_ends_it_and_a_stopped_workspace_is_started",
    ),
    ("restart", LEAVES),
    ("sleep", LEAVES),
    (
        "ssh",
        "cli::terminal::ssh_opens_a_shell_and_ends_as_it_does",
    ),
    ("start", LEAVES),
    ("status", LEAVES),
    ("stop", LEAVES),
];

const LEAVES: &str = "cli::terminal::a_command_leaves_what_it_did_and_nothing_of_its_progress";

const BASH_COMPLETES: &str = "cli::shells::bash_completes_commands_and_names_of_workspaces";

/// A shell at a terminal, and the commands that are yet to run there.
struct Session {
    shell: Shell,
    left: RefCell<BTreeSet<&'static str>>,
}

impl Session {
    #[track_caller]
    fn on(machine: &Machine, commands: &[&'static str]) -> Self {
        Self {
            shell: Shell::on(machine),
            left: RefCell::new(commands.iter().copied().collect()),
        }
    }

    /// Runs `devgate` with these arguments, and returns what it left on the screen.
    #[track_caller]
    fn run(&self, args: &str, code: i32) -> String {
        let line = self.line(args);
        self.shell.run(&line, code)
    }

    /// Runs it and asserts that it left these words.
    #[track_caller]
    fn says(&self, args: &str, words: &[&str]) {
        let left = self.run(args, 0);
        for word in words {
            assert!(left.contains(word), "{args}: {word:?} is not in {left}");
        }
    }

    /// Runs what goes on until Ctrl-C is pressed, once it shows that much.
    #[track_caller]
    fn interrupts(&self, args: &str, shows: &str, code: i32) {
        let line = self.line(args);
        self.shell.begin(&line, shows);
        self.shell.0.keys(&["C-c"]);
        self.shell.end(&line, code);
    }

    /// Runs what asks first: whatever `state` tells is the same after a no, and it is done
    /// after a yes, which leaves these words.
    #[track_caller]
    fn asks(&self, args: &str, question: &str, words: &[&str], state: &dyn Fn() -> String) {
        let line = self.line(args);
        let before = state();
        let answer = |answer, code| {
            self.shell.begin(&line, "[y/N]");
            self.shell.0.line(answer);
            self.shell.end(&line, code)
        };
        let left = answer("n", 1);
        assert!(left.contains(question), "{args}: {left}");
        assert!(left.ends_with("nothing was done"), "{args}: {left}");
        assert_eq!(state(), before, "{args}");
        let left = answer("y", 0);
        for word in words {
            assert!(left.contains(word), "{args}: {word:?} is not in {left}");
        }
        assert_ne!(state(), before, "{args}");
    }

    fn line(&self, args: &str) -> String {
        let is_run = |command: &&str| {
            let more = args.strip_prefix(command);
            more.is_some_and(|more| more.is_empty() || more.starts_with(' '))
        };
        self.left.borrow_mut().retain(|command| !is_run(command));
        format!("devgate {args}")
    }

    #[track_caller]
    fn end(self) {
        assert_eq!(self.left.into_inner(), BTreeSet::new(), "never run");
    }
}

/// Runs a command off the terminal, and returns something in its JSON.
#[track_caller]
fn value(machine: &Machine, args: &str, place: &str) -> String {
    let args: Vec<_> = args.split(' ').chain(["--json"]).collect();
    let said: Value = serde_json::from_str(&machine.ok(&args)).unwrap();
    let value = said.pointer(place).unwrap_or(&Value::Null);
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the commands below one, as they are written, from what `--help` says.
#[track_caller]
fn commands(machine: &Machine, below: &[&str]) -> Vec<String> {
    let help = machine.ok(&[below, &["--help"]].concat());
    let Some((_, listed)) = help.split_once("\nCommands:\n") else {
        return vec![below.join(" ")];
    };
    let listed = listed.split("\n\n").next().unwrap_or_default();
    let names = listed.lines().filter_map(|line| {
        // What goes on in the next line is further in.
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then_some(name)
    });
    names
        .flat_map(|name| commands(machine, &[below, &[name]].concat()))
        .collect()
}

#[test]
fn every_command_has_a_test_at_a_terminal() {
    let machine = Machine::start();
    let here = [
        people::COMMANDS,
        secrets::COMMANDS,
        servers::COMMANDS,
        snapshots::COMMANDS,
        workspaces::COMMANDS,
    ]
    .concat();
    let elsewhere = ELSEWHERE.iter().map(|(command, _)| *command);
    let mut covered: Vec<_> = here.into_iter().chain(elsewhere).collect();
    covered.sort_unstable();
    let mut all = commands(&machine, &[]);
    all.sort_unstable();
    assert_eq!(all, covered);
    let tests = listed(false);
    for (command, test) in ELSEWHERE {
        assert!(tests.contains(*test), "{test}, of {command}, isn't there");
    }
}
