//! What a client learns of a failure.

use http::StatusCode as Status;
use rustix::io::Errno;

use crate::files::FileError;
use crate::http::problem::Problem;

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        let (status, code) = match &error {
            FileError::BadPath(..) => (Status::BAD_REQUEST, "bad-path"),
            FileError::Outside(_) | FileError::Escaping(_) => (Status::FORBIDDEN, "outside"),
            FileError::NotAFile(_) => (Status::CONFLICT, "not-a-file"),
            FileError::IntoItself(_) => (Status::CONFLICT, "into-itself"),
            FileError::Precondition(_) => (Status::PRECONDITION_FAILED, "precondition-failed"),
            FileError::Digest => (Status::BAD_REQUEST, "digest-mismatch"),
            FileError::TooDeep(..) => (Status::CONFLICT, "too-deep"),
            FileError::Unreadable(_) => (Status::FORBIDDEN, "permission-denied"),
            FileError::NotText(_) => (Status::CONFLICT, "not-text"),
            FileError::Archive(_) => (Status::BAD_REQUEST, "bad-archive"),
            FileError::Pattern { .. } => (Status::BAD_REQUEST, "bad-pattern"),
            FileError::NoUpload => (Status::NOT_FOUND, "no-upload"),
            FileError::TooManyUploads(_) => (Status::CONFLICT, "too-many-uploads"),
            FileError::WrongOffset { .. } => (Status::CONFLICT, "wrong-offset"),
            FileError::Incomplete { .. } => (Status::CONFLICT, "incomplete"),
            FileError::BeyondSize { .. } => (Status::BAD_REQUEST, "beyond-size"),
            FileError::CutOff => (Status::BAD_REQUEST, "cut-off"),
            FileError::Busy => (Status::SERVICE_UNAVAILABLE, "busy"),
            FileError::System { source, .. } => of_system(*source),
        };
        let problem = Self::new(status, code, error.to_string());
        match error {
            FileError::WrongOffset { offset } | FileError::Incomplete { offset, .. } => {
                problem.with_offset(offset)
            }
            _ => problem,
        }
    }
}

fn of_system(error: Errno) -> (Status, &'static str) {
    match error {
        Errno::NOENT => (Status::NOT_FOUND, "no-file"),
        Errno::EXIST => (Status::CONFLICT, "exists"),
        Errno::NOTDIR => (Status::CONFLICT, "not-a-folder"),
        Errno::ISDIR => (Status::CONFLICT, "is-a-folder"),
        Errno::NOTEMPTY => (Status::CONFLICT, "not-empty"),
        Errno::ACCESS | Errno::PERM => (Status::FORBIDDEN, "permission-denied"),
        Errno::ROFS => (Status::FORBIDDEN, "read-only"),
        Errno::NOSPC | Errno::DQUOT => (Status::INSUFFICIENT_STORAGE, "no-space"),
        Errno::LOOP => (Status::CONFLICT, "too-many-links"),
        Errno::NAMETOOLONG | Errno::INVAL => (Status::BAD_REQUEST, "bad-path"),
        Errno::NXIO | Errno::NODEV => (Status::CONFLICT, "not-a-file"),
        Errno::XDEV => (Status::CONFLICT, "other-filesystem"),
        Errno::OPNOTSUPP => (Status::CONFLICT, "unsupported"),
        Errno::FBIG => (Status::CONFLICT, "too-large"),
        Errno::TXTBSY | Errno::BUSY => (Status::CONFLICT, "in-use"),
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => {
            (Status::SERVICE_UNAVAILABLE, "busy")
        }
        _ => (Status::INTERNAL_SERVER_ERROR, "io-failed"),
    }
}
