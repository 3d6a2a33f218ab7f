//! Copies from and to workspaces that answer otherwise than they should.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::outcome::{Copied, Trouble};
use super::part::{Origin, Part};
use super::{Folders, Progress, down, local, up};
use crate::cli::client::{ANSWER_TIMEOUT, Inside, Made, Remote, Trust};
use crate::cli::failure::Failure;

/// What a workspace is asked for: the method, the address below the workspace's, the body.
type Asked = (Method, String, Bytes);

/// Starts a workspace that answers so.
async fn workspace(answer: impl Fn(Asked) -> Response + Send + Sync + 'static) -> Inside {
    let answer = Arc::new(answer);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let listener = listener.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(move |request: Request| {
        let answer = Arc::clone(&answer);
        async move {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let path = head.uri.path_and_query().unwrap().as_str();
            let path = path.strip_prefix("/api/v1/workspaces/id/").unwrap();
            answer((head.method, path.to_owned(), body))
        }
    });
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    tokio::spawn(axum::serve(listener, router).into_future());
    let remote = Remote::new(origin.parse().unwrap(), &Trust::System, None).unwrap();
    Inside::new("test".into(), "id".into(), remote)
}

fn refused(status: u16, code: &str) -> Response {
    let problem = json!({ "status": status, "title": code, "code": code, "detail": code });
    let status = StatusCode::from_u16(status).unwrap();
    (status, axum::Json(problem)).into_response()
}

fn entry(name: &str, kind: &str, size: u64) -> Value {
    json!({ "name": name, "kind": kind, "size": size, "mode": "0777", "etag": "\"tag\"" })
}

fn shown(entry: &Value) -> Response {
    axum::Json(entry).into_response()
}

fn listed(entries: &[Value]) -> Response {
    axum::Json(json!({ "items": entries, "next": null })).into_response()
}

/// Copies something down, as with `-r`.
async fn down(inside: Inside, from: &str, to: &Path) -> (Result<(), Failure>, Copied) {
    let mut copied = Copied::default();
    let job = (Folders::Copied, &Progress::start(), &mut copied);
    let done = down::copy(inside, (from.as_bytes(), to, false), job).await;
    (done.map_err(Failure::from), copied)
}

/// Copies a pipe of many bytes up: of those nothing is remembered.
async fn up(inside: Inside) -> Result<(), Failure> {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let own = pipe.clone();
    let writing = tokio::task::spawn_blocking(move || fs::write(own, vec![7; SENT]).unwrap());
    let mut copied = Copied::default();
    let job = (Folders::Refused, &Progress::start(), &mut copied);
    let done = up::copy(inside, (&pipe, b"there", false), job).await;
    writing.await.unwrap();
    done.map_err(Failure::from)
}

/// More than goes up in one request, and less than two pieces.
const SENT: usize = 1024 * 1024;

#[tokio::test]
async fn no_more_of_a_file_is_taken_than_it_was_said_to_have() {
    let inside = workspace(|(_, path, _)| {
        if path.starts_with("files/stat") {
            return shown(&entry("file", "file", 1000));
        }
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![7; 400]));
        Body::from_stream(endless).into_response()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let (done, _) = down(inside, "file", &folder.path().join("file")).await;
    let said = done.unwrap_err().to_string();
    assert!(said.contains("changes while it is copied"), "{said}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn names_from_a_workspace_lead_nowhere_else_and_others_are_copied_all_the_same() {
    let names = ["../up", "..", ".", "", "a/b", "/tmp/devgate-escaped"];
    let inside = workspace(move |(_, path, _)| {
        if path.starts_with("files/stat") {
            return shown(&entry("tree", "folder", 0));
        }
        if path.starts_with("files/content") {
            return "hello".into_response();
        }
        let mut entries: Vec<_> = names.iter().map(|name| entry(name, "file", 5)).collect();
        let mut raw = entry("\u{fffd}", "file", 5);
        raw["raw_path"] = "/home/tree/%FFodd".into();
        entries.push(raw);
        let mut odd = entry("odd", "symlink", 1);
        odd["target"] = "\u{fffd}".into();
        entries.push(odd);
        entries.push(entry("good", "file", 5));
        listed(&entries)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to");
    let (done, copied) = down(inside, "tree", &to).await;
    done.unwrap();
    assert_eq!(copied.failed.len(), names.len() + 1, "{copied:?}");
    let mut found: Vec<_> = fs::read_dir(&to).unwrap().flatten().collect();
    found.sort_by_key(fs::DirEntry::file_name);
    let found: Vec<_> = found.iter().map(|one| one.file_name().into_vec()).collect();
    assert_eq!(found, [b"good".to_vec(), b"\xffodd".to_vec()]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_link_that_lay_there_is_followed_only_where_it_was_typed() {
    let answer = |(_, path, _): Asked| {
        if path.starts_with("files/stat") {
            shown(&entry("proj", "folder", 0))
        } else if path.starts_with("files/list?path=proj&") {
            listed(&[entry("keys", "file", 5)])
        } else {
            "hello".into_response()
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("private")).unwrap();
    fs::create_dir(at("here")).unwrap();
    symlink(at("private"), at("here/proj")).unwrap();
    let (done, copied) = down(workspace(answer).await, "proj", &at("here")).await;
    done.unwrap();
    assert_eq!((copied.failed.len(), copied.files), (1, 0), "{copied:?}");
    assert!(!at("private/keys").exists());
    // It is typed, but what is copied gets a name in what it leads to.
    symlink(at("private"), at("typed")).unwrap();
    let (done, copied) = down(workspace(answer).await, "proj", &at("typed")).await;
    done.unwrap();
    assert!(copied.failed.is_empty(), "{copied:?}");
    assert!(at("private/proj/keys").exists());
}

#[tokio::test]
async fn an_upload_that_is_lost_is_not_taken_for_one_that_is_whole() {
    for (lost, now) in [(true, "\"tag\""), (false, "\"new\"")] {
        let (completed, asked) = (AtomicU32::new(0), AtomicU32::new(0));
        let size = u64::try_from(SENT).unwrap();
        let upload = move |offset: u64| {
            shown(&json!({ "id": "0123456789abcdef", "size": size, "offset": offset }))
        };
        let inside = workspace(move |(method, path, _)| {
            let completing = path.ends_with("/complete");
            match (method, path.split(['?', '/']).nth(1).unwrap()) {
                // Before it, and a file of the same size is there.
                (_, "stat") if asked.fetch_add(1, Ordering::Relaxed) < 2 => {
                    shown(&entry("there", "file", size))
                }
                (_, "stat") => {
                    let mut entry = entry("there", "file", size);
                    entry["etag"] = now.into();
                    shown(&entry)
                }
                (Method::POST, _) if completing => {
                    // The answer is lost, and then the upload is gone.
                    match completed.fetch_add(1, Ordering::Relaxed) {
                        0 => refused(502, "agent-broken"),
                        _ => refused(404, "no-upload"),
                    }
                }
                (Method::POST, _) => upload(0),
                _ => upload(size),
            }
        })
        .await;
        let done = up(inside).await;
        assert_eq!(done.is_err(), lost, "{done:?}");
    }
}

#[tokio::test]
async fn a_workspace_that_loses_what_is_sent_is_given_up() {
    let inside = workspace(|(method, path, _)| {
        let upload = json!({ "id": "0123456789abcdef", "size": SENT, "offset": 0 });
        match method {
            Method::PATCH => refused(409, "wrong-offset"),
            _ if path.starts_with("files/stat") => refused(404, "no-file"),
            _ => shown(&upload),
        }
    })
    .await;
    let said = up(inside).await.unwrap_err().to_string();
    assert!(said.contains("loses what is sent"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_looked_at_for_longer_than_an_answer_may_take() {
    let completed = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&completed);
    let inside = workspace(move |(method, path, _)| {
        let upload = json!({ "id": "0123456789abcdef", "size": SENT, "offset": SENT });
        if path.starts_with("files/stat") {
            return refused(404, "no-file");
        }
        if method == Method::POST && path.ends_with("/complete") {
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(ANSWER_TIMEOUT + Duration::from_secs(1));
        }
        shown(&upload)
    })
    .await;
    up(inside).await.unwrap();
    assert_eq!(completed.load(Ordering::Relaxed), 1);
}

/// Opens what comes of a file of 1000 bytes.
fn part(to: &Path, tag: &str) -> Result<Part, Trouble> {
    let origin = Origin {
        workspace: "id",
        path: b"from",
        tag,
        size: 1000,
    };
    let becomes = local::Becomes::File(to.to_owned(), None);
    Part::open(becomes, to, &origin)
}

fn said(opened: Result<Part, Trouble>) -> String {
    match opened {
        Ok(_) => "nothing".to_owned(),
        Err(trouble) => Failure::from(trouble).to_string(),
    }
}

#[tokio::test]
async fn two_commands_do_not_write_into_the_same_part() {
    let folder = tempfile::tempdir().unwrap();
    // As long as a name can be.
    let to = folder.path().join("n".repeat(255));
    let mut first = part(&to, "one").unwrap();
    first.write(b"first").await.unwrap();
    let second = said(part(&to, "one"));
    assert!(second.contains("another devgate cp"), "{second}");
    first.finish(0o640).await.unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"first");
    // The other one is free again, and not the file that has its name.
    let mut second = part(&to, "two").unwrap();
    second.write(b"other").await.unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"first");
    drop(second);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_part_that_leads_to_another_file_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    let first = part(&to, "one").unwrap();
    let own = fs::read_dir(folder.path()).unwrap().next().unwrap();
    let own = own.unwrap().path();
    drop(first);
    let other = folder.path().join("other");
    fs::write(&other, "other").unwrap();
    fs::hard_link(&other, &own).unwrap();
    let mut second = part(&to, "one").unwrap();
    second.write(b"second").await.unwrap();
    second.finish(0o600).await.unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"other");
    assert_eq!(fs::read(&to).unwrap(), b"second");
    symlink(&other, &own).unwrap();
    assert!(part(&to, "one").is_err());
}

#[tokio::test]
async fn a_part_that_somebody_else_changed_gets_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    let mut part = part(&to, "one").unwrap();
    part.write(b"whole").await.unwrap();
    let own = fs::read_dir(folder.path()).unwrap().next().unwrap();
    fs::write(own.unwrap().path(), "half of it").unwrap();
    assert!(part.finish(0o640).await.is_err());
    assert!(!to.exists());
}

#[test]
fn a_new_folder_is_closed_until_all_is_in_it_and_one_that_was_there_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let to = local::Local::typed(folder.path().join("to"));
    assert_eq!(to.make_folder().unwrap(), Made::New);
    assert_eq!(mode(&to.path), 0o700);
    let mut new = local::NewFolders::default();
    new.add(to.path.clone(), 0o550);
    drop(new);
    // It wasn't all: whoever comes again can go on.
    assert_eq!(mode(&to.path), 0o750);
    let mut new = local::NewFolders::default();
    new.add(to.path.clone(), 0o550);
    new.finish().unwrap();
    assert_eq!(mode(&to.path), 0o550);
    assert_eq!(to.make_folder().unwrap(), Made::ThereAlready);
    assert_eq!(mode(&to.path), 0o550);
}
