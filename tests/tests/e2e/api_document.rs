//! The API keeps what its document says, whatever comes in.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::component::{program, schemathesis};
use e2e::gateway::Gateway;
use e2e::process::run;
use e2e::reach::Reach;
use serde_json::Value;
use tempfile::TempDir;

/// How long schemathesis may take; it makes a thousand requests and more.
const LONG: Duration = Duration::from_mins(6);

/// What must hold for every answer. That a request which fits the schema is accepted
/// isn't among it: a name may be taken, a time past.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,\
                      negative_data_rejection,unsupported_method";

/// Sends a request with a JSON body, and returns the answer's.
#[track_caller]
fn post(jar: &Path, origin: &str, path: &str, body: &str) -> Value {
    let mut curl = Command::new(program("curl"));
    curl.args(["--silent", "--insecure", "--fail-with-body", "--cookie"])
        .arg(jar)
        .arg("--cookie-jar")
        .arg(jar)
        .args(["--header", "Content-Type: application/json"])
        .args(["--header", &format!("Origin: {origin}")])
        .args(["--data", body, &format!("{origin}/api/v1{path}")]);
    let answer = run(&mut curl, b"", Duration::from_secs(30)).ok().out();
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn schemathesis_finds_no_answer_that_the_document_does_not_allow() {
    let folder = TempDir::new().unwrap();
    let gateway = Gateway::start(folder.path(), Reach::Unix);
    gateway.agent();
    let users = gateway.cli(&["users", "list", "--json"]).ok().out();
    let users: Value = serde_json::from_str(&users).unwrap();
    let name = users[0]["name"].as_str().unwrap();
    let link = gateway.cli(&["users", "link", name, "--json"]).ok().out();
    let link: Value = serde_json::from_str(&link).unwrap();
    let (origin, once) = link["url"]
        .as_str()
        .unwrap()
        .split_once("/sign-in#link=")
        .unwrap();

    let jar = folder.path().join("cookies");
    let signed = post(
        &jar,
        origin,
        "/login/link",
        &format!("{{\"token\":\"{once}\"}}"),
    );
    assert_eq!(signed["name"], name);
    let wanted = r#"{"name":"schemathesis","scope":"admin"}"#;
    let token = post(&jar, origin, "/me/tokens", wanted);
    let bearer = format!("Authorization: Bearer {}", token["token"].as_str().unwrap());

    // What is too large is refused before anybody looks whether it fits.
    let config = "[checks.negative_data_rejection]\nexpected-statuses = [400, 401, 403, 404, 405, \
                  406, 409, 413, 415, 422, 428, 429, \"5xx\"]\n";
    std::fs::write(folder.path().join("schemathesis.toml"), config).unwrap();
    let mut command = Command::new(schemathesis());
    command
        .current_dir(folder.path())
        .args([
            "run",
            "--url",
            origin,
            "--tls-verify",
            "false",
            "--no-color",
        ])
        .args(["--header", &bearer, "--checks", CHECKS])
        // The same requests each time: what it finds it finds again.
        .args(["--max-examples", "5", "--seed", "1"])
        // These have no end.
        .args(["--exclude-operation-id", "watchPath"])
        .args(["--exclude-operation-id", "followWatch"])
        // These end the token or the user that it works with.
        .args(["--exclude-operation-id", "deleteToken"])
        .args(["--exclude-operation-id", "removeUser"])
        .args(["--exclude-operation-id", "changeUser"])
        .arg(format!("{origin}/api/v1/openapi.json"));
    let _ = run(&mut command, b"", LONG).ok();
}
