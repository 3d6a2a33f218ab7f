//! Command lines that are longer than one argument may be.
//!
//! The kernel takes 128 KiB a string (execve(2), `MAX_ARG_STRLEN`). A longer line is put
//! into memory that the shell reads with its `.` command, so that everything but its
//! length stays as it was: `$0`, stdin, the exit status.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Longest argument, its terminating null byte included.
const MAX_ARGUMENT: usize = 32 * 4096;

/// Shells whose `.` command reads a file.
const SHELLS: [&str; 8] = ["ash", "bash", "busybox", "dash", "ksh", "mksh", "sh", "zsh"];

/// A command line as a shell can be given it.
pub(crate) struct Script {
    /// What follows `-c`.
    pub(crate) argument: Vec<u8>,
    /// What the shell must inherit for that.
    pub(crate) inherited: Option<OwnedFd>,
}

/// Prepares a command line for a shell.
///
/// # Errors
/// `ArgumentListTooLong` where it is too long for an argument and the shell isn't
/// known to read files.
pub(crate) fn prepare(line: &[u8], shell: &Path) -> io::Result<Script> {
    if line.len() < MAX_ARGUMENT {
        return Ok(Script {
            argument: line.to_vec(),
            inherited: None,
        });
    }
    let known = shell
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| SHELLS.contains(&name));
    if !known {
        return Err(io::ErrorKind::ArgumentListTooLong.into());
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("devgate-command", flags)?);
    file.write_all(line)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
    fcntl_add_seals(&file, seals)?;
    let argument = format!(". /proc/self/fd/{}", file.as_raw_fd());
    Ok(Script {
        argument: argument.into_bytes(),
        inherited: Some(file.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_no_argument_holds_is_read_from_memory_or_refused() {
        let short = prepare(b"true", Path::new("/bin/fish")).unwrap();
        assert_eq!(short.argument, b"true");
        let long = vec![b'x'; MAX_ARGUMENT];
        let script = prepare(&long, Path::new("/bin/bash")).unwrap();
        assert!(script.inherited.is_some());
        assert!(prepare(&long, Path::new("/usr/bin/fish")).is_err());
    }
}
