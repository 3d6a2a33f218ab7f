//! A client that sends what it is told to, whether that is valid or not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::home::{Home, Server};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plain HTTP, so that bytes can be written by hand, and a short lock-out.
const CONFIG: &str = "[http]\ntls = \"off\"\n[lockout]\nfailures = 6\n";

/// A password that is long enough.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server on a home of its own, and how to reach it.
pub(crate) struct Site<'a> {
    pub(crate) server: Server<'a>,
    pub(crate) port: u16,
    /// The secret of the link that the server printed.
    pub(crate) link: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl<'a> Site<'a> {
    pub(crate) fn up(home: &'a Home) -> Self {
        Self::up_with(home, "")
    }

    /// Starts a server whose configuration has more in its section `[http]`.
    pub(crate) fn up_with(home: &'a Home, more: &str) -> Self {
        let text = CONFIG.replace("tls = \"off\"\n", &format!("tls = \"off\"\n{more}"));
        let config = home.write("devgate.toml", &text);
        let server = home.up(&["--config", &config]);
        let link = server
            .greeting
            .split("http")
            .find(|text| text.contains("#link="));
        let link = link.unwrap_or_else(|| panic!("no link in {}", server.greeting));
        let (_, secret) = link.split_once("#link=").unwrap();
        let secret = secret.split_whitespace().next().unwrap().to_owned();
        let listening = std::fs::read_to_string(home.data().join("ports.json")).unwrap();
        let ports: Value = serde_json::from_str(&listening).unwrap();
        let port = ports["http"].as_u64().unwrap().try_into().unwrap();
        Self {
            server,
            port,
            link: secret,
        }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Sends a request below `/api/v1` with these header lines.
    pub(crate) fn send(&self, line: &str, headers: &[&str], body: Option<&Value>) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut text = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n",
            self.port
        );
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        let body = body.map(Value::to_string);
        if let Some(body) = &body {
            let length = body.len();
            text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {length}\r\n"
            ));
        }
        text.push_str("\r\n");
        text.push_str(body.as_deref().unwrap_or_default());
        self.raw(text.as_bytes())
    }

    /// Sends these very bytes, and reads until the server closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        assert!(read.is_ok() || !answer.is_empty(), "{read:?}");
        Answer::of(&String::from_utf8(answer).unwrap())
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Opens a stream of events and reads its head.
    pub(crate) fn follow(&self, path: &str, header: &str) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        let text = format!(
            "GET /api/v1{path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\
             Accept: text/event-stream\r\n{header}\r\n\r\n",
            self.port
        );
        stream.write_all(text.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        reader
    }

    /// Signs in with the link, sets the password, and returns the cookie's header.
    pub(crate) fn sign_in(&self) -> String {
        let link = serde_json::json!({ "token": self.link });
        let cookie = self.send("POST /login/link", &[], Some(&link)).cookie();
        let password = serde_json::json!({ "password": PASSWORD });
        let set = self.send(
            "PUT /me/password",
            &[&cookie, &format!("Origin: {}", self.origin())],
            Some(&password),
        );
        assert_eq!(set.status, 204, "{set:?}");
        cookie
    }

    /// Makes a token and returns its header.
    pub(crate) fn token(&self, cookie: &str, scope: &str) -> String {
        self.token_and_id(cookie, scope).0
    }

    /// Makes a token, and returns its header and its id.
    pub(crate) fn token_and_id(&self, cookie: &str, scope: &str) -> (String, String) {
        let asked = serde_json::json!({ "name": "test", "scope": scope });
        let origin = format!("Origin: {}", self.origin());
        let made = self.send("POST /me/tokens", &[cookie, &origin], Some(&asked));
        assert_eq!(made.status, 201, "{made:?}");
        let header = format!("Authorization: Bearer {}", made.text("token"));
        (header, made.text("id"))
    }

    /// Adds a member, signs them in and returns a token's header with all scopes.
    pub(crate) fn member(&self, admin: &str, name: &str) -> String {
        let new = serde_json::json!({ "name": name });
        assert_eq!(self.send("POST /users", &[admin], Some(&new)).status, 201);
        let link = self.send(&format!("POST /users/{name}/link"), &[admin], None);
        assert_eq!(link.status, 201, "{link:?}");
        let url = link.text("url");
        let (_, secret) = url.split_once("/sign-in#link=").unwrap();
        let shown = serde_json::json!({ "token": secret });
        let cookie = self.send("POST /login/link", &[], Some(&shown)).cookie();
        self.token(&cookie, "admin")
    }
}

impl Answer {
    pub(crate) fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            head: head.to_owned(),
            body: if chunked {
                joined(body)
            } else {
                body.to_owned()
            },
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> String {
        let json = self.json();
        let text = json[name].as_str();
        text.unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Returns the header that sends back the cookie that was set.
    #[track_caller]
    pub(crate) fn cookie(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        let set = self.header("set-cookie").unwrap();
        format!("Cookie: {}", set.split(';').next().unwrap())
    }

    /// Asserts that it is a problem with this status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.text("code"), code, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert!(!self.text("detail").is_empty());
    }
}

fn joined(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            break;
        }
        whole.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
    whole
}
