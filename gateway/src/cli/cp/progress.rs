//! How far it is, on a terminal.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output::printable;

/// A bar over all that is copied; it goes when this is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn start() -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let template = "{wide_msg} {bar:20} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(template);
        let bar = ProgressBar::new(0);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// More was found to copy.
    pub(super) fn found(&self, bytes: u64) {
        self.0.inc_length(bytes);
    }

    /// Shows what is copied now.
    pub(super) fn doing(&self, what: &str) {
        self.0.set_message(printable(what));
    }

    /// That much was copied.
    pub(super) fn did(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
