//! From a workspace to this machine.
//!
//! What a workspace says of its files isn't trusted: nothing is written outside of the place
//! that was named, through no link and under no name that leads elsewhere.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use http_body_util::BodyExt as _;

use super::place::{below, name};
use super::resume::{Patience, key};
use super::{Copied, Folders, Progress, here, needs_recursive};
use crate::cli::client::{Entry, EntryKind, Inside, Unanswered};
use crate::cli::failure::{Failure, Kind};

type Job<'a> = (Folders, &'a Progress, &'a mut Copied);

/// Copies one file or folder to where it was said; `several` go into a folder.
pub(super) async fn copy(
    mut inside: Inside,
    (from, to, several): (&str, &Path, bool),
    (folders, progress, copied): Job<'_>,
) -> Result<(), Failure> {
    let found = inside.stat(from).await;
    let found = found.map_err(|error| inside.explain_about(error, from))?;
    let found = found.ok_or_else(|| {
        let message = format!("there is no {from} in the workspace");
        Failure::new(Kind::NotFound, message)
    })?;
    if found.kind == EntryKind::Folder && folders == Folders::Refused {
        return Err(needs_recursive(from));
    }
    let to = match (to.is_dir(), name(from)) {
        (true, Some(own)) => to.join(own),
        (false, _) if several || ends_with_slash(to) && found.kind != EntryKind::Folder => {
            let message = format!("{} is no folder: make it first", to.display());
            return Err(Failure::new(Kind::NotFound, message));
        }
        // What is in the home, or in `.`; or another name.
        (true, None) | (false, _) => to.to_owned(),
    };
    let mut down = Down {
        inside,
        progress,
        copied,
    };
    match found.kind {
        EntryKind::Folder => down.tree(from.to_owned(), to, found).await,
        EntryKind::File => {
            progress.found(found.size);
            down.file(from, &to, found).await
        }
        _ => {
            copied_nothing(down.copied, from);
            Ok(())
        }
    }
}

fn copied_nothing(copied: &mut Copied, from: &str) {
    copied.skipped.push(from.to_owned());
}

fn ends_with_slash(path: &Path) -> bool {
    path.to_string_lossy().ends_with('/')
}

struct Down<'a> {
    inside: Inside,
    progress: &'a Progress,
    copied: &'a mut Copied,
}

impl Down<'_> {
    /// Copies a folder with all that is in it.
    async fn tree(&mut self, from: String, to: PathBuf, found: Entry) -> Result<(), Failure> {
        // The place itself may be a link: it was named.
        let mut open = vec![(from, to, found)];
        let mut closed = Vec::new();
        let mut first = true;
        while let Some((from, to, found)) = open.pop() {
            self.progress.doing(&from);
            folder(&to, std::mem::take(&mut first))?;
            self.copied.folders += 1;
            closed.push((to.clone(), found.mode()));
            let mut files = Vec::new();
            for entry in self.list(&from).await? {
                let own = safe(&entry)?;
                let (from, to) = (below(&from, own), to.join(own));
                match entry.kind {
                    EntryKind::Folder => open.push((from, to, entry)),
                    EntryKind::Symlink => self.link(&to, &entry)?,
                    EntryKind::File => {
                        self.progress.found(entry.size);
                        files.push((from, to, entry));
                    }
                    EntryKind::Other => copied_nothing(self.copied, &from),
                }
            }
            for (from, to, entry) in files {
                self.file(&from, &to, entry).await?;
            }
        }
        // The innermost first, as one may not be entered any more.
        for (to, mode) in closed.into_iter().rev() {
            let set = fs::set_permissions(&to, Permissions::from_mode(mode));
            set.map_err(|error| here("change", &to, &error))?;
        }
        Ok(())
    }

    async fn list(&mut self, from: &str) -> Result<Vec<Entry>, Failure> {
        let mut patience = Patience::new();
        loop {
            match self.inside.list(from).await {
                Ok(entries) => return Ok(entries),
                Err(error) => self.again(&mut patience, error, from).await?,
            }
        }
    }

    fn link(&mut self, to: &Path, entry: &Entry) -> Result<(), Failure> {
        let target = entry.target.as_deref().unwrap_or_default();
        let made = match symlink(target, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(to).and_then(|()| symlink(target, to))
            }
            made => made,
        };
        made.map_err(|error| here("make the link", to, &error))?;
        self.copied.links += 1;
        Ok(())
    }

    async fn file(&mut self, from: &str, to: &Path, mut entry: Entry) -> Result<(), Failure> {
        self.progress.doing(name(from).unwrap_or(from));
        let mut patience = Patience::new();
        let part = loop {
            let part = Part::open(&self.inside, from, to, &entry)?;
            match self.fetch(from, &entry, part, &mut patience).await? {
                Fetched::Whole(part) => break part,
                Fetched::Changed => {
                    let found = self.inside.stat(from).await;
                    let found = found.map_err(|error| self.inside.explain_about(error, from))?;
                    entry = found.ok_or_else(|| {
                        let message = format!("{from} was removed meanwhile");
                        Failure::new(Kind::NotFound, message)
                    })?;
                }
            }
        };
        part.place(to, entry.mode())?;
        self.copied.files += 1;
        self.copied.bytes += entry.size;
        Ok(())
    }

    /// Fetches what is missing, as often as it is cut off.
    async fn fetch(
        &mut self,
        from: &str,
        entry: &Entry,
        mut part: Part,
        patience: &mut Patience,
    ) -> Result<Fetched, Failure> {
        self.progress.did(part.length);
        while part.length < entry.size {
            let answer = self.inside.content(from, part.length, &entry.etag).await;
            let mut answer = match answer {
                Ok(Some(answer)) => answer,
                Ok(None) => {
                    part.forget();
                    return Ok(Fetched::Changed);
                }
                Err(error) => {
                    self.again(patience, error, from).await?;
                    continue;
                }
            };
            while let Some(frame) = answer.frame().await {
                let Ok(frame) = frame else {
                    break;
                };
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                part.write(&data)?;
                patience.renew();
                self.progress.did(u64::try_from(data.len()).unwrap_or(0));
            }
            if part.length < entry.size {
                let broke = Failure::new(Kind::Unreachable, "the connection broke");
                self.again(patience, Unanswered::Failed(broke), from)
                    .await?;
            }
        }
        if part.length > entry.size {
            part.forget();
            return Ok(Fetched::Changed);
        }
        Ok(Fetched::Whole(part))
    }

    async fn again(
        &self,
        patience: &mut Patience,
        error: Unanswered,
        from: &str,
    ) -> Result<(), Failure> {
        let again = patience.after(error).await;
        again.map_err(|error| self.inside.explain_about(error, from))
    }
}

enum Fetched {
    Whole(Part),
    /// It is another file by now.
    Changed,
}

/// What came of a file, beside its place. It stays where the command is cut off, so that the
/// next one goes on with it: its name says of which file it is.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Part {
    fn open(inside: &Inside, from: &str, to: &Path, entry: &Entry) -> Result<Self, Failure> {
        let size = entry.size.to_string();
        let key = key(&[inside.id(), from, &entry.etag, &size]);
        let own = to.file_name().unwrap_or_default().to_string_lossy();
        let path = to.with_file_name(format!(".{own}.{key}.devgate-part"));
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        options.custom_flags(nix::libc::O_NOFOLLOW);
        let file = options.open(&path);
        let file = file.map_err(|error| here("write", &path, &error))?;
        let found = file
            .metadata()
            .map_err(|error| here("write", &path, &error))?;
        let mut length = found.len();
        if length > entry.size {
            file.set_len(0)
                .map_err(|error| here("write", &path, &error))?;
            length = 0;
        }
        Ok(Self { path, file, length })
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(data);
        written.map_err(|error| here("write", &self.path, &error))?;
        self.length += u64::try_from(data.len()).unwrap_or(0);
        Ok(())
    }

    fn forget(self) {
        // What stays is only in the way.
        let _ = fs::remove_file(&self.path);
    }

    /// Gives it its name.
    fn place(self, to: &Path, mode: u32) -> Result<(), Failure> {
        let placed = self.file.set_permissions(Permissions::from_mode(mode));
        let placed = placed.and_then(|()| fs::rename(&self.path, to));
        placed.map_err(|error| here("write", to, &error))
    }
}

/// Makes a folder, or takes the one that is there; but no link to one, unless it was named.
fn folder(path: &Path, named: bool) -> Result<(), Failure> {
    let made = fs::create_dir(path);
    let found = if named {
        path.metadata()
    } else {
        path.symlink_metadata()
    };
    match (made, found) {
        (_, Ok(found)) if found.is_dir() => {
            let open = Permissions::from_mode(found.permissions().mode() | 0o700);
            let set = fs::set_permissions(path, open);
            set.map_err(|error| here("change", path, &error))
        }
        (_, Ok(_)) => {
            let message = format!("{} is in the way of a folder: move it", path.display());
            Err(Failure::new(Kind::Failed, message))
        }
        (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(here("make", path, &error)),
    }
}

/// Returns a name that leads nowhere else.
fn safe(entry: &Entry) -> Result<&str, Failure> {
    let own = entry.name.as_str();
    if entry.raw_path.is_some() {
        let message = format!("{own} has a name that is no UTF-8: rename it, or leave it out");
        return Err(Failure::new(Kind::Failed, message));
    }
    if own.is_empty() || own == "." || own == ".." || own.contains(['/', '\0']) {
        let message = format!("the workspace has a file {own:?}, which can't be one here");
        return Err(Failure::new(Kind::Failed, message));
    }
    Ok(own)
}
