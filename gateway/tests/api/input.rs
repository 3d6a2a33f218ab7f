//! Whatever comes in, the answer is one that the document has.

use std::io::{BufRead, BufReader, Read, Write};

use serde_json::{Value, json};

use crate::client::Site;
use crate::home::Home;

#[test]
fn every_documented_operation_is_served_and_wants_a_sign_in() {
    let home = Home::new();
    let site = Site::up(&home);
    let document = site.send("GET /openapi.json", &[], None).json();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let open = operation["security"].as_array().is_none_or(Vec::is_empty);
            if open {
                continue;
            }
            let path = path.strip_prefix("/api/v1").unwrap();
            let path = path
                .replace("{id}", "0123456789abcdef")
                .replace("{name}", "eve")
                .replace("{port}", "3000")
                .replace("{fingerprint}", "SHA256:x");
            let line = format!("{} {path}", method.to_uppercase());
            let answer = site.send(&line, &[], None);
            if method == "head" {
                assert_eq!(answer.status, 401, "{line}");
            } else {
                answer.refused(401, "signed-out");
            }
            assert!(answer.header("www-authenticate").is_some(), "{line}");
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn what_is_not_offered_is_refused_with_what_is() {
    let home = Home::new();
    let site = Site::up(&home);
    let answer = site.send("TRACE /me", &[], None);
    answer.refused(405, "no-such-method");
    let allowed = answer.header("allow").unwrap();
    assert!(allowed.contains("GET"), "{allowed}");
    for line in [
        "DELETE /me",
        "POST /me/password",
        "PUT /workspaces",
        "PATCH /me/keys",
    ] {
        let answer = site.send(line, &[], None);
        answer.refused(405, "no-such-method");
        assert!(answer.header("allow").is_some(), "{line}");
    }
    site.send("GET /nothing", &[], None)
        .refused(404, "no-such-route");
    site.send("GET /", &[], None).refused(404, "no-such-route");
    let head = site.send("GET /nothing", &[], None);
    for name in [
        "content-security-policy",
        "x-content-type-options",
        "cache-control",
    ] {
        assert!(head.header(name).is_some(), "{name}");
    }
}

#[test]
fn an_address_that_is_no_text_leads_nowhere_whoever_asks() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "write");
    let own = site.send("GET /workspaces", &[&token], None).json();
    let id = own["items"][0]["id"].as_str().unwrap();
    for path in [
        "/workspaces/%ff",
        "/workspaces/%ff/ports",
        "/workspaces/%ff/terminals",
        "/workspaces/%ff/files/stat?path=x",
        "/workspaces/%ff/forward?port=1",
        &format!("/workspaces/{id}/terminals/%ff"),
        &format!("/workspaces/{id}/processes/%ff/output"),
        &format!("/workspaces/{id}/watches/%c3%28"),
        &format!("/workspaces/{id}/files/uploads/%ff"),
    ] {
        let line = format!("GET {path}");
        site.send(&line, &[], None).refused(401, "signed-out");
        let answer = site.send(&line, &[&token], None);
        answer.refused(404, &answer.text("code"));
    }
}

#[test]
fn nothing_that_comes_in_makes_the_server_fail() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "admin");
    let strings = [
        "",
        "\0",
        "a\0b",
        "\u{202e}",
        "\u{fffd}",
        "' OR 1=1 --",
        "../../etc/passwd",
        "{{7*7}}",
        &"x".repeat(5000),
        &"\u{1f600}".repeat(300),
    ];
    let mut bodies = vec![
        json!(null),
        json!([]),
        json!({}),
        json!("x"),
        json!(1e308),
        json!(-1),
        json!({ "name": 18_446_744_073_709_551_615_u64 }),
        json!({ "name": "ok", "more": 1 }),
        json!({ "name": "ok", "scope": "all" }),
        json!({ "visibility": "public", "expires_at": "9999-12-31T23:59:60Z" }),
        json!({ "name": "t", "scope": "read", "expires_in_seconds": -1 }),
        json!({ "name": "t", "scope": "read", "expires_in_seconds": 4_294_967_296_u64 }),
        json!({ "name": "t", "scope": "read", "expires_at": "-9999-01-01T00:00:00Z" }),
    ];
    for text in strings {
        bodies.push(json!({ "name": text, "scope": "read" }));
        bodies.push(json!({ "public_key": text, "label": text }));
        bodies.push(json!({ "user": text, "password": text }));
        bodies.push(json!({ "current_password": text, "password": text }));
    }
    for line in [
        "POST /me/tokens",
        "POST /me/keys",
        "PUT /me/password",
        "POST /workspaces",
        "POST /users",
        "PATCH /users/nobody",
        "PUT /workspaces/0123456789abcdef/ports/80",
    ] {
        for body in &bodies {
            let answer = site.send(line, &[&token], Some(body));
            // A name that is none of what is taken, or a token that can be made.
            assert!(answer.status < 500, "{line} {body}: {answer:?}");
        }
    }
    for path in [
        "/me/keys?limit=0",
        "/me/keys?limit=99999999999999999999",
        "/me/keys?limit=x",
        "/me/keys?cursor=%00",
        "/me/keys?cursor=%ff",
        "/me/keys?cursor=",
        "/me/keys?unknown=1",
        "/me/keys?limit=1&limit=2",
        "/events?cursor=9999999999999999999",
        "/events?cursor=-1",
        "/workspaces?owner=%00",
        "/workspaces?state=sleeping",
        "/workspaces?name=..",
        "/workspaces/0123456789abcdef?wait=61",
        "/workspaces/0123456789abcdef?wait=-1",
    ] {
        site.send(&format!("GET {path}"), &[&token], None)
            .refused(400, "bad-request");
    }
    for path in [
        "/workspaces/%00",
        "/workspaces/%ff",
        "/workspaces/..%2f..",
        "/users/%F0%28",
        "/users/a%00b",
        "/workspaces/0123456789ABCDEF",
    ] {
        let answer = site.send(&format!("GET {path}"), &[&token], None);
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    for port in [
        "0",
        "65536",
        "-1",
        "080",
        "+80",
        "x",
        "99999999999999999999",
    ] {
        let line = format!("DELETE /workspaces/0123456789abcdef/ports/{port}");
        assert_eq!(site.send(&line, &[&token], None).status, 404, "{port}");
    }
    for (body, status) in [
        (&b"{"[..], 400),
        (b"{\"name\":\"\\ud800\"}", 400),
        (b"{\"name\":\"\xff\"}", 400),
        (&[b'['; 20_000][..], 422),
        (&[b' '; 70_000][..], 413),
        (b"{\"name\":\"A B\"}", 422),
    ] {
        let head = format!(
            "POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}\r\n\
             Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = site.raw(&[head.as_bytes(), body].concat());
        assert_eq!(answer.status, status, "{answer:?}");
    }
    for header in [
        "Authorization: Bearer",
        "Authorization: Bearer dgt_",
        "Authorization: Basic eDp5",
        "Cookie: devgate=; devgate=%00",
        "Cookie: =;;=",
    ] {
        site.send("GET /me", &[header], None)
            .refused(401, "signed-out");
    }
    let keys = site.send("GET /me", &[&token], None);
    assert!(matches!(keys.json(), Value::Object(_)));
}

#[test]
fn a_client_that_sends_far_too_much_still_reads_why_it_was_refused() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    for path in ["/workspaces", "/workspaces/none/terminals", "/nothing"] {
        let mut request = format!(
            "POST /api/v1{path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n{cookie}\r\n\
             Origin: {}\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n",
            site.port,
            site.origin(),
        )
        .into_bytes();
        request.resize(request.len() + 4_000_000, b' ');
        let mut stream = site.connect();
        stream.write_all(&request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_with_the_limit_before_and_after_it_was_sent() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let large = "x".repeat(20 << 20);
    let new = json!({ "name": large });
    let answer = site.send("POST /workspaces", &[&admin], Some(&new));
    answer.refused(413, "too-large");
    assert!(answer.body.contains("65536 bytes"), "{answer:?}");
    // Whoever asks first isn't told to send it.
    let head = format!(
        "POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n{admin}\r\n\
         Content-Type: application/json\r\nContent-Length: 20000000\r\n\
         Expect: 100-continue\r\n\r\n",
        site.port
    );
    site.raw(head.as_bytes()).refused(413, "too-large");
    // One of unknown length is, and is read on so that the answer arrives.
    let mut stream = site.connect();
    let head = head.replace("Content-Length: 20000000", "Transfer-Encoding: chunked");
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    stream.write_all(chunk.as_bytes()).unwrap();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert!(said.contains("HTTP/1.1 413"), "{said}");
    assert!(said.contains("too-large"), "{said}");
}
