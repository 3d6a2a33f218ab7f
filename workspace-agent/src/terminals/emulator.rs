//! What is on a terminal's screen.
//!
//! The emulator takes the program's output whether anybody looks or not, answers the
//! program's questions about the terminal, and knows the screen well enough to paint
//! it again for somebody who comes later (see `repaint`). What `alacritty_terminal`
//! doesn't tell about itself is noted on the way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alacritty_terminal::Term;
use alacritty_terminal::event::{Event, EventListener};
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::term::{Config, Osc52};
use alacritty_terminal::vte::ansi::{CharsetIndex, CursorStyle, Processor, Timeout};
use parking_lot::Mutex;

use super::recorder::Recorder;
use super::tail::Tail;

/// Most bytes of answers that wait for the program. What makes more gets none: it
/// doesn't read them.
const MAX_ANSWERS: usize = 64 * 1024;

/// Longest title that is kept, in bytes.
const MAX_TITLE: usize = 1024;

/// Distance of the usual tab stops.
const TAB: u16 = 8;

/// Most columns and rows of a terminal; a larger screen would only be memory.
pub(crate) const MAX_CELLS: u16 = 1000;

/// Size of a terminal, in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    columns: u16,
    rows: u16,
}

/// A terminal can't have this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a terminal has 1 to {MAX_CELLS} columns and rows")]
pub(crate) struct NoSize;

impl Cells {
    /// Returns a size.
    ///
    /// # Errors
    /// Where no terminal has it.
    pub(crate) fn new(columns: u16, rows: u16) -> Result<Self, NoSize> {
        let allowed = 1..=MAX_CELLS;
        if allowed.contains(&columns) && allowed.contains(&rows) {
            Ok(Self { columns, rows })
        } else {
            Err(NoSize)
        }
    }

    /// Returns the largest size that fits into both.
    pub(crate) fn smaller(self, other: Self) -> Self {
        Self {
            columns: self.columns.min(other.columns),
            rows: self.rows.min(other.rows),
        }
    }

    pub(crate) fn columns(self) -> u16 {
        self.columns
    }

    pub(crate) fn rows(self) -> u16 {
        self.rows
    }
}

impl Dimensions for Cells {
    fn total_lines(&self) -> usize {
        self.screen_lines()
    }

    fn screen_lines(&self) -> usize {
        usize::from(self.rows)
    }

    fn columns(&self) -> usize {
        // The emulator has to have room for a wide character, and else panics.
        usize::from(self.columns.max(2))
    }
}

/// State of a terminal that its emulator keeps to itself.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The rows that scroll, first to last, where not all do. Counted from 1.
    pub(super) region: Option<(usize, usize)>,
    /// Columns with a tab stop, where they aren't the usual ones. Counted from 0.
    pub(super) tabs: Option<BTreeSet<usize>>,
    /// The character set that is in use.
    pub(super) charset: CharsetIndex,
    /// The shape that the program gave the cursor.
    pub(super) cursor: Option<CursorStyle>,
    /// Private modes that are set and that the emulator doesn't know.
    pub(super) modes: BTreeSet<u16>,
}

/// A terminal's screen, scrollback and modes.
pub(crate) struct Emulator {
    pub(super) term: Term<Events>,
    pub(super) notes: Notes,
    pub(super) tail: Tail,
    processor: Processor<Immediate>,
    events: Events,
    size: Cells,
}

impl Emulator {
    pub(crate) fn new(size: Cells, scrollback: usize) -> Self {
        let events = Events::default();
        let config = Config {
            scrolling_history: scrollback,
            osc52: Osc52::Disabled,
            ..Config::default()
        };
        Self {
            term: Term::new(config, &size, events.clone()),
            notes: Notes::default(),
            tail: Tail::default(),
            processor: Processor::new(),
            events,
            size,
        }
    }

    /// Takes output of the program.
    pub(crate) fn advance(&mut self, bytes: &[u8]) {
        let mut recorder = Recorder {
            term: &mut self.term,
            notes: &mut self.notes,
        };
        self.processor.advance(&mut recorder, bytes);
        self.tail.advance(bytes);
    }

    /// Changes the size, as a terminal does: lines are wrapped anew, and all rows
    /// scroll.
    pub(crate) fn resize(&mut self, size: Cells) {
        if let Some(tabs) = &mut self.notes.tabs {
            let new = self.size.columns..size.columns;
            tabs.extend(new.filter(|column| column % TAB == 0).map(usize::from));
        }
        self.term.resize(size);
        self.notes.region = None;
        self.size = size;
    }

    pub(crate) fn size(&self) -> Cells {
        self.size
    }

    /// Returns the title that the program gave the terminal.
    pub(crate) fn title(&self) -> String {
        self.events.lock().title.clone()
    }

    /// Takes the answers to the program's questions.
    pub(crate) fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.events.lock().answers)
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is on the screen is nobody else's business.
        f.debug_struct("Emulator")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What the emulator says while it works.
#[derive(Clone, Debug, Default)]
pub(super) struct Events(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    title: String,
    answers: Vec<u8>,
}

impl Events {
    fn lock(&self) -> parking_lot::MutexGuard<'_, Said> {
        self.0.lock()
    }
}

impl Said {
    fn answer(&mut self, answer: &[u8]) {
        if self.answers.len() + answer.len() <= MAX_ANSWERS {
            self.answers.extend_from_slice(answer);
        }
    }
}

impl EventListener for Events {
    fn send_event(&self, event: Event) {
        let mut said = self.lock();
        match event {
            Event::Title(title) => {
                let mut title: String = title.chars().filter(|c| !c.is_control()).collect();
                title.truncate(title.floor_char_boundary(MAX_TITLE));
                said.title = title;
            }
            Event::ResetTitle => said.title.clear(),
            Event::PtyWrite(answer) => said.answer(answer.as_bytes()),
            // Colours, pixels and the clipboard are the clients' own; the rest is for
            // windows.
            _ => {}
        }
    }
}

/// Synchronized updates are taken as they come: a client holds them back itself.
#[derive(Debug, Default)]
struct Immediate;

impl Timeout for Immediate {
    fn set_timeout(&mut self, _: Duration) {}

    fn clear_timeout(&mut self) {}

    fn pending_timeout(&self) -> bool {
        false
    }
}
