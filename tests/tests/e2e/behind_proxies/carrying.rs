//! Bodies go through as they come, whole, and end when a side leaves.

use std::fs;
use std::process::Command;

use e2e::component::program;
use e2e::process::{Running, run};
use e2e::reverse_proxy::Kind;
use e2e::wait::{SOON, eventually_ok, until};

use super::{Behind, Form, LIMIT};

/// Size of what is carried, in bytes: far more than any buffer on the way.
const LARGE: usize = 64 << 20;

#[track_caller]
fn bodies_stream(kind: Kind, form: Form) {
    let behind = Behind::start(kind, form);
    a_large_body_comes_whole_both_ways(&behind);
    an_upload_arrives_while_it_is_sent(&behind);
    events_come_at_once_and_end_with_their_listener(&behind);
}

#[track_caller]
fn a_large_body_comes_whole_both_ways(behind: &Behind) {
    let down = behind.folder.path().join("down");
    let mut downloading = behind.ask(&format!("/bytes/{LARGE}"));
    downloading.arg("--output").arg(&down);
    let _ = run(&mut downloading, b"", LIMIT).ok();
    // The pattern that the application repeats.
    let piece: Vec<u8> = (0..65_521_u32)
        .map(|index| ((index * 31 + (index >> 8)) & 0xff).to_le_bytes()[0])
        .collect();
    let expected: Vec<u8> = piece.iter().copied().cycle().take(LARGE).collect();
    assert!(fs::read(&down).unwrap() == expected, "other bytes came");

    let mut digest = Command::new(program("sha256sum"));
    let digest = run(digest.arg(&down), b"", LIMIT).ok().out();
    let digest = digest.split(' ').next().unwrap();
    let mut uploading = behind.ask("/upload");
    uploading.arg("--upload-file").arg(&down);
    let told = run(&mut uploading, b"", LIMIT).ok().out();
    assert_eq!(told, format!("{LARGE} {digest}"));
}

/// No one on the way waits for the end.
#[track_caller]
fn an_upload_arrives_while_it_is_sent(behind: &Behind) {
    let half = vec![7; 1 << 20];
    let mut uploading = behind.ask("/upload");
    // A dot is the standard input as well, but doesn't keep curl from its connection.
    uploading.args(["--upload-file", "."]);
    let mut uploading = Running::start(&mut uploading);
    uploading.write(&half);
    eventually_ok(SOON, "the first half of an upload", || {
        let received = behind.get("/received");
        let whole = received.parse() == Ok(half.len());
        whole.then_some(()).ok_or(received)
    });
    uploading.write(&half);
    uploading.end_input();
    let told = uploading.finish(LIMIT).ok().out();
    assert!(told.starts_with("2097152 "), "{told}");
}

#[track_caller]
fn events_come_at_once_and_end_with_their_listener(behind: &Behind) {
    let listen = || {
        let mut curl = behind.ask("/events");
        curl.arg("--no-buffer");
        let listening = Running::start(&mut curl);
        listening.wait_for("data: first", SOON);
        listening
    };
    let listening = listen();
    assert_eq!(behind.get("/watchers"), "1");
    assert_eq!(behind.get("/next"), "");
    let heard = listening.finish(LIMIT).ok().out();
    assert_eq!(heard, "data: first\n\ndata: second\n\n");

    let leaving = listen();
    drop(leaving);
    until(
        SOON,
        "the application to learn that its listener left",
        || behind.get("/watchers") == "0",
    );
}

#[test]
fn nginx_streams_by_subdomain() {
    bodies_stream(Kind::Nginx, Form::Subdomain);
}

#[test]
fn nginx_streams_by_path() {
    bodies_stream(Kind::Nginx, Form::Path);
}

#[test]
fn caddy_streams_by_subdomain() {
    bodies_stream(Kind::Caddy, Form::Subdomain);
}

#[test]
fn caddy_streams_by_path() {
    bodies_stream(Kind::Caddy, Form::Path);
}
