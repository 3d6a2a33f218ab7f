//! Signals: the command gets them, and whoever insists gets away from it.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::{LOST, SIGNALLED};
use crate::cli::failure::Failure;

/// Signals that are handed on.
const SIGNALS: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Time in which interrupts insist: a program that is used may be interrupted now and then.
const INTERRUPTS: Duration = Duration::from_secs(5);

/// What the command is told beside what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// A signal.
    Signal(Signal),
    /// Its terminal has another size.
    Resize,
}

/// Whether the command has the terminal here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Screen {
    /// It has: its size is the command's, and where it goes nobody sees the command.
    Its,
    /// It has none.
    None,
}

/// Signals, and changes of the terminal's size. None is lost from the making on.
pub(super) struct Signals {
    all: Vec<(Signal, unix::Signal)>,
    sizes: unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let mut all = Vec::new();
        for kind in SIGNALS {
            all.push((kind, signal(SignalKind::from_raw(kind as i32))?));
        }
        let sizes = signal(SignalKind::window_change())?;
        Ok(Self { all, sizes })
    }

    /// Hands all on, and tells `ending` of those that may end the command; returns once
    /// somebody insists.
    pub(super) async fn hand_on(
        mut self,
        screen: Screen,
        to: mpsc::Sender<Control>,
        ending: &Notify,
    ) -> Failure {
        let mut earlier = Earlier::default();
        loop {
            let control = self.next(screen).await;
            if let Control::Signal(signal) = control {
                if earlier.insists(signal, screen, Instant::now()) {
                    return left(signal);
                }
                if limit(signal, screen).is_some() {
                    ending.notify_one();
                }
            }
            // Where so many wait, nothing is sent any more: insisting helps.
            let _ = to.try_send(control);
        }
    }

    /// Returns what comes next. Cancel-safe.
    async fn next(&mut self, screen: Screen) -> Control {
        let signals = self.all.iter_mut().map(|(kind, signal)| {
            let kind = *kind;
            Box::pin(async move {
                signal.recv().await;
                kind
            })
        });
        tokio::select! {
            (kind, ..) = futures_util::future::select_all(signals) => Control::Signal(kind),
            _ = self.sizes.recv(), if screen == Screen::Its => Control::Resize,
        }
    }
}

/// Signals that came before.
#[derive(Default)]
struct Earlier(Vec<(Signal, Instant)>);

impl Earlier {
    /// Takes note of one; tells whether that is once too often.
    fn insists(&mut self, signal: Signal, screen: Screen, now: Instant) -> bool {
        let Some(limit) = limit(signal, screen) else {
            return false;
        };
        let counts = |earlier: Signal, at: Instant| {
            earlier != Signal::SIGINT || now.duration_since(at) < INTERRUPTS
        };
        self.0.retain(|&(earlier, at)| counts(earlier, at));
        self.0.push((signal, now));
        let times = self.0.iter().filter(|(earlier, _)| *earlier == signal);
        times.count() >= limit
    }
}

/// Returns how often a signal comes until the command is left; `None`: it never is.
fn limit(signal: Signal, screen: Screen) -> Option<usize> {
    match (signal, screen) {
        (Signal::SIGHUP, Screen::Its) => Some(1),
        (Signal::SIGINT, _) => Some(3),
        (Signal::SIGTERM | Signal::SIGHUP | Signal::SIGQUIT, _) => Some(2),
        _ => None,
    }
}

/// Says that the command was left for a signal.
pub(super) fn left(signal: Signal) -> Failure {
    let message = format!("left for {signal}, whatever the command does: it gets SIGHUP there");
    let number = u8::try_from(signal as i32).unwrap_or(LOST);
    Failure::ended(SIGNALLED.saturating_add(number), Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_insists_gets_away() {
        let now = Instant::now();
        let at = |millis| now + Duration::from_millis(millis);
        let mut earlier = Earlier::default();
        let mut comes = |signal, millis| earlier.insists(signal, Screen::None, at(millis));
        assert!(!comes(Signal::SIGTERM, 0));
        assert!(!comes(Signal::SIGHUP, 1));
        for millis in [2, 3, 5010, 5020, 20_000] {
            assert!(!comes(Signal::SIGINT, millis), "{millis}");
            assert!(!comes(Signal::SIGUSR1, millis));
        }
        assert!(!comes(Signal::SIGINT, 21_000));
        assert!(comes(Signal::SIGINT, 22_000));
        assert!(comes(Signal::SIGTERM, 99_000));
        assert!(comes(Signal::SIGHUP, 99_000));
        // A terminal that goes doesn't come again.
        let mut earlier = Earlier::default();
        assert!(earlier.insists(Signal::SIGHUP, Screen::Its, now));
    }
}
