//! The dashboard in Chromium and Firefox: one flow of `tests/browser` a test.

mod firefox;

use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::component::{code_server, program};
use e2e::docker::Containers;
use e2e::gateway::Gateway;
use e2e::ports;
use e2e::process::{Running, run};
use e2e::reach::Reach;
use e2e::ssh::Ssh;
use serde::Deserialize;
use tempfile::TempDir;

/// How long a flow may take: a browser on a loaded machine, and for one of them an
/// editor that starts.
pub(crate) const FLOW: Duration = Duration::from_mins(4);

/// What `devgate users list --json` says of one.
#[derive(Deserialize)]
struct User {
    name: String,
}

/// What `devgate users link --json` says.
#[derive(Deserialize)]
struct Link {
    url: String,
}

/// A gateway and the flow that is run against it.
pub(crate) struct Flow {
    // Before its folder, so that it has ended when that is removed.
    pub(crate) gateway: Gateway,
    pub(crate) node: Command,
    _folder: TempDir,
}

impl Flow {
    /// Starts a gateway for a flow.
    #[track_caller]
    pub(crate) fn prepare(name: &str, settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let gateway = Gateway::start_with(folder.path(), Reach::Unix, settings);
        gateway.agent();
        let node = node(name, &gateway, &gateway.home());
        Self {
            gateway,
            node,
            _folder: folder,
        }
    }
}

/// Returns what runs a flow against a gateway whose workspace `default` has its home there,
/// on this host's disk.
#[track_caller]
fn node(name: &str, gateway: &Gateway, home: &Path) -> Command {
    let users = gateway.cli(&["users", "list", "--json"]).ok().out();
    let users: Vec<User> = serde_json::from_str(&users).unwrap();
    let link = gateway.cli(&["users", "link", &users[0].name, "--json"]);
    let link: Link = serde_json::from_str(&link.ok().out()).unwrap();
    let (url, _) = link.url.split_once("/sign-in").unwrap();

    let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        browser.join("node_modules").is_dir(),
        "the browser's tests lack their packages: sh scripts/setup-tests.sh"
    );
    let mut node = Command::new(program("node"));
    node.arg(browser.join(name).with_extension("mjs"))
        .env("CHROMIUM", program("chromium"))
        .env("DEVGATE_URL", url)
        .env("DEVGATE_LINK", &link.url)
        .env("DEVGATE_HOME", home)
        .env(
            "DEVGATE_PORTS",
            format!("{},{}", ports::free(), ports::free()),
        )
        .env("DEVGATE_SCREENSHOTS", screenshots());
    node
}

/// Starts a gateway and runs a flow against it.
#[track_caller]
fn flow(name: &str, settings: &[(&str, &str)]) {
    let mut flow = Flow::prepare(name, settings);
    let _ = run(&mut flow.node, b"", FLOW).ok();
}

/// Returns where pictures of the pages are kept, to be looked at.
fn screenshots() -> PathBuf {
    env::var_os("DEVGATE_SCREENSHOTS").map_or_else(
        || {
            let test = env::current_exe().expect("the test knows its own path");
            // …/target/TARGET/debug/deps/e2e-0123456789abcdef
            let target = test.ancestors().nth(4).unwrap_or(Path::new("target"));
            target.join("screenshots")
        },
        PathBuf::from,
    )
}

/// Runs a flow against a gateway whose workspaces are containers.
#[track_caller]
fn flow_in_a_container(name: &str, settings: &[(&str, &str)]) {
    let it = Containers::like_this_host_with(settings);
    let _ = it.target().ssh().run("true").ok();
    let home = it.home_on_disk("default");
    let mut node = node(name, it.target().gateway(), &home);
    let _ = run(&mut node, b"", FLOW).ok();
}

#[test]
fn somebody_signs_in_by_link_and_leads_a_workspace_through_its_life() {
    flow("first-steps", &[]);
}

#[test]
fn a_terminal_outlives_its_tab() {
    program("vim");
    flow("terminal", &[]);
}

#[test]
fn web_applications_appear_and_open_on_addresses_of_their_own() {
    program("curl");
    program("python3");
    flow("ports", &[]);
}

#[test]
fn every_window_of_a_browser_is_told_what_happens() {
    program("python3");
    flow("windows", &[]);
}

#[test]
fn the_editor_opens_saves_and_runs_commands() {
    // As an image has it: a program in the PATH.
    let folder = TempDir::new().unwrap();
    symlink(code_server(), folder.path().join("code-server")).unwrap();
    let inherited = env::var("PATH").unwrap();
    let path = format!("{}:{inherited}", folder.path().display());
    flow("editor", &[("PATH", &path)]);
}

#[test]
fn an_editor_that_nobody_sits_at_lets_its_workspace_sleep() {
    let folder = TempDir::new().unwrap();
    symlink(code_server(), folder.path().join("code-server")).unwrap();
    let inherited = env::var("PATH").unwrap();
    let path = format!("{}:{inherited}", folder.path().display());
    let settings = [
        ("PATH", path.as_str()),
        ("DEVGATE_SLEEP_AFTER", "50s"),
        ("DEVGATE_SLEEP_WARN", "15s"),
    ];
    let mut flow = Flow::prepare("sleep", &settings);
    // What the editor does by itself delays its sleep.
    let _ = run(&mut flow.node, b"", 2 * FLOW).ok();
}

#[test]
fn workspaces_open_in_programs_of_peoples_own() {
    flow("editor-links", &[]);
}

#[test]
fn everything_is_done_by_keyboard() {
    flow("keyboard", &[]);
}

#[test]
fn keys_tokens_and_logins_come_and_go() {
    flow("account", &[]);
}

#[test]
fn a_program_in_a_terminal_is_signed_in() {
    flow("device", &[]);
}

#[test]
fn an_ssh_connection_without_a_key_is_let_in() {
    let mut flow = Flow::prepare("approve", &[]);
    let folder = TempDir::new().unwrap();
    let config = flow.gateway.access().write(folder.path());
    let client = |address: &str| {
        Ssh::with_config(&config)
            .option("BatchMode=no")
            .option("PubkeyAuthentication=no")
            .option("LogLevel=INFO")
            .option(&format!("BindAddress={address}"))
            .start("echo hello; exec sleep 1000")
    };
    let link = |client: &Running| {
        let shown = client.wait_for_error("you have", FLOW);
        let link = shown.split_whitespace().find(|it| it.contains("#code="));
        link.expect("a link").to_owned()
    };
    let (near, elsewhere) = (client("127.0.0.1"), client("127.0.0.2"));
    flow.node
        .env("DEVGATE_CONNECTION", link(&near))
        .env("DEVGATE_ELSEWHERE", link(&elsewhere));
    let _ = run(&mut flow.node, b"", FLOW).ok();
    near.wait_for("hello", FLOW);
    // Its approval was ended on the page.
    assert_ne!(elsewhere.finish(FLOW).code(), 0);
}

#[test]
fn people_see_what_they_may_and_nobody_sees_the_sign_in() {
    flow("people", &[]);
}

#[test]
fn a_page_recovers_from_the_gateways_death_with_its_login_and_its_terminal() {
    let mut flow = Flow::prepare("faults", &[]);
    let browser = Running::start(&mut flow.node);
    browser.wait_for("kill it", FLOW);
    flow.gateway.kill();
    flow.gateway.start_again();
    let _ = browser.finish(FLOW).ok();
}

#[test]
fn every_page_can_be_used_by_everybody() {
    flow("pages", &[]);
}

mod docker {
    use super::*;

    #[test]
    fn a_terminal_in_a_container_outlives_its_tab() {
        program("vim");
        flow_in_a_container("terminal", &[]);
    }

    #[test]
    fn web_applications_in_a_container_open_on_addresses_of_their_own() {
        flow_in_a_container("ports", &[]);
    }

    #[test]
    fn the_editor_in_a_container_opens_saves_and_runs_commands() {
        let program = code_server().display().to_string();
        flow_in_a_container("editor", &[("DEVGATE_EDITOR_PROGRAM", &program)]);
    }
}
