//! What describes an archive's entries is read up to a length; what they hold isn't counted.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// How much may be read still, in bytes; `None`: any amount. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Rc<Cell<Option<u64>>>);

impl Meter {
    /// Allows this much from now on.
    pub(super) fn allow(&self, bytes: u64) {
        self.0.set(Some(bytes));
    }

    /// Allows all.
    pub(super) fn stop(&self) {
        self.0.set(None);
    }

    /// Has what is read counted.
    pub(super) fn of<R>(&self, from: R) -> Metered<R> {
        let meter = self.clone();
        Metered { from, meter }
    }
}

/// Something that is read, and fails once more was read than is allowed.
#[derive(Debug)]
pub(super) struct Metered<R> {
    from: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.meter.0.get() else {
            return self.from.read(buffer);
        };
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("what describes its entries is too long"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let (buffer, _) = buffer.split_at_mut(most.min(buffer.len()));
        let read = self.from.read(buffer)?;
        let left = left.saturating_sub(u64::try_from(read).unwrap_or(left));
        self.meter.0.set(Some(left));
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.from.seek(to)
    }
}
