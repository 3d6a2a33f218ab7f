//! The command line against a server elsewhere: over HTTPS, as a person.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::home::{Home, Said, Server};

/// A machine that isn't the server's: without its data folder.
struct Machine {
    home: Home,
    url: String,
}

impl Machine {
    fn new(server: &Home) -> Self {
        let ports = std::fs::read_to_string(server.data().join("ports.json")).unwrap();
        let ports: Value = serde_json::from_str(&ports).unwrap();
        Self {
            home: Home::new(),
            url: format!("https://localhost:{}", ports["http"]),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        command.env_remove("DEVGATE_DATA_DIR");
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        said.out
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).unwrap()
    }

    /// Signs in with a token of the server's administrator.
    fn sign_in(&self, server: &Home, running: &Server<'_>, scope: &str) {
        let token = Browser::new(server, running, &self.url).token(scope);
        let ca = server.data().join("certs/ca.pem");
        let args = [
            "login",
            &self.url,
            "--token",
            "-",
            "--ca",
            ca.to_str().unwrap(),
        ];
        let said = self.fed(&args, &token);
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    fn fed(&self, args: &[&str], text: &str) -> Said {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        Said::of(child.wait_with_output().unwrap())
    }
}

/// A browser that is signed in at the dashboard.
struct Browser<'a> {
    url: &'a str,
    jar: std::path::PathBuf,
}

impl<'a> Browser<'a> {
    fn new(server: &Home, running: &Server<'_>, url: &'a str) -> Self {
        let jar = server.path("cookies");
        let browser = Self { url, jar };
        if !browser.jar.exists() {
            let (_, link) = running.greeting.split_once("#link=").unwrap();
            let link = link.split_whitespace().next().unwrap();
            browser.post("/login/link", &format!("{{\"token\":\"{link}\"}}"));
        }
        browser
    }

    fn curl(&self, path: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--insecure", "--fail-with-body"])
            .args(["--header", &format!("Origin: {}", self.url)])
            .args(["--header", "Content-Type: application/json"]);
        curl.arg("--cookie").arg(&self.jar);
        curl.arg("--cookie-jar").arg(&self.jar);
        curl.arg(format!("{}/api/v1{path}", self.url));
        curl
    }

    fn get(&self, path: &str) -> Value {
        let answer = Said::of(self.curl(path).output().unwrap());
        assert_eq!(answer.code, Some(0), "{answer:?}");
        serde_json::from_str(&answer.out).unwrap()
    }

    fn post(&self, path: &str, body: &str) -> Value {
        let mut curl = self.curl(path);
        let answer = Said::of(curl.args(["--data", body]).output().unwrap());
        assert_eq!(answer.code, Some(0), "{answer:?}");
        serde_json::from_str(&answer.out).unwrap_or_default()
    }

    fn token(&self, scope: &str) -> String {
        let body = format!("{{\"name\":\"by hand\",\"scope\":\"{scope}\"}}");
        let made = self.post("/me/tokens", &body);
        made["token"].as_str().unwrap().to_owned()
    }
}

/// Reads what a command says until it shows its code.
fn code_of(child: &mut Child) -> String {
    let mut said = BufReader::new(child.stderr.take().unwrap());
    loop {
        let mut line = String::new();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "no code was shown");
        let code = line.trim();
        if code.len() == 9 && code.as_bytes()[4] == b'-' {
            return code.to_owned();
        }
    }
}

#[test]
fn a_browser_signs_a_machine_in_and_logout_ends_it_on_both_sides() {
    let server = Home::new();
    let running = server.up(&[]);
    let machine = Machine::new(&server);
    let status = server.json(&["status"]);
    let fingerprint = status["ca_fingerprint"].as_str().unwrap();

    let unknown = machine.run(&["login", &machine.url]);
    unknown.failed(4, &["--fingerprint", fingerprint]);
    let other = machine.run(&["login", &machine.url, "--fingerprint", &"ab".repeat(32)]);
    other.failed(4, &["somebody may be in between"]);

    let args = [
        "login",
        &machine.url,
        "--fingerprint",
        fingerprint,
        "--name",
        "work",
    ];
    let begin = || {
        let mut command = machine.command(&args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let browser = Browser::new(&server, &running, &machine.url);
    let mut refused = begin();
    let code = code_of(&mut refused);
    browser.post(&format!("/login/device/{code}/refuse"), "");
    assert_eq!(refused.wait().unwrap().code(), Some(7));

    let mut approved = begin();
    let code = code_of(&mut approved);
    let shown = browser.get(&format!("/login/device/{code}"));
    assert_eq!(shown["user_code"], Value::String(code.clone()));
    assert_eq!(shown["address"], "127.0.0.1");
    assert_eq!(shown["scope"], "write");
    browser.post(&format!("/login/device/{code}/approve"), "");
    let said = Said::of(approved.wait_with_output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");

    let file = machine.home.path(".config/devgate/contexts.toml");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(machine.json(&["status"])["url"], machine.url.as_str());
    assert_eq!(machine.json(&["list"])[0]["name"], "default");
    let tokens = browser.get("/me/tokens");
    assert_eq!(tokens["items"][0]["name"], shown["name"]);
    assert!(tokens["items"][0]["expires_at"].is_string());

    machine.ok(&["logout"]);
    let ended = browser.get("/me/tokens");
    assert_eq!(ended["items"].as_array().unwrap().len(), 0);
    machine
        .run(&["list"])
        .failed(7, &["devgate login", "--name work"]);
    machine.ok(&["context", "remove", "work"]);
    machine.run(&["list"]).failed(4, &["devgate login URL"]);
}

#[test]
fn a_token_comes_from_stdin_alone_and_scripts_name_the_server_by_variables() {
    let server = Home::new();
    let running = server.up(&[]);
    let machine = Machine::new(&server);
    let as_argument = machine.run(&["login", &machine.url, "--token", "dgt_secret"]);
    as_argument.failed(2, &["--token -"]);
    assert!(!as_argument.err.contains("dgt_secret"));
    machine.sign_in(&server, &running, "read");
    machine
        .run(&["stop", "default"])
        .failed(7, &["--scope write"]);

    let listed = machine.json(&["context", "list"]);
    assert_eq!(listed[1]["name"], "localhost");
    assert_eq!(listed[1]["current"], true);
    machine.ok(&["context", "use", "local"]);
    machine.run(&["list"]).failed(4, &["no server runs"]);
    machine.ok(&["list", "--context", "localhost"]);
    machine
        .run(&["list", "--context", "nowhere"])
        .failed(3, &["context list"]);

    let token = Browser::new(&server, &running, &machine.url).token("read");
    let mut command = machine.command(&["list", "--json"]);
    command
        .env("DEVGATE_URL", &machine.url)
        .env("DEVGATE_CA", server.data().join("certs/ca.pem"));
    Said::of(command.output().unwrap()).failed(2, &["DEVGATE_TOKEN"]);
    let said = Said::of(command.env("DEVGATE_TOKEN", token).output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    let gone = Said::of(command.env("DEVGATE_TOKEN", "dgt_gone").output().unwrap());
    gone.failed(7, &["devgate login"]);
}

#[test]
fn what_works_here_works_from_elsewhere() {
    let server = Home::new();
    let running = server.up(&[]);
    let machine = Machine::new(&server);
    machine.sign_in(&server, &running, "admin");

    let made = machine.json(&["create", "api"]);
    assert_eq!(made["state"], "running", "{made}");
    assert_eq!(made, server.json(&["status", "api"]));
    machine.ok(&["restart", "api"]);
    machine.ok(&["rename", "api", "web"]);
    assert!(machine.ok(&["why", "web"]).contains("web is running"));
    machine.ok(&["keep-awake", "web", "1h", "--reason", "demo"]);
    let leases = machine.json(&["keep-awake", "web", "--list"]);
    let lease = leases[0]["id"].as_str().unwrap();
    machine.ok(&["keep-awake", "web", "--end", lease]);
    machine.ok(&["schedule", "web", "--start", "0 8 * * 1-5"]);
    machine.ok(&["schedule", "web", "--remove"]);
    assert!(!machine.ok(&["logs", "web"]).is_empty());
    assert!(machine.ok(&["limits"]).contains("WORKSPACES"));
    assert!(
        machine
            .ok(&["history", "web"])
            .contains("asked for: create")
    );

    machine.ok(&["snapshots", "create", "web", "one"]);
    assert_eq!(machine.json(&["snapshots", "list"])[0]["name"], "one");
    machine.ok(&["snapshots", "restore", "one", "--yes"]);
    machine.ok(&["create", "copy", "--snapshot", "one", "--no-start"]);
    machine.ok(&["snapshots", "delete", "one", "--yes"]);

    assert_eq!(machine.fed(&["secrets", "set", "TOKEN"], "x").code, Some(0));
    assert_eq!(machine.json(&["secrets", "list"])[0]["name"], "TOKEN");
    machine.ok(&["secrets", "remove", "TOKEN"]);
    let line =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti ada";
    let key = machine.home.write("ada.pub", line);
    machine.ok(&["keys", "add", &key]);
    let keys = machine.json(&["keys", "list"]);
    assert_eq!(keys[0]["comment"], "ada", "{keys}");
    machine.ok(&["keys", "remove", keys[0]["fingerprint"].as_str().unwrap()]);
    let template = machine
        .home
        .write("small.toml", "description = \"small\"\n");
    machine.ok(&["templates", "check", &template]);
    machine.ok(&["templates", "add", "small", &template]);
    assert_eq!(machine.json(&["templates", "list"])[0]["name"], "small");

    machine.ok(&["users", "add", "bob"]);
    assert_eq!(
        machine.json(&["users", "list"]).as_array().unwrap().len(),
        2
    );
    machine
        .run(&["keys", "list", "--user", "bob"])
        .failed(7, &["the server's own machine"]);
    machine
        .run(&["stop", "nothing"])
        .failed(3, &["devgate list"]);
    machine.ok(&["delete", "web", "--yes"]);
    assert_eq!(machine.json(&["list", "--deleted"])[0]["name"], "web");
    machine.ok(&["restore", "web", "--as", "again"]);
    machine.ok(&["delete", "again", "copy", "--purge", "--yes"]);
    machine.ok(&["stop", "default"]);
    let listed = machine.json(&["list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["state"], "stopped");
}

/// Makes a key of one's own, known to the server, and returns ssh's options for it.
fn key(machine: &Machine) -> [String; 4] {
    let file = machine.home.path("key");
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
    assert!(keygen.arg(&file).status().unwrap().success());
    machine.ok(&["keys", "add", &format!("{}.pub", file.display())]);
    let identity = format!("IdentityFile={}", file.display());
    ["-o", &identity, "-o", "IdentitiesOnly=yes"].map(str::to_owned)
}

#[test]
fn ssh_goes_over_the_https_port_as_if_it_came_by_tcp() {
    let server = Home::new();
    let running = server.up(&[]);
    let machine = Machine::new(&server);
    machine.sign_in(&server, &running, "admin");
    let key = key(&machine);
    let ssh = |more: &[&str], run: &[&'static str]| {
        let mut args = vec!["ssh", "default"];
        args.extend(key.iter().map(String::as_str));
        args.extend(more);
        args.push("--");
        args.extend(run);
        machine.command(&args)
    };

    let said = Said::of(
        ssh(&[], &["echo $SSH_CONNECTION; exit 5"])
            .output()
            .unwrap(),
    );
    assert_eq!(said.code, Some(5), "{said:?}");
    let fields: Vec<_> = said.out.split_whitespace().collect();
    assert_eq!(fields.first(), Some(&"127.0.0.1"), "{said:?}");
    let direct = Said::of(ssh(&["--direct"], &["echo", "direct"]).output().unwrap());
    assert_eq!(direct.out, "direct\n", "{direct:?}");

    // Half-close, and more than all buffers hold, both ways.
    let mut cat = ssh(&[], &["cat"]);
    cat.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = cat.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent: Vec<u8> = (0..20_000_000_u32)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
        .collect();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&copy).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    assert!(
        output.stdout == sent,
        "{} bytes came back",
        output.stdout.len()
    );

    // What signed it in ends it.
    let mut open = ssh(&[], &["echo ready; exec sleep 600"]);
    open.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut open = open.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(open.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    assert_eq!(ready, "ready\n");
    machine.ok(&["logout"]);
    let ended = Said::of(open.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(255), "{ended:?}");
    assert!(ended.err.contains("ended the connection"), "{ended:?}");
    let refused = Said::of(ssh(&[], &["true"]).output().unwrap());
    assert_eq!(refused.code, Some(7), "{refused:?}");
}

#[test]
fn a_proxy_says_why_it_can_not_connect() {
    let server = Home::new();
    let running = server.up(&[]);
    let machine = Machine::new(&server);
    server
        .run(&["proxy", "default"])
        .failed(2, &["devgate login"]);
    machine.sign_in(&server, &running, "read");
    machine
        .run(&["proxy", "default"])
        .failed(7, &["--scope write"]);
    machine
        .run(&["proxy", "nothing"])
        .failed(3, &["devgate list"]);
}

#[test]
fn ssh_itself_knows_the_workspaces_once_it_was_told() {
    let server = Home::new();
    let running = server.up(&[]);
    let machine = Machine::new(&server);
    machine.sign_in(&server, &running, "admin");
    let key = key(&machine);
    let own = "Host mine\n    User me\n";
    let config = machine.home.write(".ssh/config", own);

    let told = machine.ok(&["config-ssh", "--dry-run"]);
    assert!(told.contains("Host default.localhost.devgate"), "{told}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), own);
    machine.ok(&["config-ssh"]);
    assert_eq!(machine.ok(&["config-ssh"]), "nothing changes\n");
    let known = machine.home.path(".config/devgate/localhost.known_hosts");
    let known = std::fs::read_to_string(known).unwrap();
    let authority = "@cert-authority devgate ssh-ed25519 ";
    assert!(known.starts_with(authority), "{known}");

    let mut ssh = Command::new("ssh");
    ssh.env_clear().env("PATH", "/usr/bin:/bin");
    ssh.env("HOME", machine.home.path(""));
    ssh.args(["-F", &config]).args(&key);
    let said = Said::of(
        ssh.args(["default.localhost.devgate", "echo there"])
            .output()
            .unwrap(),
    );
    assert_eq!(said.out, "there\n", "{said:?}");

    machine.ok(&["config-ssh", "--remove"]);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), own);
    assert_eq!(machine.ok(&["config-ssh", "--remove"]), "nothing changes\n");
}
