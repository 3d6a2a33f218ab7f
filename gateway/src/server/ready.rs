//! The file that tells other programs that the server accepts connections.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::names::WorkspaceName;

/// What the file says.
#[derive(Debug, Serialize)]
pub(super) struct Ready<'a> {
    /// Where SSH connections are taken, `host:port`.
    pub(super) ssh: SocketAddr,
    /// Where HTTPS connections are taken, `host:port`.
    pub(super) http: SocketAddr,
    /// The workspace that was asked for, or the one to begin with.
    pub(super) workspace: Option<&'a WorkspaceName>,
    /// The server's process id.
    pub(super) pid: u32,
}

/// The file; removed when this is dropped.
#[derive(Debug)]
pub(super) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Takes away what an earlier server left at `path`, so that nobody reads it
    /// for this one's, and checks that there is a folder for the new one, or will be
    /// with the data folder.
    pub(super) fn prepare(path: &Path, data_dir: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        if folder(path).is_dir() || folder(path) == data_dir {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "its folder doesn't exist",
        ))
    }

    /// Writes the file: nobody sees it half-written.
    pub(super) fn write(path: &Path, ready: &Ready<'_>) -> io::Result<Self> {
        let mut file = NamedTempFile::new_in(folder(path))?;
        serde_json::to_writer(&mut file, ready)?;
        file.write_all(b"\n")?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // Where it can't be removed, its process id tells that it is stale.
        let _ = fs::remove_file(&self.0);
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_json_and_goes_with_its_server() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("ready.json");
        fs::write(&path, "stale").unwrap();
        ReadyFile::prepare(&path, Path::new("/data")).unwrap();
        assert!(!path.exists());
        let name = "api".parse().unwrap();
        let ready = Ready {
            ssh: "127.0.0.1:2222".parse().unwrap(),
            http: "127.0.0.1:8443".parse().unwrap(),
            workspace: Some(&name),
            pid: 7,
        };
        let file = ReadyFile::write(&path, &ready).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"ssh\":\"127.0.0.1:2222\",\"http\":\"127.0.0.1:8443\",\"workspace\":\"api\",\"pid\":7}\n"
        );
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_before_anything_starts() {
        assert!(
            ReadyFile::prepare(Path::new("/nowhere/at/all/ready.json"), Path::new("/data"))
                .is_err()
        );
    }
}
