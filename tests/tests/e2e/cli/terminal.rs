//! What a person sees on a terminal, whose shell shows how each command ended.

use std::fs;

use e2e::browser::Browser;
use e2e::component::program;
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::tmux::Terminal;
use serde_json::Value;

use super::Machine;

/// A shell on a terminal of a machine's; its prompt begins with the last exit code.
pub(super) struct Shell(pub(super) Terminal);

impl Shell {
    #[track_caller]
    pub(super) fn on(machine: &Machine) -> Self {
        let line = format!(
            "env -i PATH='{}' HOME='{}' TERM=xterm-256color LC_ALL=C.UTF-8 PS1='$? > ' \
             {} --noprofile --norc",
            Machine::path(),
            machine.home.display(),
            program("bash").display()
        );
        let terminal = Terminal::start(machine.folder(), &line, 160, 50);
        terminal.wait_for_line("0 >");
        Self(terminal)
    }

    /// Types a command, which the screen may show from before.
    #[track_caller]
    pub(super) fn enter(&self, command: &str) {
        let typed = |screen: &str| screen.matches(&typed(command)).count();
        let before = typed(&self.0.screen());
        self.0.line(command);
        self.0.wait(command, |screen| typed(screen) > before);
    }

    /// Begins a command, and waits until the screen shows this of it.
    #[track_caller]
    pub(super) fn begin(&self, command: &str, shows: &str) {
        self.enter(command);
        let what = format!("{shows:?} of {command}");
        self.0.wait(&what, |screen| {
            since(screen, command).is_some_and(|said| said.contains(shows))
        });
    }

    /// Waits until a command has ended so, and returns what it left on the screen.
    #[track_caller]
    pub(super) fn end(&self, command: &str, code: i32) -> String {
        let mut left = String::new();
        let prompt = format!("{code} >");
        self.0.wait(&format!("{code} of {command}"), |screen| {
            let said = since(screen, command).unwrap_or_default().trim_end();
            let (before, last) = said.rsplit_once('\n').unwrap_or(("", said));
            before.clone_into(&mut left);
            last == prompt
        });
        left
    }

    #[track_caller]
    pub(super) fn run(&self, command: &str, code: i32) -> String {
        self.enter(command);
        self.end(command, code)
    }
}

/// Returns how the end of the line looks in which a command was typed.
fn typed(command: &str) -> String {
    format!(" > {command}\n")
}

/// Returns what is below the line in which a command was typed last.
fn since<'a>(screen: &'a str, command: &str) -> Option<&'a str> {
    screen.rsplit_once(&typed(command)).map(|(_, said)| said)
}

/// Returns whose the machine's workspaces are.
#[track_caller]
pub(super) fn owner(machine: &Machine) -> String {
    let listed: Value = serde_json::from_str(&machine.ok(&["list", "--json"])).unwrap();
    listed[0]["owner"].as_str().unwrap().to_owned()
}

#[test]
fn login_shows_a_code_and_goes_on_once_it_is_approved() {
    let machine = Machine::unknown(Target::devgate(Reach::Unix));
    let browser = Browser::signed_in(machine.target.gateway(), machine.folder());
    let shell = Shell::on(&machine);
    let ca = machine.target.gateway().data().join("certs/ca.pem");
    let login = format!(
        "devgate login {} --ca {} --no-browser",
        machine.url,
        ca.display()
    );
    shell.begin(&login, "waiting until somebody approves it");
    let screen = shell.0.screen();
    let is_code = |line: &&str| line.len() == 9 && line.as_bytes()[4] == b'-';
    let code = screen.lines().map(str::trim).find(is_code);
    let code = code.unwrap_or_else(|| panic!("no code:\n{screen}"));
    let path = format!("/api/v1/login/device/{code}/approve");
    let (status, said) = browser.send("POST", &path, None);
    assert_eq!(status, 204, "{said}");
    let left = shell.end(&login, 0);
    let signed_in = format!("{} is signed in at {}", browser.owner(), machine.url);
    assert!(left.contains(&signed_in), "{left}");
    assert!(!left.contains("waiting until"), "{left}");
    assert!(shell.run("devgate list", 0).contains("default"));
}

#[test]
fn a_command_leaves_what_it_did_and_nothing_of_its_progress() {
    let wait = "test $DEVGATE_WORKSPACE = slow || exit 0; until test -e go; do sleep 0.05; done";
    let settings = [
        ("DEVGATE_STARTUP_SCRIPT", wait),
        ("DEVGATE_STARTUP_WAIT", "true"),
    ];
    let machine = Machine::start_with(&settings);
    let owner = owner(&machine);
    let shell = Shell::on(&machine);
    for (command, name, state) in [
        ("stop default", "default", "stopped"),
        ("start default", "default", "running"),
        ("sleep default", "default", "asleep"),
        ("restart default", "default", "running"),
        ("create api", "api", "running"),
    ] {
        let left = shell.run(&format!("devgate {command}"), 0);
        assert_eq!(left, format!("{name}.{owner} is {state}"), "{command}");
    }

    shell.begin("devgate create slow", "starting slow");
    let homes = fs::read_dir(machine.target.gateway().data().join("workspaces")).unwrap();
    for home in homes {
        fs::write(home.unwrap().path().join("home/go"), "").unwrap();
    }
    let left = shell.end("devgate create slow", 0);
    assert_eq!(left, format!("slow.{owner} is running"));

    for (command, names) in [
        ("list", ["default", "api", "slow"].as_slice()),
        ("status api", &["api"]),
    ] {
        let left = shell.run(&format!("devgate {command}"), 0);
        let (head, rows) = left.split_once('\n').unwrap();
        assert!(head.starts_with("NAME "), "{left}");
        assert_eq!(rows.lines().count(), names.len(), "{left}");
        for name in names {
            let is_row = |row: &str| {
                let words: Vec<_> = row.split_whitespace().take(3).collect();
                words == [name, owner.as_str(), "running"]
            };
            assert!(rows.lines().any(is_row), "{name}:\n{left}");
        }
    }

    let left = shell.run("devgate config-ssh", 0);
    let last = "ssh WORKSPACE.localhost.devgate reaches yours now";
    assert_eq!(left.lines().last(), Some(last), "{left}");
    assert_eq!(left.matches(" is written").count(), 2, "{left}");
    assert_eq!(shell.run("devgate config-ssh", 0), "nothing changes");
}

#[test]
fn nothing_is_deleted_unless_the_answer_is_yes() {
    let machine = Machine::start();
    let owner = owner(&machine);
    let shell = Shell::on(&machine);
    let delete = "devgate delete default";
    let question = format!("Delete default.{owner}?");
    for answer in ["n", "", "what"] {
        shell.begin(delete, "[y/N]");
        shell.0.line(answer);
        let left = shell.end(delete, 1);
        assert!(left.contains(&question), "{left}");
        assert!(left.ends_with("nothing was done"), "{left}");
        let listed = shell.run("devgate list", 0);
        assert!(listed.contains("running"), "{answer:?}: {listed}");
    }
    shell.begin(delete, "[y/N]");
    shell.0.line("y");
    let left = shell.end(delete, 0);
    let deleted = format!("default.{owner} is deleted; until ");
    let last = left.lines().last().unwrap_or_default();
    assert!(last.starts_with(&deleted), "{left}");
    let listed = shell.run("devgate list", 0);
    assert!(listed.starts_with("No workspaces."), "{listed}");
}

#[test]
fn ctrl_c_ends_a_log_that_is_followed() {
    let machine = Machine::start();
    let shell = Shell::on(&machine);
    let follow = "devgate logs -f default";
    shell.begin(follow, "agent ready");
    shell.0.keys(&["C-c"]);
    shell.end(follow, 130);
}

#[test]
fn ssh_opens_a_shell_and_ends_as_it_does() {
    let machine = Machine::start();
    let shell = Shell::on(&machine);
    let identity = machine.target.gateway().identity().display().to_string();
    let ssh = format!("devgate ssh default -o IdentitiesOnly=yes -o IdentityFile={identity}");
    shell.enter(&ssh);
    // What is typed before it listens waits for it.
    shell.0.line("test -t 0 && echo a $((20 + 22)) terminal");
    shell.0.wait_for_line("a 42 terminal");
    shell.0.line("exit 3");
    shell.0.wait_for_line("3 >");
}
