//! What commands print: tables or JSON on stdout, progress on stderr.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::failure::{Failure, Kind};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(80);

/// How a result is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Format {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Format {
    /// Tells whether JSON is asked for.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Prints `value` as JSON, or what `text` makes of it.
    pub(super) fn print<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
            write(&format!("{}\n", escaped(&json)))
        } else {
            write(&text(value))
        }
    }

    /// Says that one of several is done, unless that is said as JSON: see `done`.
    pub(super) fn step(self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { write(text) }
    }

    /// Says as JSON what `was_done` to all of them, once it is.
    pub(super) fn done(self, was_done: &str, all: &impl Serialize) -> Result<(), Failure> {
        if self.json {
            self.print(&json!({ was_done: all }), |_| String::new())
        } else {
            Ok(())
        }
    }
}

/// Writes a value as one line of JSON to stdout.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(value).map_err(io::Error::from)?;
    write(&format!("{}\n", escaped(&json)))
}

/// Writes text to stdout.
pub(super) fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(printable_lines(text).as_bytes());
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let message = format!("cannot write to stdout: {error}");
            Err(Failure::new(Kind::Failed, message))
        }
        written => Ok(written?),
    }
}

/// Writes a line to stderr for the person who watches.
pub(super) fn note(text: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = io::stderr().write_all(format!("{}\n", printable_lines(text)).as_bytes());
}

/// Lays rows out in columns under their headings.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let lines = std::iter::once(headings.map(str::to_owned)).chain(rows.iter().cloned());
    for line in lines {
        let cells: Vec<_> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{:width$}", printable(cell)))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Returns the text with control characters made visible: a key's comment is no
/// way into somebody's terminal.
pub(super) fn printable(text: &str) -> String {
    let visible = |c| if controls(c) { '\u{fffd}' } else { c };
    text.chars().map(visible).collect()
}

/// Returns text of several lines so: their ends and tabs stay. All that is written passes
/// through this, as much of it comes from servers.
fn printable_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let visible = |c| match c {
        '\n' | '\t' => c,
        c if controls(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(visible).collect()
}

/// Tells whether a character does something to a terminal, or turns what stands beside it
/// around (UAX #9).
fn controls(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns JSON in which such characters are escaped: programs read the same.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && controls(c) {
            // Those of ASCII were escaped before, and none is beyond 16 bits.
            escaped.extend(["\\u".to_owned(), format!("{:04x}", u32::from(c))]);
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Returns a time as people and programs read it, in seconds.
pub(super) fn time(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0)
        .unwrap_or(at)
        .format(&Rfc3339)
        .unwrap_or_else(|_| at.to_string())
}

/// Shows on a terminal that something goes on, until it is dropped.
#[must_use]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Begins to show `message`.
    pub(super) fn start(message: &str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner()
            .with_style(style)
            .with_message(printable(message));
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Shows another message.
    pub(super) fn tell(&self, message: &str) {
        self.0.set_message(printable(message));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["api".to_owned(), "running".to_owned()],
            ["frontend".to_owned(), "stopped".to_owned()],
        ];
        assert_eq!(
            table(["NAME", "STATE"], &rows),
            "NAME      STATE\napi       running\nfrontend  stopped\n"
        );
    }

    #[test]
    fn lines_stay_and_nothing_in_them_controls_the_terminal() {
        let text = printable_lines("one\u{1b}[2J\u{9b}\r\n\ttwo\rthree\u{202e}\n");
        assert_eq!(text, "one\u{fffd}[2J\u{fffd}\n\ttwo\u{fffd}three\u{fffd}\n");
    }

    #[test]
    fn json_says_the_same_without_controlling_the_terminal() {
        let value = serde_json::json!({ "detail": "\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\n" });
        let json = escaped(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!json.chars().any(|c| c != '\n' && controls(c)), "{json:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json).unwrap(),
            value
        );
    }

    #[test]
    fn a_cell_can_not_control_the_terminal() {
        let text = table(["COMMENT"], &[["\u{1b}[2Jevil\r\n".to_owned()]]);
        assert!(!text.contains('\u{1b}'));
        assert_eq!(text.lines().count(), 2);
    }
}
