//! What was painted again is what was there.

use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};

use super::*;
use crate::terminals::Cells;

fn emulator() -> Emulator {
    Emulator::new(Cells::new(20, 6).unwrap(), 50)
}

fn after(output: &[u8]) -> Emulator {
    let mut emulator = emulator();
    emulator.advance(output);
    emulator
}

/// Everything that one sees of a screen, with its scrollback, a text a row.
fn screen(emulator: &Emulator) -> Vec<String> {
    let grid = emulator.term.grid();
    let mut rows = Vec::new();
    let mut line = grid.topmost_line();
    while line <= grid.bottommost_line() {
        let row = &grid[line];
        let mut text = String::new();
        let mut before = Style::default();
        for column in 0..grid.columns() {
            let cell = &row[Column(column)];
            let torn = half(row, column) == Half::Torn;
            // The colour of what can't be seen doesn't count.
            let style = if is_blank(cell) {
                Style::default()
            } else {
                Style::of(cell)
            };
            style.write(&before, &mut text);
            before = style;
            text.push(if torn || cell.c == '\t' { ' ' } else { cell.c });
            text.extend(cell.zerowidth().unwrap_or_default());
        }
        rows.push(text.escape_debug().to_string());
        line += 1;
    }
    rows
}

/// Paints a screen into another terminal, which showed something else, and compares.
fn check(mut one: Emulator) {
    let mut other = emulator();
    other.advance(b"\x1b[?1049h\x1b[31;44mother\x1b[2;4r\x1b[?6h\x1b[4h\x0e\x1b)0");
    other.advance(&one.repaint());
    same(&one, &other);
    // And a second time, because the first one swaps screens.
    let mut third = emulator();
    third.advance(&one.repaint());
    same(&one, &third);
    // What comes next does the same to both, also to the hidden screen.
    for next in [
        &b"next\x1b[Bq\ttab"[..],
        b"\x1b8restored\r\n\r\n\r\nscrolled",
        b"\x1b[?1049l\x1b[mback\x1b[A\x1b[4Gx",
        b"\x1b[r\x1b[1;1H\x1b[L\x1b[6;1Hend\n\n",
    ] {
        one.advance(next);
        other.advance(next);
        same(&one, &other);
    }
}

fn same(one: &Emulator, other: &Emulator) {
    assert_eq!(screen(one), screen(other));
    assert_eq!(one.term.mode(), other.term.mode());
    let cursor = |emulator: &Emulator| {
        let cursor = &emulator.term.grid().cursor;
        (
            cursor.point,
            cursor.input_needs_wrap,
            Style::of(&cursor.template),
        )
    };
    assert_eq!(cursor(one), cursor(other));
    assert_eq!(one.notes.region, other.notes.region);
    assert_eq!(one.notes.tabs, other.notes.tabs);
    assert_eq!(one.notes.modes, other.notes.modes);
    assert_eq!(one.notes.cursor, other.notes.cursor);
    assert_eq!(one.title(), other.title());
    assert_eq!(one.tail.bytes(), other.tail.bytes());
}

#[test]
fn colours_and_attributes_are_painted_again() {
    check(after(
        b"\x1b[1;31mbold\x1b[0;4:3;58:2::1:2:3mcurl\r\n\x1b[38;5;200;48;2;1;2;3mrgb   \r\n\
          \x1b[7mreverse\x1b[27;2;3;9;95;103mbright",
    ));
    check(after(
        b"\x1b]8;id=7;http://a.example/\x1b\\link\x1b]8;;\x1b\\ text",
    ));
    check(after(b"\x1b[41m\x1b[2J\x1b[3;3Hcoloured background"));
}

#[test]
fn lines_that_were_wrapped_still_are() {
    let mut one = after(b"a line that is longer than the screen is wide, twice even\r\nshort");
    let mut other = emulator();
    other.advance(&one.repaint());
    for emulator in [&mut one, &mut other] {
        emulator.resize(Cells::new(40, 6).unwrap());
    }
    same(&one, &other);
    let first: String = (0..40)
        .map(|column| other.term.grid()[Line(0)][Column(column)].c)
        .collect();
    assert_eq!(first, "a line that is longer than the screen is");
}

#[test]
fn the_scrollback_is_painted_again() {
    let mut emulator = emulator();
    for line in 0..80 {
        emulator.advance(format!("line {line}\r\n").as_bytes());
    }
    assert_eq!(emulator.term.grid().history_size(), 50);
    check(emulator);
}

#[test]
fn a_full_screen_program_and_what_it_covers_are_painted_again() {
    check(after(
        b"before\r\n$ vim\x1b[3;5H\x1b[32m\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?1002h\x1b[?1006h\
          \x1b[2 q\x1b[1;5r\x1b[H~ text\r\n~\x1b[6;1H\x1b[7mstatus\x1b[m\x1b[2;3H\x1b[?25l\x1b[?7l",
    ));
    check(after(b"$ less\x1b[?47hpage\x1b7\x1b[5;5H\x1b[1m"));
}

#[test]
fn wide_and_combined_characters_are_painted_again() {
    check(after(
        "漢字 e\u{301} 🦀 ok\r\n1234567890123456789漢字".as_bytes(),
    ));
    check(after("\u{1f469}\u{200d}\u{1f680} rocket".as_bytes()));
}

#[test]
fn a_cursor_behind_the_last_column_stays_there() {
    check(after(b"12345678901234567890"));
    check(after("123456789012345678漢".as_bytes()));
    check(after(
        b"\x1b[?6h\x1b[2;5r\x1b[3;1H\x1b[31m12345678901234567890",
    ));
}

#[test]
fn character_sets_tab_stops_and_modes_are_painted_again() {
    check(after(b"\x1b(0lqqk\x1b[31m"));
    check(after(b"\x1b)0\x0elqqk"));
    check(after(b"\x1b[3g\x1b[1;4H\x1bH\x1b[1;11H\x1bH\r"));
    check(after(
        b"\x1b[?1000h\x1b[?1004h\x1b[?1005h\x1b[4h\x1b[20h\x1b[?9h\x1b[?45h",
    ));
    check(after(b"\x1b]2;a title\x07\x1b]4;3;rgb:12/34/56\x07"));
}

#[test]
fn what_was_cut_in_the_middle_goes_on() {
    for (first, rest) in [
        (&b"text \x1b[3"[..], &b"1mred"[..]),
        (b"\x1b]2;a ti", b"tle\x07"),
        ("🦀".as_bytes().split_at(2).0, "🦀".as_bytes().split_at(2).1),
    ] {
        let mut one = after(first);
        let mut other = emulator();
        other.advance(&one.repaint());
        for emulator in [&mut one, &mut other] {
            emulator.advance(rest);
        }
        same(&one, &other);
    }
}

#[test]
fn a_repaint_asks_nothing() {
    let mut one = after(b"\x1b[c\x1b[6n\x1b[18t");
    one.take_answers();
    let mut other = emulator();
    other.advance(&one.repaint());
    assert_eq!(other.take_answers(), b"");
    assert_eq!(one.take_answers(), b"");
}

#[test]
fn any_output_is_survived_and_painted_again() {
    use rand::{RngExt, SeedableRng};
    let words: [&[u8]; 24] = [
        b"x",
        b"word ",
        b"\r\n",
        b"\n",
        b"\t",
        b"\x08",
        b"\x1b[H",
        b"\x1b[5;9H",
        b"\x1b[J",
        b"\x1b[1K",
        b"\x1b[31m",
        b"\x1b[m",
        b"\x1b[44m",
        b"\x1b[2L",
        b"\x1b[M",
        b"\x1b[3P",
        b"\x1b[2@",
        b"\x1bM",
        b"\x1b[2S",
        b"\x1b[2;5r",
        b"\x1b[?1049h",
        b"\x1b[?1049l",
        b"\x1b7",
        "漢🦀".as_bytes(),
    ];
    for seed in 0..300 {
        let mut random = rand::rngs::SmallRng::seed_from_u64(seed);
        let mut output = Vec::new();
        for _ in 0..60 {
            output.extend_from_slice(words[random.random_range(0..words.len())]);
        }
        let mut one = after(&output);
        let mut other = emulator();
        other.advance(&one.repaint());
        assert_eq!(screen(&one), screen(&other), "{}", output.escape_ascii());
        let point = |emulator: &Emulator| emulator.term.grid().cursor.point;
        assert_eq!(point(&one), point(&other), "{}", output.escape_ascii());
    }
}
