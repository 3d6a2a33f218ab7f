//! What is said of files over HTTP: conditions, digests and lengths (RFC 9110).

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use devgate_protocol::Open;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::Full;

use crate::browser::request;
use crate::client::Workspace;

const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// The SHA-256 of `abc`, and of something else.
const ABC: &str = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
const OTHER: &str = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";

/// Sends a request, and returns the status, the headers and the body of the answer.
async fn send(
    workspace: &Workspace,
    (method, path): (Method, &str),
    headers: &[(header::HeaderName, &str)],
    body: &[u8],
) -> (StatusCode, HeaderMap, String) {
    let mut wanted = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "agent");
    for (name, value) in headers {
        wanted = wanted.header(name, *value);
    }
    let wanted = wanted.body(Full::from(body.to_vec())).unwrap();
    let response = request(workspace, &Open::Http, wanted).await;
    let (status, headers) = (
        response.response.status(),
        response.response.headers().clone(),
    );
    (status, headers, response.text().await)
}

/// Sends a request with one header, and returns the status.
async fn status(
    workspace: &Workspace,
    asked: (Method, &str),
    header: (&'static str, &str),
    body: &[u8],
) -> u16 {
    let header = (header::HeaderName::from_static(header.0), header.1);
    send(workspace, asked, &[header], body).await.0.as_u16()
}

const CONTENT: &str = "/files/content?path=file";

#[tokio::test]
async fn a_change_whose_condition_is_not_met_changes_nothing() {
    let workspace = Workspace::start().await;
    let file = workspace.home().join("file");
    fs::write(&file, "new").unwrap();
    let append = "/files/append?path=file";
    let delete = "/files?path=file";
    for (asked, header) in [
        ((Method::PUT, CONTENT), ("if-unmodified-since", OLD)),
        ((Method::PUT, CONTENT), ("if-match", "\"stale\"")),
        ((Method::POST, append), ("if-match", "\"stale\"")),
        ((Method::POST, append), ("if-none-match", "*")),
        ((Method::POST, append), ("if-unmodified-since", OLD)),
        ((Method::DELETE, delete), ("if-match", "\"stale\"")),
        ((Method::DELETE, delete), ("if-unmodified-since", OLD)),
    ] {
        let got = status(&workspace, asked.clone(), header, b"lost").await;
        assert_eq!(got, 412, "{asked:?} {header:?}");
    }
    // Where none is looked at, one is refused.
    for asked in [
        (Method::PUT, "/files/tree?path=to"),
        (Method::POST, "/files/move"),
        (Method::POST, "/files/copy"),
        (Method::POST, "/files/mode"),
        (Method::POST, "/files/link"),
        (Method::POST, "/files/folder"),
        (Method::POST, "/files/uploads"),
    ] {
        let body = match asked.1 {
            "/files/move" | "/files/copy" => &br#"{"from": "file", "to": "to"}"#[..],
            "/files/mode" => br#"{"path": "file", "mode": "0600"}"#,
            "/files/link" => br#"{"path": "to", "target": "file"}"#,
            "/files/uploads" => br#"{"path": "to", "size": 1}"#,
            "/files/folder" => br#"{"path": "to"}"#,
            _ => b"",
        };
        let got = status(&workspace, asked.clone(), ("if-match", "\"stale\""), body).await;
        assert_eq!(got, 400, "{asked:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert!(!workspace.home().join("to").exists());

    let (_, headers, _) = send(&workspace, (Method::GET, CONTENT), &[], b"").await;
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    let date = headers[header::LAST_MODIFIED].to_str().unwrap().to_owned();
    let met = status(
        &workspace,
        (Method::POST, append),
        ("if-unmodified-since", &date),
        b"er",
    );
    assert_eq!(met.await, 200);
    assert_eq!(fs::read_to_string(&file).unwrap(), "newer");
    let gone = |tag| status(&workspace, (Method::DELETE, delete), ("if-match", tag), b"");
    assert_eq!(gone(&tag).await, 412);
    let (_, headers, _) = send(&workspace, (Method::GET, CONTENT), &[], b"").await;
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(gone(&tag).await, 204);
    // What isn't there has no version that could be another one.
    assert_eq!(gone(&tag).await, 404);
}

#[tokio::test]
async fn a_part_is_not_taken_for_all_of_a_file() {
    let workspace = Workspace::start().await;
    fs::write(workspace.home().join("file"), "0123456789abc").unwrap();
    for asked in [
        (Method::PUT, CONTENT),
        (Method::PUT, "/files/tree?path=to"),
        (Method::POST, "/files/append?path=file"),
    ] {
        let range = [(header::CONTENT_RANGE, "bytes 10-12/13")];
        let (status, _, text) = send(&workspace, asked.clone(), &range, b"abc").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{asked:?}");
        assert!(text.contains("files/uploads"), "{text}");
    }
    let text = fs::read_to_string(workspace.home().join("file"));
    assert_eq!(text.unwrap(), "0123456789abc");
}

#[tokio::test]
async fn what_has_another_digest_is_not_appended() {
    let workspace = Workspace::start().await;
    let file = workspace.home().join("file");
    let append = (Method::POST, "/files/append?path=file");
    let sent = |digest| {
        status(
            &workspace,
            append.clone(),
            ("content-digest", digest),
            b"abc",
        )
    };
    assert_eq!(sent(OTHER).await, 400);
    assert!(!file.exists());
    assert_eq!((sent(ABC).await, sent(ABC).await), (200, 200));
    assert_eq!(sent(OTHER).await, 400);
    assert_eq!(fs::read_to_string(&file).unwrap(), "abcabc");
}

#[tokio::test]
async fn an_archive_with_another_digest_is_refused() {
    let workspace = Workspace::start().await;
    let empty = [0; 1024];
    let put = |digest| {
        let asked = (Method::PUT, "/files/tree?path=to");
        status(&workspace, asked, ("content-digest", digest), &empty)
    };
    assert_eq!(put(OTHER).await, 400);
    assert_eq!(
        put("sha-256=:X3C/GKCGAHAW6UiwSu07ghA6Nr6kF1W2zd+vEKzjxu8=:").await,
        200
    );
}

#[tokio::test]
async fn a_file_is_read_where_its_conditions_are_met() {
    let workspace = Workspace::start().await;
    let path = workspace.home().join("file");
    fs::write(&path, "text").unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(then).unwrap();
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    for method in [Method::GET, Method::HEAD] {
        for (header, expected) in [
            (("if-match", "\"stale\""), 412),
            (("if-match", "*"), 200),
            (("if-unmodified-since", before), 412),
            (("if-unmodified-since", OLD), 200),
            (("if-modified-since", OLD), 304),
            (("if-modified-since", before), 200),
            (("if-none-match", "*"), 304),
        ] {
            let asked = (method.clone(), CONTENT);
            let got = status(&workspace, asked, header, b"").await;
            assert_eq!(got, expected, "{method} {header:?}");
        }
    }
}

#[tokio::test]
async fn a_length_is_said_only_where_it_is_that_of_the_content() {
    let workspace = Workspace::start().await;
    fs::write(workspace.home().join("file"), "text").unwrap();
    let length = |headers: &HeaderMap| {
        let length = headers.get(header::CONTENT_LENGTH);
        length.map(|length| length.to_str().unwrap().to_owned())
    };
    let known = [(header::IF_NONE_MATCH, "*")];
    for method in [Method::GET, Method::HEAD] {
        let asked = (method.clone(), CONTENT);
        let (status, headers, _) = send(&workspace, asked, &known, b"").await;
        assert_eq!(status, StatusCode::NOT_MODIFIED);
        assert_eq!(length(&headers), None, "{method}");
    }
    let (_, headers, _) = send(&workspace, (Method::HEAD, CONTENT), &[], b"").await;
    assert_eq!(length(&headers).unwrap(), "4");

    // What the kernel makes up when it is read.
    let version = fs::read_to_string("/proc/version").unwrap();
    let made_up = "/files/content?path=/proc/version";
    let (_, headers, _) = send(&workspace, (Method::HEAD, made_up), &[], b"").await;
    assert_eq!(length(&headers), None);
    let range = [(header::RANGE, "bytes=0-4")];
    let (status, headers, text) = send(&workspace, (Method::GET, made_up), &range, b"").await;
    // Of no known length it has no parts, and a range may be ignored (RFC 9110 §14.2).
    assert_eq!((status, text), (StatusCode::OK, version));
    assert!(!headers.contains_key(header::ACCEPT_RANGES));
}
