//! Why something can't be done with a file.

use rustix::io::Errno;

/// Why something can't be done with a file. Paths are as the client gave them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("the path {0:?} can't be used: {1}")]
    BadPath(String, &'static str),
    #[error(
        "{0:?} leads out of the folder that this token is for: use a path in that folder, \
         without links that leave it"
    )]
    Outside(String),
    #[error(
        "{0:?} in the archive leads out of the folder that it is unpacked into, by its name or \
         a link: pack it without, or unpack it into a folder that has both"
    )]
    Escaping(String),
    #[error("{0:?} is no regular file: only those are read and written")]
    NotAFile(String),
    #[error("{0:?} can't be put into itself")]
    IntoItself(String),
    #[error("{0:?} is no longer, or not yet, what the request says it must be: look at it again")]
    Precondition(String),
    #[error("what has come doesn't have the digest that was said: send it again")]
    Digest,
    #[error("{0:?} has more than {1} folders one in another: no more are walked through")]
    TooDeep(String, usize),
    #[error(
        "{0:?} can't be read by the workspace's user, and would be missing in the archive: see \
         its mode and owner, or give `unreadable=skip` to have it left out"
    )]
    Unreadable(String),
    #[error("the name of {0:?}, or what it links to, is no UTF-8, which zip needs: take tar")]
    NotText(String),
    #[error("the archive can't be read: {0}")]
    Archive(String),
    #[error("the {what} can't be read: {error}")]
    Pattern { what: &'static str, error: String },
    #[error("there is no such upload: it was completed, given up, or has expired; begin another")]
    NoUpload,
    #[error("there are {0} unfinished uploads: complete or give up some")]
    TooManyUploads(usize),
    #[error("the upload has {offset} bytes: send what comes after them")]
    WrongOffset { offset: u64 },
    #[error("the upload has {offset} of {size} bytes: send the rest")]
    Incomplete { offset: u64, size: u64 },
    #[error("that is more than the {size} bytes that the upload was said to have")]
    BeyondSize { size: u64 },
    #[error("the connection was lost, or too slow, before all had come")]
    CutOff,
    #[error("too much of this kind is going on in this workspace: try again in a moment")]
    Busy,
    #[error("{path:?}: {}", said(*source))]
    System { path: String, source: Errno },
}

/// Returns what a failure means for the one who asked.
fn said(error: Errno) -> String {
    let text = match error {
        Errno::NOENT => "there is nothing of that name, or of one of the folders before it",
        Errno::EXIST => "there is something already: give `overwrite`, or another path",
        Errno::NOTDIR => "it, or something before it in the path, is no folder",
        Errno::ISDIR => "it is a folder",
        Errno::NOTEMPTY => "the folder isn't empty: give `recursive` to have all of it deleted",
        Errno::ACCESS | Errno::PERM => {
            "the workspace's user isn't allowed to: see its mode and owner"
        }
        Errno::ROFS => "it is on a filesystem that is only read",
        Errno::NOSPC | Errno::DQUOT => "there is no space left: delete something",
        Errno::OPNOTSUPP => {
            "its filesystem can't put it in the place of what is there: delete that first"
        }
        Errno::XDEV => "it is on another filesystem than what it is to be the same as",
        Errno::NXIO | Errno::NODEV => "it is a socket, or a device that nothing is behind",
        Errno::AGAIN => "there is nothing to read now, or somebody else has it: try again",
        Errno::LOOP => "there are too many symbolic links one after another",
        Errno::NAMETOOLONG => "a name in it is too long",
        Errno::MFILE | Errno::NFILE => "too many files are open: try again in a moment",
        other => return other.to_string(),
    };
    text.to_owned()
}

/// Says of a failure which path it is about.
pub(crate) trait At<T> {
    /// Turns a failure into one about `path`.
    fn at(self, path: &[u8]) -> Result<T, FileError>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, path: &[u8]) -> Result<T, FileError> {
        self.map_err(|source| FileError::System {
            path: shown(path),
            source,
        })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, path: &[u8]) -> Result<T, FileError> {
        self.map_err(|error| FileError::System {
            path: shown(path),
            source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        })
    }
}

/// Returns a path as a text.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
