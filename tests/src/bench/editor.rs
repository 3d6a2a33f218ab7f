//! code-server's time to a usable workbench, through the gateway and by itself.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::component::{code_server, program};
use crate::ports;
use crate::process::{Running, run};
use crate::survivors::Folder;
use crate::wait::eventually;

use super::http::{Security, Site};
use super::peers::Kind;
use super::report::Better;
use super::{Aim, Bench, Row};

/// How long code-server may take to start.
const START: Duration = Duration::from_mins(2);

/// How long the browser may take for all of its rounds.
const LIMIT: Duration = Duration::from_mins(20);

/// What the workbench has to list before it counts as usable.
const FILE: &str = "a-file-to-be-listed.txt";

/// What the browser measured, in milliseconds.
#[derive(Deserialize)]
struct Times {
    direct: Vec<f64>,
    gateway: Vec<f64>,
}

pub(super) fn measure(bench: &mut Bench) {
    let rounds = bench.rounds(8);
    let aim = Aim {
        of: Kind::Unix,
        against: Some(Kind::Direct),
        limit: 1.2,
    };
    let mut row = Row::new(
        "editor, time to a usable workbench",
        "ms",
        Better::Lower,
        vec![aim],
    );
    eprintln!("{} …", row.name());
    let folder = Folder::new();
    symlink(code_server(), folder.path().join("code-server")).expect("the folder is writable");
    let inherited = env::var("PATH").unwrap_or_default();
    let path = format!("{}:{inherited}", folder.path().display());
    let site = Site::start_with(Security::Tls, &[("PATH", &path)]);
    let page = site.page("editor", "/");
    let home = folder.path().join("home");
    fs::create_dir(&home).expect("the folder is writable");
    for home in [&home, &site.home()] {
        fs::write(home.join(FILE), "something\n").expect("the folder is writable");
    }
    let (port, _direct) = direct(&home);

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/workbench-time.mjs");
    let mut node = Command::new(program("node"));
    node.arg(script)
        .env("CHROMIUM", program("chromium"))
        .env("ROUNDS", rounds.to_string())
        .env("FILE", FILE)
        .env("DIRECT", format!("http://127.0.0.1:{port}"))
        .env("GATEWAY", page.origin())
        .env("COOKIE", page.cookie().unwrap_or_default());
    let said = run(&mut node, b"", LIMIT).ok().out();
    let times: Times = serde_json::from_str(&said).expect("the script prints JSON");
    row.add(Kind::Direct, times.direct);
    row.add(Kind::Unix, times.gateway);
    bench.report.add(row);
}

/// code-server by itself, configured as the agent does it.
fn direct(home: &Path) -> (u16, Running) {
    let port = ports::free();
    let mut command = Command::new(code_server());
    command
        .args(["--auth", "none", "--disable-proxy", "--disable-telemetry"])
        .args(["--disable-update-check", "--disable-workspace-trust"])
        .arg("--disable-getting-started-override")
        .args(["--bind-addr", &format!("127.0.0.1:{port}")])
        .arg("--user-data-dir")
        .arg(home.join(".data"))
        .arg("--extensions-dir")
        .arg(home.join(".data/extensions"))
        .arg("--config")
        .arg(home.join(".config.yaml"))
        .arg(home)
        .env("HOME", home);
    fs::write(home.join(".config.yaml"), "auth: none\n").expect("the folder is writable");
    let running = Running::start(&mut command);
    eventually(START, "code-server that listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (port, running)
}
