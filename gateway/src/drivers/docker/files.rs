//! What is put into a container before it starts, and read from it: tar archives
//! (POSIX.1 `ustar`).

use std::io::{self, Read as _};
use std::path::Path;

use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tar::{Archive, Builder, EntryType, Header};

use super::engine::{Engine, is_missing};
use crate::drivers::DriverError;

/// Longest file that is read from an image, in bytes.
const MAX_FILE: usize = 1024 * 1024;

/// Files for a container, in the making. All belong to root but what is said otherwise.
pub(super) struct Files(Builder<Vec<u8>>);

impl Files {
    pub(super) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// Adds a folder; one that is there gets its owner and mode.
    pub(super) fn folder(
        &mut self,
        path: &str,
        mode: u32,
        (uid, gid): (u32, u32),
    ) -> io::Result<()> {
        let mut header = header(EntryType::Directory, mode, 0);
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        let path = format!("{}/", path.trim_matches('/'));
        self.0.append_data(&mut header, path, io::empty())
    }

    /// Adds a file, or replaces one.
    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut header = header(EntryType::Regular, mode, length);
        self.0
            .append_data(&mut header, path.trim_matches('/'), bytes)
    }

    /// Adds a file that is somebody's, or replaces one.
    pub(super) fn own_file(
        &mut self,
        path: &str,
        mode: u32,
        bytes: &[u8],
        (uid, gid): (u32, u32),
    ) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut header = header(EntryType::Regular, mode, length);
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        self.0
            .append_data(&mut header, path.trim_matches('/'), bytes)
    }

    /// Puts them into a container.
    pub(super) async fn upload(self, engine: &Engine, container: &str) -> Result<(), DriverError> {
        let archive = self.0.into_inner().map_err(|source| DriverError::File {
            action: "pack what goes into",
            path: container.into(),
            source,
        })?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let body = bollard::body_full(Bytes::from(archive));
        let client = engine.client().await?;
        let uploaded = client.upload_to_container(container, Some(options), body);
        uploaded
            .await
            .map_err(|error| engine.failed("put the agent into the container", error))
    }
}

fn header(kind: EntryType, mode: u32, length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(length);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Returns a file of a container as text: empty where there is none.
pub(super) async fn read(
    engine: &Engine,
    container: &str,
    path: &'static str,
) -> Result<String, DriverError> {
    let options = DownloadFromContainerOptionsBuilder::new()
        .path(path)
        .build();
    let client = engine.client().await?;
    let mut chunks = client.download_from_container(container, Some(options));
    let mut archive = Vec::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => archive.extend_from_slice(&chunk),
            Err(error) if is_missing(&error) => return Ok(String::new()),
            Err(error) => return Err(engine.failed("read a file of the container", error)),
        }
        if archive.len() > MAX_FILE {
            break;
        }
    }
    Ok(first_file(&archive))
}

fn first_file(archive: &[u8]) -> String {
    let mut text = Vec::new();
    let mut archive = Archive::new(archive);
    if let Ok(mut entries) = archive.entries()
        && let Some(Ok(mut entry)) = entries.next()
        && entry.header().entry_type() == EntryType::Regular
    {
        // What was cut off is left out.
        let _ = entry.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns the agent's program. Blocks.
pub(super) fn agent(path: &Path) -> Result<Vec<u8>, DriverError> {
    std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DriverError::AgentMissing {
            path: path.to_owned(),
        },
        _ => DriverError::File {
            action: "read",
            path: path.to_owned(),
            source: error,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_with_its_owner() {
        let mut files = Files::new();
        files.folder("/home/dev", 0o755, (1000, 1001)).unwrap();
        files.file("/etc/passwd", 0o644, b"root").unwrap();
        let bytes = files.0.into_inner().unwrap();
        let mut archive = Archive::new(bytes.as_slice());
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let path = entry.path().unwrap().display().to_string();
                (path, header.uid().unwrap(), header.gid().unwrap())
            })
            .collect();
        let expected = [("home/dev/", 1000, 1001), ("etc/passwd", 0, 0)];
        assert_eq!(
            found,
            expected.map(|(path, uid, gid)| (path.to_owned(), uid, gid))
        );
    }

    #[test]
    fn a_file_is_taken_from_its_archive_and_nothing_from_none() {
        let mut files = Files::new();
        files.file("passwd", 0o644, b"root:x:0:0").unwrap();
        let bytes = files.0.into_inner().unwrap();
        assert_eq!(first_file(&bytes), "root:x:0:0");
        assert_eq!(first_file(b"nothing"), "");
    }
}
