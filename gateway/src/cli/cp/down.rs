//! From a workspace to this machine.
//!
//! What a workspace says of its files isn't trusted: nothing is written outside of the place
//! that was named, through no link and under no name that leads elsewhere, and no more than a
//! file was said to have.

use std::path::Path;

use super::local::{Local, NewFolders, umask};
use super::outcome::{Copied, Trouble};
use super::part::{Origin, Part};
use super::place::{below, name, shown};
use super::resume::Patience;
use super::{Folders, Job, Progress, needs_recursive, no_file};
use crate::cli::client::{Content, Entry, EntryKind, Inside, Made, Unanswered};
use crate::cli::failure::{Failure, Kind};

/// Most of a file that has no size, as what the kernel makes up when it is read, in bytes.
const MOST: u64 = 256 * 1024 * 1024;

/// How often a file may be another one while it is copied.
const CHANGES: usize = 5;

/// Copies one file or folder to where it was said; `several` go into a folder.
pub(super) async fn copy(
    mut inside: Inside,
    (from, to, several): (&[u8], &Path, bool),
    (folders, progress, copied): Job<'_>,
) -> Result<(), Trouble> {
    let found = inside.stat(from).await;
    let found = found.map_err(|error| Trouble::there(&inside, error, &shown(from)))?;
    let found = found.ok_or_else(|| {
        let message = format!("there is no {} in the workspace", shown(from));
        Failure::new(Kind::NotFound, message)
    })?;
    if found.kind == EntryKind::Folder && folders == Folders::Refused {
        return Err(needs_recursive(&shown(from)).into());
    }
    let typed = Local::typed(to.to_owned());
    let to = match (to.is_dir(), name(from)) {
        (true, Some(own)) => typed.join(own),
        (false, _) if several || ends_with_slash(to) && found.kind != EntryKind::Folder => {
            let message = format!("{} is no folder: make it first", to.display());
            return Err(Failure::new(Kind::NotFound, message).into());
        }
        // What is in the home, or in `.`; or another name.
        (true, None) | (false, _) => typed,
    };
    let mut down = Down {
        inside,
        progress,
        copied,
        umask: umask(),
    };
    match found.kind {
        EntryKind::Folder => down.tree(from.to_vec(), to, found).await,
        EntryKind::File => {
            progress.found(found.size);
            down.file(from, &to, found).await
        }
        EntryKind::Symlink | EntryKind::Other => Err(no_file(&shown(from)).into()),
    }
}

fn ends_with_slash(path: &Path) -> bool {
    path.to_string_lossy().ends_with('/')
}

struct Down<'a> {
    inside: Inside,
    progress: &'a Progress,
    copied: &'a mut Copied,
    /// Which permissions nobody gets.
    umask: u32,
}

/// Something that is to be copied: its path there, its place here, and what it is.
type Item = (Vec<u8>, Local, Entry);

impl Down<'_> {
    /// Copies a folder with all that is in it.
    async fn tree(&mut self, from: Vec<u8>, to: Local, found: Entry) -> Result<(), Trouble> {
        let mut open = vec![(from, to, found)];
        let mut new = NewFolders::default();
        while let Some((from, to, found)) = open.pop() {
            self.progress.doing(&shown(&from));
            match self.folder((&from, &to, &found), &mut new).await {
                Ok(entries) => {
                    for entry in entries {
                        self.entry((&from, &to), entry, &mut open).await?;
                    }
                }
                Err(trouble) => self.copied.note(shown(&from), Err(trouble))?,
            }
        }
        new.finish()
    }

    /// Makes a folder and returns what is to be in it.
    async fn folder(
        &mut self,
        (from, to, found): (&[u8], &Local, &Entry),
        new: &mut NewFolders,
    ) -> Result<Vec<Entry>, Trouble> {
        if to.make_folder()? == Made::New {
            new.add(to.path.clone(), found.mode() & !self.umask);
        }
        self.copied.folders += 1;
        let entries = self.list(from).await?;
        for entry in &entries {
            if entry.kind == EntryKind::File {
                self.progress.found(entry.size);
            }
        }
        Ok(entries)
    }

    /// Copies what is in a folder; another folder is left for later.
    async fn entry(
        &mut self,
        (from, to): (&[u8], &Local),
        entry: Entry,
        open: &mut Vec<Item>,
    ) -> Result<(), Trouble> {
        let own = entry.name();
        let from = below(from, &own);
        if !is_safe(&own) {
            let message = format!(
                "the workspace has a file {:?}, which can't be one here",
                shown(&own)
            );
            self.copied
                .miss(shown(&from), &Failure::new(Kind::Failed, message));
            return Ok(());
        }
        let to = to.join(&own);
        let outcome = match entry.kind {
            EntryKind::Folder => {
                open.push((from, to, entry));
                return Ok(());
            }
            EntryKind::Symlink => self.link(&to, &entry),
            EntryKind::File => self.file(&from, &to, entry).await,
            EntryKind::Other => {
                self.copied.skipped.push(shown(&from));
                Ok(())
            }
        };
        self.copied.note(shown(&from), outcome)
    }

    async fn list(&mut self, from: &[u8]) -> Result<Vec<Entry>, Trouble> {
        let mut patience = Patience::new();
        loop {
            match self.inside.list(from).await {
                Ok(entries) => return Ok(entries),
                Err(error) => self.again(&mut patience, error, from).await?,
            }
        }
    }

    fn link(&mut self, to: &Local, entry: &Entry) -> Result<(), Trouble> {
        let target = entry.target.as_deref().unwrap_or_default();
        if target.contains(char::REPLACEMENT_CHARACTER) {
            let message = "what the link names is no UTF-8: name it otherwise";
            return Err(Failure::new(Kind::Failed, message).into());
        }
        to.make_link(target)?;
        self.copied.links += 1;
        Ok(())
    }

    async fn file(&mut self, from: &[u8], to: &Local, mut entry: Entry) -> Result<(), Trouble> {
        self.progress.doing(entry.shown());
        let becomes = to.becomes().await?;
        let mode = becomes.mode().unwrap_or(entry.mode() & !self.umask);
        let mut part = Part::open(becomes, &to.path, &self.origin(from, &entry))?;
        if let Err(trouble) = self.whole(from, &mut entry, &mut part).await {
            return Err(match part.rest() {
                Some(rest) => trouble.and(&rest),
                None => trouble,
            });
        }
        let length = part.length();
        part.finish(mode).await?;
        self.copied.files += 1;
        self.copied.bytes += length;
        Ok(())
    }

    /// Fetches all of a file, and anew where it is another one by then.
    async fn whole(
        &mut self,
        from: &[u8],
        entry: &mut Entry,
        part: &mut Part,
    ) -> Result<(), Trouble> {
        let mut patience = Patience::new();
        for _ in 0..CHANGES {
            if self.fetch(from, entry, part, &mut patience).await? == Fetched::Whole {
                return Ok(());
            }
            if !patience.pause().await {
                break;
            }
            let found = self.inside.stat(from).await;
            let found = found.map_err(|error| self.trouble(error, from))?;
            let found = found.filter(|found| found.kind == EntryKind::File);
            *entry = found.ok_or_else(|| {
                let message = format!("{} was removed meanwhile", shown(from));
                Failure::new(Kind::NotFound, message)
            })?;
            part.restart(&self.origin(from, entry))?;
        }
        let message = format!("{} changes while it is copied", shown(from));
        Err(Failure::new(Kind::Failed, message).into())
    }

    /// Fetches what is missing, as often as it is cut off.
    async fn fetch(
        &mut self,
        from: &[u8],
        entry: &Entry,
        part: &mut Part,
        patience: &mut Patience,
    ) -> Result<Fetched, Trouble> {
        let has_size = entry.size > 0;
        let tag = has_size.then_some(entry.etag.as_str());
        self.progress.did(part.length());
        while !has_size || part.length() < entry.size {
            let error = match self.inside.content(from, part.length(), tag).await {
                Ok(None) => return Ok(Fetched::Changed),
                Ok(Some(content)) => match self.pour(content, entry, part, patience).await? {
                    Poured::To(fetched) => return Ok(fetched),
                    Poured::Cut(error) => error,
                },
                Err(error) => error,
            };
            self.again(patience, error, from).await?;
            if !has_size {
                // Nothing says that it is the same.
                part.restart(&self.origin(from, entry))?;
            }
        }
        Ok(Fetched::Whole)
    }

    /// Takes what comes, and no more than was said.
    async fn pour(
        &mut self,
        mut content: Content,
        entry: &Entry,
        part: &mut Part,
        patience: &mut Patience,
    ) -> Result<Poured, Trouble> {
        let has_size = entry.size > 0;
        let most = if has_size { entry.size } else { MOST };
        loop {
            match content.next().await {
                Ok(Some(data)) => {
                    let more = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    if part.length().saturating_add(more) > most {
                        self.inside.hang_up();
                        if has_size {
                            return Ok(Poured::To(Fetched::Changed));
                        }
                        let message = format!("{} has no size, and no end", entry.shown());
                        return Err(Failure::new(Kind::Failed, message).into());
                    }
                    part.write(&data).await?;
                    self.progress.did(more);
                    if has_size && more > 0 {
                        patience.renew();
                    }
                }
                Ok(None) if !has_size || part.length() == entry.size => {
                    return Ok(Poured::To(Fetched::Whole));
                }
                Ok(None) => {
                    let broke = Failure::new(Kind::Unreachable, "the connection broke");
                    return Ok(Poured::Cut(broke.into()));
                }
                Err(error) => return Ok(Poured::Cut(error)),
            }
        }
    }

    fn origin<'a>(&'a self, path: &'a [u8], entry: &'a Entry) -> Origin<'a> {
        Origin {
            workspace: self.inside.id(),
            path,
            tag: &entry.etag,
            size: entry.size,
        }
    }

    async fn again(
        &self,
        patience: &mut Patience,
        error: Unanswered,
        from: &[u8],
    ) -> Result<(), Trouble> {
        let again = patience.after(error).await;
        again.map_err(|error| self.trouble(error, from))
    }

    fn trouble(&self, error: Unanswered, from: &[u8]) -> Trouble {
        Trouble::there(&self.inside, error, &shown(from))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetched {
    Whole,
    /// It is another file by now.
    Changed,
}

/// How an answer ended.
enum Poured {
    To(Fetched),
    Cut(Unanswered),
}

/// Tells whether a name leads nowhere else.
fn is_safe(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}
