//! Secrets, which are typed.

use super::super::Machine;
use super::Session;

/// What is run here.
pub(super) const COMMANDS: &[&str] = &["secrets list", "secrets remove", "secrets set"];

/// What must stand on no screen.
const VALUE: &str = "5ecret-f0r-the-test";

#[test]
fn a_secret_is_typed_and_never_shown() {
    let settings = [("DEVGATE_STARTUP_SECRETS", "NPM_TOKEN")];
    let machine = Machine::start_with(&settings);
    let session = Session::on(&machine, COMMANDS);
    let set = session.line("secrets set NPM_TOKEN");
    let (shell, asked) = (&session.shell, "Value of NPM_TOKEN, which isn't shown:");
    shell.begin(&set, asked);
    shell.0.line(VALUE);
    assert_eq!(shell.end(&set, 0), format!("{asked}\nNPM_TOKEN is set"));

    // Ctrl-C leaves it as it was, and the terminal as well.
    shell.begin(&set, asked);
    shell.0.keys(&["an0ther-secret", "C-c"]);
    let left = shell.end(&set, 130);
    // The shell adds a line of its own where a signal ended something.
    assert_eq!(
        left.trim_end(),
        format!("{asked}\ndevgate: nothing was set")
    );
    let modes = shell.run("stty -a | tr ' ' '\\n' | grep -x -e echo -e isig", 0);
    assert_eq!(modes, "isig\necho");
    for value in [VALUE, "an0ther"] {
        assert!(!shell.0.screen().contains(value), "{}", shell.0.screen());
    }

    machine.ok(&["restart", "default"]);
    let known = ["exec", "default", "--", "sh", "-c", "echo $NPM_TOKEN"];
    assert_eq!(machine.ok(&known), format!("{VALUE}\n"));
    let listed = session.run("secrets list", 0);
    assert!(listed.contains("NPM_TOKEN"), "{listed}");
    assert!(!listed.contains(VALUE), "{listed}");
    session.says("secrets remove NPM_TOKEN", &["NPM_TOKEN is removed"]);
    session.says("secrets list", &["No secrets."]);
    session.end();
}
