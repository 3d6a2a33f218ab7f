//! What a cell looks like, as `SGR` (ECMA-48 §8.3.117) and links (OSC 8) say it.

use std::fmt::Write;

use alacritty_terminal::term::cell::{Cell, Flags, Hyperlink};
use alacritty_terminal::vte::ansi::{Color, NamedColor};

/// Flags of a cell that are part of its looks, and their numbers.
const FLAGS: [(Flags, &str); 11] = [
    (Flags::BOLD, "1"),
    (Flags::DIM, "2"),
    (Flags::ITALIC, "3"),
    (Flags::UNDERLINE, "4"),
    (Flags::DOUBLE_UNDERLINE, "21"),
    (Flags::UNDERCURL, "4:3"),
    (Flags::DOTTED_UNDERLINE, "4:4"),
    (Flags::DASHED_UNDERLINE, "4:5"),
    (Flags::INVERSE, "7"),
    (Flags::HIDDEN, "8"),
    (Flags::STRIKEOUT, "9"),
];

/// Flags that show on an empty cell.
const VISIBLE: Flags = Flags::ALL_UNDERLINES
    .union(Flags::INVERSE)
    .union(Flags::STRIKEOUT);

/// What a character looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Style {
    foreground: Color,
    background: Color,
    underline: Option<Color>,
    flags: Flags,
    link: Option<Hyperlink>,
}

impl Default for Style {
    fn default() -> Self {
        Self::of(&Cell::default())
    }
}

impl Style {
    pub(super) fn of(cell: &Cell) -> Self {
        let looks = FLAGS
            .iter()
            .fold(Flags::empty(), |all, &(flag, _)| all | flag);
        Self {
            foreground: cell.fg,
            background: cell.bg,
            underline: cell.underline_color(),
            flags: cell.flags & looks,
            link: cell.hyperlink(),
        }
    }

    /// Returns whether an empty cell of it looks like one after a reset.
    pub(super) fn is_blank(&self) -> bool {
        self.background == Color::Named(NamedColor::Background)
            && !self.flags.intersects(VISIBLE)
            && self.link.is_none()
    }

    /// Writes what makes the next characters look like this.
    pub(super) fn write(&self, before: &Self, out: &mut String) {
        let mut before = before.clone();
        before.link(self.link.as_ref(), out);
        if before == *self {
            return;
        }
        out.push_str("\x1b[0");
        for (flag, number) in FLAGS {
            if self.flags.contains(flag) {
                out.push(';');
                out.push_str(number);
            }
        }
        color(self.foreground, 30, out);
        color(self.background, 40, out);
        // Writing to a string doesn't fail.
        let _ = match self.underline {
            Some(Color::Indexed(index)) => write!(out, ";58:5:{index}"),
            Some(Color::Spec(rgb)) => write!(out, ";58:2::{}:{}:{}", rgb.r, rgb.g, rgb.b),
            Some(Color::Named(_)) | None => Ok(()),
        };
        out.push('m');
    }

    /// Begins or ends a link.
    pub(super) fn link(&mut self, link: Option<&Hyperlink>, out: &mut String) {
        if self.link.as_ref() == link {
            return;
        }
        let _ = match link {
            Some(link) => write!(out, "\x1b]8;id={};{}\x1b\\", link.id(), link.uri()),
            None => write!(out, "\x1b]8;;\x1b\\"),
        };
        self.link = link.cloned();
    }
}

/// Writes a colour other than the usual one; `base` is the number of its black.
fn color(color: Color, base: u16, out: &mut String) {
    let extended = base + 8;
    let _ = match color {
        Color::Indexed(index) => write!(out, ";{extended};5;{index}"),
        Color::Spec(rgb) => write!(out, ";{extended};2;{};{};{}", rgb.r, rgb.g, rgb.b),
        Color::Named(name) => match u16::try_from(name as usize) {
            Ok(index @ 0..8) => write!(out, ";{}", base + index),
            Ok(index @ 8..16) => write!(out, ";{}", base + 60 + index - 8),
            // The usual ones, after the reset.
            _ => Ok(()),
        },
    };
}
