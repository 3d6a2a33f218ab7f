//! What goes on, over `WebSockets`: who may follow it, what is said, and when it ends.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, WebSocket, client};

use crate::client::Site;
use crate::home::Home;

/// How soon a stream ends of which somebody may see no more.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Somebody who follows something.
struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Opens one with these header lines; else returns the status and the problem's code.
    fn open(site: &Site, path: &str, headers: &[&str]) -> Result<Self, (u16, String)> {
        let address = format!("ws://localhost:{}/api/v1{path}", site.port);
        let mut request = address.into_client_request().unwrap();
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            let name: HeaderName = name.parse().unwrap();
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert(name, value);
        }
        match client(request, site.connect()) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(Error::Http(answer))) => {
                let problem = answer.body().as_deref().unwrap_or_default();
                let problem: Value = serde_json::from_slice(problem).unwrap_or_default();
                let code = problem["code"].as_str().unwrap_or_default().to_owned();
                Err((answer.status().as_u16(), code))
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }

    #[track_caller]
    fn must(site: &Site, path: &str, headers: &[&str]) -> Self {
        let opened = Self::open(site, path, headers);
        opened.unwrap_or_else(|refused| panic!("{path} with {headers:?}: {refused:?}"))
    }

    /// Returns the next event of that name.
    #[track_caller]
    fn event(&mut self, name: &str) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => {
                    let told: Value = serde_json::from_str(&text).unwrap();
                    if told["event"] == name {
                        return told;
                    }
                }
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Returns the code with which it is closed, whatever comes before.
    #[track_caller]
    fn end(mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.0.read().unwrap() {
                return frame.unwrap().code.into();
            }
        }
    }
}

/// Creates a workspace that runs, and returns its id.
#[track_caller]
fn workspace(site: &Site, token: &str) -> String {
    let new = json!({ "name": "api" });
    let made = site.send("POST /workspaces?wait=30", &[token], Some(&new));
    assert_eq!(made.text("state"), "running", "{made:?}");
    made.text("id")
}

/// What of a workspace can be followed.
fn of_workspace(id: &str) -> [String; 4] {
    ["ports", "startup", "startup/log", "logs"].map(|what| format!("/workspaces/{id}/{what}"))
}

#[test]
fn a_page_of_another_origin_can_follow_nothing_with_the_cookie() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let id = workspace(&site, &site.token(&cookie, "write"));
    let own = format!("Origin: {}", site.origin());
    for path in of_workspace(&id).iter().chain(&["/events".to_owned()]) {
        for foreign in [
            "Origin: https://evil.example",
            "Origin: null",
            "Origin: http://evil.localhost",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: none",
        ] {
            let refused = Socket::open(&site, path, &[&cookie, foreign]).err();
            let (status, code) = refused.unwrap();
            assert!(code.ends_with("-origin"), "{path} {foreign}: {code}");
            assert_eq!(status, 403, "{path} {foreign}");
        }
        let refused = Socket::open(&site, path, &[&cookie]).err();
        assert_eq!(refused.map(|it| it.0), Some(403), "{path}");
        let refused = Socket::open(&site, path, &[&own]).err();
        let expected = (401, "signed-out".to_owned());
        assert_eq!(refused, Some(expected), "{path}");
        Socket::must(&site, path, &[&cookie, &own]);
    }
}

#[test]
fn whoever_may_read_is_told_what_happens_and_what_they_missed() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let token = site.token(&cookie, "read");
    let mut events = Socket::must(&site, "/events", &[&token]);
    let id = workspace(&site, &site.token(&cookie, "write"));
    let created = events.event("workspace-created");
    assert_eq!(created["data"]["workspace"]["id"], id, "{created}");
    assert_eq!(created["data"]["id"], created["id"], "{created}");
    let next = events.event("workspace-state");
    let since = created["id"].as_str().unwrap();
    let mut missed = Socket::must(&site, &format!("/events?since={since}"), &[&token]);
    assert_eq!(missed.event("workspace-state"), next);
    let seen = format!("Last-Event-ID: {since}");
    let mut missed = Socket::must(&site, "/events?since=0", &[&token, &seen]);
    assert_eq!(missed.event("workspace-state"), next);
    let refused = Socket::open(&site, "/events?since=x", &[&token]).err();
    assert_eq!(refused.map(|it| it.0), Some(400));

    let [ports, startup, _, logs] = of_workspace(&id);
    let told = Socket::must(&site, &ports, &[&token]).event("ports");
    assert_eq!(
        told["data"],
        site.send(&format!("GET {ports}"), &[&token], None).json()
    );
    let told = Socket::must(&site, &startup, &[&token]).event("startup");
    assert_eq!(told["data"]["state"], "none", "{told}");
    let told = Socket::must(&site, &logs, &[&token]).event("log");
    assert!(told["data"].is_string(), "{told}");
    assert!(told.get("id").is_none(), "{told}");
    // Who asks for another protocol is answered as if they hadn't.
    let other = ["Connection: Upgrade", "Upgrade: h2c", token.as_str()];
    assert_eq!(site.send("GET /events", &other, None).status, 200);
}

#[test]
fn whoever_may_read_follows_a_watch_and_runs_nothing() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let (token, write) = (site.token(&cookie, "read"), site.token(&cookie, "write"));
    let id = workspace(&site, &write);
    let asked = json!({ "path": "" });
    let made = site.send(
        &format!("POST /workspaces/{id}/watches"),
        &[&write],
        Some(&asked),
    );
    assert_eq!(made.status, 201, "{made:?}");
    let events = format!("/workspaces/{id}/watches/{}/events", made.text("id"));
    Socket::must(&site, &events, &[&token]);
    Socket::must(&site, &format!("/workspaces/{id}/watch?path="), &[&token]);
    let run = format!("/workspaces/{id}/processes/run");
    let refused = Socket::open(&site, &run, &[&token]).err();
    assert_eq!(refused, Some((403, "scope-too-small".to_owned())));
}

#[test]
fn what_is_followed_ends_with_its_token_and_its_login() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let own = format!("Origin: {}", site.origin());
    let id = workspace(&site, &site.token(&cookie, "write"));
    let (token, token_id) = site.token_and_id(&cookie, "read");
    let follow = |headers: &[&str]| {
        let mut paths = of_workspace(&id).to_vec();
        paths.push("/events".to_owned());
        let open = paths.iter().map(|path| Socket::must(&site, path, headers));
        open.collect::<Vec<_>>()
    };
    let ended = |sockets: Vec<Socket>, since: Instant| {
        for socket in sockets {
            assert_eq!(socket.end(), 3000);
        }
        assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    };

    let by_token = follow(&[&token]);
    let by_cookie = follow(&[&cookie, &own]);
    let line = format!("DELETE /me/tokens/{token_id}");
    assert_eq!(site.send(&line, &[&cookie, &own], None).status, 204);
    ended(by_token, Instant::now());
    assert_eq!(
        site.send("POST /logout", &[&cookie, &own], None).status,
        204
    );
    ended(by_cookie, Instant::now());
}

#[test]
fn what_is_followed_ends_with_its_owners_role_and_tenure() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let bob = site.member(&admin, "bob");
    site.member(&admin, "eve");
    let id = workspace(&site, &bob);
    let follow = || of_workspace(&id).map(|path| Socket::must(&site, &path, &[&bob]));
    let before = follow();
    let role = json!({ "role": "admin" });
    let changed = site.send("PATCH /users/bob", &[&admin], Some(&role));
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(before.map(Socket::end), [3000; 4]);
    let role = json!({ "role": "member" });
    site.send("PATCH /users/bob", &[&admin], Some(&role));
    let before = follow();
    let to_eve = json!({ "owner": "eve" });
    let given = site.send(&format!("PATCH /workspaces/{id}"), &[&admin], Some(&to_eve));
    assert_eq!(given.status, 200, "{given:?}");
    assert_eq!(before.map(Socket::end), [3003; 4]);
    let refused = Socket::open(&site, &format!("/workspaces/{id}/ports"), &[&bob]).err();
    assert_eq!(refused, Some((404, "no-such-workspace".to_owned())));
}

#[test]
fn what_is_followed_ends_with_the_gateway() {
    let home = Home::new();
    let mut site = Site::up(&home);
    let token = site.token(&site.sign_in(), "write");
    let id = workspace(&site, &token);
    let mut paths = of_workspace(&id).to_vec();
    paths.push("/events".to_owned());
    let open = paths
        .iter()
        .map(|path| Socket::must(&site, path, &[&token]));
    let open: Vec<_> = open.collect();
    // It waits for what is open, so that they answer meanwhile.
    let told = std::thread::spawn(|| open.into_iter().map(Socket::end).collect::<Vec<_>>());
    let ended = site.server.terminate();
    // The workspaces go on, until a server ends them.
    let config = home.path("devgate.toml");
    site.server = home.up(&["--config", config.to_str().unwrap()]);
    assert_eq!(ended, Some(0));
    assert_eq!(told.join().unwrap(), [1001; 5]);
}
