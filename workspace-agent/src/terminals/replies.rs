//! Answers of terminals among what they send.
//!
//! A program asks the terminal what it is, where its cursor is and so on. The emulator
//! answers, so that a program gets one answer however many look at it, and also where
//! nobody does. What the clients answer to the same question is dropped; what only they
//! know (colours, sizes in pixels) is taken from one of them.

/// What a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Something that a person typed, pasted or clicked.
    Input,
    /// Only answers that the emulator gives itself.
    Answered,
    /// Only answers, some of them ones that the emulator can't give.
    Answer,
}

const ESC: u8 = 0x1b;

/// Finds out what a client's message is.
pub(super) fn classify(mut bytes: &[u8]) -> Sent {
    let mut all = Sent::Answered;
    if bytes.is_empty() {
        return Sent::Input;
    }
    while !bytes.is_empty() {
        let Some((one, rest)) = first(bytes) else {
            return Sent::Input;
        };
        if one == Sent::Answer {
            all = one;
        }
        bytes = rest;
    }
    all
}

/// Takes an answer off the front.
fn first(bytes: &[u8]) -> Option<(Sent, &[u8])> {
    match bytes {
        [ESC, b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| matches!(byte, 0x40..=0x7e))?;
            let (body, rest) = rest.split_at_checked(end)?;
            let (&last, rest) = rest.split_first()?;
            control(body, last).map(|sent| (sent, rest))
        }
        // OSC and DCS come from terminals only.
        [ESC, b']' | b'P', rest @ ..] => {
            let end = rest.iter().position(|&byte| byte == 0x07 || byte == ESC)?;
            let ([0x07, rest @ ..] | [ESC, b'\\', rest @ ..]) = rest.get(end..)? else {
                return None;
            };
            Some((Sent::Answer, rest))
        }
        _ => None,
    }
}

fn control(body: &[u8], last: u8) -> Option<Sent> {
    let numbers = |text: &[u8]| {
        text.iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b';')
    };
    match (body, last) {
        // What it is (DA1, DA2), that it is well (DSR), modes (DECRPM), size in cells.
        ([b'?' | b'>', rest @ ..], b'c') if numbers(rest) => Some(Sent::Answered),
        (b"0", b'n') => Some(Sent::Answered),
        ([b'?', rest @ .., b'$'] | [rest @ .., b'$'], b'y') if numbers(rest) => {
            Some(Sent::Answered)
        }
        ([b'8', b';', rest @ ..], b't') if numbers(rest) => Some(Sent::Answered),
        (_, b'R') => is_cursor(body).then_some(Sent::Answered),
        // Other sizes, the keyboard's protocol, its version (DA3).
        (_, b't') if numbers(body) => Some(Sent::Answer),
        ([b'?', rest @ ..], b'u') if numbers(rest) => Some(Sent::Answer),
        _ => None,
    }
}

/// Returns whether this is a cursor's position, and not F3 with Shift or the like,
/// which looks like one in the first row.
fn is_cursor(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"?").unwrap_or(body);
    let mut numbers = body
        .split(|&byte| byte == b';')
        .map(|number| str::from_utf8(number).ok()?.parse::<u32>().ok());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Some(1)), Some(Some(2..=16)), _) => false,
        (Some(Some(_)), Some(Some(_)), None | Some(Some(_))) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_pastes_and_clicks_are_input() {
        for input in [
            &b""[..],
            b"ls\r",
            b"\x1b",
            b"\x1b[A",
            b"\x1bOR",
            b"\x1b[1;2R",
            b"\x1b[R",
            b"\x1b[15~",
            b"\x1b[I",
            b"\x1b[O",
            b"\x1b[<0;10;20M",
            b"\x1b[200~\x1b[0n\x1b[201~",
            b"\x1b[97;5u",
            b"x\x1b[0n",
            b"\x1b]",
            b"\x1b[M !!",
        ] {
            assert_eq!(classify(input), Sent::Input, "{input:?}");
        }
    }

    #[test]
    fn what_the_emulator_answers_is_known() {
        for answer in [
            &b"\x1b[?1;2c"[..],
            b"\x1b[>0;276;0c",
            b"\x1b[0n",
            b"\x1b[24;80R",
            b"\x1b[1;80R",
            b"\x1b[1;1R",
            b"\x1b[?2026;2$y",
            b"\x1b[4;1$y",
            b"\x1b[8;24;80t",
            b"\x1b[?1;2c\x1b[2;2R",
        ] {
            assert_eq!(classify(answer), Sent::Answered, "{answer:?}");
        }
    }

    #[test]
    fn what_only_a_client_knows_is_an_answer() {
        for answer in [
            &b"\x1b]11;rgb:0000/0000/0000\x1b\\"[..],
            b"\x1b]10;rgb:ffff/ffff/ffff\x07",
            b"\x1bP>|xterm.js(5.5.0)\x1b\\",
            b"\x1b[4;480;640t",
            b"\x1b[?0u",
            b"\x1b[?1;2c\x1b]11;rgb:0/0/0\x07",
        ] {
            assert_eq!(classify(answer), Sent::Answer, "{answer:?}");
        }
    }
}
