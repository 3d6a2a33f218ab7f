//! From one place in a workspace to another.

use super::outcome::{Copied, Trouble};
use super::place::{below, name, shown, without_slashes};
use super::{Folders, Job, needs_recursive, no_file};
use crate::cli::client::{Entry, EntryKind, Inside, Made, Over, Unanswered};
use crate::cli::failure::{Failure, Kind};

/// Copies one file or folder; the workspace does it by itself.
pub(super) async fn copy(
    inside: Inside,
    (from, to, several): (&[u8], &[u8], bool),
    (folders, progress, copied): Job<'_>,
) -> Result<(), Trouble> {
    let mut within = Within { inside, copied };
    let found = within.stat_itself(from).await?.ok_or_else(|| {
        let message = format!("there is no {} in the workspace", shown(from));
        Failure::new(Kind::NotFound, message)
    })?;
    if found.kind == EntryKind::Folder && folders == Folders::Refused {
        return Err(needs_recursive(&shown(from)).into());
    }
    progress.doing(&shown(from));
    let there = within.inside.stat(to).await;
    let there = there.map_err(|error| within.trouble(error, to))?;
    let folder = there.is_some_and(|entry| entry.kind == EntryKind::Folder);
    let to = match (folder, name(from)) {
        (true, Some(own)) => below(to, own),
        // What is in `.` or `/`.
        (true, None) => to.to_owned(),
        (false, _) if several || to.ends_with(b"/") && found.kind != EntryKind::Folder => {
            let message = format!("{} is no folder in the workspace: make it first", shown(to));
            return Err(Failure::new(Kind::NotFound, message).into());
        }
        (false, _) => without_slashes(to).to_owned(),
    };
    if let Some(there) = within.stat_itself(&to).await?
        && there.etag == found.etag
    {
        let message = format!("{} and {} are the same", shown(from), shown(&to));
        return Err(Failure::new(Kind::Usage, message).into());
    }
    match found.kind {
        EntryKind::Folder => within.tree(from.to_owned(), to, &found).await,
        EntryKind::Other => Err(no_file(&shown(from)).into()),
        _ => within.file(from, &to, &found).await,
    }
}

struct Within<'a> {
    inside: Inside,
    copied: &'a mut Copied,
}

/// A folder whose copy can't be made at once, as something is there, or in it can't be read.
struct Apart {
    from: Vec<u8>,
    to: Vec<u8>,
    mode: u32,
}

impl Within<'_> {
    /// Copies a folder with all that is in it, into the one that is there.
    async fn tree(&mut self, from: Vec<u8>, to: Vec<u8>, found: &Entry) -> Result<(), Trouble> {
        let mut open = Vec::new();
        open.extend(self.folder(from, to, found).await?);
        // What may not be written to is so only once everything is in it.
        let mut closed = Vec::new();
        while let Some(apart) = open.pop() {
            match self.enter(&apart, &mut closed).await {
                Ok(entries) => {
                    for entry in entries {
                        self.entry(&apart, &entry, &mut open).await?;
                    }
                }
                Err(trouble) => self.copied.note(shown(&apart.from), Err(trouble))?,
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
        Apart { from, to, mode }: &Apart,
        closed: &mut Vec<(Vec<u8>, u32)>,
    ) -> Result<Vec<Entry>, Trouble> {
        let outcome = self.inside.make_folder(to, mode | 0o700).await;
        let outcome = outcome.map_err(|error| self.trouble(error, to))?;
        self.copied.folders += 1;
        if outcome == Made::New && mode & 0o700 != 0o700 {
            closed.push((to.clone(), *mode));
        }
        let entries = self.inside.list(from).await;
        entries.map_err(|error| self.trouble(error, from))
    }

    /// Copies what is in a folder; another one is left for later where it can't be at once.
    async fn entry(
        &mut self,
        Apart { from, to, .. }: &Apart,
        entry: &Entry,
        open: &mut Vec<Apart>,
    ) -> Result<(), Trouble> {
        let own = entry.name();
        let (from, to) = (below(from, &own), below(to, &own));
        let outcome = match entry.kind {
            EntryKind::Folder => {
                let apart = self.folder(from.clone(), to, entry).await;
                apart.map(|apart| open.extend(apart))
            }
            _ => self.file(&from, &to, entry).await,
        };
        self.copied.note(shown(&from), outcome)
    }

    /// Copies a folder at once, or returns it where that can't be.
    async fn folder(
        &mut self,
        from: Vec<u8>,
        to: Vec<u8>,
        found: &Entry,
    ) -> Result<Option<Apart>, Trouble> {
        let error = match self.inside.copy(&from, &to, Over::Nothing).await {
            Ok(()) => {
                self.copied.folders += 1;
                let count = self.inside.count(&to).await;
                self.copied
                    .add(count.map_err(|error| self.trouble(error, &to))?);
                return Ok(None);
            }
            Err(error) => error,
        };
        let apart = matches!(&error, Unanswered::Refused(problem) if matches!(
            problem.code.as_str(),
            // It is there, or is the home; or something in it can't be read.
            "exists" | "bad-path" | "permission-denied" | "io-failed"
        ));
        if !apart {
            return Err(self.trouble(error, &from));
        }
        let mode = found.mode();
        Ok(Some(Apart { from, to, mode }))
    }

    async fn file(&mut self, from: &[u8], to: &[u8], found: &Entry) -> Result<(), Trouble> {
        if found.kind == EntryKind::Other {
            self.copied.skipped.push(shown(from));
            return Ok(());
        }
        let done = self.inside.copy(from, to, Over::Files).await;
        done.map_err(|error| self.trouble(error, to))?;
        if found.kind == EntryKind::Symlink {
            self.copied.links += 1;
        } else {
            self.copied.files += 1;
            self.copied.bytes += found.size;
        }
        Ok(())
    }

    async fn stat_itself(&mut self, path: &[u8]) -> Result<Option<Entry>, Trouble> {
        let found = self.inside.stat_itself(path).await;
        found.map_err(|error| self.trouble(error, path))
    }

    fn trouble(&self, error: Unanswered, what: &[u8]) -> Trouble {
        Trouble::there(&self.inside, error, &shown(what))
    }
}
