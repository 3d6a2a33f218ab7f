//! The end of some output that isn't complete yet.
//!
//! Output is read in pieces that end anywhere. Who begins to look between two of them
//! needs the beginning of an escape sequence, or of a character, whose end is still to
//! come.

/// Longest incomplete sequence that is kept, in bytes. Of a longer one the rest is
/// lost for who comes while it lasts: it is an image most likely.
const MAX_TAIL: usize = 64 * 1024;

const ESC: u8 = 0x1b;

/// Where in a sequence the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In none.
    #[default]
    Ground,
    /// After ESC and intermediate bytes.
    Escape,
    /// In a control sequence.
    Control,
    /// In a string: OSC, DCS, SOS, PM, APC.
    Text,
}

/// The incomplete end of what came so far.
#[derive(Debug, Default)]
pub(super) struct Tail {
    place: Place,
    bytes: Vec<u8>,
}

impl Tail {
    /// Takes note of output.
    pub(super) fn advance(&mut self, mut output: &[u8]) {
        while let Some((&byte, rest)) = output.split_first() {
            if self.place == Place::Ground {
                let Some(start) = output.iter().position(|&byte| byte == ESC) else {
                    return self.keep_character(output);
                };
                self.begin();
                output = output.get(start + 1..).unwrap_or_default();
                continue;
            }
            output = rest;
            self.step(byte);
        }
    }

    /// Returns the beginning of what isn't complete.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn begin(&mut self) {
        self.place = Place::Escape;
        self.bytes.clear();
        self.bytes.push(ESC);
    }

    fn end(&mut self) {
        self.place = Place::Ground;
        self.bytes = Vec::new();
    }

    fn step(&mut self, byte: u8) {
        match (self.place, byte) {
            (_, ESC) => return self.begin(),
            // CAN and SUB, and BEL as the end of a string.
            (_, 0x18 | 0x1a) | (Place::Text, 0x07) => return self.end(),
            // Other controls inside a sequence were executed at once.
            (Place::Escape | Place::Control, ..=0x1f) => return,
            (Place::Escape, b'[') => self.place = Place::Control,
            (Place::Escape, b']' | b'P' | b'X' | b'^' | b'_') => self.place = Place::Text,
            (Place::Escape, 0x30..=0x7e) | (Place::Control, 0x40..=0x7e) => return self.end(),
            _ => {}
        }
        if self.bytes.len() < MAX_TAIL {
            self.bytes.push(byte);
        }
    }

    /// Keeps the beginning of a character at the end of plain text.
    fn keep_character(&mut self, text: &[u8]) {
        let mut last = std::mem::take(&mut self.bytes);
        last.extend_from_slice(text.get(text.len().saturating_sub(3)..).unwrap_or(text));
        let lead = last.iter().rposition(|&byte| byte & 0xc0 != 0x80);
        let Some(start) = lead else { return };
        let character = last.split_off(start);
        let length = match character.first() {
            Some(0xc2..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf4) => 4,
            _ => 1,
        };
        if character.len() < length {
            self.bytes = character;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(pieces: &[&[u8]]) -> Vec<u8> {
        let mut tail = Tail::default();
        for piece in pieces {
            tail.advance(piece);
        }
        tail.bytes().to_vec()
    }

    #[test]
    fn what_is_complete_leaves_nothing() {
        for output in [
            &b"plain\r\n"[..],
            b"\x1b[31mred\x1b[m",
            b"\x1b]2;title\x07",
            b"\x1b]2;title\x1b\\",
            b"\x1bP1$r0m\x1b\\x",
            b"\x1b(0\x1b7",
            "ü€🦀".as_bytes(),
            b"\x1b[3\x18",
        ] {
            assert_eq!(tail(&[output]), b"", "{output:?}");
        }
    }

    #[test]
    fn an_incomplete_sequence_is_kept_wherever_it_was_cut() {
        assert_eq!(tail(&[b"x\x1b"]), b"\x1b");
        assert_eq!(tail(&[b"x\x1b", b"[3", b"8;5"]), b"\x1b[38;5");
        assert_eq!(tail(&[b"x\x1b]2;ti", b"tle"]), b"\x1b]2;title");
        assert_eq!(tail(&[b"\x1b]2;title\x1b"]), b"\x1b");
        assert_eq!(tail(&[b"\x1b(", b"B", b"\x1b#"]), b"\x1b#");
        // The newline was executed already.
        assert_eq!(tail(&[b"\x1b[3\n1"]), b"\x1b[31");
    }

    #[test]
    fn an_incomplete_character_is_kept() {
        let crab = "🦀".as_bytes();
        assert_eq!(tail(&[&crab[..3]]), &crab[..3]);
        assert_eq!(tail(&[&crab[..1], &crab[1..2]]), &crab[..2]);
        assert_eq!(tail(&[&crab[..2], &crab[2..]]), b"");
        assert_eq!(tail(&[b"abc", &crab[..2], b"x"]), b"");
    }

    #[test]
    fn an_endless_string_takes_no_endless_memory() {
        let mut tail = Tail::default();
        tail.advance(b"\x1bP");
        for _ in 0..100 {
            tail.advance(&[b'q'; 4096]);
        }
        assert!(tail.bytes().len() <= MAX_TAIL);
    }
}
