//! Files that are whole or absent, and private where they hold a key.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use tracing::warn;

use crate::CertsError;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// Begins the names of files that are being written.
const UNFINISHED: &str = ".unfinished-";

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner only: mode 0600.
    Private,
    /// Everybody who gets into its folder: mode 0644.
    Public,
}

/// Makes the folder where it is missing, closes it to others, clears what an
/// interrupted write left, and locks it against other processes for as long as
/// the returned handle lives.
pub(crate) fn open_folder(folder: &Path) -> Result<File, CertsError> {
    let failed = |action| move |source| file_error(action, folder, source);
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(failed("create"))?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(file_error("create", folder, error));
        }
        _ => {}
    }
    let handle = File::open(folder).map_err(failed("open"))?;
    let metadata = handle.metadata().map_err(failed("inspect"))?;
    if !metadata.is_dir() {
        let source = io::ErrorKind::NotADirectory.into();
        return Err(file_error("open", folder, source));
    }
    if metadata.mode() & 0o077 != 0 {
        warn!(folder = %folder.display(), "closing the folder of private keys to others");
        let closed = Permissions::from_mode(0o700);
        handle.set_permissions(closed).map_err(failed("close"))?;
    }
    handle.lock().map_err(failed("lock"))?;
    for entry in std::fs::read_dir(folder).map_err(failed("list"))? {
        let entry = entry.map_err(failed("list"))?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|source| file_error("remove", &path, source))?;
        }
    }
    Ok(handle)
}

/// Returns what is in a file with a private key, or `None` where there is none; `exposed` is what
/// to do where others may have read it.
///
/// # Errors
/// [`CertsError::Exposed`] where others can read it, [`CertsError::IsFolder`] where it is a
/// folder. One of more than 256 KiB is not read in part.
pub fn read_private(path: &Path, exposed: &'static str) -> Result<Option<Vec<u8>>, CertsError> {
    read(path, |mode| {
        if mode & 0o077 != 0 {
            return Err(CertsError::Exposed {
                path: path.to_owned(),
                mode,
                remedy: exposed,
            });
        }
        Ok(())
    })
}

/// Returns the text of such a file. What isn't UTF-8 in it is replaced: no key has that, so it
/// is as damaged as with anything else in it.
pub fn private_text(path: &Path, exposed: &'static str) -> Result<Option<String>, CertsError> {
    Ok(read_private(path, exposed)?.map(|bytes| text(&bytes)))
}

/// Returns the text of a file that everybody may read, in the same way.
pub fn public_text(path: &Path) -> Result<Option<String>, CertsError> {
    Ok(read(path, |_| Ok(()))?.map(|bytes| text(&bytes)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads a file whose permission bits are good.
fn read(
    path: &Path,
    check: impl FnOnce(u32) -> Result<(), CertsError>,
) -> Result<Option<Vec<u8>>, CertsError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error("read", path, error)),
    };
    let failed = |source| file_error("read", path, source);
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        let path = path.to_owned();
        return Err(CertsError::IsFolder { path });
    }
    check(metadata.mode() & 0o777)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(Some(bytes))
}

/// Replaces a file as a whole: a crash leaves the old one or the new one.
pub fn write(
    path: &Path,
    access: Access,
    content: &(impl AsRef<[u8]> + ?Sized),
) -> Result<(), CertsError> {
    let failed = |source| file_error("write", path, source);
    let folder = path
        .parent()
        .ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    let mode = match access {
        Access::Private => 0o600,
        Access::Public => 0o644,
    };
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(content.as_ref()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    // The name has to survive a power cut as well, not only the content.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> CertsError {
    let path = path.to_owned();
    CertsError::File {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_large_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let most = usize::try_from(MAX_FILE).unwrap();
        std::fs::write(&path, "x".repeat(most)).unwrap();
        let text = public_text(&path).unwrap().unwrap();
        assert_eq!(text.len(), most);
        std::fs::write(&path, "x".repeat(most + 1)).unwrap();
        assert!(public_text(&path).is_err());
    }
}
