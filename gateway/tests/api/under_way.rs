//! Requests that are under way when what allows them ends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Answer, Site};
use crate::home::Home;

/// How soon what a token has open ends.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Creates a workspace that runs, and returns its id.
#[track_caller]
fn workspace(site: &Site, token: &str) -> String {
    let new = json!({ "name": "api" });
    let made = site.send("POST /workspaces?wait=30", &[token], Some(&new));
    assert_eq!(made.text("state"), "running", "{made:?}");
    made.text("id")
}

/// Begins to write a file of which the rest never comes. Returns once the agent wants it.
fn begin(site: &Site, id: &str, token: &str) -> TcpStream {
    let mut stream = site.connect();
    let head = format!(
        "PUT /api/v1/workspaces/{id}/files/content?path=file HTTP/1.1\r\n\
         Host: localhost:{}\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n{token}\r\n\r\n",
        site.port
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        asked.extend(byte);
    }
    assert!(asked.starts_with(b"HTTP/1.1 100"), "{asked:?}");
    stream.write_all(b"begin").unwrap();
    stream
}

/// Reads what is answered, until the connection ends.
fn answer(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    Answer::of(&text)
}

#[test]
fn a_workspace_that_was_given_away_is_not_there_for_a_request_under_way() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let bob = site.member(&admin, "bob");
    site.member(&admin, "eve");
    let id = workspace(&site, &bob);
    let upload = begin(&site, &id, &bob);
    let to_eve = json!({ "owner": "eve" });
    let given = site.send(&format!("PATCH /workspaces/{id}"), &[&admin], Some(&to_eve));
    assert_eq!(given.status, 200, "{given:?}");
    answer(upload).refused(404, "no-such-workspace");
    // The token is as good as before.
    assert_eq!(site.send("GET /me", &[&bob], None).status, 200);
}

#[test]
fn an_upload_ends_with_its_token_whether_its_rest_comes_or_not() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let own = format!("Origin: {}", site.origin());
    let id = workspace(&site, &site.token(&cookie, "write"));
    let (token, token_id) = site.token_and_id(&cookie, "write");
    let upload = begin(&site, &id, &token);
    let line = format!("DELETE /me/tokens/{token_id}");
    assert_eq!(site.send(&line, &[&cookie, &own], None).status, 204);
    let since = Instant::now();
    answer(upload).refused(401, "signed-out");
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
}

#[test]
fn a_head_says_no_length_where_none_is_known() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "write");
    let id = workspace(&site, &token);
    let head = |path: &str, header: &str| {
        let line = format!("HEAD /workspaces/{id}/files/content?path={path}");
        site.send(&line, &[&token, header], None)
    };
    let whole = head("/etc/passwd", "Accept: */*");
    assert_ne!(whole.header("content-length").unwrap(), "0");
    let known = head("/etc/passwd", "If-None-Match: *");
    assert_eq!((known.status, known.header("content-length")), (304, None));
    let made_up = head("/proc/version", "Accept: */*");
    assert_eq!(
        (made_up.status, made_up.header("content-length")),
        (200, None)
    );
}
