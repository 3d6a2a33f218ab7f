//! What goes into the build of an image: the Dockerfile and the files it may copy.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::fingerprint::beginning;

/// Most bytes of all files together.
const MAX_BYTES: u64 = 1 << 30;

/// Most files and folders.
const MAX_FILES: usize = 100_000;

/// The Dockerfile's name in the archive, which no file of a folder has.
pub(crate) const DOCKERFILE: &str = ".devgate.Dockerfile";

/// What an image is built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    /// The Dockerfile's text.
    pub(crate) dockerfile: &'a str,
    /// Folder whose files it may copy.
    pub(crate) context: Option<&'a Path>,
    /// Further folders, by where they are beside those files.
    pub(crate) folders: &'a BTreeMap<String, PathBuf>,
    /// Values of its `ARG`s.
    pub(crate) arguments: &'a BTreeMap<String, String>,
    /// The stage that is wanted.
    pub(crate) target: Option<&'a str>,
}

impl Sources<'_> {
    /// Returns a digest that is the same as long as everything is: 32 hexadecimal
    /// digits. Blocks.
    ///
    /// # Errors
    /// Where a file can't be read, or there are too many.
    pub(crate) fn digest(&self) -> io::Result<String> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        part(self.dockerfile.as_bytes());
        part(self.target.unwrap_or_default().as_bytes());
        for (name, value) in self.arguments {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        for (place, folder) in self.all() {
            if !place.as_os_str().is_empty() {
                part(place.as_os_str().as_bytes());
            }
            for path in files(folder)? {
                let about = fs::symlink_metadata(folder.join(&path))?;
                part(path.as_os_str().as_bytes());
                part(&about.permissions().mode().to_be_bytes());
                if about.is_symlink() {
                    let target = fs::read_link(folder.join(&path))?;
                    part(target.as_os_str().as_bytes());
                } else if about.is_file() {
                    part(&content(&folder.join(&path))?);
                }
            }
        }
        Ok(beginning(&hash.finalize(), 16))
    }

    /// Returns them as a tar archive, to be read from its beginning. Blocks.
    ///
    /// # Errors
    /// Where a file can't be read, or there are too many.
    pub(crate) fn pack(&self) -> io::Result<File> {
        let mut archive = tar::Builder::new(tempfile::tempfile()?);
        archive.follow_symlinks(false);
        for (place, folder) in self.all() {
            for path in files(folder)? {
                archive.append_path_with_name(folder.join(&path), place.join(&path))?;
            }
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(u64::try_from(self.dockerfile.len()).unwrap_or(u64::MAX));
        archive.append_data(&mut header, DOCKERFILE, self.dockerfile.as_bytes())?;
        let mut file = archive.into_inner()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// Returns the folders, and where each is among what is sent.
    fn all(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let context = self.context.map(|folder| (Path::new(""), folder));
        let others = self.folders.iter();
        let others = others.map(|(place, folder)| (Path::new(place), folder.as_path()));
        context.into_iter().chain(others)
    }
}

/// Returns a digest of what a file holds.
fn content(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hash.finalize().into());
        };
        hash.update(bytes);
    }
}

/// Returns the paths of all files and folders below a folder, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut bytes = 0_u64;
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(folder.join(&below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            let about = entry.metadata()?;
            if about.is_dir() {
                folders.push(path.clone());
            } else if !about.is_file() && !about.is_symlink() {
                // Sockets and devices aren't for images.
                continue;
            } else {
                bytes = bytes.saturating_add(about.len());
            }
            found.push(path);
            if bytes > MAX_BYTES || found.len() > MAX_FILES {
                let problem = format!(
                    "{} has more than {} GiB or {MAX_FILES} files: keep in it what the image \
                     needs",
                    folder.display(),
                    MAX_BYTES >> 30
                );
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn the_digest_tells_names_apart_that_are_no_text() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = BTreeMap::new();
        let sources = Sources {
            dockerfile: "FROM scratch\n",
            context: Some(folder.path()),
            folders: &BTreeMap::new(),
            arguments: &arguments,
            target: None,
        };
        let [one, other] =
            [b"\xff", b"\xfe"].map(|name| folder.path().join(OsStr::from_bytes(name)));
        fs::write(&one, "").unwrap();
        let first = sources.digest().unwrap();
        fs::rename(one, other).unwrap();
        assert_ne!(first, sources.digest().unwrap());
    }

    #[test]
    fn the_digest_changes_with_whatever_goes_in_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let context = folder.path();
        fs::create_dir(context.join("etc")).unwrap();
        fs::write(context.join("etc/motd"), "hello").unwrap();
        let arguments = BTreeMap::new();
        let sources = Sources {
            dockerfile: "FROM scratch\n",
            context: Some(context),
            folders: &BTreeMap::new(),
            arguments: &arguments,
            target: None,
        };
        let first = sources.digest().unwrap();
        assert_eq!(first, sources.digest().unwrap());
        fs::write(context.join("etc/motd"), "hallo").unwrap();
        let second = sources.digest().unwrap();
        assert_ne!(first, second);
        fs::rename(context.join("etc/motd"), context.join("etc/issue")).unwrap();
        assert_ne!(second, sources.digest().unwrap());
        let other = Sources {
            dockerfile: "FROM scratch\nUSER 1\n",
            ..sources
        };
        assert_ne!(sources.digest().unwrap(), other.digest().unwrap());
    }

    #[test]
    fn the_archive_has_the_files_and_the_dockerfile() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("own/bin")).unwrap();
        fs::write(folder.path().join("own/bin/tool"), "#!/bin/sh\n").unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        fs::write(folder.path().join("more/install.sh"), "").unwrap();
        let arguments = BTreeMap::new();
        let sources = Sources {
            dockerfile: "FROM scratch\nCOPY bin /bin\n",
            context: Some(&folder.path().join("own")),
            folders: &BTreeMap::from([(".more/0".to_owned(), folder.path().join("more"))]),
            arguments: &arguments,
            target: None,
        };
        let mut archive = tar::Archive::new(sources.pack().unwrap());
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        assert_eq!(names, ["bin", "bin/tool", ".more/0/install.sh", DOCKERFILE]);
    }
}
