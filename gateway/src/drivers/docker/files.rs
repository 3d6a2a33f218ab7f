//! What is put into a container before it starts, and read from it: tar archives
//! (POSIX.1 `ustar`).

use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tar::{Archive, Builder, EntryType, Header};

use super::engine::{Engine, is_missing};
use crate::drivers::DriverError;

/// Longest file that is read from an image, in bytes.
pub(super) const MAX_OF_IMAGE: usize = 1024 * 1024;

/// What tells what an archive is of, with what extends that, in bytes.
const MAX_HEADERS: usize = 8 * 1024;

/// Most links that are followed to one.
const MAX_LINKS: usize = 20;

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

/// What a container has at a path.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    /// Whether it is a folder with nothing in it, or a file.
    pub(super) is_alone: bool,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// A file, as much of it as has come.
    File(Vec<u8>),
    /// A link to that.
    Link(PathBuf),
    Other,
}

/// Returns a file of a container as text, also one that links lead to; `None` where there is
/// none. It has `most` bytes at most.
///
/// # Errors
/// Where it can't be read as a whole: nothing is to be written in its place.
pub(super) async fn read(
    engine: &Engine,
    container: &str,
    path: &str,
    most: usize,
) -> Result<Option<String>, DriverError> {
    let enough = most + MAX_HEADERS;
    let unread = |problem: &str| DriverError::Engine {
        action: "read a file of the container",
        detail: format!("{path} {problem}"),
    };
    let mut at = PathBuf::from(path);
    for _ in 0..MAX_LINKS {
        let Some(archive) = archive_of(engine, container, &at, enough).await? else {
            return Ok(None);
        };
        let too_long = || unread(&format!("is longer than {} MiB", most >> 20));
        if archive.len() > enough {
            return Err(too_long());
        }
        let found = first(&archive).map_err(|error| unread(&error.to_string()))?;
        match found.what {
            What::File(bytes) if bytes.len() > most => return Err(too_long()),
            What::File(bytes) => return Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            What::Link(to) => at = led_to(&at, &to),
            What::Other => return Err(unread("is no file")),
        }
    }
    Err(unread("is a link that leads nowhere"))
}

/// Returns where a path of a container leads that may be a link.
pub(super) async fn place(
    engine: &Engine,
    container: &str,
    path: &Path,
) -> Result<PathBuf, DriverError> {
    let failed = |detail: String| DriverError::Engine {
        action: "look at a file of the container",
        detail,
    };
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Some(archive) = archive_of(engine, container, &at, 0).await? else {
            return Ok(at);
        };
        let found = first(&archive);
        let found = found.map_err(|error| failed(format!("{}: {error}", at.display())))?;
        match found.what {
            What::Link(to) => at = led_to(&at, &to),
            What::File(_) | What::Other => return Ok(at),
        }
    }
    Err(failed(format!(
        "{} is a link that leads nowhere",
        path.display()
    )))
}

/// Tells whose something in a container is, and who may do what with it; `None` where it isn't
/// there.
pub(super) async fn look(
    engine: &Engine,
    container: &str,
    path: &str,
) -> Result<Option<Found>, DriverError> {
    let archive = archive_of(engine, container, Path::new(path), 0).await?;
    let found = archive.map(|archive| first(&archive)).transpose();
    found.map_err(|error| DriverError::Engine {
        action: "look at a file of the container",
        detail: format!("{path}: {error}"),
    })
}

/// Returns the archive that an engine makes of a path, or what has come of it once that is more
/// than `enough`; `None` where there is nothing.
async fn archive_of(
    engine: &Engine,
    container: &str,
    path: &Path,
    enough: usize,
) -> Result<Option<Vec<u8>>, DriverError> {
    let path = path.to_string_lossy();
    let options = DownloadFromContainerOptionsBuilder::new()
        .path(&path)
        .build();
    let client = engine.client().await?;
    let mut chunks = client.download_from_container(container, Some(options));
    let mut archive = Vec::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => archive.extend_from_slice(&chunk),
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(engine.failed("read a file of the container", error)),
        }
        // No less than what tells what it is, with what extends that.
        if archive.len() > enough.max(MAX_HEADERS) {
            break;
        }
    }
    Ok(Some(archive))
}

/// Returns what an archive is of.
fn first(bytes: &[u8]) -> io::Result<Found> {
    let mut archive = Archive::new(bytes);
    let nothing = || io::Error::new(io::ErrorKind::UnexpectedEof, "nothing came of it");
    let is_alone = archive.entries()?.nth(1).is_none();
    let mut archive = Archive::new(bytes);
    let mut entry = archive.entries()?.next().ok_or_else(nothing)??;
    let header = entry.header();
    let number = |number: u64| u32::try_from(number).map_err(io::Error::other);
    let (uid, gid, mode) = (
        number(header.uid()?)?,
        number(header.gid()?)?,
        header.mode()?,
    );
    let what = match header.entry_type() {
        EntryType::Regular => {
            let length = entry.size();
            let mut text = Vec::new();
            entry.read_to_end(&mut text)?;
            if u64::try_from(text.len()).ok() != Some(length) {
                return Err(nothing());
            }
            What::File(text)
        }
        EntryType::Symlink => match entry.link_name()? {
            Some(to) => What::Link(to.into_owned()),
            None => What::Other,
        },
        _ => What::Other,
    };
    Ok(Found {
        uid,
        gid,
        mode,
        is_alone,
        what,
    })
}

/// Returns where a link at a path leads. The engine follows all links but the last one.
fn led_to(link: &Path, to: &Path) -> PathBuf {
    let mut at = PathBuf::from("/");
    let joined = link.parent().unwrap_or(link).join(to);
    for part in joined.components() {
        match part {
            Component::ParentDir => drop(at.pop()),
            Component::Normal(name) => at.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    at
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
    fn a_file_is_taken_whole_from_its_archive_or_not_at_all() {
        let mut files = Files::new();
        files.file("passwd", 0o644, b"root:x:0:0").unwrap();
        let bytes = files.0.into_inner().unwrap();
        let found = first(&bytes).unwrap();
        assert_eq!(found.what, What::File(b"root:x:0:0".to_vec()));
        assert_eq!((found.uid, found.gid, found.mode), (0, 0, 0o644));
        first(&bytes[..515]).unwrap_err();
        first(b"nothing").unwrap_err();
        first(b"").unwrap_err();
    }

    #[test]
    fn a_folder_is_alone_where_nothing_is_in_it() {
        for (file, expected) in [(None, true), (Some("dev/file"), false)] {
            let mut files = Files::new();
            files.folder("dev", 0o755, (7, 8)).unwrap();
            if let Some(path) = file {
                files.file(path, 0o644, b"").unwrap();
            }
            let found = first(&files.0.into_inner().unwrap()).unwrap();
            assert_eq!((found.uid, found.gid, found.is_alone), (7, 8, expected));
        }
    }

    #[test]
    fn a_link_leads_to_what_it_names_from_where_it_is() {
        for (link, to, expected) in [
            ("/etc/passwd", "/nix/store/x/passwd", "/nix/store/x/passwd"),
            ("/etc/passwd", "static/passwd", "/etc/static/passwd"),
            ("/etc/passwd", "../run/./passwd", "/run/passwd"),
            ("/etc/passwd", "../../../a", "/a"),
        ] {
            let led = led_to(Path::new(link), Path::new(to));
            assert_eq!(led, Path::new(expected));
        }
    }
}
