//! Requests that failed, as the client is told of them.

use std::borrow::Cow;
use std::io;

use rustix::io::Errno;

use super::wire::{Status, Truncated};

/// Why a request failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// What kind of failure it was.
    pub(super) status: Status,
    /// A sentence for the person; clients that show their own text ignore it.
    pub(super) message: Cow<'static, str>,
    /// Whether the session ends, because the client can't be understood.
    pub(super) fatal: bool,
}

impl Failure {
    /// A failure with a text of our own.
    pub(super) fn new(status: Status, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            fatal: false,
        }
    }

    /// The end of a file or a folder.
    pub(super) fn end() -> Self {
        Self::new(Status::Eof, "End of file")
    }
}

impl From<Truncated> for Failure {
    fn from(Truncated: Truncated) -> Self {
        Self {
            fatal: true,
            ..Self::new(Status::BadMessage, "the request ends before its fields do")
        }
    }
}

impl From<Errno> for Failure {
    /// Maps errors to statuses as OpenSSH does, and says the system's own words.
    fn from(error: Errno) -> Self {
        let status = match error {
            Errno::NOENT | Errno::NOTDIR | Errno::BADF | Errno::LOOP => Status::NoSuchFile,
            Errno::PERM | Errno::ACCESS | Errno::FAULT => Status::PermissionDenied,
            Errno::NAMETOOLONG | Errno::INVAL => Status::BadMessage,
            Errno::NOSYS | Errno::OPNOTSUPP => Status::OpUnsupported,
            _ => Status::Failure,
        };
        let mut message = io::Error::from(error).to_string();
        if let Some(end) = message.rfind(" (os error") {
            message.truncate(end);
        }
        Self::new(status, message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => Self::new(Status::Failure, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_statuses_with_the_systems_words() {
        let failure = Failure::from(Errno::NOENT);
        assert_eq!(failure.status, Status::NoSuchFile);
        assert_eq!(failure.message, "No such file or directory");
        let failure = Failure::from(Errno::NOSPC);
        assert_eq!(failure.status, Status::Failure);
        assert_eq!(failure.message, "No space left on device");
    }
}
