//! `devgate open`: links for people's own programs.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::thread;

use e2e::component::program;
use e2e::process::run;
use e2e::tmux::Terminal;
use serde_json::Value;

use super::{LIMIT, Machine};

/// Returns the name of the one person there is.
fn owner(machine: &Machine) -> String {
    let users: Value = serde_json::from_str(&machine.ok(&["users", "list", "--json"])).unwrap();
    users[0]["name"].as_str().unwrap().to_owned()
}

/// Starts an application that says hello; returns its port.
fn application() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let head = BufReader::new(stream.try_clone().unwrap()).lines();
            head.map_while(Result::ok).find(String::is_empty);
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    port
}

#[test]
fn links_lead_to_the_workspace_by_ssh_and_by_https() {
    let machine = Machine::start();
    let port = machine.target.gateway().ready().ssh.port();
    let user = format!("default.{}", owner(&machine));
    let link = |more: &[&str]| {
        let args = [&["open", "default", "--print"], more].concat();
        machine.ok(&args).trim_end().to_owned()
    };
    let folder = ["--folder", "/srv/my code"];
    for scheme in ["vscode", "cursor", "windsurf", "vscodium"] {
        assert_eq!(
            link(&[&["--in", scheme], folder.as_slice()].concat()),
            format!(
                "{scheme}://vscode-remote/ssh-remote+{user}@127.0.0.1:{port}/srv/my%20code\
                 ?windowId=_blank"
            )
        );
    }
    assert_eq!(
        link(&[&["--in", "jetbrains"], folder.as_slice()].concat()),
        format!(
            "jetbrains-gateway://connect#type=ssh&deploy=false&host=127.0.0.1&port={port}\
             &user={user}&projectPath=%2Fsrv%2Fmy%20code"
        )
    );
    assert_eq!(
        link(&["--in", "toolbox", "--folder", "/a", "--ide", "IU-251"]),
        format!(
            "jetbrains://gateway/ssh/environment?h=127.0.0.1&p={port}&u={user}&launchIde=true\
             &ideHint=IU-251&projectHint=%2Fa"
        )
    );
    // The home where no folder is named.
    let home = machine.target.gateway().home();
    assert_eq!(
        link(&["--in", "zed"]),
        format!("zed://ssh/{user}@127.0.0.1:{port}{}", home.display())
    );
    let json = machine.ok(&["open", "default", "--port", "3000", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["program"], "browser");
    let page = json["link"].as_str().unwrap();
    assert!(page.starts_with("https://3000--default--"), "{page}");
    machine.fails(
        &["open", "default", "--in", "zed", "--port", "1"],
        2,
        &["--port"],
    );
    machine.fails(&["open", "default", "--folder", "x"], 2, &["slash"]);
    machine.fails(&["open", "nothing"], 3, &["devgate list"]);
}

#[test]
fn somebody_elses_workspace_is_named_with_its_owner() {
    let machine = Machine::start();
    machine.ok(&["users", "add", "bob"]);
    machine.ok(&["create", "api", "--owner", "bob"]);
    let args = [
        "open", "api.bob", "--in", "vscode", "--folder", "/w", "--print",
    ];
    let link = machine.ok(&args);
    assert!(link.contains("ssh-remote+api.bob@127.0.0.1:"), "{link}");
}

#[test]
fn links_to_what_has_the_longest_names_lead_there() {
    let machine = Machine::start();
    // Before all others by its name, so that it is whose token is made below.
    let (owner, name) = ("0".repeat(40), "w".repeat(40));
    machine.ok(&["users", "add", &owner, "--role", "admin"]);
    machine.ok(&["create", &name, "--owner", &owner]);
    let port = application().to_string();
    let link = |more: &[&str]| {
        let target = format!("{name}.{owner}");
        let args = [&["open", &target, "--print"], more].concat();
        machine.ok(&args).trim().to_owned()
    };
    let application = link(&["--port", &port]);
    for link in [&application, &link(&["--in", "browser"])] {
        let (label, _) = link["https://".len()..].split_once('.').unwrap();
        // What DNS takes (RFC 1035 §2.3.4).
        assert!(label.len() <= 63, "{link}");
    }
    let token = machine.token("write");
    let ask = |url: &str, token: &str, more: &[&str]| {
        let gateway = machine.target.gateway();
        let mut curl = Command::new(program("curl"));
        curl.args(["--silent", "--show-error", "--location-trusted"])
            .args(["--connect-to", &format!("::{}", gateway.ready().http)])
            .args(["--write-out", " %{http_code} %{url_effective}"])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(more)
            .arg("--cacert")
            .arg(gateway.data().join("certs/ca.pem"));
        run(curl.arg(url), b"", LIMIT).ok().out()
    };
    let there = format!("hello 200 {application}");
    assert_eq!(ask(&application, &token, &[]), there);
    // The path leads to the same host, for those who may go there.
    let path = format!("{}/@{owner}/{name}/apps/{port}/", machine.url);
    assert_eq!(ask(&path, &token, &[]), there);
    let others = ask(&path, "dgt_none", &["--output", "/dev/null"]);
    assert_eq!(others, format!(" 401 {path}"));
    let others = ask(&application, "dgt_none", &["--output", "/dev/null"]);
    assert_eq!(others, format!(" 401 {application}"));
}

#[test]
fn a_desktop_is_given_the_link_and_a_machine_without_one_prints_it() {
    let machine = Machine::start();
    machine.ok(&["stop", "default"]);
    let bin = machine.folder().join("desktop");
    fs::create_dir(&bin).unwrap();
    let asked = machine.folder().join("asked");
    let script = |status: u8| {
        let text = format!(
            "#!/bin/sh\necho \"$1\" >'{}'\nexit {status}\n",
            asked.display()
        );
        let file = bin.join("xdg-open");
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let open = || {
        let mut open = machine.command(&["open", "default", "--in", "cursor", "--folder", "/w"]);
        open.env("DISPLAY", ":7");
        open.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        run(&mut open, b"", LIMIT)
    };
    script(0);
    // It is started first.
    let _ = open().ok();
    assert!(machine.ok(&["list"]).contains("running"));
    let link = fs::read_to_string(&asked).unwrap();
    assert!(link.starts_with("cursor://vscode-remote/"), "{link}");
    script(3);
    let nothing = open();
    assert_eq!(nothing.code(), 1, "{nothing:?}");
    assert!(nothing.out().starts_with("cursor://"), "{nothing:?}");

    let typed = machine.line("open default --in zed --folder /w");
    let terminal = Terminal::start(machine.folder(), &typed, 120, 20);
    terminal.wait("link", |screen| screen.contains("zed://ssh/default."));
    terminal.wait("the next step", |screen| screen.contains("no desktop here"));
    assert_eq!(terminal.wait_for_end(), 1);
}
