//! `devgate doctor` against servers that are broken, each in one of the ways that it knows.

use std::fs;
use std::io::copy;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use e2e::component::{built, program};
use e2e::ports;
use e2e::process::{Finished, Running, run};
use e2e::reach::Reach;
use e2e::survivors::Folder;
use e2e::target::Target;
use e2e::tmux::Terminal;
use e2e::wait::{SOON, eventually};
use serde_json::Value;

use super::{LIMIT, Machine};

/// What a doctor said, as it said it.
struct Said {
    code: i32,
    findings: Vec<Value>,
}

impl Said {
    #[track_caller]
    fn of(finished: &Finished) -> Self {
        let findings = serde_json::from_slice(&finished.stdout);
        Self {
            code: finished.code(),
            findings: findings.unwrap_or_else(|error| panic!("{error}: {finished:?}")),
        }
    }

    #[track_caller]
    fn finding(&self, check: &str) -> &Value {
        let found = self.findings.iter().find(|it| it["check"] == check);
        found.unwrap_or_else(|| panic!("nothing is said of {check}: {:#?}", self.findings))
    }

    /// Asserts that this alone failed, with words in what is said of it.
    #[track_caller]
    fn only(&self, check: &str, words: &[&str]) {
        let failed = self.findings.iter().filter(|it| it["verdict"] == "failed");
        let failed: Vec<_> = failed.map(|it| it["check"].as_str().unwrap()).collect();
        assert_eq!(failed, [check], "{:#?}", self.findings);
        assert_eq!(self.code, 1);
        let finding = self.finding(check);
        let said = format!("{} {}", finding["detail"], finding["remedy"]);
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said}");
        }
    }

    #[track_caller]
    fn is(&self, check: &str, verdict: &str) {
        let finding = self.finding(check);
        assert_eq!(finding["verdict"], verdict, "{finding}");
    }
}

/// Has a doctor look at the server at `url`, with an authority.
#[track_caller]
fn look(machine: &Machine, url: &str, ca: Option<&Path>) -> Said {
    let token = machine.token("write");
    look_with(machine, url, ca, &token)
}

#[track_caller]
fn look_with(machine: &Machine, url: &str, ca: Option<&Path>, token: &str) -> Said {
    let mut doctor = machine.command(&["doctor", "--json"]);
    doctor.env("DEVGATE_URL", url).env("DEVGATE_TOKEN", token);
    if let Some(ca) = ca {
        doctor.env("DEVGATE_CA", ca);
    }
    Said::of(&run(&mut doctor, b"", LIMIT))
}

fn own_ca(machine: &Machine) -> PathBuf {
    machine.target.gateway().data().join("certs/ca.pem")
}

#[test]
fn where_all_is_well_nothing_fails() {
    let machine = Machine::start();
    let said = Said::of(&machine.run(&["doctor", "default", "--json"]));
    for check in [
        "dns",
        "port",
        "tls",
        "clock",
        "server",
        "token",
        "workspace",
        "websocket",
        "ssh-port",
        "ssh-host-key",
        "wildcard-dns",
    ] {
        said.is(check, "ok");
    }
    assert_eq!(said.code, 0, "{:#?}", said.findings);
    let here = machine
        .target
        .gateway()
        .cli(&["doctor", "default", "--json"]);
    let here = Said::of(&here);
    for check in [
        "configuration",
        "server",
        "port",
        "tls",
        "ssh-host-key",
        "workspace",
    ] {
        here.is(check, "ok");
    }
    assert_eq!(here.code, 0, "{:#?}", here.findings);
}

#[test]
fn names_ports_and_tokens_that_are_wrong() {
    let machine = Machine::start();
    look(&machine, "https://nowhere.invalid:8443", None).only("dns", &["nowhere.invalid", "VPN"]);
    let closed = format!("https://localhost:{}", ports::free());
    look(&machine, &closed, None).only("port", &["http.listen"]);
    let ca = own_ca(&machine);
    let gone = look_with(&machine, &machine.url, Some(&ca), "dgt_gone");
    gone.only("token", &["devgate login https://localhost"]);
    // An SSH server speaks no TLS.
    let ssh = machine.target.gateway().ready().ssh.port();
    look(&machine, &format!("https://localhost:{ssh}"), Some(&ca)).only("tls", &["HTTPS port"]);
}

/// Runs openssl in a folder.
#[track_caller]
fn openssl(folder: &Path, args: &str) {
    let mut openssl = Command::new(program("openssl"));
    openssl.args(args.split_whitespace()).current_dir(folder);
    let _ = run(&mut openssl, b"", LIMIT).ok();
}

/// Makes `leaf.pem` and `leaf.key`, a certificate for `name`, of an authority in
/// `folder/ca.pem`.
#[track_caller]
fn leaf(folder: &Path, name: &str, days: &str) {
    let key = "-nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ca"),
    );
    openssl(
        folder,
        &format!("req -new {key} -keyout leaf.key -out leaf.csr -subj /CN={name}"),
    );
    fs::write(folder.join("ext"), format!("subjectAltName=DNS:{name}\n")).unwrap();
    openssl(
        folder,
        &format!(
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem \
             -days {days} -extfile ext"
        ),
    );
}

/// Serves TLS with such a certificate.
#[track_caller]
fn serve_tls(folder: &Path, name: &str, days: &str) -> (u16, Running) {
    leaf(folder, name, days);
    let port = ports::free();
    let mut server = Command::new(program("openssl"));
    server
        .args([
            "s_server", "-www", "-quiet", "-cert", "leaf.pem", "-key", "leaf.key",
        ])
        .args(["-accept", &format!("127.0.0.1:{port}")])
        .current_dir(folder)
        .stdin(Stdio::null());
    let server = Running::start_as_it_is(&mut server);
    eventually(SOON, "a server of TLS", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (port, server)
}

#[test]
fn certificates_that_are_wrong() {
    let machine = Machine::start();
    let folder = machine.target.make_folder("tls");
    let (port, _server) = serve_tls(&folder, "dev.example.com", "2");
    let url = format!("https://localhost:{port}");
    let other = look(&machine, &url, Some(&own_ca(&machine)));
    other.only("tls", &["isn't trusted", "devgate login"]);
    let misnamed = look(&machine, &url, Some(&folder.join("ca.pem")));
    misnamed.only("tls", &["http.names"]);

    // One of no days has run out once it is there.
    let folder = machine.target.make_folder("expired");
    let (port, _server) = serve_tls(&folder, "localhost", "0");
    let url = format!("https://localhost:{port}");
    let ca = folder.join("ca.pem");
    let expired = eventually(SOON, "a certificate that has run out", || {
        let said = look(&machine, &url, Some(&ca));
        let tls = said.finding("tls")["verdict"] == "failed";
        tls.then_some(said)
    });
    expired.only("tls", &["has run out", "clocks"]);
}

#[test]
fn a_certificate_of_one_s_own_that_browsers_do_not_take() {
    // In a file with the authority that issued it.
    let with = |name: &str, days: &str| {
        let folder = Folder::new();
        leaf(folder.path(), name, days);
        let chain = ["leaf.pem", "ca.pem"].map(|file| {
            let text = fs::read_to_string(folder.path().join(file));
            text.unwrap()
        });
        fs::write(folder.path().join("chain.pem"), chain.concat()).unwrap();
        let [chain, key] = ["chain.pem", "leaf.key"].map(|file| folder.path().join(file));
        let settings = [
            ("DEVGATE_HTTP_TLS", "files"),
            ("DEVGATE_HTTP_CERTIFICATE", chain.to_str().unwrap()),
            ("DEVGATE_HTTP_KEY", key.to_str().unwrap()),
        ];
        let target = Target::devgate_with(Reach::Unix, &settings);
        let look = || Said::of(&target.gateway().cli(&["doctor", "--json"]));
        eventually(SOON, "a certificate of no days that has run out", || {
            let said = look();
            (days != "0" || said.code != 0).then_some(said)
        })
    };
    with("localhost", "2").is("tls", "ok");
    with("localhost", "0").only("tls", &["http.certificate"]);
    with("dev.example.com", "2").only("tls", &["localhost", "http.domain"]);
}

#[test]
fn a_workspace_that_one_may_not_enter_is_not_the_proxy_s_fault() {
    let machine = Machine::start();
    let gateway = machine.target.gateway();
    let _ = gateway.cli(&["users", "add", "bob"]).ok();
    let _ = gateway.cli(&["create", "api", "--owner", "bob"]).ok();
    let said = Said::of(&machine.run(&["doctor", "api.bob", "--json"]));
    said.is("workspace", "ok");
    said.is("websocket", "skipped");
    assert_eq!(said.code, 0, "{:#?}", said.findings);
}

/// A proxy of plain HTTP in front of a gateway, on this machine.
#[track_caller]
fn nginx(machine: &Machine, more: &str) -> (String, Running) {
    let folder = machine.target.make_folder("nginx");
    let (at, port) = (folder.display(), ports::free());
    let gateway = machine.target.gateway().ready().http;
    let mut temporary = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        temporary += &[kind, "_temp_path ", &at.to_string(), "/", kind, ";\n"].concat();
    }
    let text = format!(
        "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log {at}/error.log;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}server {{\nlisten 127.0.0.1:{port};\nlocation / {{\n\
         proxy_pass https://{gateway};\nproxy_set_header Host localhost:{};\n{more}\n}}\n}}\n}}\n",
        gateway.port()
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program("nginx"));
    command
        .arg("-e")
        .arg(folder.join("error.log"))
        .arg("-c")
        .arg(&file);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let nginx = Running::start_as_it_is(&mut command);
    eventually(SOON, "nginx", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (format!("http://127.0.0.1:{port}"), nginx)
}

#[test]
fn a_proxy_that_eats_web_sockets() {
    let machine = Machine::start();
    // As it comes, nginx hands no upgrade on.
    let (url, proxy) = nginx(&machine, "");
    look(&machine, &url, None).only("websocket", &["upgrade", "proxy_http_version 1.1"]);
    drop(proxy);
    let upgrade = "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\n\
                   proxy_set_header Connection upgrade;";
    let (url, _proxy) = nginx(&machine, upgrade);
    let said = look(&machine, &url, None);
    said.is("websocket", "ok");
    assert_eq!(said.code, 0, "{:#?}", said.findings);
}

#[test]
fn a_clock_that_is_off() {
    let machine = Machine::start();
    let folder = machine.target.make_folder("caddy");
    let port = ports::free();
    let gateway = machine.target.gateway().ready().http;
    let text = format!(
        "{{\n\tadmin off\n}}\nhttp://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\
         \treverse_proxy https://{gateway} {{\n\t\theader_up Host localhost:{}\n\
         \t\theader_down Date \"Tue, 01 Jan 2030 00:00:00 GMT\"\n\
         \t\ttransport http {{\n\t\t\ttls_insecure_skip_verify\n\t\t}}\n\t}}\n}}\n",
        gateway.port()
    );
    let file = folder.join("Caddyfile");
    fs::write(&file, text).unwrap();
    let mut caddy = Command::new(program("caddy"));
    caddy
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(&file)
        .env("HOME", &folder)
        .env("XDG_DATA_HOME", &folder)
        .env("XDG_CONFIG_HOME", &folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let _caddy = Running::start_as_it_is(&mut caddy);
    eventually(SOON, "Caddy", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let said = look(&machine, &format!("http://127.0.0.1:{port}"), None);
    said.only("clock", &["2030-01-01", "NTP"]);
}

#[test]
fn something_else_that_answers() {
    let machine = Machine::start();
    let folder = machine.target.make_folder("site");
    let port = ports::free();
    let mut site = Command::new(program("python3"));
    site.args([
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        &port.to_string(),
    ]);
    site.current_dir(&folder).stdin(Stdio::null());
    let _site = Running::start(&mut site);
    eventually(SOON, "a site", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let said = look(&machine, &format!("http://127.0.0.1:{port}"), None);
    said.only("server", &["something else than devgate"]);
}

#[test]
fn ssh_that_is_not_reached_or_shows_another_key() {
    let machine = Machine::start();
    let ssh = machine.target.gateway().ready().ssh.port();
    let known = machine.home.join(".ssh/known_hosts");
    fs::create_dir_all(known.parent().unwrap()).unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    fs::write(&known, format!("[127.0.0.1]:{ssh} {key}\n")).unwrap();
    let said = Said::of(&machine.run(&["doctor", "--json"]));
    said.only(
        "ssh-host-key",
        &["known_hosts", &format!("ssh-keygen -R '[127.0.0.1]:{ssh}'")],
    );

    let unknown = Machine::start_with(&[("DEVGATE_HTTP_NAMES", "nowhere.invalid")]);
    let said = Said::of(&unknown.run(&["doctor", "--json"]));
    said.only("ssh-port", &["nowhere.invalid", "devgate ssh"]);

    // Somebody has the server's port at the address that it names.
    let between = Machine::start_with(&[("DEVGATE_HTTP_NAMES", "127.0.0.2")]);
    let port = between.target.gateway().ready().ssh.port();
    let other = machine.target.gateway().ready().ssh;
    carry(SocketAddr::from(([127, 0, 0, 2], port)), other);
    let said = Said::of(&between.run(&["doctor", "--json"]));
    said.only(
        "ssh-host-key",
        &["isn't the server's", "somebody is in between"],
    );
}

/// Carries connections from one address to another, for as long as the test runs.
#[track_caller]
fn carry(from: SocketAddr, to: SocketAddr) {
    let listener = TcpListener::bind(from).unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(to).unwrap();
            let ends = [&client, &server, &server, &client].map(|end| end.try_clone().unwrap());
            let [mut a, mut b, mut c, mut d] = ends;
            thread::spawn(move || copy(&mut a, &mut b));
            thread::spawn(move || copy(&mut c, &mut d));
        }
    });
}

#[test]
fn a_domain_without_a_wildcard() {
    let machine = Machine::start_with(&[("DEVGATE_HTTP_DOMAIN", "apps.invalid")]);
    let said = Said::of(&machine.run(&["doctor", "--json"]));
    said.only("wildcard-dns", &["*.apps.invalid", "http.applications"]);
    let here = Said::of(&machine.target.gateway().cli(&["doctor", "--json"]));
    here.only("wildcard-dns", &["*.apps.invalid"]);
}

#[test]
fn an_editor_that_is_missing_is_a_warning() {
    let machine = Machine::start_with(&[("DEVGATE_EDITOR_PROGRAM", "/nowhere/code-server")]);
    let said = Said::of(&machine.run(&["doctor", "default", "--json"]));
    said.is("code-server", "warning");
    assert_eq!(said.code, 0, "{:#?}", said.findings);
    machine.ok(&["stop", "default"]);
    let said = Said::of(&machine.run(&["doctor", "default", "--json"]));
    said.is("workspace", "warning");
    said.is("code-server", "skipped");
    let said = Said::of(&machine.run(&["doctor", "nothing", "--json"]));
    assert_eq!(said.finding("workspace")["verdict"], "failed");
}

#[test]
fn a_docker_engine_that_is_away_and_a_server_that_does_not_run() {
    let folder = Folder::new();
    let mut doctor = Command::new(built("devgate"));
    doctor
        .args(["doctor", "--json"])
        .env_clear()
        .env("HOME", folder.path())
        .env("DEVGATE_DATA_DIR", folder.path().join("data"))
        .env("DEVGATE_WORKSPACES_DRIVER", "docker")
        .env("DEVGATE_DOCKER_IMAGE", "debian:12")
        .env("DEVGATE_DOCKER_SOCKET", folder.path().join("docker.sock"));
    let said = Said::of(&run(&mut doctor, b"", LIMIT));
    assert_eq!(said.code, 1);
    said.is("docker", "failed");
    let remedy = said.finding("docker")["remedy"].as_str().unwrap();
    assert!(remedy.contains("systemctl start docker"), "{remedy}");
    said.is("server", "failed");
    let remedy = said.finding("server")["remedy"].as_str().unwrap();
    assert!(remedy.contains("devgate up"), "{remedy}");
}

#[test]
fn on_a_terminal_each_remedy_stands_below_what_failed() {
    let machine = Machine::unknown(Target::devgate(Reach::Unix));
    let line = machine.line("doctor");
    let line = line.replace(
        "env -i",
        "env -i DEVGATE_URL=https://nowhere.invalid DEVGATE_TOKEN=x",
    );
    let terminal = Terminal::start(machine.folder(), &line, 120, 20);
    let screen = terminal.wait("the end", |screen| screen.contains("one check failed"));
    let lines: Vec<_> = screen.lines().collect();
    let failed = lines
        .iter()
        .position(|line| line.starts_with("FAILED   dns"));
    let remedy = lines[failed.unwrap() + 1];
    assert!(remedy.trim_start().starts_with("to do:"), "{screen}");
    assert_eq!(terminal.wait_for_end(), 1);
}
