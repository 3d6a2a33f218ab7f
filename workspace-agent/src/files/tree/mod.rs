//! Trees as archives, made and unpacked while they pass.

mod looking;
mod members;
mod metered;
mod pack;
mod sparse;
mod unpack;
mod zipped;

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{OFlags, openat};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::error::{At, FileError};
use super::place::Root;
use super::walk::{READ, walk};
use looking::look;
use members::Members;
use pack::Packing;
use unpack::Unpacking;

pub(crate) use looking::Unreadable;

/// How hard gzip tries: the way to the client is the bottleneck seldom.
const LEVEL: u32 = 3;

/// How much of a file is read or written at once, in bytes.
const PIECE: usize = 256 * 1024;

/// A kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Tar,
    TarGz,
    Zip,
}

/// What came out of an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Unpacked {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) skipped: u64,
}

/// A folder that is about to be packed.
#[derive(Debug)]
pub(crate) struct Source {
    folder: OwnedFd,
    unreadable: Unreadable,
    /// How much of it is left out, as far as one can tell before.
    pub(crate) left_out: u64,
}

/// Opens a folder to pack it, and sees whether all that is in it can be in the archive.
pub(crate) fn source(
    root: &Root,
    path: &[u8],
    format: Format,
    unreadable: Unreadable,
    stop: &CancellationToken,
) -> Result<Source, FileError> {
    let mut source = Source {
        folder: root.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?,
        unreadable,
        left_out: 0,
    };
    source.left_out = look(&source, format, stop)?;
    Ok(source)
}

/// Writes what is in a folder as an archive.
pub(crate) fn pack(
    source: Source,
    format: Format,
    to: impl Write,
    stop: &CancellationToken,
) -> Result<(), FileError> {
    let Source {
        folder, unreadable, ..
    } = source;
    match format {
        Format::Tar => {
            let mut packing = Packing::new(to, unreadable);
            walk(folder, &mut packing, stop)?;
            packing.finish()?.flush().at(b"")
        }
        Format::TarGz => {
            let to = GzEncoder::new(to, Compression::new(LEVEL));
            let mut packing = Packing::new(to, unreadable);
            walk(folder, &mut packing, stop)?;
            packing.finish()?.finish().at(b"")?.flush().at(b"")
        }
        Format::Zip => {
            let mut zipping = zipped::Zipping::new(to, unreadable);
            walk(folder, &mut zipping, stop)?;
            zipping.finish()?.flush().at(b"")
        }
    }
}

/// Unpacks an archive into a folder, which is made where it is missing. No entry leads
/// out of the folder, whoever may.
pub(crate) fn unpack(
    root: &Root,
    path: &[u8],
    format: Format,
    mut from: impl Read,
    stop: &CancellationToken,
) -> Result<Unpacked, FileError> {
    let made = [path, &b"/."[..]].concat();
    if !path.is_empty() {
        root.make_all(path)?;
    }
    let within = root.beneath(if path.is_empty() { b"." } else { &made })?;
    let folder = openat(&within, ".", READ, rustix::fs::Mode::empty()).at(path)?;
    let mut unpacking = Unpacking::new(within, folder, stop);
    let unpacked = match format {
        Format::Tar => unpacking.tar(&mut from),
        Format::TarGz => {
            let mut members = Members::new(&mut from);
            let unpacked = unpacking.tar(&mut members);
            // Whether what came is what was sent is said at the end, behind that of the archive.
            unpacked.and_then(|()| drain(&mut members))
        }
        Format::Zip => zipped::unzip(&mut unpacking, &mut from),
    };
    unpacked.map_err(|error| match error {
        FileError::Outside(path) => FileError::Escaping(path),
        error => error,
    })?;
    // What comes after an archive's end is part of the request still.
    drain(&mut from)?;
    unpacking.finish()
}

/// Reads what is left.
fn drain(from: &mut dyn Read) -> Result<(), FileError> {
    let drained = io::copy(from, &mut io::sink());
    drained.map(drop).map_err(|error| broken(&error))
}

/// Tells an archive that isn't one from a connection that broke.
fn broken(error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::ConnectionAborted => FileError::CutOff,
        _ => FileError::Archive(error.to_string()),
    }
}
