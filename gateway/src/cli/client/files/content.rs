//! What is in files and folders, as it comes.

use bytes::Bytes;
use http::{Method, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{Done, Entry, EntryKind, MAX_ENTRIES, MOST, encoded};
use crate::cli::client::ANSWER_TIMEOUT;
use crate::cli::client::inside::Inside;
use crate::cli::client::wait::Wait;
use crate::cli::failure::{Failure, Kind};

/// What a file holds, as it comes.
pub(in crate::cli) struct Content(Incoming);

/// What a folder holds and all folders in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Count {
    pub(in crate::cli) files: u64,
    pub(in crate::cli) folders: u64,
    pub(in crate::cli) links: u64,
    pub(in crate::cli) bytes: u64,
}

impl Content {
    /// Returns what comes next; `None` at the end.
    pub(in crate::cli) async fn next(&mut self) -> Done<Option<Bytes>> {
        let broke = |why: &str| Failure::new(Kind::Unreachable, format!("the connection {why}"));
        loop {
            let frame = timeout(ANSWER_TIMEOUT, self.0.frame()).await;
            match frame.map_err(|_| broke("is silent"))? {
                None => return Ok(None),
                Some(Err(_)) => return Err(broke("broke").into()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

impl Count {
    fn add(&mut self, entry: &Entry) {
        match entry.kind {
            EntryKind::File => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(entry.size);
            }
            EntryKind::Folder => self.folders += 1,
            EntryKind::Symlink => self.links += 1,
            EntryKind::Other => {}
        }
    }
}

impl Inside {
    /// Returns a file's content from a byte on; `None` where it is another file by now than
    /// the one with that tag, or any where there is none.
    pub(in crate::cli) async fn content(
        &mut self,
        path: impl AsRef<[u8]>,
        from: u64,
        etag: Option<&str>,
    ) -> Done<Option<Content>> {
        let path = format!("files/content?path={}", encoded(path));
        let range = [
            (header::RANGE, format!("bytes={from}-")),
            (header::IF_RANGE, etag.unwrap_or_default().to_owned()),
        ];
        let headers: &[_] = if from == 0 { &[] } else { &range };
        let answer = self
            .raw(&Method::GET, &path, headers, Bytes::new(), Wait::Usual)
            .await?;
        let expected = if from == 0 {
            let now = answer.headers().get(header::ETAG);
            etag.is_none_or(|etag| now.is_none_or(|now| now == etag))
        } else {
            answer.status() == StatusCode::PARTIAL_CONTENT
        };
        if !expected {
            // What comes isn't wanted, nor the connection that it comes over.
            self.hang_up();
            return Ok(None);
        }
        Ok(Some(Content(answer.into_body())))
    }

    /// Counts what is in a folder.
    pub(in crate::cli) async fn count(&mut self, path: &[u8]) -> Done<Count> {
        let path = format!(
            "files/find?path={}&hidden=true&ignored=true&limit={MAX_ENTRIES}",
            encoded(path)
        );
        let answer = self
            .raw(&Method::GET, &path, &[], Bytes::new(), Wait::Usual)
            .await?;
        let mut content = Content(answer.into_body());
        let (mut count, mut rest) = (Count::default(), Vec::new());
        while let Some(data) = content.next().await? {
            rest.extend_from_slice(&data);
            if rest.len() > MOST {
                return Err(Failure::new(Kind::Failed, "the server sends no lines").into());
            }
            let end = rest.iter().rposition(|byte| *byte == b'\n');
            let whole: Vec<u8> = rest.drain(..end.map_or(0, |end| end + 1)).collect();
            // The last line says how it ended.
            let lines = whole.split(|byte| *byte == b'\n');
            for entry in lines.filter_map(|line| serde_json::from_slice(line).ok()) {
                count.add(&entry);
            }
        }
        Ok(count)
    }
}
