//! A workspace's files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, Method, StatusCode, header};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::inside::Inside;
use super::remote::Unanswered;
use super::{bytes, parse, read, segment};
use crate::cli::failure::{Failure, Kind};

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
    pub(in crate::cli) name: String,
    #[serde(default)]
    pub(in crate::cli) raw_path: Option<String>,
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

/// A file that goes up in pieces.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Upload {
    pub(in crate::cli) id: String,
    pub(in crate::cli) size: u64,
    pub(in crate::cli) offset: u64,
}

impl Entry {
    /// Returns its permissions, without what would give somebody's rights to others.
    pub(in crate::cli) fn mode(&self) -> u32 {
        u32::from_str_radix(&self.mode, 8).unwrap_or(0o644) & 0o777
    }
}

type Done<T> = Result<T, Unanswered>;

impl Inside {
    /// Returns what is at a path; a link is followed.
    pub(in crate::cli) async fn stat(&mut self, path: &str) -> Done<Option<Entry>> {
        let path = format!("files/stat?path={}", segment(path));
        missing(self.json(&Method::GET, &path, None).await)
    }

    /// Returns what is in a folder.
    pub(in crate::cli) async fn list(&mut self, path: &str) -> Done<Vec<Entry>> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<Entry>,
            next: Option<String>,
        }
        let first = format!("files/list?path={}&limit=1000", segment(path));
        let mut all = Vec::new();
        let mut path = first.clone();
        loop {
            let page: Page = self.json(&Method::GET, &path, None).await?;
            let more = !page.items.is_empty();
            all.extend(page.items);
            match page.next {
                Some(next) if more && all.len() < MAX_ENTRIES => {
                    path = format!("{first}&cursor={}", segment(&next));
                }
                _ => return Ok(all),
            }
        }
    }

    /// Writes a small file.
    pub(in crate::cli) async fn put(&mut self, path: &str, mode: u32, body: Bytes) -> Done<()> {
        let path = format!("files/content?path={}&mode={mode:04o}", segment(path));
        let headers = [(CONTENT_DIGEST, digest(&body))];
        let answer = self.raw(&Method::PUT, &path, &headers, body).await?;
        self.gather(answer.into_body()).await.map(drop)
    }

    /// Makes a folder, or takes the one that is there.
    pub(in crate::cli) async fn make_folder(&mut self, path: &str, mode: u32) -> Done<()> {
        let body = json!({ "path": path, "mode": format!("{mode:04o}"), "parents": true });
        let _: Value = self
            .json(&Method::POST, "files/folder", Some(&body))
            .await?;
        Ok(())
    }

    /// Makes a symbolic link.
    pub(in crate::cli) async fn make_link(&mut self, path: &str, target: &str) -> Done<()> {
        let body = json!({ "path": path, "target": target });
        let _: Value = self.json(&Method::POST, "files/link", Some(&body)).await?;
        Ok(())
    }

    /// Sets permissions.
    pub(in crate::cli) async fn set_mode(&mut self, path: &str, mode: u32) -> Done<()> {
        let body = json!({ "path": path, "mode": format!("{mode:04o}") });
        let _: Value = self.json(&Method::POST, "files/mode", Some(&body)).await?;
        Ok(())
    }

    /// Copies something to another place in the workspace.
    pub(in crate::cli) async fn copy(&mut self, from: &str, to: &str) -> Done<()> {
        let body = json!({ "from": from, "to": to, "overwrite": true });
        let _: Value = self.json(&Method::POST, "files/copy", Some(&body)).await?;
        Ok(())
    }

    /// Removes a file or a link.
    pub(in crate::cli) async fn remove(&mut self, path: &str) -> Done<()> {
        let path = format!("files?path={}", segment(path));
        let answer = self.raw(&Method::DELETE, &path, &[], Bytes::new()).await?;
        self.gather(answer.into_body()).await.map(drop)
    }

    /// Begins an upload.
    pub(in crate::cli) async fn create_upload(
        &mut self,
        path: &str,
        size: u64,
        mode: u32,
    ) -> Done<Upload> {
        let body = json!({ "path": path, "size": size, "mode": format!("{mode:04o}") });
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
        let answer = self.raw(&Method::PATCH, &path, &headers, body).await?;
        let upload: Upload = read(parse(&self.gather(answer.into_body()).await?)?)?;
        Ok(upload.offset)
    }

    /// Gives an upload its name.
    pub(in crate::cli) async fn complete(&mut self, id: &str, sha256: &str) -> Done<()> {
        let path = format!("files/uploads/{id}/complete");
        let body = json!({ "sha256": sha256 });
        let _: Value = self.json(&Method::POST, &path, Some(&body)).await?;
        Ok(())
    }

    /// Returns a file's content from a byte on; `None` where it is another file by now.
    pub(in crate::cli) async fn content(
        &mut self,
        path: &str,
        from: u64,
        etag: &str,
    ) -> Done<Option<Incoming>> {
        let path = format!("files/content?path={}", segment(path));
        let range = [
            (header::RANGE, format!("bytes={from}-")),
            (header::IF_RANGE, etag.to_owned()),
        ];
        let headers: &[_] = if from == 0 { &[] } else { &range };
        let answer = self.raw(&Method::GET, &path, headers, Bytes::new()).await?;
        let expected = if from == 0 {
            let same = answer.headers().get(header::ETAG);
            same.is_none_or(|now| now == etag)
        } else {
            answer.status() == StatusCode::PARTIAL_CONTENT
        };
        if !expected {
            // What comes isn't wanted, nor the connection that it comes over.
            self.hang_up();
            return Ok(None);
        }
        Ok(Some(answer.into_body()))
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &mut self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Done<T> {
        let headers = [(header::CONTENT_TYPE, "application/json".to_owned())];
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.raw(method, path, &headers, Bytes::from(body)).await?;
        let bytes = self.gather(answer.into_body()).await?;
        Ok(read(parse(&bytes)?)?)
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

fn digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}
