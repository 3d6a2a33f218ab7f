//! Opens paths so that they don't leave a folder: by the kernel, or step by step where
//! the kernel doesn't.
//!
//! Both refuse with `EXDEV` what leads out of the folder by `..`, by a symbolic link or
//! by an absolute one, whatever somebody else does to the folders meanwhile
//! (openat2(2), `RESOLVE_BENEATH`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat, statat,
};
use rustix::io::{Errno, Result};

/// Most symbolic links of one path, as in `path_resolution(7)`.
const MAX_LINKS: usize = 40;

/// How often a path is tried while others move its folders.
const ATTEMPTS: usize = 64;

/// Whether the kernel was found not to have openat2: it is older than Linux 5.6, or a
/// filter of system calls doesn't know it.
static MISSING: AtomicBool = AtomicBool::new(false);

/// Who sees to it that a path stays beneath its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The kernel, where it can.
    Kernel,
    /// This module.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests ask for it by name"))]
    Steps,
}

/// Opens a relative path beneath a folder, through symbolic links.
pub(super) fn open(
    how: How,
    folder: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    let by_kernel = how == How::Kernel && !MISSING.load(Ordering::Relaxed);
    for _ in 0..ATTEMPTS {
        let opened = if by_kernel {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            match openat2(folder, path, flags, Mode::empty(), resolve) {
                Err(error @ (Errno::NOSYS | Errno::PERM)) => {
                    if error == Errno::NOSYS {
                        MISSING.store(true, Ordering::Relaxed);
                    }
                    step(folder, path, flags)
                }
                opened => opened,
            }
        } else {
            step(folder, path, flags)
        };
        match opened {
            // Somebody moved a folder of the path, or put a link in its place.
            Err(Errno::AGAIN) => {}
            opened => return opened,
        }
    }
    Err(Errno::XDEV)
}

/// Walks through a path, a name at a time, and follows links itself.
fn step(folder: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let mut left = Vec::new();
    let mut inside: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    push(&mut left, path)?;
    while let Some(name) = left.pop() {
        let here = inside.last().map_or(folder, AsFd::as_fd);
        if name == b".." {
            inside.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let name = name.as_slice();
        let stat = statat(here, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            // One that is no link any more was changed meanwhile.
            let target = readlinkat(here, name, Vec::new()).map_err(again)?;
            push(&mut left, target.as_bytes())?;
            continue;
        }
        if left.is_empty() {
            let opened = openat(here, name, flags | OFlags::NOFOLLOW, Mode::empty());
            let opened = opened.map_err(again)?;
            // With PATH a link that came meanwhile is opened itself.
            let stat = fstat(&opened)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                return Err(Errno::AGAIN);
            }
            return Ok(opened);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        inside.push(openat(here, name, flags, Mode::empty())?);
    }
    let here = inside.last().map_or(folder, AsFd::as_fd);
    openat(here, ".", flags, Mode::empty())
}

fn again(error: Errno) -> Errno {
    match error {
        Errno::INVAL | Errno::LOOP => Errno::AGAIN,
        other => other,
    }
}

/// Puts a path before what is left of one.
fn push(left: &mut Vec<Vec<u8>>, path: &[u8]) -> Result<()> {
    if path.starts_with(b"/") {
        return Err(Errno::XDEV);
    }
    let names = path.rsplit(|byte| *byte == b'/');
    left.extend(
        names
            .filter(|name| !name.is_empty() && *name != b".")
            .map(<[u8]>::to_vec),
    );
    Ok(())
}
