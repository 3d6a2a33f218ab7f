//! From this machine into a workspace.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::place::{below, name};
use super::resume::{Patience, Remembered, hex, key};
use super::{Copied, Folders, Progress, here, needs_recursive};
use crate::cli::client::{EntryKind, Inside, Unanswered};
use crate::cli::failure::{Failure, Kind};

/// What is smaller goes up in one request, in bytes.
const SMALL: u64 = 256 * 1024;

/// How much goes up with one request, in bytes: more for as long as that takes little time.
const FIRST_PIECE: usize = 1024 * 1024;
const LAST_PIECE: usize = 8 * 1024 * 1024;
const LITTLE: Duration = Duration::from_secs(1);

type Job<'a> = (Folders, &'a Progress, &'a mut Copied);

/// Copies one file or folder to where it was said; `several` go into a folder.
pub(super) async fn copy(
    mut inside: Inside,
    (from, to, several): (&Path, &str, bool),
    (folders, progress, copied): Job<'_>,
) -> Result<(), Failure> {
    let found = fs::metadata(from).map_err(|error| here("read", from, &error))?;
    if found.is_dir() && folders == Folders::Refused {
        return Err(needs_recursive(&from.display().to_string()));
    }
    let there = inside
        .stat(to)
        .await
        .map_err(|error| inside.explain(error))?;
    let folder = there.is_some_and(|entry| entry.kind == EntryKind::Folder);
    let own = from.file_name().and_then(|name| name.to_str());
    let to = match (folder, own) {
        (true, Some(own)) => below(to, own),
        // What is in `.` or `/`.
        (true, None) => to.to_owned(),
        (false, _) if several || (to.ends_with('/') && found.is_file()) => {
            let message = format!("{to} is no folder in the workspace: make it first");
            return Err(Failure::new(Kind::NotFound, message));
        }
        (false, _) => to.trim_end_matches('/').to_owned(),
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

impl Up<'_> {
    /// Copies a folder with all that is in it.
    async fn tree(&mut self, from: PathBuf, to: String) -> Result<(), Failure> {
        let mut open = vec![(from, to)];
        // What may not be written to is so only once everything is in it.
        let mut closed = Vec::new();
        while let Some((from, to)) = open.pop() {
            let mode = mode(&from)?;
            self.progress.doing(&from.display().to_string());
            self.folder(&to, mode | 0o700).await?;
            if mode & 0o700 != 0o700 {
                closed.push((to.clone(), mode));
            }
            let entries = fs::read_dir(&from).map_err(|error| here("read", &from, &error))?;
            let mut paths = Vec::new();
            for entry in entries {
                let entry = entry.map_err(|error| here("read", &from, &error))?;
                paths.push(entry.path());
            }
            paths.sort();
            let mut files = Vec::new();
            for path in paths {
                let Some(own) = path.file_name().and_then(|name| name.to_str()) else {
                    let message = format!(
                        "{} has a name that is no UTF-8: rename it, or leave it out",
                        path.display()
                    );
                    return Err(Failure::new(Kind::Failed, message));
                };
                let to = below(&to, own);
                let found = path.symlink_metadata();
                let found = found.map_err(|error| here("read", &path, &error))?;
                if found.is_dir() {
                    open.push((path, to));
                } else if found.is_symlink() {
                    self.link(&path, &to).await?;
                } else if found.is_file() {
                    self.progress.found(found.len());
                    files.push((path, to));
                } else {
                    self.copied.skipped.push(path.display().to_string());
                }
            }
            for (path, to) in files {
                self.file(&path, &to).await?;
            }
        }
        // The innermost first.
        for (to, mode) in closed.into_iter().rev() {
            let set = self.inside.set_mode(&to, mode).await;
            set.map_err(|error| self.inside.explain(error))?;
        }
        Ok(())
    }

    async fn folder(&mut self, to: &str, mode: u32) -> Result<(), Failure> {
        let mut patience = Patience::new();
        loop {
            match self.inside.make_folder(to, mode).await {
                Ok(()) => break,
                Err(error) => self.again(&mut patience, error, to).await?,
            }
        }
        self.copied.folders += 1;
        Ok(())
    }

    async fn link(&mut self, from: &Path, to: &str) -> Result<(), Failure> {
        let target = fs::read_link(from).map_err(|error| here("read", from, &error))?;
        let target = target.to_string_lossy().into_owned();
        let mut patience = Patience::new();
        loop {
            match self.inside.make_link(to, &target).await {
                Ok(()) => break,
                // What stands there is replaced, as a file is.
                Err(Unanswered::Refused(problem)) if problem.code == "exists" => {
                    let removed = self.inside.remove(to).await;
                    removed.map_err(|error| self.failed(error, to))?;
                }
                Err(error) => self.again(&mut patience, error, to).await?,
            }
        }
        self.copied.links += 1;
        Ok(())
    }

    async fn file(&mut self, from: &Path, to: &str) -> Result<(), Failure> {
        self.progress.doing(name(to).unwrap_or(to));
        let file = File::open(from).map_err(|error| here("read", from, &error))?;
        let found = file
            .metadata()
            .map_err(|error| here("read", from, &error))?;
        let mode = found.permissions().mode() & 0o777;
        let size = found.len();
        if size <= SMALL {
            self.small(file, (from, to), mode).await?;
        } else {
            let changed = format!("{:?}", found.modified().ok());
            let from_text = from.display().to_string();
            let key = key(&[
                self.inside.id(),
                to,
                &from_text,
                &changed,
                &size.to_string(),
            ]);
            let mut large = Large {
                file,
                from,
                to,
                size,
                hash: Sha256::new(),
                hashed: 0,
            };
            self.large(&mut large, mode, &Remembered::new(&key)).await?;
        }
        self.copied.files += 1;
        self.copied.bytes += size;
        Ok(())
    }

    async fn small(
        &mut self,
        mut file: File,
        (from, to): (&Path, &str),
        mode: u32,
    ) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes);
        read.map_err(|error| here("read", from, &error))?;
        let bytes = Bytes::from(bytes);
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

    async fn large(
        &mut self,
        large: &mut Large<'_>,
        mode: u32,
        remembered: &Remembered,
    ) -> Result<(), Failure> {
        let mut patience = Patience::new();
        let (id, mut offset) = self.begin(large, mode, remembered, &mut patience).await?;
        self.progress.did(offset);
        let mut piece = FIRST_PIECE;
        while offset < large.size {
            let bytes = large.piece(offset, piece)?;
            let sent = u64::try_from(bytes.len()).unwrap_or(0);
            let began = Instant::now();
            match self.inside.send_piece(&id, offset, bytes).await {
                Ok(now) => {
                    self.progress.did(now.saturating_sub(offset).min(sent));
                    offset = now;
                    patience.renew();
                    if began.elapsed() < LITTLE {
                        piece = (piece * 2).min(LAST_PIECE);
                    }
                }
                Err(error) => {
                    piece = FIRST_PIECE;
                    let wrong = matches!(&error, Unanswered::Refused(problem)
                        if problem.code == "wrong-offset");
                    if !wrong {
                        self.again(&mut patience, error, large.to).await?;
                    }
                    // What arrived before the cut counts.
                    match self.inside.upload(&id).await {
                        Ok(Some(upload)) => offset = upload.offset,
                        Ok(None) => {
                            remembered.forget();
                            return Err(Failure::new(
                                Kind::Failed,
                                "the workspace forgot the upload: run this again",
                            ));
                        }
                        Err(error) => self.again(&mut patience, error, large.to).await?,
                    }
                }
            }
        }
        large.hash_to(large.size)?;
        let sum = hex(&large.hash.finalize_reset());
        loop {
            match self.inside.complete(&id, &sum).await {
                Ok(()) => break,
                Err(error) => {
                    if !matches!(&error, Unanswered::Failed(_)) {
                        remembered.forget();
                    }
                    self.again(&mut patience, error, large.to).await?;
                    // It may have been completed before the answer was lost.
                    if let Ok(None) = self.inside.upload(&id).await {
                        break;
                    }
                }
            }
        }
        remembered.forget();
        Ok(())
    }

    /// Begins an upload, or goes on with the one that is remembered.
    async fn begin(
        &mut self,
        large: &Large<'_>,
        mode: u32,
        remembered: &Remembered,
        patience: &mut Patience,
    ) -> Result<(String, u64), Failure> {
        loop {
            let begun = match remembered.id() {
                Some(id) => match self.inside.upload(&id).await {
                    Ok(Some(upload)) if upload.size == large.size => {
                        return Ok((id, upload.offset));
                    }
                    Ok(_) => {
                        remembered.forget();
                        continue;
                    }
                    Err(error) => Err(error),
                },
                None => self.inside.create_upload(large.to, large.size, mode).await,
            };
            match begun {
                Ok(upload) => {
                    remembered.keep(&upload.id);
                    return Ok((upload.id, upload.offset));
                }
                Err(error) => self.again(patience, error, large.to).await?,
            }
        }
    }

    async fn again(
        &self,
        patience: &mut Patience,
        error: Unanswered,
        to: &str,
    ) -> Result<(), Failure> {
        let again = patience.after(error).await;
        again.map_err(|error| self.failed(error, to))
    }

    fn failed(&self, error: Unanswered, to: &str) -> Failure {
        self.inside.explain_about(error, to)
    }
}

/// A file that goes up in pieces.
struct Large<'a> {
    file: File,
    from: &'a Path,
    to: &'a str,
    size: u64,
    hash: Sha256,
    /// How much of it is in the hash.
    hashed: u64,
}

impl Large<'_> {
    /// Reads a piece, which is hashed with what is before it.
    fn piece(&mut self, offset: u64, most: usize) -> Result<Bytes, Failure> {
        self.hash_to(offset)?;
        let most = u64::try_from(most)
            .unwrap_or(u64::MAX)
            .min(self.size - offset);
        let bytes = self.read(offset, most)?;
        if self.hashed == offset {
            self.hash.update(&bytes);
            self.hashed += u64::try_from(bytes.len()).unwrap_or(0);
        }
        Ok(bytes.into())
    }

    fn hash_to(&mut self, offset: u64) -> Result<(), Failure> {
        while self.hashed < offset {
            let most = u64::try_from(LAST_PIECE).unwrap_or(u64::MAX);
            let bytes = self.read(self.hashed, most.min(offset - self.hashed))?;
            self.hash.update(&bytes);
            self.hashed += u64::try_from(bytes.len()).unwrap_or(0);
        }
        Ok(())
    }

    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, Failure> {
        let failed = |error| here("read", self.from, &error);
        self.file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(length).read_to_end(&mut bytes);
        if read.map_err(failed)? == 0 {
            let message = format!(
                "{} became shorter meanwhile: run this again",
                self.from.display()
            );
            return Err(Failure::new(Kind::Failed, message));
        }
        Ok(bytes)
    }
}

fn mode(path: &Path) -> Result<u32, Failure> {
    let found = fs::metadata(path).map_err(|error| here("read", path, &error))?;
    Ok(found.permissions().mode() & 0o777)
}
