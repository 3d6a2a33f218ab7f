//! The limit of open files: raised for the gateway, as it was for what it starts.

use std::io;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewest files that a server has to be able to open: its start takes about forty, and each
/// agent, connection and channel one more.
pub(crate) const FEWEST: u64 = 128;

/// What the limit was before it was raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises this process's own limit of open files as far as it may go: a connection
/// and each of its channels take one. Only the first call does something.
pub(crate) fn raise() {
    let before = getrlimit(Resource::Nofile);
    let maximum = before.maximum;
    if BEFORE.set(before).is_ok() {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        // Without it there are fewer connections, and running out of them is reported.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// Returns the limit, where a server can't do with so few.
pub(crate) fn too_few() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile).current;
    limit.filter(|limit| *limit < FEWEST)
}

/// Returns the limit from before it was raised, for programs that are started: some
/// break where it is high, so they raise their own.
pub(crate) fn before() -> Option<Rlimit> {
    BEFORE.get().map(|limit| Rlimit {
        current: limit.current,
        maximum: limit.maximum,
    })
}

/// Tells whether something failed because this process, or its host, has as many files
/// open as it may.
pub(crate) fn are_used_up(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}
