//! `devgate up`: what it sets up, and starts that fail.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::KEYS;
use crate::home::{Home, Said};

#[test]
fn the_ready_file_tells_where_it_listens_and_goes_with_the_server() {
    let home = Home::new();
    let (key, ready) = (home.write("key.pub", KEYS[0]), home.path("ready.json"));
    let args = [
        "--authorized-key",
        &key,
        "--workspace",
        "api",
        "--ready-file",
    ];
    let mut server = home.up(&[&args[..], &[ready.to_str().unwrap()]].concat());

    let told: Value = serde_json::from_str(&fs::read_to_string(&ready).unwrap()).unwrap();
    assert_eq!(told["workspace"], "api");
    assert_eq!(told["pid"], server.pid());
    for port in ["ssh", "http"] {
        TcpStream::connect(told[port].as_str().unwrap()).unwrap();
    }
    let port = told["ssh"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let connect = format!("ssh -p {port} api@127.0.0.1");
    assert!(server.greeting.contains(&connect), "{}", server.greeting);
    assert_eq!(
        server.greeting.matches("host key  SHA256:").count(),
        3,
        "{}",
        server.greeting
    );
    assert!(server.greeting.contains("authority SHA256:"));

    assert_eq!(home.run(&["delete", "--yes", "api"]).code, Some(0));
    assert_eq!(server.terminate(), Some(0), "{}", home.log());
    assert!(!ready.exists());
}

#[test]
fn a_later_run_finds_everything_and_adds_what_is_new() {
    let home = Home::new();
    fs::write(home.path(".ssh/id_ed25519.pub"), KEYS[0]).unwrap();
    let mut first = home.up(&[]);
    let host_keys = home.json(&["status"])["host_keys"].clone();
    let before = home.json(&["status", "default"]);
    assert_eq!(first.terminate(), Some(0), "{}", home.log());

    let key = home.write("other.pub", KEYS[1]);
    let _second = home.up(&["--authorized-key", &key, "--workspace", "frontend"]);
    assert_eq!(home.json(&["status"])["host_keys"], host_keys);
    assert_eq!(home.json(&["status", "default"])["id"], before["id"]);
    assert_eq!(home.json(&["keys", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(home.json(&["list"]).as_array().unwrap().len(), 2);
    assert_eq!(home.json(&["users", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn without_a_key_it_serves_and_says_how_to_add_one() {
    let home = Home::new();
    let server = home.up(&[]);
    assert!(
        server.greeting.contains("ssh-keygen -t ed25519"),
        "{}",
        server.greeting
    );
    assert!(server.greeting.contains("keys add"), "{}", server.greeting);
    let key = home.write("key.pub", KEYS[0]);
    assert_eq!(home.run(&["keys", "add", &key]).code, Some(0));
}

#[test]
fn a_server_whose_output_is_on_a_full_disk_serves_all_the_same() {
    let home = Home::new();
    let ready = home.path("ready.json");
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let mut server = home
        .command(&["up", "--ssh-listen", "127.0.0.1:0"])
        .args(["--http-listen", "127.0.0.1:0", "--ready-file"])
        .arg(&ready)
        .stdout(full())
        .stderr(full())
        .spawn()
        .unwrap();
    while !ready.exists() {
        assert_eq!(server.try_wait().unwrap(), None, "it has ended");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(home.json(&["status"])["pid"], server.id());
    assert_eq!(home.run(&["delete", "--yes", "default"]).code, Some(0));
    let pid = Pid::from_raw(server.id().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn a_server_that_may_open_too_few_files_ends_and_says_so() {
    let home = Home::new();
    let server = home.command(&["up", "--ssh-listen", "127.0.0.1:0"]);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "ulimit -n 16; exec \"$0\" \"$@\""])
        .arg(server.get_program())
        .args(server.get_args())
        .args(["--http-listen", "127.0.0.1:0"])
        .env_clear()
        .envs(
            server
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let said = Said::of(shell.output().unwrap());
    said.failed(1, &["16 files", "128", "ulimit -n", "LimitNOFILE"]);
    assert!(!home.data().exists());
}

#[test]
fn a_second_server_on_the_same_folder_is_told_the_first_ones_pid() {
    let home = Home::new();
    let server = home.up(&[]);
    let said = home.run(&[
        "up",
        "--ssh-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
    ]);
    said.failed(1, &["runs already", &server.pid().to_string()]);
}

#[test]
fn a_port_in_use_is_one_line_and_leaves_nothing_behind() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [
        ("--ssh-listen", "--http-listen"),
        ("--http-listen", "--ssh-listen"),
    ] {
        let said = home.run(&["up", flag, &address, other, "127.0.0.1:0"]);
        said.failed(1, &[&address, "another program uses the port", flag]);
        assert!(!home.data().exists());
    }
}

#[test]
fn a_folder_that_can_not_be_used_is_one_line() {
    let home = Home::new();
    let file = home.write("file", "");
    let below = format!("{file}/data");
    let ports = [
        "--ssh-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
    ];
    for folder in [file.as_str(), &below, "/proc/devgate"] {
        let said = home.run(&[&["up", "--data-dir", folder], &ports[..]].concat());
        said.failed(1, &[folder, "--data-dir"]);
    }
}

#[test]
fn a_folder_with_other_things_in_it_is_left_alone() {
    let home = Home::new();
    let ssh = home.path(".ssh");
    fs::write(ssh.join("config"), "").unwrap();
    let ports = [
        "--ssh-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
    ];
    let said = home.run(&[&["up", "--data-dir", ssh.to_str().unwrap()], &ports[..]].concat());
    said.failed(1, &["other files", "--data-dir"]);
    assert_eq!(fs::read_dir(&ssh).unwrap().count(), 1);
}

#[test]
fn a_bad_key_file_is_one_line_before_anything_is_made() {
    let home = Home::new();
    let private = home.write("id", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    let empty = home.write("empty.pub", "\n");
    for (file, words) in [(&private, "private key"), (&empty, "no public key")] {
        home.run(&["up", "--authorized-key", file])
            .failed(2, &[file, words]);
    }
    home.run(&["up", "--authorized-key", "/nowhere/key.pub"])
        .failed(2, &["/nowhere/key.pub"]);
    assert!(!home.data().exists());
}

#[test]
fn an_agent_that_is_not_there_is_one_line_before_anything_is_made() {
    let home = Home::new();
    let file = home.write("c.toml", "[process]\nagent = \"/nowhere/devgate-agent\"\n");
    home.run(&["up", "--config", &file])
        .failed(1, &["/nowhere/devgate-agent"]);
    assert!(!home.data().exists());
}

#[test]
fn a_ready_file_without_a_folder_is_one_line_before_anything_is_made() {
    let home = Home::new();
    let said = home.run(&[
        "up",
        "--ssh-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
        "--ready-file",
        "/nowhere/ready.json",
    ]);
    said.failed(1, &["/nowhere/ready.json", "folder"]);
    assert!(!home.data().exists());
}
