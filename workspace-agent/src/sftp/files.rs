//! Open files: `OPEN`, `READ`, `WRITE`, `CLOSE` and what else takes a handle.

use std::io::Write;
use std::os::fd::BorrowedFd;

use rustix::fs::OFlags;
use rustix::io::{Errno, retry_on_intr};

use super::attributes::{self, Attributes, Target};
use super::failure::Failure;
use super::handles::Handle;
use super::session::Session;
use super::wire::{Fields, MAX_DATA, Status, kind};

const READ: u32 = 1;
const WRITE: u32 = 2;
const APPEND: u32 = 4;
const CREATE: u32 = 8;
const TRUNCATE: u32 = 16;
const EXCLUSIVE: u32 = 32;

/// How much is copied between two looks at whether the session was stopped, in
/// bytes.
const COPY_STEP: u64 = 32 * 1024 * 1024;

/// How much is copied at once where the kernel can't do it alone, in bytes.
const COPY_BUFFER: usize = 128 * 1024;

impl<W: Write> Session<W> {
    /// `SSH_FXP_OPEN`, §6.3.
    pub(super) fn open(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let path = fields.string()?;
        let flags = fields.u32()?;
        let attributes = Attributes::read(&mut fields)?;
        self.handles.check_room()?;
        let mode = attributes.mode(0o666);
        let file =
            retry_on_intr(|| rustix::fs::openat(self.base(), path, open_flags(flags), mode))?;
        self.answer_handle(id, Handle::File(file));
        Ok(())
    }

    /// Answers with a new handle.
    pub(super) fn answer_handle(&mut self, id: u32, handle: Handle) {
        let name = self.handles.add(handle);
        self.output.start(kind::HANDLE, id);
        self.output.string(&name);
        self.output.finish();
    }

    /// `SSH_FXP_CLOSE`, §6.3.
    pub(super) fn close(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        drop(self.handles.remove(fields.string()?)?);
        self.output.done(id);
        Ok(())
    }

    /// `SSH_FXP_READ`, §6.4.
    pub(super) fn read(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let file = self.handles.file(fields.string()?)?;
        let offset = fields.u64()?;
        let length = usize::try_from(fields.u32()?).unwrap_or(MAX_DATA);
        self.output.data(id, length, |room| {
            match retry_on_intr(|| rustix::io::pread(file, &mut *room, offset))? {
                0 => Err(Failure::end()),
                read => Ok(read),
            }
        })
    }

    /// `SSH_FXP_WRITE`, §6.4. A file that was opened to append grows at its end,
    /// whatever the offset (pwrite(2)).
    pub(super) fn write(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let file = self.handles.file(fields.string()?)?;
        let offset = fields.u64()?;
        write_all(file, fields.string()?, offset)?;
        self.output.done(id);
        Ok(())
    }

    /// `SSH_FXP_FSTAT`, §6.8.
    pub(super) fn fstat(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let stat = rustix::fs::fstat(self.handles.any(fields.string()?)?)?;
        self.output.start(kind::ATTRS, id);
        attributes::put(&mut self.output, &stat);
        self.output.finish();
        Ok(())
    }

    /// `SSH_FXP_FSETSTAT`, §6.9.
    pub(super) fn fsetstat(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let file = self.handles.any(fields.string()?)?;
        Attributes::read(&mut fields)?.apply(Target::Open(file))?;
        self.output.done(id);
        Ok(())
    }

    /// `fsync@openssh.com`.
    pub(super) fn fsync(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let file = self.handles.any(fields.string()?)?;
        retry_on_intr(|| rustix::fs::fsync(file))?;
        self.output.done(id);
        Ok(())
    }

    /// `copy-data` (draft-ietf-secsh-filexfer-extensions-00 §7).
    pub(super) fn copy_data(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let from = self.handles.file(fields.string()?)?;
        let from_offset = fields.u64()?;
        // None at all means up to the end.
        let length = match fields.u64()? {
            0 => u64::MAX,
            length => length,
        };
        let to = self.handles.file(fields.string()?)?;
        let to_offset = fields.u64()?;
        refuse_overlap(from, from_offset, length, to, to_offset)?;
        let mut copied = 0;
        while copied < length {
            if self.stop.is_cancelled() {
                return Err(Failure::new(Status::Failure, "the session was stopped"));
            }
            let step = COPY_STEP.min(length - copied);
            let (source, target) = (
                from_offset.saturating_add(copied),
                to_offset.saturating_add(copied),
            );
            match copy(from, source, to, target, step)? {
                0 => break,
                n => copied += n,
            }
        }
        self.output.done(id);
        Ok(())
    }
}

/// Refuses to copy a range of a file onto itself, of which nothing good comes.
fn refuse_overlap(
    from: BorrowedFd<'_>,
    from_offset: u64,
    length: u64,
    to: BorrowedFd<'_>,
    to_offset: u64,
) -> Result<(), Failure> {
    let (source, target) = (rustix::fs::fstat(from)?, rustix::fs::fstat(to)?);
    let same = (source.st_dev, source.st_ino) == (target.st_dev, target.st_ino);
    if same
        && from_offset < to_offset.saturating_add(length)
        && to_offset < from_offset.saturating_add(length)
    {
        return Err(Failure::new(
            Status::Failure,
            "both ranges are of the same file and overlap",
        ));
    }
    Ok(())
}

/// Copies up to `length` bytes and returns how many; none at the end.
fn copy(
    from: BorrowedFd<'_>,
    mut from_offset: u64,
    to: BorrowedFd<'_>,
    mut to_offset: u64,
    length: u64,
) -> Result<u64, Failure> {
    let step = usize::try_from(length).unwrap_or(usize::MAX);
    let (source, target) = (from_offset, to_offset);
    let copied = retry_on_intr(|| {
        rustix::fs::copy_file_range(from, Some(&mut from_offset), to, Some(&mut to_offset), step)
    });
    match copied {
        // Files without a length, such as those in /proc, seem to be at their end.
        Ok(0)
        | Err(
            Errno::XDEV
            | Errno::INVAL
            | Errno::NOSYS
            | Errno::OPNOTSUPP
            | Errno::BADF
            | Errno::PERM,
        ) => {}
        Ok(copied) => return Ok(u64::try_from(copied).unwrap_or(u64::MAX)),
        Err(error) => return Err(error.into()),
    }
    let mut buffer = vec![0; COPY_BUFFER.min(step)];
    let read = retry_on_intr(|| rustix::io::pread(from, &mut buffer[..], source))?;
    write_all(to, buffer.get(..read).unwrap_or_default(), target)?;
    Ok(u64::try_from(read).unwrap_or(u64::MAX))
}

fn write_all(file: BorrowedFd<'_>, mut data: &[u8], mut offset: u64) -> Result<(), Failure> {
    while !data.is_empty() {
        let written = retry_on_intr(|| rustix::io::pwrite(file, data, offset))?;
        if written == 0 {
            return Err(Failure::new(Status::Failure, "the file takes no more data"));
        }
        data = data.get(written..).unwrap_or_default();
        offset = offset.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
    }
    Ok(())
}

/// Translates `pflags`. `NONBLOCK` keeps a FIFO without a peer from holding the
/// session; regular files don't know it.
fn open_flags(flags: u32) -> OFlags {
    let mut open = match (flags & READ != 0, flags & WRITE != 0) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        _ => OFlags::RDONLY,
    };
    for (flag, meaning) in [
        (APPEND, OFlags::APPEND),
        (CREATE, OFlags::CREATE),
        (TRUNCATE, OFlags::TRUNC),
        (EXCLUSIVE, OFlags::EXCL),
    ] {
        if flags & flag != 0 {
            open |= meaning;
        }
    }
    open | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK
}
