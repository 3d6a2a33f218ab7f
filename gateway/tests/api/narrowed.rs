//! Tokens that are handed to programs.

use serde_json::{Value, json};

use crate::client::Site;
use crate::home::Home;

/// Makes a stopped workspace and returns its id.
fn workspace(site: &Site<'_>, token: &str, name: &str) -> String {
    let new = json!({ "name": name, "start": false });
    let made = site.send("POST /workspaces", &[token], Some(&new));
    assert_eq!(made.status, 202, "{made:?}");
    made.text("id")
}

/// Makes a token and returns its header.
fn narrowed(site: &Site<'_>, admin: &str, to: &Value) -> String {
    let asked = json!({ "name": "narrow", "scope": "write", "narrowed_to": to });
    let made = site.send("POST /me/tokens", &[admin], Some(&asked));
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["narrowed_to"]["workspace"], to["workspace"]);
    format!("Authorization: Bearer {}", made.text("token"))
}

#[test]
fn a_narrowed_token_reaches_what_it_is_for_and_nothing_else() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let mine = workspace(&site, &admin, "mine");
    let other = workspace(&site, &admin, "other");
    let to = json!({ "workspace": mine, "actions": ["view", "run", "terminals"] });
    let token = narrowed(&site, &admin, &to);

    let me = site.send("GET /me", &[&token], None).json();
    assert_eq!(me["narrowed_to"]["workspace"], mine);
    let list = site.send("GET /workspaces", &[&token], None).json();
    let names: Vec<_> = list["items"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 1, "{list}");
    assert_eq!(names[0]["id"], mine);
    let shown = site.send(&format!("GET /workspaces/{mine}"), &[&token], None);
    assert_eq!(shown.status, 200, "{shown:?}");
    let started = site.send(&format!("POST /workspaces/{mine}/start"), &[&token], None);
    assert_eq!(started.status, 202, "{started:?}");

    let new = json!({ "name": "more", "start": false });
    for (line, body) in [
        (format!("GET /workspaces/{other}"), None),
        (format!("HEAD /workspaces/{other}"), None),
        (format!("POST /workspaces/{other}/start"), None),
        (format!("POST /workspaces/{other}/terminals"), None),
        (format!("GET /workspaces/{other}/statistics"), None),
        // What it isn't for in its own.
        (format!("DELETE /workspaces/{mine}"), None),
        (format!("GET /workspaces/{mine}/ssh"), None),
        (format!("POST /workspaces/{mine}/editor/start"), None),
        // What belongs to the account.
        ("POST /workspaces".to_owned(), Some(&new)),
        ("GET /events".to_owned(), None),
        ("GET /me/tokens".to_owned(), None),
        ("GET /me/keys".to_owned(), None),
        ("GET /secrets".to_owned(), None),
        ("GET /snapshots".to_owned(), None),
        ("GET /users".to_owned(), None),
    ] {
        let answer = site.send(&line, &[&token], body);
        assert_eq!(answer.status, 403, "{line}: {answer:?}");
        if !line.starts_with("HEAD") {
            answer.refused(403, "token-narrowed");
        }
    }
}

#[test]
fn a_narrowed_token_sees_what_it_takes_to_use_its_own_workspace_and_no_more() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let mine = workspace(&site, &admin, "mine");
    let other = workspace(&site, &admin, "other");
    let eve = site.member(&admin, "eve");
    let hers = workspace(&site, &eve, "hers");
    let ids = |token: &str| {
        let list = site.send("GET /workspaces", &[token], None).json();
        let items = list["items"].as_array().unwrap();
        let ids = items
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };

    let actions = json!(["files-read", "processes"]);
    let one = narrowed(
        &site,
        &admin,
        &json!({ "workspace": mine, "actions": actions }),
    );
    assert_eq!(ids(&one), std::slice::from_ref(&mine));
    let shown = site.send(&format!("GET /workspaces/{mine}"), &[&one], None);
    assert_eq!(shown.status, 200, "{shown:?}");
    let shown = shown.json();
    assert_eq!(
        (&shown["name"], &shown["state"]),
        (&json!("mine"), &json!("created"))
    );
    assert!(
        shown["home"].is_string() && shown["owner"].is_string(),
        "{shown}"
    );
    for name in [
        "reason",
        "doing",
        "template",
        "out_of_memory",
        "startup",
        "agent",
    ] {
        assert!(shown[name].is_null(), "{name}: {shown}");
    }
    assert_eq!(shown["notices"], json!([]));
    for (line, missing) in [
        (format!("GET /workspaces/{other}"), "outside of it"),
        (format!("GET /workspaces/{mine}/logs"), "the action view"),
        (
            format!("GET /workspaces/{mine}/statistics"),
            "the action view",
        ),
        (format!("GET /workspaces/{mine}/ports"), "the action view"),
        (format!("GET /workspaces/{mine}/history"), "the action view"),
        (format!("POST /workspaces/{mine}/start"), "the action run"),
        (format!("DELETE /workspaces/{mine}"), "the action manage"),
        (
            format!("POST /workspaces/{mine}/terminals"),
            "the action terminals",
        ),
        ("GET /me/tokens".to_owned(), "isn't narrowed"),
    ] {
        let answer = site.send(&line, &[&one], None);
        answer.refused(403, "token-narrowed");
        assert!(answer.body.contains(missing), "{line}: {answer:?}");
        assert!(!answer.body.contains("  "), "{line}: {answer:?}");
    }

    // One for all workspaces is for those that can be used: an administrator's own, too.
    let all = narrowed(&site, &admin, &json!({ "actions": actions }));
    let own = ids(&all);
    assert!(own.contains(&mine) && own.contains(&other), "{own:?}");
    assert!(!own.contains(&hers), "{own:?}");
    let answer = site.send(&format!("GET /workspaces/{hers}"), &[&all], None);
    answer.refused(404, "no-such-workspace");
    let sees = narrowed(&site, &admin, &json!({ "actions": ["view"] }));
    assert!(ids(&sees).contains(&hers));
}

#[test]
fn a_token_is_narrowed_to_what_makes_sense() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let eve = site.member(&admin, "eve");
    let hers = workspace(&site, &eve, "hers");
    let ask = |scope: &str, to: Value| {
        let asked = json!({ "name": "x", "scope": scope, "narrowed_to": to });
        site.send("POST /me/tokens", &[&admin], Some(&asked))
    };
    ask("write", json!({ "workspace": hers })).refused(404, "no-such-workspace");
    ask("admin", json!({ "actions": ["view"] })).refused(422, "invalid-request");
    ask("write", json!({ "actions": [] })).refused(422, "invalid-request");
    ask("write", json!({ "folder": "src" })).refused(422, "invalid-request");
    ask("write", json!({ "actions": ["fly"] })).refused(422, "invalid-request");
    ask(
        "write",
        json!({ "folder": "../x", "actions": ["files-read"] }),
    )
    .refused(422, "invalid-request");
}

#[test]
fn the_command_line_makes_narrowed_tokens_and_deletes_them() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let mine = workspace(&site, &admin, "mine");
    let made = home.run(&[
        "tokens",
        "create",
        "ci",
        "--workspace",
        "mine",
        "--folder",
        "src",
        "--expires",
        "1h",
    ]);
    assert_eq!(made.code, Some(0), "{made:?}");
    // A script takes it as it is.
    let token = made.out.trim_end();
    assert!(token.starts_with("dgt_"), "{made:?}");
    let header = format!("Authorization: Bearer {token}");
    let me = site.send("GET /me", &[&header], None).json();
    let to = json!({
        "workspace": mine, "folder": "src", "actions": ["view", "files-read", "files-write"]
    });
    assert_eq!(me["narrowed_to"], to);

    let list = home.run(&["tokens", "list"]);
    assert!(list.out.contains(&format!("workspace {mine}")), "{list:?}");
    assert!(!list.out.contains(token), "{list:?}");
    let id = me["token"].as_str().unwrap();
    let deleted = home.run(&["tokens", "delete", id]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    site.send("GET /me", &[&header], None)
        .refused(401, "signed-out");
    let again = home.run(&["tokens", "delete", id]);
    again.failed(3, &["no such token"]);
}
