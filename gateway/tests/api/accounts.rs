//! Signing in, tokens and logins.

use std::io::Read as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{PASSWORD, Site};
use crate::home::Home;

#[test]
fn the_first_sign_in_is_by_the_printed_link_once_and_then_by_password() {
    let home = Home::new();
    let site = Site::up(&home);
    let name = home.json(&["users", "list"])[0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = json!({ "token": site.link });
    let first = site.send("POST /login/link", &[], Some(&shown));
    let cookie = first.cookie();
    assert_eq!(first.text("name"), name);
    let set = first.header("set-cookie").unwrap();
    for attribute in ["devgate=", "Path=/", "HttpOnly", "SameSite=Lax"] {
        assert!(set.contains(attribute), "{set}");
    }
    site.send("POST /login/link", &[], Some(&shown))
        .refused(401, "link-ended");

    let origin = format!("Origin: {}", site.origin());
    let new = json!({ "password": PASSWORD });
    let set = site.send("PUT /me/password", &[&cookie, &origin], Some(&new));
    assert_eq!(set.status, 204, "{set:?}");
    let short = json!({ "password": "short" });
    site.send("PUT /me/password", &[&cookie, &origin], Some(&short))
        .refused(422, "password-refused");

    let right = json!({ "user": name, "password": PASSWORD });
    let second = site.send("POST /login", &[], Some(&right)).cookie();
    let me = site.send("GET /me", &[&second], None);
    assert_eq!(me.json()["has_password"], true, "{me:?}");
    let logins = site.send("GET /me/logins", &[&second], None).json();
    assert_eq!(logins["items"].as_array().unwrap().len(), 2, "{logins}");

    // A login by password needs the old one for another.
    site.send("PUT /me/password", &[&second, &origin], Some(&new))
        .refused(403, "wrong-password");
    let both = json!({ "current_password": PASSWORD, "password": "another long one" });
    let changed = site.send("PUT /me/password", &[&second, &origin], Some(&both));
    assert_eq!(changed.status, 204, "{changed:?}");
    site.send("GET /me", &[&cookie], None)
        .refused(401, "signed-out");
    assert_eq!(site.send("GET /me", &[&second], None).status, 200);
    let out = site.send("POST /logout", &[&second, &origin], None);
    assert_eq!(out.status, 204, "{out:?}");
    site.send("GET /me", &[&second], None)
        .refused(401, "signed-out");
}

#[test]
fn a_name_that_nobody_has_and_a_wrong_password_are_told_alike_and_lock_out() {
    let home = Home::new();
    let site = Site::up(&home);
    site.sign_in();
    let name = home.json(&["users", "list"])[0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut told = Vec::new();
    for user in [name.as_str(), "nobody-at-all", "Not A Name", "a\0b"] {
        let wrong = json!({ "user": user, "password": "wrong password" });
        let answer = site.send("POST /login", &[], Some(&wrong));
        answer.refused(401, "wrong-password");
        told.push(answer.body);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    for _ in 0..2 {
        let wrong = json!({ "token": "x".repeat(43) });
        site.send("POST /login/link", &[], Some(&wrong))
            .refused(401, "link-ended");
    }
    let right = json!({ "user": name, "password": PASSWORD });
    let locked = site.send("POST /login", &[], Some(&right));
    locked.refused(429, "locked-out");
    assert!(locked.header("retry-after").is_some(), "{locked:?}");
}

#[test]
fn a_token_allows_what_its_scope_says_and_ends_at_once() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let origin = format!("Origin: {}", site.origin());
    let read = site.token(&cookie, "read");
    let write = site.token(&cookie, "write");
    assert_eq!(site.send("GET /workspaces", &[&read], None).status, 200);
    let new = json!({ "name": "more", "start": false });
    site.send("POST /workspaces", &[&read], Some(&new))
        .refused(403, "scope-too-small");
    let made = site.send("POST /workspaces", &[&write], Some(&new));
    assert_eq!(made.status, 202, "{made:?}");
    // One that may do less gets itself none that may do more.
    let more = json!({ "name": "more", "scope": "admin" });
    site.send("POST /me/tokens", &[&write], Some(&more))
        .refused(403, "scope-too-small");
    site.send("POST /users", &[&write], Some(&json!({ "name": "eve" })))
        .refused(403, "scope-too-small");
    let new = json!({ "password": "another long one" });
    let admin = site.token(&cookie, "admin");
    site.send("PUT /me/password", &[&admin], Some(&new))
        .refused(403, "login-needed");

    let mut events = site.follow("/events", &read);
    let tokens = site.send("GET /me/tokens", &[&cookie], None).json();
    for token in tokens["items"].as_array().unwrap() {
        assert_eq!(token.get("token"), None);
        let line = format!("DELETE /me/tokens/{}", token["id"].as_str().unwrap());
        assert_eq!(site.send(&line, &[&cookie, &origin], None).status, 204);
        site.send(&line, &[&cookie, &origin], None)
            .refused(404, "no-such-token");
    }
    let deleted = Instant::now();
    for token in [&read, &write, &admin] {
        site.send("GET /me", &[token], None)
            .refused(401, "signed-out");
    }
    // What was open is cut.
    let mut rest = String::new();
    events.read_to_string(&mut rest).unwrap();
    assert!(
        deleted.elapsed() < Duration::from_secs(1),
        "{:?}",
        deleted.elapsed()
    );
}

#[test]
fn a_token_ends_by_itself_and_cuts_what_is_open() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let origin = format!("Origin: {}", site.origin());
    let asked = json!({ "name": "short", "scope": "read", "expires_in_seconds": 2 });
    let made = site.send("POST /me/tokens", &[&cookie, &origin], Some(&asked));
    let token = format!("Authorization: Bearer {}", made.text("token"));
    let mut events = site.follow("/events", &token);
    let mut rest = String::new();
    events.read_to_string(&mut rest).unwrap();
    site.send("GET /me", &[&token], None)
        .refused(401, "signed-out");
    let past = json!({ "name": "x", "scope": "read", "expires_at": "2001-01-01T00:00:00Z" });
    site.send("POST /me/tokens", &[&cookie, &origin], Some(&past))
        .refused(422, "invalid-request");
}

#[test]
fn a_user_who_is_removed_is_signed_out_everywhere() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let eve = site.member(&admin, "eve");
    let mut events = site.follow("/events", &eve);
    let said = home.run(&["users", "remove", "--yes", "eve"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let mut rest = String::new();
    events.read_to_string(&mut rest).unwrap();
    site.send("GET /me", &[&eve], None)
        .refused(401, "signed-out");
}

#[test]
fn a_new_password_ends_tokens_where_that_is_asked_for() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let origin = format!("Origin: {}", site.origin());
    let token = site.token(&cookie, "read");
    for (end, status) in [(None, 200), (Some(false), 200), (Some(true), 401)] {
        let new = json!({ "password": PASSWORD, "end_tokens": end });
        let set = site.send("PUT /me/password", &[&cookie, &origin], Some(&new));
        assert_eq!(set.status, 204, "{set:?}");
        assert_eq!(site.send("GET /me", &[&token], None).status, status);
    }
}

#[test]
fn whose_account_it_is_sees_who_made_a_link_into_it() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let name = site.send("GET /me", &[&admin], None).text("name");
    let eve = site.member(&admin, "eve");
    let made = loop {
        let events = site.send("GET /events", &[&eve], None).json();
        let all = events["items"].as_array().unwrap();
        let made = all.iter().find(|event| event["kind"] == "link-created");
        if let Some(made) = made {
            break made.clone();
        }
    };
    assert_eq!(made["user"], "eve");
    assert_eq!(made["data"]["by"], name, "{made}");
    let told = made.to_string();
    assert!(!told.contains("http"), "{told}");
}

#[test]
fn who_is_no_administrator_any_more_sees_no_more_of_others() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let eve = site.member(&admin, "eve");
    let role = |role: &str| {
        let role = json!({ "role": role });
        let changed = site.send("PATCH /users/eve", &[&admin], Some(&role));
        assert_eq!(changed.status, 200, "{changed:?}");
    };
    role("admin");
    let theirs = site.send("GET /workspaces", &[&admin], None).json();
    let id = theirs["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/workspaces/{id}/logs");
    let mut logs = site.follow(&path, &eve);
    role("member");
    let demoted = Instant::now();
    let mut rest = String::new();
    logs.read_to_string(&mut rest).unwrap();
    assert!(demoted.elapsed() < Duration::from_secs(1), "{rest}");
    site.send(&format!("GET {path}"), &[&eve], None)
        .refused(404, "no-such-workspace");
    assert_eq!(site.send("GET /me", &[&eve], None).status, 200);
}

#[test]
fn the_command_line_makes_links() {
    let home = Home::new();
    let site = Site::up(&home);
    home.run(&["users", "add", "bob"]);
    let link = home.json(&["users", "link", "bob"]);
    let url = link["url"].as_str().unwrap();
    let secret = url
        .strip_prefix(&format!("{}/sign-in#link=", site.origin()))
        .unwrap();
    let shown = json!({ "token": secret });
    let signed = site.send("POST /login/link", &[], Some(&shown));
    assert_eq!(signed.text("name"), "bob");
    assert_eq!(signed.text("role"), "member");
    let said = home.run(&["users", "link", "nobody"]);
    said.failed(3, &["nobody"]);
}
