//! Files that go up in pieces, as uploads that the workspace keeps.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::task::yield_now;

use super::Up;
use crate::cli::client::{Entry, EntryKind, Unanswered};
use crate::cli::cp::outcome::Trouble;
use crate::cli::cp::place::shown;
use crate::cli::cp::resume::{Patience, Remembered};
use crate::cli::failure::{Failure, Kind};

/// How much goes up with one request, in bytes: more for as long as that takes little time.
const FIRST_PIECE: usize = 1024 * 1024;
const LAST_PIECE: usize = 8 * 1024 * 1024;
const LITTLE: Duration = Duration::from_secs(1);

/// How often the workspace may have less than it said that it has.
const SETBACKS: u32 = 4;

/// A file that goes up in pieces.
pub(super) struct Large<'a> {
    file: File,
    from: &'a Path,
    to: &'a [u8],
    size: u64,
    mode: u32,
    hash: Sha256,
    /// How much of it is in the hash.
    hashed: u64,
}

impl Up<'_> {
    /// Sends all of a file, and what is remembered of it only the rest.
    pub(super) async fn large(
        &mut self,
        large: &mut Large<'_>,
        remembered: &Remembered,
    ) -> Result<(), Trouble> {
        let mut patience = Patience::new();
        let (id, mut offset) = self.begin(large, remembered, &mut patience).await?;
        self.progress.did(offset);
        let (mut piece, mut setbacks) = (FIRST_PIECE, 0);
        while offset < large.size {
            let bytes = large.piece(offset, piece).await?;
            let sent = u64::try_from(bytes.len()).unwrap_or(0);
            let began = Instant::now();
            let mut broke_off = false;
            let now = match self.inside.send_piece(&id, offset, bytes).await {
                Ok(now) => {
                    if began.elapsed() < LITTLE {
                        piece = (piece * 2).min(LAST_PIECE);
                    }
                    now
                }
                Err(error) => {
                    piece = FIRST_PIECE;
                    if !is(&error, "wrong-offset") {
                        broke_off = true;
                        self.again(&mut patience, error, large.to).await?;
                    }
                    // What arrived before the cut counts.
                    self.arrived(&id, large, remembered, &mut patience).await?
                }
            };
            self.progress.did(now.saturating_sub(offset).min(sent));
            if now > offset {
                patience.renew();
                setbacks = 0;
            } else if now < offset || !broke_off {
                setbacks += 1;
                if setbacks > SETBACKS || !patience.pause().await {
                    let message = format!("{}: the workspace loses what is sent", shown(large.to));
                    return Err(Failure::new(Kind::Failed, message).into());
                }
            }
            offset = now;
        }
        self.complete(&id, large, remembered).await
    }

    /// Begins an upload, or goes on with the one that is remembered.
    async fn begin(
        &mut self,
        large: &Large<'_>,
        remembered: &Remembered,
        patience: &mut Patience,
    ) -> Result<(String, u64), Trouble> {
        loop {
            let known = match remembered.id() {
                Some(id) => self.inside.upload(&id).await,
                None => Ok(None),
            };
            let begun = match known {
                Ok(Some(upload)) if upload.size == large.size => Ok(upload),
                Ok(_) => {
                    let (to, size, mode) = (large.to, large.size, large.mode);
                    self.inside.create_upload(to, size, mode).await
                }
                Err(error) => Err(error),
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

    /// Asks how much of it is there.
    async fn arrived(
        &mut self,
        id: &str,
        large: &Large<'_>,
        remembered: &Remembered,
        patience: &mut Patience,
    ) -> Result<u64, Trouble> {
        loop {
            match self.inside.upload(id).await {
                Ok(Some(upload)) => return Ok(upload.offset),
                Ok(None) => return Err(lost(large, remembered)),
                Err(error) => self.again(patience, error, large.to).await?,
            }
        }
    }

    /// Gives it its name. An answer may be lost: then the file says whether it has it.
    async fn complete(
        &mut self,
        id: &str,
        large: &mut Large<'_>,
        remembered: &Remembered,
    ) -> Result<(), Trouble> {
        large.hash_to(large.size).await?;
        let sum = hex::encode(large.hash.finalize_reset());
        let before = self.there(large.to).await?;
        let mut patience = Patience::new();
        loop {
            match self.inside.complete(id, &sum).await {
                Ok(()) => break,
                Err(error) if is(&error, "no-upload") => {
                    let now = self.there(large.to).await?;
                    if is_new(now.as_ref(), before.as_ref(), large.size) {
                        break;
                    }
                    return Err(lost(large, remembered));
                }
                Err(error) => {
                    if !matches!(&error, Unanswered::Failed(_)) {
                        remembered.forget();
                    }
                    self.again(&mut patience, error, large.to).await?;
                }
            }
        }
        remembered.forget();
        Ok(())
    }

    async fn there(&mut self, to: &[u8]) -> Result<Option<Entry>, Trouble> {
        let mut patience = Patience::new();
        loop {
            match self.inside.stat(to).await {
                Ok(found) => return Ok(found),
                Err(error) => self.again(&mut patience, error, to).await?,
            }
        }
    }
}

/// Tells whether what is there is what an upload of this size became.
fn is_new(now: Option<&Entry>, before: Option<&Entry>, size: u64) -> bool {
    now.is_some_and(|now| {
        let other = before.is_none_or(|before| before.etag != now.etag);
        now.kind == EntryKind::File && now.size == size && other
    })
}

fn is(error: &Unanswered, code: &str) -> bool {
    matches!(error, Unanswered::Refused(problem) if problem.code == code)
}

fn lost(large: &Large<'_>, remembered: &Remembered) -> Trouble {
    remembered.forget();
    let message = format!(
        "{}: the workspace forgot the upload: run this again",
        shown(large.to)
    );
    Failure::new(Kind::Failed, message).into()
}

impl<'a> Large<'a> {
    pub(super) fn new(
        (from, to): (&'a Path, &'a [u8]),
        (file, size): (File, u64),
        mode: u32,
    ) -> Self {
        Self {
            file,
            from,
            to,
            size,
            mode,
            hash: Sha256::new(),
            hashed: 0,
        }
    }

    /// Reads a piece, which is hashed with what is before it.
    async fn piece(&mut self, offset: u64, most: usize) -> Result<Bytes, Trouble> {
        self.hash_to(offset).await?;
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

    /// Hashes what is before, which may be much: it can be interrupted.
    async fn hash_to(&mut self, offset: u64) -> Result<(), Trouble> {
        while self.hashed < offset {
            let most = u64::try_from(LAST_PIECE).unwrap_or(u64::MAX);
            let bytes = self.read(self.hashed, most.min(offset - self.hashed))?;
            self.hash.update(&bytes);
            self.hashed += u64::try_from(bytes.len()).unwrap_or(0);
            yield_now().await;
        }
        Ok(())
    }

    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, Trouble> {
        let failed = |error| Trouble::here("read", self.from, &error);
        self.file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(length).read_to_end(&mut bytes);
        if read.map_err(failed)? == 0 {
            let message = format!(
                "{} became shorter meanwhile: run this again",
                self.from.display()
            );
            return Err(Failure::new(Kind::Failed, message).into());
        }
        Ok(bytes)
    }
}
