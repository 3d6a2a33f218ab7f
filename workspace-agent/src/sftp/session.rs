//! One client's session: its state, and which request is answered by whom.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tokio_util::sync::CancellationToken;

use super::accounts::Accounts;
use super::extended;
use super::failure::Failure;
use super::handles::Handles;
use super::output::Output;
use super::wire::{Fields, Status, VERSION, kind};

/// Whether the session goes on after a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// With the next packet.
    Continue,
    /// It ends: the client can't be understood.
    End,
}

/// One client's session.
#[derive(Debug)]
pub(super) struct Session<W> {
    pub(super) output: Output<W>,
    pub(super) handles: Handles,
    pub(super) accounts: Accounts,
    /// Where relative paths start.
    pub(super) home: PathBuf,
    /// Long requests look at it.
    pub(super) stop: CancellationToken,
    /// A line of a listing; kept, so that there is one allocation for all.
    pub(super) line: Vec<u8>,
    base: OwnedFd,
    initialised: bool,
}

impl<W: Write> Session<W> {
    /// Begins a session that starts in `home`, or at the root where that folder
    /// can't be entered.
    pub(super) fn new(output: W, home: &Path, stop: CancellationToken) -> rustix::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |path: &Path| rustix::fs::open(path, flags, Mode::empty());
        let (base, home) = match open(home) {
            Ok(base) => (base, home),
            Err(_) => (open(Path::new("/"))?, Path::new("/")),
        };
        Ok(Self {
            output: Output::new(output),
            handles: Handles::default(),
            accounts: Accounts::new(Path::new("/etc")),
            home: home.canonicalize().unwrap_or_else(|_| home.to_owned()),
            stop,
            line: Vec::new(),
            base,
            initialised: false,
        })
    }

    /// Where relative paths start. No session changes the process's own working
    /// directory, so many run in one process.
    pub(super) fn base(&self) -> BorrowedFd<'_> {
        self.base.as_fd()
    }

    /// Answers one packet.
    pub(super) fn answer(&mut self, packet: &[u8]) -> Next {
        let mut fields = Fields::new(packet);
        let Ok(kind) = fields.byte() else {
            return Next::End;
        };
        if kind == kind::INIT {
            return self.initialise(fields);
        }
        let Ok(id) = fields.u32() else {
            return Next::End;
        };
        if !self.initialised {
            let message = "the first packet has to be SSH_FXP_INIT";
            self.output.status(id, Status::BadMessage, message);
            return Next::End;
        }
        match self.dispatch(kind, id, fields) {
            Ok(()) => Next::Continue,
            Err(failure) => {
                self.output.abandon();
                self.output.status(id, failure.status, &failure.message);
                if failure.fatal {
                    Next::End
                } else {
                    Next::Continue
                }
            }
        }
    }

    /// Answers with our version and the extensions, whatever the client's are.
    fn initialise(&mut self, mut fields: Fields<'_>) -> Next {
        if fields.u32().is_err() {
            return Next::End;
        }
        self.initialised = true;
        self.output.start(kind::VERSION, VERSION);
        for (name, version) in extended::ADVERTISED {
            self.output.string(name.as_bytes());
            self.output.string(version.as_bytes());
        }
        self.output.finish();
        Next::Continue
    }

    fn dispatch(&mut self, kind: u8, id: u32, fields: Fields<'_>) -> Result<(), Failure> {
        match kind {
            kind::OPEN => self.open(id, fields),
            kind::CLOSE => self.close(id, fields),
            kind::READ => self.read(id, fields),
            kind::WRITE => self.write(id, fields),
            kind::STAT => self.stat(id, fields),
            kind::LSTAT => self.lstat(id, fields),
            kind::FSTAT => self.fstat(id, fields),
            kind::SETSTAT => self.setstat(id, fields),
            kind::FSETSTAT => self.fsetstat(id, fields),
            kind::OPENDIR => self.opendir(id, fields),
            kind::READDIR => self.readdir(id, fields),
            kind::REMOVE => self.remove(id, fields),
            kind::MKDIR => self.mkdir(id, fields),
            kind::RMDIR => self.rmdir(id, fields),
            kind::REALPATH => self.realpath(id, fields),
            kind::RENAME => self.rename(id, fields),
            kind::READLINK => self.readlink(id, fields),
            kind::SYMLINK => self.symlink(id, fields),
            kind::EXTENDED => self.extended(id, fields),
            _ => Err(Failure::new(
                Status::OpUnsupported,
                format!("the server doesn't know requests of type {kind}"),
            )),
        }
    }
}
