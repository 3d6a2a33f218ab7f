use std::fs;
use std::io::Write;

use bytes::BytesMut;
use tempfile::TempDir;

use super::{Follower, LogFile, MAX_LINE, MAX_SIZE, take_line};

fn log() -> (TempDir, LogFile) {
    let folder = tempfile::tempdir().unwrap();
    let log = LogFile::new(folder.path().join("a.log"));
    (folder, log)
}

fn all(follower: &mut Follower) -> Vec<String> {
    std::iter::from_fn(|| follower.next_line().unwrap()).collect()
}

#[test]
fn the_last_lines_and_what_follows_them_are_read() {
    let (_folder, log) = log();
    assert_eq!(log.last(5).unwrap(), "");
    let mut early = log.follow(5).unwrap();
    assert_eq!(all(&mut early), [""; 0]);
    log.append(b"one\ntwo\nthree\nfo").unwrap();
    assert_eq!(log.last(2).unwrap(), "three\nfo");
    let mut follower = log.follow(1).unwrap();
    let mut later = log.follow(0).unwrap();
    assert_eq!(all(&mut follower), ["three"]);
    log.append(b"ur\n").unwrap();
    assert_eq!(all(&mut follower), ["four"]);
    assert_eq!(all(&mut later), ["four"]);
    assert_eq!(all(&mut early), ["one", "two", "three", "four"]);
    assert_eq!(all(&mut early), [""; 0]);
}

#[test]
fn a_character_that_comes_in_two_halves_stays_whole() {
    let (_folder, log) = log();
    let [first, second] = [&"caf\u{e9}".as_bytes()[..4], &"\u{e9}".as_bytes()[1..]];
    let mut early = log.follow(10).unwrap();
    log.append(first).unwrap();
    assert_eq!(early.next_line().unwrap(), None);
    let mut late = log.follow(0).unwrap();
    assert_eq!(late.next_line().unwrap(), None);
    log.append(second).unwrap();
    log.append(b"\n").unwrap();
    assert_eq!(all(&mut early), ["caf\u{e9}"]);
    assert_eq!(all(&mut late), ["caf\u{e9}"]);
}

#[test]
fn a_log_that_is_begun_anew_and_grows_past_the_old_place_loses_nothing() {
    let (folder, log) = log();
    // Programs hold it open.
    let mut program = log.open().unwrap();
    let filler = "x".repeat(1000);
    for number in 0..1100 {
        writeln!(program, "{number} {filler}").unwrap();
    }
    let mut follower = log.follow(0).unwrap();
    writeln!(program, "before").unwrap();
    log.rotate().unwrap();
    let kept = fs::metadata(folder.path().join("a.log.1")).unwrap().len();
    assert!(kept > MAX_SIZE);
    writeln!(program, "after").unwrap();
    while fs::metadata(log.path()).unwrap().len() <= kept {
        writeln!(program, "{filler}").unwrap();
    }
    writeln!(program, "last").unwrap();
    let lines = all(&mut follower);
    assert_eq!(lines[..2], ["before", "after"]);
    assert_eq!(lines.last().unwrap(), "last");
    assert!(lines[2..lines.len() - 1].iter().all(|line| *line == filler));
}

#[test]
fn a_log_that_was_removed_by_hand_is_read_from_its_new_beginning() {
    let (_folder, log) = log();
    log.append(b"one\n").unwrap();
    let mut follower = log.follow(1).unwrap();
    assert_eq!(all(&mut follower), ["one"]);
    // The old file's inode isn't free as long as it is open.
    let _open = log.open().unwrap();
    fs::remove_file(log.path()).unwrap();
    log.append(b"two\nthree\n").unwrap();
    assert_eq!(all(&mut follower), ["two", "three"]);
}

#[test]
fn the_last_lines_reach_back_into_the_file_before() {
    let (_folder, log) = log();
    let large = format!("{}\n", "x".repeat(1023)).repeat(1025);
    log.append(large.as_bytes()).unwrap();
    log.append(b"new\n").unwrap();
    let last = log.last(2).unwrap();
    assert_eq!(last, format!("{}\nnew\n", "x".repeat(1023)));
    // What is read begins inside a line, which is left out.
    let most = log.last(100_000).unwrap();
    assert!(most.lines().all(|line| line.len() == 1023 || line == "new"));
}

#[test]
fn a_line_without_an_end_is_given_in_pieces() {
    let mut text = BytesMut::from("one\r\ntw\ro\nrest");
    assert_eq!(take_line(&mut text).as_deref(), Some("one"));
    assert_eq!(take_line(&mut text).as_deref(), Some("tw\ro"));
    assert_eq!(take_line(&mut text), None);
    assert_eq!(&text[..], b"rest");
    // A character stands across the limit.
    let long = format!(
        "{}\u{e4}{}\nnext",
        "x".repeat(MAX_LINE - 1),
        "y".repeat(MAX_LINE)
    );
    let mut text = BytesMut::from(long.as_str());
    let mut sent = String::new();
    while let Some(piece) = take_line(&mut text) {
        assert!(piece.len() <= MAX_LINE);
        sent.push_str(&piece);
    }
    let rest = String::from_utf8(text.to_vec()).unwrap();
    assert_eq!(sent + "\n" + &rest, long);
}
