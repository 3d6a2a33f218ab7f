//! Requests about paths: what is there, and how it is changed.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, RenameFlags};
use rustix::io::Errno;

use super::attributes::{self, Attributes, Target};
use super::failure::Failure;
use super::session::Session;
use super::wire::{Fields, Status, kind};

/// How many symbolic links are followed at a path's end, as the kernel does.
const MAX_LINKS: usize = 40;

impl<W: Write> Session<W> {
    /// `SSH_FXP_STAT`, §6.8.
    pub(super) fn stat(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        self.answer_stat(id, fields.string()?, AtFlags::empty())
    }

    /// `SSH_FXP_LSTAT`, §6.8.
    pub(super) fn lstat(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        self.answer_stat(id, fields.string()?, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn answer_stat(&mut self, id: u32, path: &[u8], flags: AtFlags) -> Result<(), Failure> {
        let stat = rustix::fs::statat(self.base(), path, flags)?;
        self.output.start(kind::ATTRS, id);
        attributes::put(&mut self.output, &stat);
        self.output.finish();
        Ok(())
    }

    /// `SSH_FXP_SETSTAT`, §6.9.
    pub(super) fn setstat(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let path = fields.string()?;
        Attributes::read(&mut fields)?.apply(Target::Path(self.base(), path))?;
        self.output.done(id);
        Ok(())
    }

    /// `lsetstat@openssh.com`.
    pub(super) fn lsetstat(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let path = fields.string()?;
        Attributes::read(&mut fields)?.apply(Target::Link(self.base(), path))?;
        self.output.done(id);
        Ok(())
    }

    /// `SSH_FXP_REMOVE`, §6.5.
    pub(super) fn remove(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        rustix::fs::unlinkat(self.base(), fields.string()?, AtFlags::empty())?;
        self.output.done(id);
        Ok(())
    }

    /// `SSH_FXP_MKDIR`, §6.6.
    pub(super) fn mkdir(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let path = fields.string()?;
        let mode = Attributes::read(&mut fields)?.mode(0o777);
        rustix::fs::mkdirat(self.base(), path, mode)?;
        self.output.done(id);
        Ok(())
    }

    /// `SSH_FXP_RMDIR`, §6.6.
    pub(super) fn rmdir(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        rustix::fs::unlinkat(self.base(), fields.string()?, AtFlags::REMOVEDIR)?;
        self.output.done(id);
        Ok(())
    }

    /// `SSH_FXP_RENAME`, §6.5, which replaces nothing.
    pub(super) fn rename(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let (old, new) = (fields.string()?, fields.string()?);
        let base = self.base();
        match rustix::fs::renameat_with(base, old, base, new, RenameFlags::NOREPLACE) {
            // Filesystems without that flag.
            Err(Errno::INVAL | Errno::NOSYS) => self.rename_without_flags(old, new)?,
            renamed => renamed?,
        }
        self.output.done(id);
        Ok(())
    }

    /// Renames so that nothing is replaced where the filesystem can't promise it:
    /// a file by a second link, anything else after a look.
    fn rename_without_flags(&self, old: &[u8], new: &[u8]) -> Result<(), Failure> {
        let base = self.base();
        let stat = rustix::fs::statat(base, old, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            match rustix::fs::linkat(base, old, base, new, AtFlags::empty()) {
                Ok(()) => return Ok(rustix::fs::unlinkat(base, old, AtFlags::empty())?),
                // No hard links here either.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM | Errno::MLINK) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match rustix::fs::statat(base, new, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(rustix::fs::renameat(base, old, base, new)?),
            Err(error) => Err(error.into()),
            Ok(_) => Err(Errno::EXIST.into()),
        }
    }

    /// `posix-rename@openssh.com`, which replaces what is there.
    pub(super) fn posix_rename(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let (old, new) = (fields.string()?, fields.string()?);
        rustix::fs::renameat(self.base(), old, self.base(), new)?;
        self.output.done(id);
        Ok(())
    }

    /// `hardlink@openssh.com`.
    pub(super) fn hardlink(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let (old, new) = (fields.string()?, fields.string()?);
        rustix::fs::linkat(self.base(), old, self.base(), new, AtFlags::empty())?;
        self.output.done(id);
        Ok(())
    }

    /// `SSH_FXP_SYMLINK`, §6.10. The target comes first, as OpenSSH has it and
    /// everybody since, not as the draft does.
    pub(super) fn symlink(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let (target, link) = (fields.string()?, fields.string()?);
        rustix::fs::symlinkat(target, self.base(), link)?;
        self.output.done(id);
        Ok(())
    }

    /// `SSH_FXP_READLINK`, §6.10.
    pub(super) fn readlink(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let target = rustix::fs::readlinkat(self.base(), fields.string()?, Vec::new())?;
        self.output.name(id, target.as_bytes());
        Ok(())
    }

    /// `SSH_FXP_REALPATH`, §6.11.
    pub(super) fn realpath(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let path = self.home.join(as_path(fields.string()?)?);
        self.answer_path(id, path)
    }

    /// `expand-path@openssh.com`: `~` and `~user` at a path's begin.
    pub(super) fn expand_path(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let path = fields.string()?;
        let expanded = match path.strip_prefix(b"~") {
            None => self.home.join(as_path(path)?),
            Some(rest) => {
                let end = rest.iter().position(|&byte| byte == b'/');
                let (user, rest) = rest.split_at(end.unwrap_or(rest.len()));
                let rest = rest.strip_prefix(b"/").unwrap_or(rest);
                self.home_of(user)?.join(as_path(rest)?)
            }
        };
        self.answer_path(id, expanded)
    }

    /// `home-directory` (draft-ietf-secsh-filexfer-extensions-00 §5).
    pub(super) fn home_directory(
        &mut self,
        id: u32,
        mut fields: Fields<'_>,
    ) -> Result<(), Failure> {
        let home = self.home_of(fields.string()?)?;
        self.output.name(id, home.as_os_str().as_bytes());
        Ok(())
    }

    /// Returns a user's home directory; no name means the workspace's own.
    fn home_of(&mut self, user: &[u8]) -> Result<PathBuf, Failure> {
        if user.is_empty() {
            return Ok(self.home.clone());
        }
        self.accounts.refresh();
        match self.accounts.home(user) {
            Some(home) => Ok(home.to_owned()),
            None => Err(Failure::new(Status::NoSuchFile, "no such user")),
        }
    }

    fn answer_path(&mut self, id: u32, path: PathBuf) -> Result<(), Failure> {
        let resolved = resolve(path)?;
        self.output.name(id, resolved.as_os_str().as_bytes());
        Ok(())
    }
}

fn as_path(bytes: &[u8]) -> Result<&Path, Failure> {
    if bytes.contains(&0) {
        return Err(Errno::INVAL.into());
    }
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// Resolves a path whose last part need not exist: clients ask where a file that
/// they are about to make will be.
fn resolve(mut path: PathBuf) -> io::Result<PathBuf> {
    for _ in 0..MAX_LINKS {
        let missing = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => error,
            resolved => return resolved,
        };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(missing);
        };
        let folder = folder.canonicalize()?;
        let last = folder.join(name);
        match last.read_link() {
            Ok(target) => path = folder.join(target),
            Err(_) => return Ok(last),
        }
    }
    Err(Errno::LOOP.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_resolved_though_its_last_part_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("d")).unwrap();
        std::os::unix::fs::symlink("d/new", root.join("dangling")).unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let at = |path: &str| resolve(root.join(path));
        assert_eq!(at("d/../d/x").unwrap(), root.join("d/x"));
        assert_eq!(at("dangling").unwrap(), root.join("d/new"));
        assert_eq!(at("d/.").unwrap(), root.join("d"));
        assert_eq!(at("x/y").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(at("x/..").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(at("loop").is_err());
    }
}
