//! The life of workspaces, their logs, ports and events.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::Shutdown;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Site;
use crate::home::Home;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn a_workspace_is_created_stopped_started_and_deleted_with_its_states_shown_live() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "write");
    let mut events = site.follow("/events", &token);
    let new = json!({ "name": "api" });
    let made = site.send("POST /workspaces?wait=30", &[&token], Some(&new));
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(made.text("state"), "running");
    let workspace = made.json();
    assert_eq!(workspace["agent"]["connected"], true, "{workspace}");
    assert_eq!(workspace["may_enter"], true);
    assert!(workspace["doing"].is_null(), "{workspace}");
    let owner = workspace["owner"].as_str().unwrap();
    assert_eq!(
        workspace["urls"]["application_template"],
        format!("http://{{port}}--api--{owner}.localhost:{}/", site.port)
    );
    assert!(
        workspace["ssh"]
            .as_str()
            .unwrap()
            .ends_with(" api@127.0.0.1"),
        "{workspace}"
    );
    let id = workspace["id"].as_str().unwrap().to_owned();
    let kept = Path::new(workspace["home"].as_str().unwrap());
    assert!(kept.is_absolute() && kept.is_dir(), "{workspace}");
    assert!(kept.ends_with(format!("{id}/home")), "{workspace}");
    site.send("POST /workspaces", &[&token], Some(&new))
        .refused(409, "workspace-exists");

    let logs = site.send(
        &format!("GET /workspaces/{id}/logs?tail=5&download=true"),
        &[&token],
        None,
    );
    assert_eq!(logs.status, 200, "{logs:?}");
    assert!(
        logs.header("content-disposition")
            .unwrap()
            .contains("api.log"),
        "{logs:?}"
    );
    let mut log = site.follow(&format!("/workspaces/{id}/logs"), &token);
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0);
    }

    let stop = site.send(
        &format!("POST /workspaces/{id}/stop?wait=30"),
        &[&token],
        None,
    );
    assert_eq!(
        (stop.status, stop.text("state").as_str()),
        (200, "stopped"),
        "{stop:?}"
    );
    let start = site.send(&format!("POST /workspaces/{id}/start"), &[&token], None);
    assert_eq!(start.status, 202, "{start:?}");
    let up = site.send(&format!("GET /workspaces/{id}?wait=30"), &[&token], None);
    assert_eq!(up.text("state"), "running");
    let deleted = site.send(&format!("DELETE /workspaces/{id}?wait=30"), &[&token], None);
    assert_eq!(
        (deleted.status, deleted.text("state").as_str()),
        (200, "deleted"),
        "{deleted:?}"
    );
    assert!(kept.is_dir());
    let purge = format!("DELETE /workspaces/{id}?purge=true&wait=30");
    let gone = site.send(&purge, &[&token], None);
    assert_eq!(gone.status, 204, "{gone:?}");
    assert!(!kept.exists());
    site.send(&format!("GET /workspaces/{id}"), &[&token], None)
        .refused(404, "no-such-workspace");

    let mut kinds = Vec::new();
    while kinds
        .last()
        .is_none_or(|kind: &String| kind != "workspace-purged")
    {
        let mut line = String::new();
        assert_ne!(events.read_line(&mut line).unwrap(), 0, "{kinds:?}");
        if let Some(kind) = line.trim().strip_prefix("event: ") {
            kinds.push(kind.to_owned());
        }
    }
    for kind in ["workspace-created", "workspace-deleted"] {
        assert!(kinds.iter().any(|known| known == kind), "{kinds:?}");
    }
    assert!(
        kinds
            .iter()
            .filter(|kind| *kind == "workspace-state")
            .count()
            >= 4,
        "{kinds:?}"
    );
    let past = site.send("GET /events?limit=2", &[&token], None).json();
    assert_eq!(past["items"][0]["kind"], "workspace-purged", "{past}");
    let cursor = past["next"].as_str().unwrap();
    let before = site
        .send(&format!("GET /events?cursor={cursor}"), &[&token], None)
        .json();
    assert_ne!(before["items"][0]["id"], past["items"][1]["id"]);
}

#[test]
fn a_request_that_is_repeated_creates_nothing_more() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "write");
    let key = [token.as_str(), "Idempotency-Key: one"];
    let new = json!({ "name": "api", "start": false });
    let first = site.send("POST /workspaces", &key, Some(&new));
    let again = site.send("POST /workspaces", &key, Some(&new));
    assert_eq!((first.status, again.status), (202, 202), "{again:?}");
    assert_eq!(first.text("id"), again.text("id"));
    let other = json!({ "name": "other", "start": false });
    site.send("POST /workspaces", &key, Some(&other))
        .refused(422, "idempotency-key-reused");
    // What failed may be tried again with its key.
    let second = [token.as_str(), "Idempotency-Key: two"];
    for _ in 0..2 {
        site.send("POST /workspaces", &second, Some(&new))
            .refused(409, "workspace-exists");
    }
    let bad = [token.as_str(), "Idempotency-Key: a b"];
    site.send("POST /workspaces", &bad, Some(&new))
        .refused(400, "bad-request");
}

#[test]
fn a_request_is_carried_out_and_remembered_though_who_sent_it_has_gone() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "write");
    let key = "Idempotency-Key: one";
    let new = json!({ "name": "api", "start": false });
    // Each new workspace takes the records a while, in which its sender goes.
    let database = home.data().join("devgate.db");
    let count =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000000)";
    let slow = format!(
        "CREATE TRIGGER slow BEFORE INSERT ON workspaces BEGIN \
         SELECT MAX(x) FROM ({count} SELECT x FROM n); END"
    );
    ask_records(&database, &slow);

    let body = new.to_string();
    let request = format!(
        "POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost:{}\r\n{token}\r\n{key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        site.port,
        body.len()
    );
    let mut stream = site.connect();
    stream.write_all(request.as_bytes()).unwrap();
    let begun = Instant::now();
    while ask_records(&database, "SELECT COUNT(*) FROM requests") != Some(1) {
        assert!(begun.elapsed() < PATIENCE, "it isn't begun");
    }
    // Once the server closes, too, nothing waits for the answer any more.
    stream.shutdown(Shutdown::Write).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());

    let again = loop {
        let again = site.send("POST /workspaces", &[&token, key], Some(&new));
        if again.status != 409 {
            break again;
        }
        again.refused(409, "request-under-way");
        assert!(begun.elapsed() < PATIENCE, "it isn't carried out");
    };
    assert_eq!(again.status, 202, "{again:?}");
    let found = site.send("GET /workspaces?name=api", &[&token], None);
    assert_eq!(found.json()["items"][0]["id"], again.text("id"));
}

/// Asks a server's records, and returns the first number of the answer.
fn ask_records(database: &Path, statement: &str) -> Option<i64> {
    use sqlx::Connection as _;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked = async {
        let address = format!("sqlite:{}", database.display());
        let mut connection = sqlx::SqliteConnection::connect(&address).await?;
        let answer = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(statement));
        answer.fetch_optional(&mut connection).await
    };
    let answer: Result<_, sqlx::Error> = runtime.block_on(asked);
    answer.unwrap()
}

#[test]
fn a_list_comes_in_pages_and_a_port_is_opened_and_closed() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "write");
    for name in ["a", "b", "c"] {
        let new = json!({ "name": name, "start": false });
        assert_eq!(
            site.send("POST /workspaces", &[&token], Some(&new)).status,
            202
        );
    }
    let mut names = Vec::new();
    let mut path = "GET /workspaces?limit=3".to_owned();
    loop {
        let shown = site.send(&path, &[&token], None).json();
        names.extend(
            shown["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].clone()),
        );
        match shown["next"].as_str() {
            Some(next) => path = format!("GET /workspaces?limit=3&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c", "default"]);
    let found = site
        .send("GET /workspaces?name=b&state=created", &[&token], None)
        .json();
    let id = found["items"][0]["id"].as_str().unwrap();
    let line = format!("PUT /workspaces/{id}/ports/3000");
    let open = json!({ "visibility": "members", "expires_at": "2030-01-01T00:00:00Z" });
    let set = site.send(&line, &[&token], Some(&open));
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.json()["expires_at"], "2030-01-01T00:00:00Z");
    assert!(set.text("url").contains("://3000--b--"), "{set:?}");
    assert_eq!(site.send(&line, &[&token], Some(&open)).status, 200);
    for _ in 0..2 {
        let private = site.send(&line.replace("PUT", "DELETE"), &[&token], None);
        assert_eq!(private.status, 204, "{private:?}");
    }
    // What was so already isn't told again.
    let told = loop {
        let events = site.send("GET /events", &[&token], None).json();
        let of_port = |event: &&Value| event["kind"] == "port-changed";
        let all = events["items"].as_array().unwrap();
        let told: Vec<_> = all.iter().filter(of_port).cloned().collect();
        if told
            .first()
            .is_some_and(|last| last["data"]["visibility"] == "private")
        {
            break told;
        }
    };
    assert_eq!(told.len(), 2, "{told:?}");
}
