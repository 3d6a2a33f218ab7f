//! Finds by name.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, OFlags, readlinkat, statat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::ignored::Rules;
use super::{End, Glob, Scope};
use crate::files::entry::{Kind, Names};
use crate::files::error::{At, FileError};
use crate::files::outgoing::Outgoing;
use crate::files::place::{Root, real_path};
use crate::files::walk::{Found, Go, Visitor, walk};

/// What is looked for.
#[derive(Debug)]
pub(crate) struct Find {
    pub(crate) name: Option<Glob>,
    pub(crate) kind: Option<Kind>,
    pub(crate) scope: Scope,
    pub(crate) limit: u64,
}

/// Opens the folder that is searched.
pub(crate) fn folder(root: &Root, path: &[u8]) -> Result<OwnedFd, FileError> {
    root.open(path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Sends an entry for each thing that is found below a folder.
pub(crate) fn find(
    root: &Root,
    names: &Names,
    folder: OwnedFd,
    find: &Find,
    to: &mut Outgoing,
) -> Result<(), FileError> {
    names.refresh();
    let mut finding = Finding {
        rules: Rules::new(root, folder.as_fd(), find.scope),
        base: real_path(folder.as_fd()),
        names,
        find,
        end: End::default(),
        to,
    };
    walk(folder, &mut finding, &CancellationToken::new())?;
    let end = finding.end;
    to.line(&end).at(b"")
}

struct Finding<'a> {
    rules: Rules,
    base: Vec<u8>,
    names: &'a Names,
    find: &'a Find,
    end: End,
    to: &'a mut Outgoing,
}

impl Visitor for Finding<'_> {
    fn found(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        self.to.tick().at(found.path)?;
        if self.rules.leave_out(found) {
            return Ok(Go::Past);
        }
        let kind = self.find.kind.is_none_or(|kind| kind == found.kind.into());
        let name = self.find.name.as_ref();
        if !kind || !name.is_none_or(|name| name.matches(found.name, found.path)) {
            return Ok(Go::In);
        }
        if self.end.found == self.find.limit {
            self.end.truncated = true;
            return Ok(Go::Home);
        }
        let stat = match statat(found.folder, found.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Go::Past),
            // In a folder that may be read and not entered, say.
            Err(_) => {
                self.end.unreadable += 1;
                return Ok(Go::In);
            }
        };
        let target = if found.kind == FileType::Symlink {
            readlinkat(found.folder, found.name, Vec::new()).ok()
        } else {
            None
        };
        let path = [&self.base, &b"/"[..], found.path].concat();
        let target = target.as_ref().map(CString::as_bytes);
        self.to
            .line(&self.names.entry(&path, &stat, target))
            .at(found.path)?;
        self.end.found += 1;
        Ok(Go::In)
    }

    fn entered(&mut self, folder: BorrowedFd<'_>, path: &[u8]) -> Result<(), FileError> {
        self.rules.enter(folder, path);
        Ok(())
    }

    fn left(&mut self, _: Found<'_>) -> Result<(), FileError> {
        self.rules.leave();
        Ok(())
    }

    fn failed(&mut self, _: FileError) -> Result<(), FileError> {
        self.end.unreadable += 1;
        Ok(())
    }
}
