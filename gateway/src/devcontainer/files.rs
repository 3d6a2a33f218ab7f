//! Reading a checkout's files, and nothing beside it: the kernel follows no link and no
//! `..` out of it (openat2(2), `RESOLVE_BENEATH`).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

use super::DevcontainerError;

/// Longest file that is read, in bytes.
const MAX_FILE: usize = 256 * 1024;

/// Most folders that are looked through.
const MAX_FOLDERS: usize = 1000;

/// A repository's files on this host.
#[derive(Debug)]
pub(super) struct Checkout {
    root: OwnedFd,
    path: PathBuf,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
}

impl Checkout {
    /// Opens a checkout.
    pub(super) fn open(path: &Path) -> Result<Self, DevcontainerError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = std::fs::canonicalize(path)
            .and_then(|path| Ok((open(&path, flags, Mode::empty())?, path)));
        let (root, path) = opened.map_err(|error| wrong("", &format!("can't be read: {error}")))?;
        Ok(Self { root, path })
    }

    /// Tells what is at a path, where there is something.
    pub(super) fn kind(&self, path: &str) -> Result<Option<Kind>, DevcontainerError> {
        match self.descriptor(path, OFlags::PATH) {
            Ok(found) => Ok(match kind(&found) {
                Some(FileType::RegularFile) => Some(Kind::File),
                Some(FileType::Directory) => Some(Kind::Folder),
                _ => None,
            }),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(refused(path, error)),
        }
    }

    /// Returns a file's text.
    pub(super) fn read(&self, path: &str) -> Result<String, DevcontainerError> {
        let file = self.descriptor(path, OFlags::RDONLY | OFlags::NONBLOCK);
        let file = file.map_err(|error| refused(path, error))?;
        if kind(&file) != Some(FileType::RegularFile) {
            return Err(wrong(path, "it isn't a file"));
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
        let read = File::from(file).take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| wrong(path, &format!("it can't be read: {error}")))?;
        if bytes.len() > MAX_FILE {
            let problem = format!("it is longer than {} KiB", MAX_FILE / 1024);
            return Err(wrong(path, &problem));
        }
        String::from_utf8(bytes).map_err(|_| wrong(path, "it isn't UTF-8"))
    }

    /// Returns the names of the folders in a folder, in order.
    pub(super) fn folders(&self, path: &str) -> Result<Vec<String>, DevcontainerError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let folder = match self.descriptor(path, flags) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
            Err(error) => return Err(refused(path, error)),
        };
        let mut names = Vec::new();
        for entry in Dir::new(folder).map_err(|error| refused(path, error))? {
            let entry = entry.map_err(|error| refused(path, error))?;
            let name = entry.file_name().to_str().unwrap_or(".");
            if !matches!(name, "." | "..") && entry.file_type() == FileType::Directory {
                names.push(name.to_owned());
            }
            if names.len() > MAX_FOLDERS {
                return Err(wrong(
                    path,
                    &format!("it has more than {MAX_FOLDERS} folders"),
                ));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns where a folder is on this host; no part of it leads out of the checkout.
    pub(super) fn folder(&self, path: &str) -> Result<PathBuf, DevcontainerError> {
        let found = self.descriptor(path, OFlags::PATH | OFlags::DIRECTORY);
        found.map_err(|error| refused(path, error))?;
        let whole = self.path.join(path);
        let real = std::fs::canonicalize(&whole);
        let real = real.map_err(|error| wrong(path, &format!("it can't be read: {error}")))?;
        if !real.starts_with(&self.path) {
            return Err(refused(path, Errno::XDEV));
        }
        Ok(real)
    }

    fn descriptor(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(
            &self.root,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )
    }
}

/// Returns the path of something that a file names relative to its own folder.
pub(super) fn beside(file: &str, relative: &str) -> Result<String, &'static str> {
    let outside = "it leads out of the repository: name something in it";
    if relative.starts_with('/') {
        return Err("write a path relative to this file's folder");
    }
    if relative.contains('\0') {
        return Err("it has a NUL");
    }
    let mut parts: Vec<_> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(outside)?;
            }
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}

fn kind(file: &OwnedFd) -> Option<FileType> {
    let about = fstat(file).ok()?;
    Some(FileType::from_raw_mode(about.st_mode))
}

fn refused(path: &str, error: Errno) -> DevcontainerError {
    let problem = match error {
        Errno::XDEV | Errno::LOOP => "it is, or is below, a link out of the repository".to_owned(),
        Errno::NOENT => "there is no such file or folder in the repository".to_owned(),
        Errno::NOSYS => "it can't be read safely: the server needs Linux 5.6 or newer".to_owned(),
        error => format!("it can't be read: {}", io::Error::from(error)),
    };
    wrong(path, &problem)
}

fn wrong(path: &str, problem: &str) -> DevcontainerError {
    let place = if path.is_empty() {
        "the repository"
    } else {
        path
    };
    DevcontainerError {
        place: super::printable(place),
        problem: super::printable(problem),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_beside_a_file_stays_in_the_repository() {
        let file = ".devcontainer/go/devcontainer.json";
        for (relative, expected) in [
            ("Dockerfile", ".devcontainer/go/Dockerfile"),
            ("./a//b", ".devcontainer/go/a/b"),
            ("..", ".devcontainer"),
            ("../..", ""),
            ("../../src", "src"),
        ] {
            assert_eq!(beside(file, relative).unwrap(), expected, "{relative}");
        }
        for outside in ["../../..", "../../../etc/passwd", "/etc/passwd", "a\0"] {
            assert!(beside(file, outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn nothing_is_read_through_a_link_that_leaves() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("inside");
        fs::create_dir_all(inside.join("real")).unwrap();
        fs::write(root.path().join("secret"), "secret").unwrap();
        fs::write(inside.join("real/file"), "text").unwrap();
        for (name, target) in [
            ("up", "../secret"),
            ("absolute", "/etc/passwd"),
            ("parent", ".."),
            ("loop", "loop"),
            ("good", "real/file"),
            ("folder", "real"),
            ("proc", "/proc/self/root"),
        ] {
            symlink(target, inside.join(name)).unwrap();
        }
        let checkout = Checkout::open(&inside).unwrap();
        for path in ["up", "absolute", "parent/secret", "loop", "proc/etc/passwd"] {
            let error = checkout.read(path).unwrap_err();
            assert!(error.problem.contains("link out of"), "{path}: {error}");
            assert!(checkout.kind(path).is_err(), "{path}");
        }
        assert!(checkout.folder("parent").is_err());
        assert_eq!(checkout.read("good").unwrap(), "text");
        assert_eq!(checkout.kind("folder").unwrap(), Some(Kind::Folder));
        assert!(checkout.folder("folder").unwrap().ends_with("inside/real"));
        assert_eq!(checkout.kind("none").unwrap(), None);
        let missing = checkout.read("none").unwrap_err();
        assert!(missing.problem.contains("no such file"), "{missing}");
    }

    #[test]
    fn only_short_texts_are_read() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("long"), vec![b' '; MAX_FILE + 1]).unwrap();
        fs::write(root.path().join("bytes"), [0xff]).unwrap();
        let checkout = Checkout::open(root.path()).unwrap();
        assert!(
            checkout
                .read("long")
                .unwrap_err()
                .problem
                .contains("longer")
        );
        assert!(
            checkout
                .read("bytes")
                .unwrap_err()
                .problem
                .contains("UTF-8")
        );
        assert!(
            checkout
                .read(".")
                .unwrap_err()
                .problem
                .contains("isn't a file")
        );
    }
}
