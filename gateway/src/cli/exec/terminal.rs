//! The terminal here, while a program there has it.

use std::io;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use serde::Serialize;

/// A size, in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Cells {
    pub(super) columns: u16,
    pub(super) rows: u16,
}

/// What the terminal was like; it is so again when this is dropped.
pub(super) struct Raw(Termios);

/// Returns the size of the terminal on stdin; `None` where that is none.
pub(super) fn size() -> Option<Cells> {
    let stdin = io::stdin();
    if !isatty(&stdin) {
        return None;
    }
    let (columns, rows) = match tcgetwinsize(&stdin) {
        Ok(size) => (size.ws_col, size.ws_row),
        Err(_) => (0, 0),
    };
    // A terminal that doesn't know its size is taken for a usual one.
    Some(Cells {
        columns: if columns == 0 { 80 } else { columns.min(1000) },
        rows: if rows == 0 { 24 } else { rows.min(1000) },
    })
}

impl Raw {
    /// Has the terminal hand on every byte, both ways.
    pub(super) fn begin() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Where that fails there is no terminal any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}
