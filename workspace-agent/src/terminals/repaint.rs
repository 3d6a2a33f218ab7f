//! Paints a screen again.
//!
//! What is written makes any terminal, whatever its state, show what the emulator
//! has: it is reset, the scrollback and the primary screen are written as the lines
//! they were (so that it can wrap them anew), the alternate screen over them, and
//! last everything that decides how the next output looks. It asks the terminal
//! nothing, so that no answer of it reaches the program.

use std::fmt::Write;

use alacritty_terminal::Term;
use alacritty_terminal::grid::{Cursor, Dimensions, Grid, Row};
use alacritty_terminal::index::{Column, Line, Point};
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{
    CharsetIndex, CursorShape, CursorStyle, NamedColor, StandardCharset,
};

use super::emulator::{Emulator, Events, Notes};
use super::style::Style;

/// Modes whose number sets them, and whether a terminal that was reset has them.
const MODES: [(TermMode, u16, bool); 9] = [
    (TermMode::APP_CURSOR, 1, false),
    (TermMode::SHOW_CURSOR, 25, true),
    (TermMode::MOUSE_REPORT_CLICK, 1000, false),
    (TermMode::MOUSE_DRAG, 1002, false),
    (TermMode::MOUSE_MOTION, 1003, false),
    (TermMode::FOCUS_IN_OUT, 1004, false),
    (TermMode::UTF8_MOUSE, 1005, false),
    (TermMode::SGR_MOUSE, 1006, false),
    (TermMode::BRACKETED_PASTE, 2004, false),
];

const CHARSETS: [(CharsetIndex, char); 4] = [
    (CharsetIndex::G0, '('),
    (CharsetIndex::G1, ')'),
    (CharsetIndex::G2, '*'),
    (CharsetIndex::G3, '+'),
];

/// First character whose width terminals disagree about: pictures, most of them.
const FIRST_DOUBTFUL: char = '\u{1f000}';

impl Emulator {
    /// Returns output that makes any terminal of this size show this screen.
    pub(crate) fn repaint(&mut self) -> Vec<u8> {
        let mut painter = Painter {
            out: String::from("\x1bc"),
            style: Style::default(),
        };
        painter.palette(&self.term);
        if self.term.mode().contains(TermMode::ALT_SCREEN) {
            // The primary screen is only lent while the other is shown. Swapping
            // clears the alternate one.
            let alternate = self.term.grid().clone();
            self.term.swap_alt();
            painter.primary(self.term.grid());
            let cursor = self.term.grid().cursor.clone();
            self.term.swap_alt();
            *self.term.grid_mut() = alternate;
            // It saves the cursor, which comes back with the primary screen.
            painter.cursor(&cursor, 0);
            painter.put("\x1b[?1049h");
            painter.plain_charsets(&cursor);
            // It was cleared with that cursor's background.
            painter.style(Style::default());
            painter.put("\x1b[2J");
            painter.alternate(self.term.grid());
        } else {
            painter.primary(self.term.grid());
        }
        painter.state(&self.term, &self.notes);
        let title = self.title();
        if !title.is_empty() {
            // It holds no control characters.
            painter.put(&format!("\x1b]2;{title}\x1b\\"));
        }
        let mut out = painter.out.into_bytes();
        out.extend_from_slice(self.tail.bytes());
        out
    }
}

struct Painter {
    out: String,
    /// What the next character would look like.
    style: Style,
}

impl Painter {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn format(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string doesn't fail.
        let _ = self.out.write_fmt(text);
    }

    fn style(&mut self, style: Style) {
        if self.style != style {
            style.write(&self.style, &mut self.out);
            self.style = style;
        }
    }

    fn palette(&mut self, term: &Term<Events>) {
        let mut color = |index: usize, start: std::fmt::Arguments<'_>| {
            if let Some(rgb) = term.colors()[index] {
                let (r, g, b) = (rgb.r, rgb.g, rgb.b);
                self.format(format_args!(
                    "\x1b]{start};rgb:{r:02x}/{g:02x}/{b:02x}\x1b\\"
                ));
            }
        };
        for index in 0..=usize::from(u8::MAX) {
            color(index, format_args!("4;{index}"));
        }
        for (name, number) in [
            (NamedColor::Foreground, 10),
            (NamedColor::Background, 11),
            (NamedColor::Cursor, 12),
        ] {
            color(name as usize, format_args!("{number}"));
        }
    }

    /// Writes scrollback and screen as lines; those that were wrapped wrap by
    /// themselves.
    fn primary(&mut self, grid: &Grid<Cell>) {
        let mut wrapped = false;
        let mut line = grid.topmost_line();
        let last = grid.bottommost_line();
        while line <= last {
            let row = &grid[line];
            let continues = line < last && wraps(row, grid.last_column());
            let next = if line < last {
                Some(&grid[line + 1])
            } else {
                None
            };
            let end = match (continues, wrapped) {
                (true, _) => grid.columns(),
                // Something must be written for the line before to wrap.
                (false, true) => used(row).max(1),
                (false, false) => used(row),
            };
            self.row(row, end, next);
            if !continues && line < last {
                // Scrolling would fill the new row with the background.
                self.style(Style::default());
                self.put("\r\n");
            }
            wrapped = continues;
            line += 1;
        }
    }

    /// Writes each row of a screen that doesn't scroll at its place.
    fn alternate(&mut self, grid: &Grid<Cell>) {
        let mut line = Line(0);
        while line <= grid.bottommost_line() {
            let row = &grid[line];
            let end = used(row);
            if end > 0 {
                self.go_to(Point::new(line, Column(0)), 0);
                self.row(row, end, None);
            }
            line += 1;
        }
    }

    /// Writes the first cells of a row.
    fn row(&mut self, row: &Row<Cell>, end: usize, next: Option<&Row<Cell>>) {
        for column in 0..end {
            let cell = &row[Column(column)];
            match half(row, column) {
                Half::None => {}
                Half::Second => continue,
                Half::Torn => {
                    self.style(Style::of(cell));
                    self.put(" ");
                    continue;
                }
            }
            if cell.flags.contains(Flags::LEADING_WIDE_CHAR_SPACER)
                && next.is_some_and(|next| next[Column(0)].flags.contains(Flags::WIDE_CHAR))
            {
                // The wide character that didn't fit leaves it empty again.
                continue;
            }
            self.cell(cell);
            let after = column + width(cell);
            if after < row.len() && (cell.c >= FIRST_DOUBTFUL || cell.zerowidth().is_some()) {
                self.format(format_args!("\x1b[{}G", after + 1));
            }
        }
        // A link goes from cell to cell and would go on with the next output.
        self.style.link(None, &mut self.out);
    }

    fn cell(&mut self, cell: &Cell) {
        self.style(Style::of(cell));
        // A tab is kept in its first cell, to be copied.
        self.out.push(if cell.c == '\t' { ' ' } else { cell.c });
        self.out.extend(cell.zerowidth().into_iter().flatten());
    }

    /// Goes to a place; rows are counted from `top`, the first one that scrolls, in
    /// origin mode.
    fn go_to(&mut self, point: Point, top: i32) {
        let row = point.line.0 - top + 1;
        self.format(format_args!("\x1b[{row};{}H", point.column.0 + 1));
    }

    /// Makes the terminal's cursor this one: its place, its style, its sets.
    fn cursor(&mut self, cursor: &Cursor<Cell>, top: i32) {
        self.go_to(cursor.point, top);
        self.pen(cursor);
    }

    /// Makes what is written next look as it does at this cursor.
    fn pen(&mut self, cursor: &Cursor<Cell>) {
        self.style(Style::of(&cursor.template));
        for (index, designator) in CHARSETS {
            if cursor.charsets[index] != StandardCharset::Ascii {
                self.format(format_args!("\x1b{designator}0"));
            }
        }
    }

    /// Undoes what [`Self::pen`] did to the character sets.
    fn plain_charsets(&mut self, cursor: &Cursor<Cell>) {
        for (index, designator) in CHARSETS {
            if cursor.charsets[index] != StandardCharset::Ascii {
                self.format(format_args!("\x1b{designator}B"));
            }
        }
    }

    /// Sets everything that decides about the output to come.
    fn state(&mut self, term: &Term<Events>, notes: &Notes) {
        let mode = *term.mode();
        let grid = term.grid();
        if let Some(tabs) = &notes.tabs {
            self.put("\x1b[3g");
            for &column in tabs.iter().filter(|&&column| column < grid.columns()) {
                self.go_to(Point::new(Line(0), Column(column)), 0);
                self.put("\x1bH");
            }
        }
        self.cursor(&grid.saved_cursor, 0);
        self.put("\x1b7");
        self.plain_charsets(&grid.saved_cursor);
        let mut top = 0;
        if let Some((first, last)) = notes.region {
            self.format(format_args!("\x1b[{first};{last}r"));
            top = i32::try_from(first - 1).unwrap_or_default();
        }
        if mode.contains(TermMode::ORIGIN) {
            self.put("\x1b[?6h");
        } else {
            top = 0;
        }
        let cursor = &grid.cursor;
        if cursor.input_needs_wrap {
            // Only writing into the last column brings the cursor behind it.
            let mut point = cursor.point;
            if grid[point].flags.contains(Flags::WIDE_CHAR_SPACER) {
                point.column -= 1;
            }
            self.go_to(point, top);
            self.cell(&grid[point]);
            self.style.link(None, &mut self.out);
            self.pen(cursor);
        } else {
            self.cursor(cursor, top);
        }
        match notes.charset {
            CharsetIndex::G0 => {}
            CharsetIndex::G1 => self.put("\x0e"),
            CharsetIndex::G2 => self.put("\x1bn"),
            CharsetIndex::G3 => self.put("\x1bo"),
        }
        self.modes(mode, notes);
    }

    fn modes(&mut self, mode: TermMode, notes: &Notes) {
        for (flag, number, usual) in MODES {
            if mode.contains(flag) != usual {
                self.format(format_args!(
                    "\x1b[?{number}{}",
                    if usual { 'l' } else { 'h' }
                ));
            }
        }
        for &number in &notes.modes {
            self.format(format_args!("\x1b[?{number}h"));
        }
        for (flag, set) in [
            (TermMode::APP_KEYPAD, "\x1b="),
            (TermMode::INSERT, "\x1b[4h"),
            (TermMode::LINE_FEED_NEW_LINE, "\x1b[20h"),
        ] {
            if mode.contains(flag) {
                self.put(set);
            }
        }
        if !mode.contains(TermMode::LINE_WRAP) {
            self.put("\x1b[?7l");
        }
        if let Some(style) = notes.cursor {
            self.format(format_args!("\x1b[{} q", cursor_number(style)));
        }
    }
}

/// The number of a cursor's style (DECSCUSR).
fn cursor_number(style: CursorStyle) -> u8 {
    let steady = match style.shape {
        CursorShape::Underline => 4,
        CursorShape::Beam => 6,
        CursorShape::Block | CursorShape::HollowBlock | CursorShape::Hidden => 2,
    };
    if style.blinking { steady - 1 } else { steady }
}

fn wraps(row: &Row<Cell>, last: Column) -> bool {
    row[last].flags.contains(Flags::WRAPLINE)
}

fn width(cell: &Cell) -> usize {
    if cell.flags.contains(Flags::WIDE_CHAR) {
        2
    } else {
        1
    }
}

/// Whether a cell is half of a wide character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    /// It is a character of its own, or the first half and the second follows.
    None,
    /// The second half; the first one wrote it.
    Second,
    /// One whose other half was overwritten or moved.
    Torn,
}

fn half(row: &Row<Cell>, column: usize) -> Half {
    let has = |column: usize, flag| column < row.len() && row[Column(column)].flags.contains(flag);
    if has(column, Flags::WIDE_CHAR) && !has(column + 1, Flags::WIDE_CHAR_SPACER) {
        Half::Torn
    } else if !has(column, Flags::WIDE_CHAR_SPACER) {
        Half::None
    } else if column > 0 && has(column - 1, Flags::WIDE_CHAR) {
        Half::Second
    } else {
        Half::Torn
    }
}

/// Returns how many cells of a row must be written: what follows looks as it does
/// after a reset.
fn used(row: &Row<Cell>) -> usize {
    (0..row.len())
        .rev()
        .find(|&column| !is_blank(&row[Column(column)]))
        .map_or(0, |column| column + 1)
}

fn is_blank(cell: &Cell) -> bool {
    matches!(cell.c, ' ' | '\t') && cell.zerowidth().is_none() && Style::of(cell).is_blank()
}

#[cfg(test)]
mod tests;
