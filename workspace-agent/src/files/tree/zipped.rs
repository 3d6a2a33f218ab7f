//! Zip archives. One that comes is read from its end, so it is put aside first, in a
//! file without a name.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Stat, statat};
use time::OffsetDateTime;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::looking::text_for_zip;
use super::metered::Meter;
use super::pack::{Exactly, open, target};
use super::unpack::{Said, Unpacking};
use super::{PIECE, Unreadable, broken};
use crate::files::entry::{modified, size};
use crate::files::error::{At, FileError};
use crate::files::fresh::Fresh;
use crate::files::walk::{Found, Go, Visitor};

/// Longest target of a symbolic link, in bytes.
const MAX_TARGET: u64 = 4096;

/// Most of an archive that lists its entries, in bytes: it is in memory as a whole.
const MAX_LIST: u64 = 16 * 1024 * 1024;

/// Size from which on lengths may need more than 32 bits: what can't be compressed grows by
/// 5 bytes for every 16 KiB or so (RFC 1951 §3.2.4), 1.3 MiB for 4 GiB, and twelve times that
/// is left.
const LARGE: u64 = 0xFFFF_FFFF - 16 * 1024 * 1024;

/// A zip archive in the making.
pub(super) struct Zipping<W: Write> {
    archive: ZipWriter<StreamWriter<W>>,
    unreadable: Unreadable,
}

impl<W: Write> Zipping<W> {
    pub(super) fn new(to: W, unreadable: Unreadable) -> Self {
        let archive = ZipWriter::new_stream(to);
        Self {
            archive,
            unreadable,
        }
    }

    /// Ends the archive.
    pub(super) fn finish(self) -> Result<W, FileError> {
        self.archive
            .finish()
            .map(StreamWriter::into_inner)
            .map_err(failed)
    }

    fn add(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        let stat = statat(found.folder, found.name, AtFlags::SYMLINK_NOFOLLOW).at(found.path)?;
        let name = text_for_zip(found.path, found.path)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.archive
                    .add_directory(name, options(&stat))
                    .map_err(failed)?;
                return Ok(Go::In);
            }
            FileType::RegularFile => {
                let (file, stat) = open(found).at(found.path)?;
                let size = size(&stat);
                let options = options(&stat).large_file(size >= LARGE);
                self.archive.start_file(name, options).map_err(failed)?;
                io::copy(&mut Exactly::new(file, size), &mut self.archive).at(found.path)?;
            }
            FileType::Symlink => {
                let target = target(found).at(found.path)?;
                let target = text_for_zip(found.path, target.as_bytes())?;
                self.archive
                    .add_symlink(name, target, options(&stat))
                    .map_err(failed)?;
            }
            _ => {}
        }
        Ok(Go::Past)
    }
}

impl<W: Write> Visitor for Zipping<W> {
    fn found(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        self.add(found)
            .or_else(|failed| self.unreadable.or(failed).map(|()| Go::Past))
    }

    fn failed(&mut self, error: FileError) -> Result<(), FileError> {
        self.unreadable.or(error)
    }
}

fn options(stat: &Stat) -> SimpleFileOptions {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(stat.st_mode & 0o777);
    match time(modified(stat)) {
        Some(time) => options.last_modified_time(time),
        None => options,
    }
}

/// Returns a time as zip has it: from 1980 on.
fn time(time: OffsetDateTime) -> Option<DateTime> {
    let year = u16::try_from(time.year()).ok()?;
    let (month, day) = (time.month().into(), time.day());
    DateTime::from_date_and_time(year, month, day, time.hour(), time.minute(), time.second()).ok()
}

fn failed(error: ZipError) -> FileError {
    match error {
        ZipError::Io(error) => broken(&error),
        error => FileError::Archive(error.to_string()),
    }
}

/// Unpacks a zip archive.
pub(super) fn unzip(into: &mut Unpacking<'_>, from: &mut dyn Read) -> Result<(), FileError> {
    let mut aside = Fresh::beside(into.folder().as_fd()).at(b"")?;
    put_aside(from, &mut aside.file)?;
    let file = BufReader::with_capacity(PIECE, &aside.file);
    let meter = Meter::default();
    meter.allow(MAX_LIST);
    let mut archive = ZipArchive::new(meter.of(file)).map_err(failed)?;
    meter.stop();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(failed)?;
        let path = entry.name_raw().to_vec();
        let said = Said {
            mode: entry.unix_mode(),
            modified: entry.last_modified().and_then(seconds),
        };
        if entry.is_dir() {
            into.folder_entry(&path, said)?;
        } else if entry.is_symlink() {
            let mut target = Vec::new();
            let mut most = (&mut entry).take(MAX_TARGET);
            most.read_to_end(&mut target)
                .map_err(|error| broken(&error))?;
            into.symlink(&path, &target, said)?;
        } else {
            let size = entry.size();
            into.file(&path, said, size, &mut entry)?;
        }
    }
    Ok(())
}

fn put_aside(from: &mut dyn Read, file: &mut File) -> Result<(), FileError> {
    let mut buffer = vec![0; PIECE];
    loop {
        let read = from.read(&mut buffer).map_err(|error| broken(&error))?;
        if read == 0 {
            break;
        }
        file.write_all(buffer.split_at(read).0).at(b"")?;
    }
    file.seek(SeekFrom::Start(0)).at(b"")?;
    Ok(())
}

fn seconds(time: DateTime) -> Option<i64> {
    let month = time::Month::try_from(time.month()).ok()?;
    let date = time::Date::from_calendar_date(time.year().into(), month, time.day()).ok()?;
    let date = date
        .with_hms(time.hour(), time.minute(), time.second())
        .ok()?;
    Some(date.assume_utc().unix_timestamp())
}
