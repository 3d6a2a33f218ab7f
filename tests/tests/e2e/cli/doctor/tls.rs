//! Certificates.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::component::{built, program};
use e2e::ports;
use e2e::process::{Running, run};
use e2e::reach::Reach;
use e2e::survivors::Folder;
use e2e::target::Target;
use e2e::wait::{SOON, eventually};

use super::{Said, look, own_ca};
use crate::cli::{LIMIT, Machine};

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
fn a_certificate_of_one_s_own_whose_file_is_gone() {
    let folder = Folder::new();
    leaf(folder.path(), "localhost", "2");
    let [leaf, key] = ["leaf.pem", "leaf.key"].map(|file| folder.path().join(file));
    let settings = [
        ("DEVGATE_HTTP_TLS", "files"),
        ("DEVGATE_HTTP_CERTIFICATE", leaf.to_str().unwrap()),
        ("DEVGATE_HTTP_KEY", key.to_str().unwrap()),
    ];
    let target = Target::devgate_with(Reach::Unix, &settings);
    let gateway = target.gateway();
    fs::remove_file(&leaf).unwrap();
    let said = Said::of(&gateway.cli(&["doctor", "--json"]));
    let path = leaf.to_str().unwrap();
    said.only("configuration", &[path, "http.certificate"]);
    said.is("tls", "skipped");
    assert_eq!(gateway.cli(&["config", "check"]).code(), 2);

    // One that knows the data folder alone.
    let mut doctor = Command::new(built("devgate"));
    doctor
        .args(["doctor", "--json"])
        .env("HOME", folder.path())
        .env("DEVGATE_DATA_DIR", gateway.data());
    let said = Said::of(&run(&mut doctor, b"", LIMIT));
    said.is("configuration", "ok");
    said.is("tls", "skipped");
    let detail = said.finding("tls")["detail"].as_str().unwrap();
    assert!(detail.contains("--config FILE"), "{detail}");
}
