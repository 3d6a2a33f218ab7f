//! Peers that send garbage, half of something, or nothing, on both ports.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use e2e::component::program;
use e2e::over_both_reaches;
use e2e::process::run;
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::wait::SOON;

/// What a peer may begin with.
fn beginnings() -> Vec<Vec<u8>> {
    let noise: Vec<u8> = (0..100_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let mut ident_then_noise = b"SSH-2.0-OpenSSH_9.2\r\n".to_vec();
    ident_then_noise.extend_from_slice(&noise);
    // A packet that claims 4 GiB, one of length 0, a ClientHello cut short.
    vec![
        Vec::new(),
        b"S".to_vec(),
        b"SSH-2.0-".to_vec(),
        b"SSH-1.5-old\r\n".to_vec(),
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\x10".to_vec(),
        b"SSH-2.0-x\r\n\x00\x00\x00\x00\x00".to_vec(),
        b"x".repeat(1_000_000),
        b"\n".repeat(100_000),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"\x16\x03\x01\xff\xff".to_vec(),
        ident_then_noise,
        noise,
    ]
}

/// Sends what the peer takes of `bytes`.
fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the port accepts");
    stream
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    stream.write_all(bytes).ok();
    stream
}

fn assert_healthy(target: &Target) {
    let done = target.ssh().run("echo good").ok();
    assert_eq!(done.out(), "good\n");
    let health = get(target, "/healthz");
    assert!(
        health.contains("\"status\":\"ok\"") && health.contains("\"version\""),
        "{health}"
    );
    let log = target.gateway().log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Fetches a path over HTTPS with a real client that checks the certificate.
fn get(target: &Target, path: &str) -> String {
    let ca = target.gateway().data().join("certs/ca.pem");
    let http = target.gateway().ready().http;
    let mut curl = Command::new(program("curl"));
    curl.args([
        "-sS",
        "--fail-with-body",
        "--noproxy",
        "*",
        "--max-time",
        "20",
        "--cacert",
    ])
    .arg(ca)
    .arg(format!("https://{http}{path}"));
    run(&mut curl, b"", SOON).ok().out()
}

over_both_reaches! {
    fn garbage_on_either_port_harms_nobody(target: &Target) {
        let ready = target.gateway().ready().clone();
        let mut kept = target.ssh().start("echo up; cat");
        kept.wait_for("up", SOON);
        let mut open = Vec::new();
        for bytes in beginnings() {
            for address in [ready.ssh, ready.http] {
                // One is left open, one half-closed, one reset.
                open.push(send(address, &bytes));
                send(address, &bytes).shutdown(Shutdown::Write).ok();
                e2e::servers::reset(send(address, &bytes));
            }
        }
        assert_healthy(target);
        kept.write(b"still here\n");
        kept.wait_for("still here", SOON);
    }
}

#[test]
fn slow_peers_take_nothing_from_others_and_are_sent_away() {
    let target = Target::devgate_with(Reach::Unix, &[("DEVGATE_SSH_LOGIN_GRACE", "3s")]);
    let ready = target.gateway().ready().clone();
    // Many, if fewer than may be unauthenticated at once, and as many on the other port.
    let mut slow: Vec<_> = (0..80).map(|_| send(ready.ssh, b"SSH-2.0-slow")).collect();
    let tls: Vec<_> = (0..80).map(|_| send(ready.http, b"\x16\x03\x01")).collect();
    assert_healthy(&target);
    for stream in &mut slow {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut all = Vec::new();
        let read = stream.read_to_end(&mut all);
        // Closed or reset, but not left waiting.
        assert!(
            !read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "a slow peer may stay for ever"
        );
    }
    drop(tls);
    assert_healthy(&target);
}

#[test]
fn the_https_port_tells_whether_it_is_ready() {
    let target = Target::devgate(Reach::Unix);
    let _ = target.ssh().run("true").ok();
    assert_healthy(&target);
    get(&target, "/readyz");
}

#[test]
fn whoever_has_no_agents_certificate_opens_no_tunnel() {
    let target = Target::devgate_with(Reach::Dial, &[]);
    let _ = target.ssh().run("true").ok();
    let http = target.gateway().ready().http;
    for path in ["/agent/v1/control", "/agent/v1/data"] {
        let mut curl = Command::new(program("curl"));
        curl.args([
            "-sS",
            "-i",
            "--http1.1",
            "--noproxy",
            "*",
            "--max-time",
            "20",
            "--cacert",
        ])
        .arg(target.gateway().data().join("certs/ca.pem"))
        .args(["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"])
        .args(["-H", "Sec-WebSocket-Version: 13"])
        .args(["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="])
        .arg(format!("https://{http}{path}"));
        let done = run(&mut curl, b"", SOON);
        let status = done.out();
        let refused = !done.status.success() || status.starts_with("HTTP/1.1 4");
        assert!(refused, "{path}: {done:?}");
    }
    assert_healthy(&target);
}
