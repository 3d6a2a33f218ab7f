//! From this machine into a workspace.

mod large;
mod source;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::outcome::{Copied, Trouble};
use super::place::{below, name, shown, without_slashes};
use super::resume::{Patience, Remembered, key};
use super::{Folders, Job, Progress, needs_recursive};
use crate::cli::client::{EntryKind, Inside, Made, Unanswered};
use crate::cli::failure::{Failure, Kind};
use large::Large;
use source::{Content, Source};

/// Copies one file or folder to where it was said; `several` go into a folder.
pub(super) async fn copy(
    mut inside: Inside,
    (from, to, several): (&Path, &[u8], bool),
    (folders, progress, copied): Job<'_>,
) -> Result<(), Trouble> {
    let found = fs::metadata(from).map_err(|error| Trouble::here("read", from, &error))?;
    if found.is_dir() && folders == Folders::Refused {
        return Err(needs_recursive(&from.display().to_string()).into());
    }
    let there = inside.stat(to).await;
    let there = there.map_err(|error| Trouble::there(&inside, error, &shown(to)))?;
    let folder = there.is_some_and(|entry| entry.kind == EntryKind::Folder);
    let to = match (folder, name(from.as_os_str().as_bytes())) {
        (true, Some(own)) => below(to, own),
        // What is in `.` or `/`.
        (true, None) => to.to_owned(),
        (false, _) if several || (to.ends_with(b"/") && !found.is_dir()) => {
            let message = format!("{} is no folder in the workspace: make it first", shown(to));
            return Err(Failure::new(Kind::NotFound, message).into());
        }
        (false, _) => without_slashes(to).to_owned(),
    };
    let mut up = Up {
        inside,
        progress,
        copied,
    };
    if found.is_dir() {
        up.tree(from.to_owned(), to).await
    } else {
        progress.found(found.len());
        up.file(from, &to).await
    }
}

struct Up<'a> {
    inside: Inside,
    progress: &'a Progress,
    copied: &'a mut Copied,
}

/// A folder that is to be copied: its path here, and the one there.
type Folder = (PathBuf, Vec<u8>);

impl Up<'_> {
    /// Copies a folder with all that is in it.
    async fn tree(&mut self, from: PathBuf, to: Vec<u8>) -> Result<(), Trouble> {
        let mut open = vec![(from, to)];
        // What may not be written to is so only once everything is in it.
        let mut closed = Vec::new();
        while let Some((from, to)) = open.pop() {
            self.progress.doing(&from.display().to_string());
            match self.enter(&from, &to, &mut closed).await {
                Ok(paths) => {
                    for path in paths {
                        let outcome = self.entry(&path, &to, &mut open).await;
                        self.copied.note(path.display().to_string(), outcome)?;
                    }
                }
                Err(trouble) => {
                    let outcome = Err(trouble);
                    self.copied.note(from.display().to_string(), outcome)?;
                }
            }
        }
        // The innermost first.
        for (to, mode) in closed.into_iter().rev() {
            let set = self.inside.set_mode(&to, mode).await;
            set.map_err(|error| self.trouble(error, &to))?;
        }
        Ok(())
    }

    /// Makes a folder, and returns what is to be in it.
    async fn enter(
        &mut self,
        from: &Path,
        to: &[u8],
        closed: &mut Vec<(Vec<u8>, u32)>,
    ) -> Result<Vec<PathBuf>, Trouble> {
        let failed = |error| Trouble::here("read", from, &error);
        let mode = fs::metadata(from).map_err(failed)?.permissions().mode() & 0o777;
        let mut paths = Vec::new();
        for entry in fs::read_dir(from).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if let Ok(found) = path.symlink_metadata()
                && found.is_file()
            {
                self.progress.found(found.len());
            }
            paths.push(path);
        }
        paths.sort();
        let outcome = self.folder(to, mode | 0o700).await?;
        if outcome == Made::New && mode & 0o700 != 0o700 {
            closed.push((to.to_owned(), mode));
        }
        Ok(paths)
    }

    /// Copies what is in a folder; another folder is left for later.
    async fn entry(
        &mut self,
        path: &Path,
        to: &[u8],
        open: &mut Vec<Folder>,
    ) -> Result<(), Trouble> {
        let found = path.symlink_metadata();
        let found = found.map_err(|error| Trouble::here("read", path, &error))?;
        let own = path.file_name().unwrap_or_default();
        let to = below(to, own.as_bytes());
        if found.is_dir() {
            open.push((path.to_owned(), to));
        } else if found.is_symlink() {
            self.link(path, &to).await?;
        } else if found.is_file() {
            self.file(path, &to).await?;
        } else {
            self.copied.skipped.push(path.display().to_string());
        }
        Ok(())
    }

    async fn folder(&mut self, to: &[u8], mode: u32) -> Result<Made, Trouble> {
        let mut patience = Patience::new();
        let outcome = loop {
            match self.inside.make_folder(to, mode).await {
                Ok(outcome) => break outcome,
                Err(error) => self.again(&mut patience, error, to).await?,
            }
        };
        self.copied.folders += 1;
        Ok(outcome)
    }

    async fn link(&mut self, from: &Path, to: &[u8]) -> Result<(), Trouble> {
        let target = fs::read_link(from).map_err(|error| Trouble::here("read", from, &error))?;
        let target = target.to_str().ok_or_else(|| {
            let message = format!(
                "{} names what is no UTF-8: name it otherwise",
                from.display()
            );
            Failure::new(Kind::Failed, message)
        })?;
        let mut patience = Patience::new();
        loop {
            match self.inside.make_link(to, target).await {
                Ok(()) => break,
                Err(Unanswered::Refused(problem)) if problem.code == "exists" => {
                    self.give_way(to).await?;
                }
                Err(error) => self.again(&mut patience, error, to).await?,
            }
        }
        self.copied.links += 1;
        Ok(())
    }

    /// Removes what a link takes the place of, as a file does; but no folder.
    async fn give_way(&mut self, to: &[u8]) -> Result<(), Trouble> {
        let there = self.inside.stat_itself(to).await;
        let there = there.map_err(|error| self.trouble(error, to))?;
        if there.is_some_and(|there| there.kind == EntryKind::Folder) {
            let message = format!(
                "{} is a folder, and in the way of a link: move it",
                shown(to)
            );
            return Err(Failure::new(Kind::Failed, message).into());
        }
        let removed = self.inside.remove(to).await;
        removed.map_err(|error| self.trouble(error, to))
    }

    async fn file(&mut self, from: &Path, to: &[u8]) -> Result<(), Trouble> {
        self.progress.doing(&shown(name(to).unwrap_or(to)));
        let Source { mode, content } = Source::open(from).await?;
        let size = match content {
            Content::Small(bytes) => {
                let size = u64::try_from(bytes.len()).unwrap_or(0);
                self.small(bytes, to, mode).await?;
                size
            }
            Content::File { file, size, tag } => {
                let remembered = tag.map_or_else(Remembered::nothing, |tag| {
                    let from = from.as_os_str().as_bytes();
                    let workspace = self.inside.id().as_bytes();
                    Remembered::upload(&key(&[workspace, to, from, tag.as_bytes()]))
                });
                let mut large = Large::new((from, to), (file, size), mode);
                self.large(&mut large, &remembered).await?;
                size
            }
        };
        self.copied.files += 1;
        self.copied.bytes += size;
        Ok(())
    }

    async fn small(&mut self, bytes: Bytes, to: &[u8], mode: u32) -> Result<(), Trouble> {
        let mut patience = Patience::new();
        loop {
            match self.inside.put(to, mode, bytes.clone()).await {
                Ok(()) => break,
                // It comes to the same twice.
                Err(error) => self.again(&mut patience, error, to).await?,
            }
        }
        self.progress.did(u64::try_from(bytes.len()).unwrap_or(0));
        Ok(())
    }

    async fn again(
        &self,
        patience: &mut Patience,
        error: Unanswered,
        to: &[u8],
    ) -> Result<(), Trouble> {
        let again = patience.after(error).await;
        again.map_err(|error| self.trouble(error, to))
    }

    fn trouble(&self, error: Unanswered, to: &[u8]) -> Trouble {
        Trouble::there(&self.inside, error, &shown(to))
    }
}
