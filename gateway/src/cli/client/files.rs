//! A workspace's files.

mod content;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, Method, StatusCode, header};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::inside::Inside;
use super::remote::Unanswered;
use super::wait::Wait;
use super::{bytes, parse, read};
use crate::cli::failure::{Failure, Kind};

pub(in crate::cli) use content::{Content, Count};

/// Where a piece of an upload begins.
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// What a body hashes to (RFC 9530).
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Largest answer that is no content of a file, in bytes.
const MOST: usize = 16 * 1024 * 1024;

/// Most entries of one folder.
const MAX_ENTRIES: usize = 1_000_000;

/// Something in a workspace's filesystem.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::cli) struct Entry {
    name: String,
    #[serde(default)]
    raw_path: Option<String>,
    pub(in crate::cli) kind: EntryKind,
    pub(in crate::cli) size: u64,
    mode: String,
    #[serde(default)]
    pub(in crate::cli) target: Option<String>,
    pub(in crate::cli) etag: String,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum EntryKind {
    File,
    Folder,
    Symlink,
    #[serde(other)]
    Other,
}

/// Whether something had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Made {
    New,
    ThereAlready,
}

/// Whether a copy may take the place of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Over {
    Nothing,
    /// That of a file, as what is copied is one.
    Files,
}

/// A file that goes up in pieces.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Upload {
    pub(in crate::cli) id: String,
    pub(in crate::cli) size: u64,
    pub(in crate::cli) offset: u64,
}

impl Entry {
    /// Returns its name, as near to it as text can be.
    pub(in crate::cli) fn shown(&self) -> &str {
        &self.name
    }

    /// Returns its name, byte for byte.
    pub(in crate::cli) fn name(&self) -> Vec<u8> {
        match &self.raw_path {
            Some(path) => {
                let path: Vec<u8> = percent_decode_str(path).collect();
                let name = path.rsplit(|byte| *byte == b'/').next();
                name.unwrap_or_default().to_vec()
            }
            None => self.name.clone().into_bytes(),
        }
    }

    /// Returns its permissions, without what would give somebody's rights to others.
    pub(in crate::cli) fn mode(&self) -> u32 {
        u32::from_str_radix(&self.mode, 8).unwrap_or(0o644) & 0o777
    }
}

type Done<T> = Result<T, Unanswered>;

impl Inside {
    /// Returns what is at a path; a link is followed.
    pub(in crate::cli) async fn stat(&mut self, path: impl AsRef<[u8]>) -> Done<Option<Entry>> {
        let path = format!("files/stat?path={}", encoded(path));
        missing(self.json(&Method::GET, &path, None).await)
    }

    /// Returns what is at a path; a link itself.
    pub(in crate::cli) async fn stat_itself(&mut self, path: &[u8]) -> Done<Option<Entry>> {
        let path = format!("files/stat?path={}&follow=false", encoded(path));
        missing(self.json(&Method::GET, &path, None).await)
    }

    /// Returns what is in a folder.
    pub(in crate::cli) async fn list(&mut self, path: impl AsRef<[u8]>) -> Done<Vec<Entry>> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<Entry>,
            next: Option<String>,
        }
        let first = format!("files/list?path={}&limit=1000", encoded(path));
        let mut all = Vec::new();
        let mut path = first.clone();
        loop {
            let page: Page = self.json(&Method::GET, &path, None).await?;
            let more = !page.items.is_empty();
            all.extend(page.items);
            match page.next {
                Some(next) if more && all.len() < MAX_ENTRIES => {
                    path = format!("{first}&cursor={}", encoded(next));
                }
                _ => return Ok(all),
            }
        }
    }

    /// Writes a small file.
    pub(in crate::cli) async fn put(&mut self, path: &[u8], mode: u32, body: Bytes) -> Done<()> {
        let path = format!("files/content?path={}&mode={mode:04o}", encoded(path));
        let headers = [(CONTENT_DIGEST, digest(&body))];
        let answer = self
            .raw(&Method::PUT, &path, &headers, body, Wait::Usual)
            .await?;
        self.gather(answer.into_body()).await.map(drop)
    }

    /// Makes a folder, or takes the one that is there.
    pub(in crate::cli) async fn make_folder(&mut self, path: &[u8], mode: u32) -> Done<Made> {
        let rest = json!({ "mode": format!("{mode:04o}"), "parents": true });
        let body = named(rest, "path", path);
        let asked = self.ask(&Method::POST, "files/folder", Some(&body), Wait::Usual);
        let problem = match asked.await {
            Ok((StatusCode::CREATED, _)) => return Ok(Made::New),
            Ok(_) => return Ok(Made::ThereAlready),
            Err(Unanswered::Refused(problem)) => problem,
            Err(error) => return Err(error),
        };
        // The home, or what else has no name of its own; or something else is there.
        let there = match problem.code.as_str() {
            "bad-path" | "exists" => self.stat(path).await?,
            _ => None,
        };
        match there {
            Some(there) if there.kind == EntryKind::Folder => Ok(Made::ThereAlready),
            Some(_) => {
                let path = String::from_utf8_lossy(path);
                let message = format!("{path} is in the way of a folder: move it");
                Err(Failure::new(Kind::Failed, message).into())
            }
            None => Err(Unanswered::Refused(problem)),
        }
    }

    /// Makes a symbolic link.
    pub(in crate::cli) async fn make_link(&mut self, path: &[u8], target: &str) -> Done<()> {
        let body = named(json!({ "target": target }), "path", path);
        let _: Value = self.json(&Method::POST, "files/link", Some(&body)).await?;
        Ok(())
    }

    /// Sets permissions.
    pub(in crate::cli) async fn set_mode(&mut self, path: &[u8], mode: u32) -> Done<()> {
        let body = named(json!({ "mode": format!("{mode:04o}") }), "path", path);
        let _: Value = self.json(&Method::POST, "files/mode", Some(&body)).await?;
        Ok(())
    }

    /// Copies something to another place in the workspace, which may take any time.
    pub(in crate::cli) async fn copy(&mut self, from: &[u8], to: &[u8], over: Over) -> Done<()> {
        let rest = json!({ "overwrite": over == Over::Files });
        let body = named(named(rest, "from", from), "to", to);
        self.work("files/copy", &body).await
    }

    /// Removes a file or a link.
    pub(in crate::cli) async fn remove(&mut self, path: &[u8]) -> Done<()> {
        let path = format!("files?path={}", encoded(path));
        let answer = self
            .raw(&Method::DELETE, &path, &[], Bytes::new(), Wait::Usual)
            .await?;
        self.gather(answer.into_body()).await.map(drop)
    }

    /// Begins an upload.
    pub(in crate::cli) async fn create_upload(
        &mut self,
        path: &[u8],
        size: u64,
        mode: u32,
    ) -> Done<Upload> {
        let rest = json!({ "size": size, "mode": format!("{mode:04o}") });
        let body = named(rest, "path", path);
        self.json(&Method::POST, "files/uploads", Some(&body)).await
    }

    /// Returns how far an upload is; `None` where there is none.
    pub(in crate::cli) async fn upload(&mut self, id: &str) -> Done<Option<Upload>> {
        let path = format!("files/uploads/{id}");
        missing(self.json(&Method::GET, &path, None).await)
    }

    /// Sends a piece, and returns how much is there.
    pub(in crate::cli) async fn send_piece(
        &mut self,
        id: &str,
        offset: u64,
        body: Bytes,
    ) -> Done<u64> {
        let path = format!("files/uploads/{id}");
        let headers = [
            (UPLOAD_OFFSET, offset.to_string()),
            (CONTENT_DIGEST, digest(&body)),
        ];
        let answer = self
            .raw(&Method::PATCH, &path, &headers, body, Wait::Usual)
            .await?;
        let upload: Upload = read(parse(&self.gather(answer.into_body()).await?)?)?;
        Ok(upload.offset)
    }

    /// Gives an upload its name, once all of it was looked at, which may take any time.
    pub(in crate::cli) async fn complete(&mut self, id: &str, sha256: &str) -> Done<()> {
        let path = format!("files/uploads/{id}/complete");
        let body = json!({ "sha256": sha256 });
        self.work(&path, &body).await
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &mut self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Done<T> {
        let (_, answer) = self.ask(method, path, body, Wait::Usual).await?;
        Ok(read(answer)?)
    }

    /// Has something done that may take any time.
    async fn work(&mut self, path: &str, body: &Value) -> Done<()> {
        let done = self.ask(&Method::POST, path, Some(body), Wait::Forever);
        done.await.map(drop)
    }

    async fn ask(
        &mut self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        wait: Wait,
    ) -> Done<(StatusCode, Value)> {
        let headers = [(header::CONTENT_TYPE, "application/json".to_owned())];
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self
            .raw(method, path, &headers, Bytes::from(body), wait)
            .await?;
        let status = answer.status();
        let bytes = self.gather(answer.into_body()).await?;
        Ok((status, parse(&bytes)?))
    }

    async fn gather(&self, body: Incoming) -> Done<Bytes> {
        let silent = || Failure::new(Kind::Unreachable, "the server doesn't answer");
        Ok(bytes(body, MOST, silent).await?)
    }
}

fn missing<T>(answer: Done<T>) -> Done<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Unanswered::Refused(problem))
            if matches!(problem.code.as_str(), "no-file" | "no-upload") =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Adds a path to a body, byte for byte.
fn named(mut body: Value, name: &str, path: &[u8]) -> Value {
    if let Value::Object(members) = &mut body {
        if std::str::from_utf8(path).is_err() {
            members.insert(format!("raw_{name}"), encoded(path).into());
        }
        let shown = String::from_utf8_lossy(path);
        members.insert(name.to_owned(), shown.into());
    }
    body
}

/// Returns a path as a query has it, byte for byte.
fn encoded(path: impl AsRef<[u8]>) -> String {
    percent_encode(path.as_ref(), NON_ALPHANUMERIC).to_string()
}

fn digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}
