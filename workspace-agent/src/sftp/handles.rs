//! The files and folders that a client holds open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::failure::Failure;
use super::folders::Listing;
use super::wire::Status;

/// Most handles that one client may hold; it is told by `limits@openssh.com`.
pub(super) const MAX_HANDLES: usize = 1000;

/// What a handle stands for.
#[derive(Debug)]
pub(super) enum Handle {
    /// An open file.
    File(OwnedFd),
    /// A folder that is being listed.
    Folder(Listing),
}

/// All handles of one client. On the wire a handle is its place, four bytes.
#[derive(Debug, Default)]
pub(super) struct Handles {
    places: Vec<Option<Handle>>,
    free: Vec<usize>,
}

impl Handles {
    /// Refuses where no handle is left, before anything is opened.
    pub(super) fn check_room(&self) -> Result<(), Failure> {
        if self.free.is_empty() && self.places.len() >= MAX_HANDLES {
            let message = format!(
                "{MAX_HANDLES} files and folders are open, which is the limit; close some first"
            );
            return Err(Failure::new(Status::Failure, message));
        }
        Ok(())
    }

    /// Keeps something open and returns its name on the wire.
    pub(super) fn add(&mut self, handle: Handle) -> [u8; 4] {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        if let Some(entry) = self.places.get_mut(place) {
            *entry = Some(handle);
        }
        u32::try_from(place).unwrap_or(u32::MAX).to_be_bytes()
    }

    /// Takes a handle away; dropping it closes it.
    pub(super) fn remove(&mut self, name: &[u8]) -> Result<Handle, Failure> {
        let place = place(name).ok_or_else(unknown)?;
        let handle = self
            .places
            .get_mut(place)
            .and_then(Option::take)
            .ok_or_else(unknown)?;
        self.free.push(place);
        Ok(handle)
    }

    /// Returns what a file's or a folder's handle stands for.
    pub(super) fn any(&self, name: &[u8]) -> Result<BorrowedFd<'_>, Failure> {
        match self.get(name)? {
            Handle::File(file) => Ok(file.as_fd()),
            Handle::Folder(folder) => Ok(folder.fd()?),
        }
    }

    /// Returns what a file's handle stands for.
    pub(super) fn file(&self, name: &[u8]) -> Result<BorrowedFd<'_>, Failure> {
        match self.get(name)? {
            Handle::File(file) => Ok(file.as_fd()),
            Handle::Folder(_) => Err(Failure::new(
                Status::Failure,
                "the handle is a folder's, not a file's",
            )),
        }
    }

    /// Returns what a folder's handle stands for.
    pub(super) fn folder(&mut self, name: &[u8]) -> Result<&mut Listing, Failure> {
        let handle = place(name).and_then(|place| self.places.get_mut(place)?.as_mut());
        match handle.ok_or_else(unknown)? {
            Handle::Folder(folder) => Ok(folder),
            Handle::File(_) => Err(Failure::new(
                Status::Failure,
                "the handle is a file's, not a folder's",
            )),
        }
    }

    fn get(&self, name: &[u8]) -> Result<&Handle, Failure> {
        place(name)
            .and_then(|place| self.places.get(place)?.as_ref())
            .ok_or_else(unknown)
    }
}

fn place(name: &[u8]) -> Option<usize> {
    let bytes = <[u8; 4]>::try_from(name).ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

fn unknown() -> Failure {
    Failure::new(
        Status::Failure,
        "no such handle; it was closed or never opened",
    )
}
