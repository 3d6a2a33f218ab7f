//! Windows, sizes and answers.

use super::*;

/// A piece of output as large as they come.
const PIECE: usize = 64 * 1024;

fn screen() -> Screen {
    Screen::new(Cells::new(80, 24).unwrap(), 100)
}

fn attach(screen: &mut Screen) -> ClientId {
    screen.attach(None, Arc::default()).0
}

/// Lets a client draw all that it was given.
fn draw(screen: &mut Screen, id: ClientId) -> Vec<u8> {
    let bytes = screen.take(id).bytes;
    screen.acknowledge(id, length(&bytes));
    bytes
}

/// Gives output as long as it is wanted, and returns how much that was.
fn fill(screen: &mut Screen) -> u64 {
    let piece = vec![b'y'; PIECE];
    assert_eq!(length(&piece), READ);
    let mut given = 0;
    while screen.wants_output() {
        screen.output(&piece);
        given += READ;
        assert!(given < 100 * WINDOW, "it is never stalled");
    }
    given
}

#[test]
fn a_client_that_acknowledges_nothing_stalls_the_program_within_its_window() {
    let mut screen = screen();
    let id = attach(&mut screen);
    assert!(fill(&mut screen) <= WINDOW);
    draw(&mut screen, id);
    assert!(screen.wants_output(), "what was drawn makes room");
    assert!(!screen.clients[&id].behind, "it missed nothing");
}

#[test]
fn without_clients_the_emulator_takes_everything() {
    let mut screen = screen();
    let id = attach(&mut screen);
    fill(&mut screen);
    screen.detach(id);
    assert!(screen.wants_output());
}

#[test]
fn one_that_lags_is_left_out_and_painted_anew_when_it_has_caught_up() {
    let mut screen = screen();
    let slow = attach(&mut screen);
    let fast = attach(&mut screen);
    for _ in 0..10 {
        assert!(screen.wants_output());
        screen.output(&vec![b'x'; PIECE]);
        draw(&mut screen, fast);
        screen.take(slow);
    }
    assert!(screen.clients[&slow].behind);
    assert!(screen.clients[&slow].owes() <= WINDOW);
    screen.output(b"\x1b[2J\x1b[Hlatest");
    let old = screen.take(slow).bytes;
    assert!(!String::from_utf8_lossy(&old).contains("latest"));
    screen.acknowledge(slow, screen.clients[&slow].owes());
    let repaint = screen.take(slow).bytes;
    assert!(repaint.starts_with(b"\x1bc"));
    assert!(String::from_utf8_lossy(&repaint).contains("latest"));
    assert!(!screen.clients[&slow].behind);
}

#[test]
fn one_that_is_not_sent_anything_for_long_is_painted_anew_though_it_owes_nothing() {
    let mut screen = screen();
    let slow = attach(&mut screen);
    let fast = attach(&mut screen);
    draw(&mut screen, slow);
    while !screen.clients[&slow].behind {
        screen.output(&vec![b'x'; PIECE]);
        draw(&mut screen, fast);
    }
    assert_eq!(screen.clients[&slow].owes(), 0);
    assert!(screen.take(slow).bytes.starts_with(b"\x1bc"));
    assert!(!screen.clients[&slow].behind);
}

#[test]
fn one_that_leaves_does_not_free_those_that_lag() {
    let mut screen = screen();
    let slow = attach(&mut screen);
    let fast = attach(&mut screen);
    while !screen.clients[&slow].behind {
        screen.output(&vec![b'x'; PIECE]);
        draw(&mut screen, fast);
    }
    screen.detach(fast);
    assert!(!screen.wants_output());
}

#[test]
fn who_waits_for_the_program_to_read_does_not_stall_its_output() {
    let mut screen = screen();
    let id = attach(&mut screen);
    fill(&mut screen);
    screen.set_typing(id, true);
    assert!(screen.wants_output());
    screen.set_typing(id, false);
    assert!(!screen.wants_output());
}

#[test]
fn the_size_is_the_smallest_of_all() {
    let mut screen = screen();
    let size = |columns, rows| Some(Cells::new(columns, rows).unwrap());
    let (first, resized) = screen.attach(size(120, 40), Arc::default());
    assert_eq!(resized, size(120, 40));
    let (second, resized) = screen.attach(size(100, 50), Arc::default());
    assert_eq!(resized, size(100, 40));
    let (third, resized) = screen.attach(None, Arc::default());
    assert_eq!(resized, None);
    assert_eq!(screen.take(third).size, size(100, 40));
    assert_eq!(screen.take(first).size, size(100, 40));
    assert_eq!(
        screen.resize(second, Cells::new(90, 30).unwrap()),
        size(90, 30)
    );
    assert_eq!(screen.detach(second), size(120, 40));
    assert_eq!(screen.detach(first), None);
    assert_eq!(Some(screen.size()), size(120, 40));
}

#[test]
fn who_is_resized_is_told_the_size_that_counts() {
    let mut screen = screen();
    let size = |columns, rows| Some(Cells::new(columns, rows).unwrap());
    let (large, _) = screen.attach(size(120, 40), Arc::default());
    let (small, _) = screen.attach(size(80, 24), Arc::default());
    screen.take(large);
    screen.take(small);
    assert_eq!(screen.resize(large, Cells::new(125, 42).unwrap()), None);
    assert_eq!(screen.take(large).size, size(80, 24));
    assert_eq!(screen.take(small), Outgoing::default());
    assert_eq!(
        screen.resize(small, Cells::new(100, 30).unwrap()),
        size(100, 30)
    );
    assert_eq!(screen.take(large).size, size(100, 30));
    assert_eq!(screen.take(small).size, size(100, 30));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_frees_nothing() {
    let mut screen = screen();
    let id = attach(&mut screen);
    screen.acknowledge(id, u64::MAX);
    assert!(fill(&mut screen) <= WINDOW);
    draw(&mut screen, id);
    screen.acknowledge(id, u64::MAX);
    assert!(fill(&mut screen) <= WINDOW);
}

#[test]
fn a_question_has_one_answer_and_colours_come_from_the_first_client() {
    let mut screen = screen();
    let (first, second) = (attach(&mut screen), attach(&mut screen));
    assert_eq!(screen.output(b"\x1b[c"), b"\x1b[?6c");
    assert_eq!(screen.output(b"\x1b[3;4H\x1b[6n"), b"\x1b[3;4R");
    assert_eq!(screen.output(b"\x1b[18t"), b"\x1b[8;24;80t");
    assert!(!screen.takes(first, b"\x1b[?1;2c"));
    let color = b"\x1b]11;rgb:0000/0000/0000\x1b\\";
    assert!(screen.takes(first, color));
    assert!(!screen.takes(second, color));
    screen.detach(first);
    assert!(screen.takes(second, color));
}

#[test]
fn a_title_is_told_and_told_again_to_who_comes_later() {
    let mut screen = screen();
    let first = attach(&mut screen);
    screen.output(b"\x1b]2;editing\x07");
    assert_eq!(screen.take(first).title.as_deref(), Some("editing"));
    let second = attach(&mut screen);
    assert_eq!(screen.take(second).title.as_deref(), Some("editing"));
}
