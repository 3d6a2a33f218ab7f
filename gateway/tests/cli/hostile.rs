//! The command line against servers that mean no good, or are not what was meant.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use devgate_certs::Authority;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::home::{Home, Said};

/// What is answered to one request: status and body. `None` breaks the connection.
type Answer = Option<(u16, String)>;

/// A server that answers whatever a test wants. Its thread ends with the test.
struct Hostile {
    url: String,
    /// What was asked, headers included.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hostile {
    fn new(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let tcp = tcp.unwrap();
                // A client that doesn't trust it hangs up.
                let _ = match &tls {
                    None => serve(tcp, &answer, &log),
                    Some(config) => {
                        let tls = ServerConnection::new(Arc::clone(config)).unwrap();
                        serve(StreamOwned::new(tls, tcp), &answer, &log)
                    }
                };
            }
        });
        Self {
            url: format!("{scheme}://localhost:{port}"),
            asked,
        }
    }

    fn asked(&self, what: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|it| it.contains(what)).count()
    }
}

/// Answers one request.
fn serve(
    stream: impl Read + Write,
    answer: impl Fn(&str) -> Answer,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|it| it.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body)?;
    log.lock().unwrap().push(head.clone());
    let path = head.split(' ').nth(1).unwrap_or_default();
    let Some((status, body)) = answer(path.trim_start_matches("/api/v1")) else {
        return Ok(());
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.flush()
}

/// An authority, and a server's side of TLS with a certificate of it for `localhost`.
fn authority(home: &Home, name: &str) -> (String, Arc<ServerConfig>) {
    let authority = Authority::open(&home.path(name)).unwrap();
    authority.gateway_leaf(&["localhost".to_owned()]).unwrap();
    let config = authority.server_config().unwrap();
    (authority.ca_pem().to_owned(), config)
}

fn fingerprint(pem: &str) -> String {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let digest = Sha256::digest(&certificate);
    let bytes: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.concat()
}

/// Answers as devgate does who gives a token, with an authority.
fn signing_in(ca: String) -> impl Fn(&str) -> Answer {
    move |path| match path {
        "/ca" => Some((200, ca.clone())),
        "/me" => {
            let me = json!({
                "id": "aaaaaaaaaaaaaaaa", "name": "ada", "role": "member",
                "has_password": false, "created": "2026-01-01T00:00:00Z", "token": null,
            });
            Some((200, me.to_string()))
        }
        _ => Some((200, "{}".to_owned())),
    }
}

/// Returns the command of somebody without a data folder.
fn elsewhere(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(args);
    command.env_remove("DEVGATE_DATA_DIR");
    command
}

fn said(command: &mut Command) -> Said {
    Said::of(command.output().unwrap())
}

/// Signs in with a token.
fn sign_in(home: &Home, url: &str, more: &[&str]) -> Said {
    let args = ["login", url, "--name", "work", "--token", "-"];
    let mut command = elsewhere(home, &[&args, more].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // One that is refused before reads none.
    let _ = child.stdin.take().unwrap().write_all(b"dgt_token");
    Said::of(child.wait_with_output().unwrap())
}

/// Asks a server that the environment names.
fn ask(server: &Hostile, args: &[&str]) -> Said {
    let home = Home::new();
    let mut command = elsewhere(&home, args);
    command.env("DEVGATE_URL", &server.url);
    said(command.env("DEVGATE_TOKEN", "dgt_token"))
}

#[test]
fn an_authority_beside_the_one_that_was_compared_is_not_trusted() {
    let home = Home::new();
    let (real, _) = authority(&home, "real");
    let (other, tls) = authority(&home, "other");
    for both in [format!("{real}{other}"), format!("{other}{real}")] {
        let hostile = Hostile::new(Some(Arc::clone(&tls)), signing_in(both));
        for compared in [&real, &other] {
            let refused = sign_in(
                &home,
                &hostile.url,
                &["--fingerprint", &fingerprint(compared)],
            );
            refused.failed(4, &["2 certificates"]);
        }
        sign_in(&home, &hostile.url, &[]).failed(4, &["2 certificates"]);
        assert_eq!(hostile.asked("dgt_token"), 0);
    }
    // Neither is what isn't of the one that was compared.
    let hostile = Hostile::new(Some(Arc::clone(&tls)), signing_in(real.clone()));
    sign_in(&home, &hostile.url, &["--fingerprint", &fingerprint(&real)])
        .failed(4, &["not trusted"]);
    let large = other.clone() + &" ".repeat(20_000);
    let hostile = Hostile::new(Some(tls), signing_in(large));
    sign_in(
        &home,
        &hostile.url,
        &["--fingerprint", &fingerprint(&other)],
    )
    .failed(4, &[]);
    assert_eq!(hostile.asked("dgt_token"), 0);
    assert!(!home.path(".config/devgate/contexts.toml").exists());
}

#[test]
fn a_server_that_is_known_keeps_its_authority_unless_another_is_named() {
    let home = Home::new();
    let (before, _) = authority(&home, "before");
    let (now, tls) = authority(&home, "now");
    let server = Hostile::new(Some(tls), signing_in(now.clone()));
    std::fs::create_dir_all(home.path(".config/devgate")).unwrap();
    for ca in [format!("ca = '''\n{before}'''\n"), String::new()] {
        for name in ["work", "other"] {
            let text = format!("[contexts.{name}]\nurl = \"{}\"\n{ca}", server.url);
            let file = home.write(".config/devgate/contexts.toml", &text);
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
            let refused = sign_in(&home, &server.url, &[]);
            refused.failed(4, &["another authority than before", "--fingerprint"]);
        }
    }
    assert_eq!(server.asked("dgt_token"), 0);
    let named = sign_in(&home, &server.url, &["--fingerprint", &fingerprint(&now)]);
    assert_eq!(named.code, Some(0), "{named:?}");
    let again = sign_in(&home, &server.url, &[]);
    assert_eq!(again.code, Some(0), "{again:?}");

    // What else is wrong with a certificate is for nobody to confirm.
    let address = server.url.replace("localhost", "127.0.0.1");
    let ca = home.write("now.pem", &now);
    let args = ["login", &address, "--ca", &ca, "--name", "address"];
    said(&mut elsewhere(&home, &args)).failed(4, &["http.names"]);
    let large = home.write("large.pem", &now.repeat(50));
    let args = ["login", &address, "--ca", &large, "--name", "address"];
    said(&mut elsewhere(&home, &args)).failed(2, &["16 KiB"]);
}

#[test]
fn nothing_that_a_server_says_controls_the_terminal() {
    let evil = "\u{1b}]0;x\u{7}\u{9b}2J";
    let problem = json!({ "status": 409, "title": "t", "code": "c", "detail": evil });
    let refusing = Hostile::new(None, move |_| Some((409, problem.to_string())));
    let owned = |owner: String| json!({ "id": owner, "name": "api", "owner": owner });
    let several = json!({ "items": [owned(format!("a{evil}")), owned(format!("b{evil}"))] });
    let several = Hostile::new(None, move |path| match path {
        "/me" => signing_in(String::new())(path),
        _ => Some((200, several.to_string())),
    });
    for said in [
        ask(&refusing, &["list"]),
        ask(&refusing, &["list", "--json"]),
        ask(&several, &["delete", "api", "--yes"]),
        ask(&several, &["snapshots", "show", "api"]),
    ] {
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains('\u{fffd}'), "{said:?}");
        let text = format!("{}{}", said.out, said.err);
        assert!(
            !text.chars().any(|c| c != '\n' && c.is_control()),
            "{said:?}"
        );
    }
}

#[test]
fn a_list_that_goes_on_without_anything_in_it_ends() {
    let page = json!({ "items": [], "next": "more" });
    let server = Hostile::new(None, move |_| Some((200, page.to_string())));
    let listed = ask(&server, &["list", "--json"]);
    assert_eq!((listed.code, listed.out.as_str()), (Some(0), "[]\n"));
    assert_eq!(server.asked("get /api/v1/workspaces"), 1);
}

/// Answers a login in the browser, with what is polled for.
fn approving(page: &str, poll: impl Fn() -> Answer) -> impl Fn(&str) -> Answer {
    let codes = json!({
        "device_code": "d", "user_code": "ABCD-EFGH", "verification_uri": page,
        "verification_uri_complete": page, "expires_in": 60, "interval": 1,
    });
    move |path| match path {
        "/login/device" => Some((200, codes.to_string())),
        "/login/device/token" => poll(),
        _ => Some((200, "{}".to_owned())),
    }
}

#[test]
fn a_login_in_the_browser_is_told_what_may_be_wrong_with_it() {
    let expired = || {
        let problem = json!({ "status": 400, "title": "t", "code": "expired-token", "detail": "" });
        Some((400, problem.to_string()))
    };
    let home = Home::new();
    let unsafe_page = Hostile::new(None, approving("file:///etc/passwd", expired));
    said(&mut elsewhere(&home, &["login", &unsafe_page.url])).failed(1, &["http.url"]);
    assert_eq!(unsafe_page.asked("/token"), 0);

    let polls = Mutex::new(0);
    let breaking = approving("https://elsewhere.example/device", move || {
        let mut polls = polls.lock().unwrap();
        *polls += 1;
        if *polls == 1 { None } else { expired() }
    });
    let breaking = Hostile::new(None, breaking);
    let told = said(&mut elsewhere(&home, &["login", &breaking.url]));
    assert_eq!(told.code, Some(5), "{told:?}");
    assert!(told.err.contains("at elsewhere.example"), "{told:?}");
    assert!(told.err.contains("look at your tokens"), "{told:?}");
}

#[test]
fn what_is_written_as_a_flag_wins_over_the_environment() {
    let home = Home::new();
    let data = home.path("named");
    let file = home.write(
        "c.toml",
        &format!("data-dir = {:?}\n", data.to_str().unwrap()),
    );
    let other = [
        ("DEVGATE_URL", "http://localhost:1"),
        ("DEVGATE_CONTEXT", "x"),
    ];
    let with = |args: &[&str]| {
        let mut command = elsewhere(&home, args);
        command.envs(other).env("DEVGATE_TOKEN", "dgt_token");
        command
    };
    let here = ["no server runs", "/named"];
    said(&mut with(&["list", "--config", &file])).failed(4, &here);
    said(&mut with(&["list", "--data-dir", data.to_str().unwrap()])).failed(4, &here);
    said(&mut with(&["list"])).failed(4, &["localhost:1"]);
    said(with(&["list"]).env("DEVGATE_CONFIG", &file)).failed(4, &["localhost:1"]);
    let mut by_variable = elsewhere(&home, &["list"]);
    said(by_variable.env("DEVGATE_CONFIG", &file)).failed(4, &here);
    for name in [
        "DEVGATE_URL",
        "DEVGATE_TOKEN",
        "DEVGATE_CONTEXT",
        "DEVGATE_DATA_DIR",
    ] {
        let bytes = std::ffi::OsString::from_vec(b"http://\xff".to_vec());
        let mut command = elsewhere(&home, &["list"]);
        if name == "DEVGATE_TOKEN" {
            command.env("DEVGATE_URL", "http://localhost:1");
        }
        said(command.env(name, bytes)).failed(2, &[name, "UTF-8"]);
    }
}

#[test]
fn an_empty_variable_is_none_and_who_removes_a_server_is_told_what_is_meant() {
    let home = Home::new();
    let server = Hostile::new(None, signing_in(String::new()));
    let signed = sign_in(&home, &server.url, &[]);
    assert!(
        signed.out.contains("commands mean work from now on"),
        "{signed:?}"
    );
    let listed = said(elsewhere(&home, &["context", "list", "--json"]).env("DEVGATE_DATA_DIR", ""));
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed[1]["current"], true, "{listed}");
    let used = said(&mut home.command(&["context", "use", "work"]));
    assert!(
        used.out.contains("DEVGATE_DATA_DIR is set here"),
        "{used:?}"
    );
    let removed = said(&mut elsewhere(
        &home,
        &["context", "remove", "--force", "work"],
    ));
    assert!(removed.out.contains("commands mean local"), "{removed:?}");
}
