//! Where nothing but a proxy leads out.

use std::process::Command;

use e2e::connect::ConnectProxy;
use e2e::ports;
use e2e::process::{Finished, run};

use super::{LIMIT, Machine, noise};

/// The server's name, which the proxy alone knows.
const NAME: &str = "dev.example.com";

/// A name and a password, as they are written into an address, and as the proxy is told.
const CREDENTIALS: &str = "ada:s%40cret%2F";
const AUTHORIZATION: &str = "Basic YWRhOnNAY3JldC8=";

struct Proxied {
    machine: Machine,
    proxy: ConnectProxy,
    url: String,
}

impl Proxied {
    #[track_caller]
    fn start() -> Self {
        let machine = Machine::start_with(&[("DEVGATE_HTTP_NAMES", NAME)]);
        let server = machine.target.gateway().ready().http;
        let authority = format!("{NAME}:{}", server.port());
        let proxy = ConnectProxy::start(&authority, server, AUTHORIZATION);
        let url = format!("https://{authority}");
        Self {
            machine,
            proxy,
            url,
        }
    }

    /// `devgate` with a variable that names a proxy, by these credentials.
    fn command(&self, variable: &str, credentials: &str, args: &[&str]) -> Command {
        let mut command = self.machine.command(args);
        let address = self.proxy.address();
        command.env(variable, format!("http://{credentials}{address}"));
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str], input: &[u8]) -> Finished {
        let credentials = format!("{CREDENTIALS}@");
        run(
            &mut self.command("HTTPS_PROXY", &credentials, args),
            input,
            LIMIT,
        )
    }

    /// Signs in at the server that only the proxy reaches.
    #[track_caller]
    fn sign_in(&self) {
        let token = self.machine.token("admin");
        let ca = self.machine.target.gateway().data().join("certs/ca.pem");
        let ca = ca.to_str().unwrap();
        let login = [
            "login", &self.url, "--token", "-", "--ca", ca, "--name", "out",
        ];
        let _ = self.run(&login, token.as_bytes()).ok();
    }
}

#[test]
fn everything_goes_through_the_proxy_that_the_environment_names() {
    let proxied = Proxied::start();
    proxied.sign_in();
    assert!(proxied.run(&["list"], b"").ok().out().contains("default"));
    // WebSockets, in both directions.
    let said = proxied.run(
        &["exec", "-i", "default", "--", "tr", "a-z", "A-Z"],
        b"through\n",
    );
    assert_eq!(said.ok().out(), "THROUGH\n");
    let file = proxied.machine.folder().join("file");
    let bytes = noise(&file, 3 << 20);
    let _ = proxied
        .run(&["cp", file.to_str().unwrap(), "default:there"], b"")
        .ok();
    let home = proxied.machine.target.gateway().home();
    assert!(std::fs::read(home.join("there")).unwrap() == bytes);
    // ssh's own connection as well, by the command that it runs.
    let identity = proxied.machine.target.gateway().identity();
    let identity = format!("IdentityFile={}", identity.display());
    let ssh = [
        "ssh",
        "default",
        "-o",
        &identity,
        "--",
        "echo over-$((6 * 7))",
    ];
    assert_eq!(proxied.run(&ssh, b"").ok().out(), "over-42\n");
    let asked = proxied.proxy.asked();
    let port = proxied.machine.target.gateway().ready().http.port();
    let expected = format!("CONNECT {NAME}:{port} HTTP/1.1");
    assert!(
        asked.len() >= 5 && asked.iter().all(|line| *line == expected),
        "{asked:?}"
    );

    for variable in ["https_proxy", "ALL_PROXY"] {
        let credentials = format!("{CREDENTIALS}@");
        let mut list = proxied.command(variable, &credentials, &["list"]);
        let _ = run(&mut list, b"", LIMIT).ok();
    }
    // This machine itself is reached without one.
    let before = proxied.proxy.asked().len();
    let _ = proxied.run(&["list", "--context", "localhost"], b"").ok();
    assert_eq!(proxied.proxy.asked().len(), before);
}

#[test]
fn a_proxy_that_leads_nowhere_is_named_with_what_to_do() {
    let proxied = Proxied::start();
    proxied.sign_in();
    let says = |mut command: Command, code: i32, words: &[&str]| {
        let said = run(&mut command, b"", LIMIT);
        assert_eq!(said.code(), code, "{said:?}");
        for word in words {
            assert!(said.err().contains(word), "{word:?}: {said:?}");
        }
        assert!(!said.err().contains("s%40cret"), "{said:?}");
    };
    let of = |credentials: &str| proxied.command("HTTPS_PROXY", credentials, &["list"]);
    says(
        of(""),
        4,
        &[
            "wants a name and a password",
            "HTTPS_PROXY",
            "http://NAME:PASSWORD@",
        ],
    );
    says(
        of("ada:s%40cret@"),
        4,
        &["doesn't take the name and password", "HTTPS_PROXY"],
    );
    let mut elsewhere = of(&format!("{CREDENTIALS}@"));
    elsewhere.env("DEVGATE_URL", "https://other.example.com");
    elsewhere.env("DEVGATE_TOKEN", "dgt_x");
    says(elsewhere, 4, &["other.example.com:443", "403", "NO_PROXY"]);
    let asked = proxied.proxy.asked();
    let last = asked.last().map(String::as_str);
    assert_eq!(last, Some("CONNECT other.example.com:443 HTTP/1.1"));
    let mut nobody = proxied.machine.command(&["list"]);
    nobody.env("HTTPS_PROXY", format!("127.0.0.1:{}", ports::free()));
    says(
        nobody,
        4,
        &["cannot reach the proxy 127.0.0.1", "HTTPS_PROXY"],
    );
    let mut other = proxied.machine.command(&["list"]);
    other.env("ALL_PROXY", "socks5://127.0.0.1:1080");
    says(other, 2, &["ALL_PROXY", "NO_PROXY", NAME]);
    let mut direct = of(&format!("{CREDENTIALS}@"));
    direct.env("no_proxy", "localhost,.example.com");
    says(direct, 4, &["cannot reach https://dev.example.com"]);
}

#[test]
fn the_doctor_names_the_proxy_and_what_is_wrong_with_it() {
    let proxied = Proxied::start();
    proxied.sign_in();
    let look = |credentials: &str| {
        let args = ["doctor", "default", "--json"];
        let mut doctor = proxied.command("HTTPS_PROXY", credentials, &args);
        super::doctor::Said::of(&run(&mut doctor, b"", LIMIT))
    };
    let well = look(&format!("{CREDENTIALS}@"));
    for check in [
        "proxy",
        "port",
        "tls",
        "clock",
        "server",
        "token",
        "websocket",
    ] {
        well.is(check, "ok");
    }
    well.is("ssh-port", "skipped");
    assert_eq!(well.code, 0, "{:#?}", well.findings);
    let address = proxied.proxy.address().to_string();
    assert!(
        well.finding("proxy")["detail"]
            .as_str()
            .unwrap()
            .contains(&address)
    );
    look("").only("port", &["wants a name and a password", "HTTPS_PROXY"]);
    let closed = format!("http://127.0.0.1:{}", ports::free());
    let mut doctor = proxied.machine.command(&["doctor", "--json"]);
    doctor.env("HTTPS_PROXY", closed);
    let said = super::doctor::Said::of(&run(&mut doctor, b"", LIMIT));
    said.only("proxy", &["cannot reach the proxy", "NO_PROXY"]);
}
