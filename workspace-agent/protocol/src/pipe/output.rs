//! What a program writes, and for how long it is read after the program's end.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Descriptor, LARGE_READ, SMALL_READ, Sort};

/// How long pipes may be silent after their program's end: a filter that still writes
/// takes its time between two lines.
const SILENCE: Duration = Duration::from_secs(3);

/// How long pipes in which something comes may go on at all. Whoever writes for longer is
/// a daemon and no filter.
const LIMIT: Duration = Duration::from_mins(10);

/// The same of a terminal, which ends with its program: what still writes to it is a job
/// in the background.
const TERMINAL_SILENCE: Duration = Duration::from_secs(1);
const TERMINAL_LIMIT: Duration = Duration::from_secs(4);

/// One of a program's outputs.
#[derive(Debug)]
pub struct Output {
    /// `None` once it ended.
    source: Option<Descriptor>,
    buffer: BytesMut,
    /// How much is read next.
    size: usize,
    /// How much it held when the program ended, at most, less what was taken since.
    owed: u64,
}

/// The time in which a program's outputs are still read after its end.
///
/// What they held at that moment is owed and always delivered. A child that holds pipes
/// open is waited for: a filter is heard to its end as long as it writes, a daemon doesn't
/// keep the channel.
#[derive(Debug)]
pub struct Aftermath {
    silence: Duration,
    idle: Instant,
    limit: Instant,
}

impl Output {
    /// Returns one for that descriptor; `None` is one that has ended.
    pub fn new(source: Option<Descriptor>) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
            size: SMALL_READ,
            owed: 0,
        }
    }

    /// Waits for bytes, or for the end; for ever where it has ended. Cancel-safe.
    pub async fn fill(&mut self) -> io::Result<usize> {
        match &self.source {
            Some(source) => source.read(&mut self.buffer, self.size).await,
            None => std::future::pending().await,
        }
    }

    /// Takes what [`Self::fill`] has read; nothing at the end.
    pub fn take(&mut self, read: &io::Result<usize>) -> Option<Bytes> {
        let Ok(1..) = read else {
            // A descriptor that can't be read any more has ended.
            self.close();
            return None;
        };
        let taken = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.owed = self.owed.saturating_sub(taken);
        if self.buffer.len() < SMALL_READ {
            self.size = SMALL_READ;
            return Some(std::mem::take(&mut self.buffer).freeze());
        }
        self.size = LARGE_READ;
        self.source.iter().for_each(Descriptor::enlarge);
        Some(self.buffer.split().freeze())
    }

    /// Reads no more: the program learns of it when it writes.
    pub fn close(&mut self) {
        *self = Self::new(None);
    }

    /// Notes what is there to be read, as the program has ended.
    pub fn owe(&mut self) {
        self.owed = self.source.as_ref().map_or(0, Descriptor::available);
    }

    /// Whether it holds what it owes.
    fn owes(&self) -> bool {
        self.owed > 0 && self.is_readable()
    }

    /// Whether something is there to be read.
    fn is_readable(&self) -> bool {
        self.source.as_ref().is_some_and(Descriptor::is_readable)
    }

    /// Reads what nobody wants, with a pause between two reads: to its end. Cancel-safe.
    pub async fn discard(&mut self, pause: Duration) {
        while self.is_open() {
            let read = self.fill().await;
            drop(self.take(&read));
            sleep(pause).await;
        }
    }

    /// Whether it hasn't ended.
    pub fn is_open(&self) -> bool {
        self.source.is_some()
    }
}

impl Aftermath {
    /// Begins with the end of a program that wrote to those.
    pub fn begin(sort: Sort) -> Self {
        match sort {
            Sort::Pipe => Self::within(SILENCE, LIMIT),
            Sort::Terminal => Self::within(TERMINAL_SILENCE, TERMINAL_LIMIT),
        }
    }

    /// Begins with a program's end: its outputs may be silent for as long as `silence`,
    /// and go on for `limit` at all.
    pub fn within(silence: Duration, limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            silence,
            idle: now + silence,
            limit: now + limit,
        }
    }

    /// Notes that something was read.
    pub fn heard(&mut self) {
        self.idle = Instant::now() + self.silence;
    }

    /// Waits until nothing more is to be expected. Cancel-safe.
    pub async fn over(&self) {
        sleep_until(self.idle.min(self.limit)).await;
    }

    /// Decides once it is over whether it goes on after all: for owed bytes that are there,
    /// and within the limit for any, which nobody has come to read.
    pub fn goes_on(&mut self, outputs: &[&Output]) -> bool {
        let in_time = Instant::now() < self.limit;
        let goes_on = |output: &&Output| output.owes() || (in_time && output.is_readable());
        let goes_on = outputs.iter().any(goes_on);
        if goes_on {
            self.extend();
        }
        goes_on
    }

    /// Goes on for a moment, whatever the limit.
    pub fn extend(&mut self) {
        self.heard();
        self.limit = self.limit.max(self.idle);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;

    use rustix::pipe::{PipeFlags, pipe_with};
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

    use super::*;
    use crate::pipe::{Feed, Sort};

    /// A terminal that changes nothing of what passes: both of its sides.
    fn terminal() -> (OwnedFd, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        unlockpt(&master).unwrap();
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        let mut modes = tcgetattr(&slave).unwrap();
        modes.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
        (master, slave)
    }

    #[tokio::test]
    async fn what_waits_for_a_terminal_that_was_hung_up_is_given_up() {
        let (master, slave) = terminal();
        let mut feed = Feed::new(Some(Descriptor::new(master, Sort::Terminal).unwrap()));
        while feed.is_empty() {
            feed.push(vec![b'x'; 65536].into()).unwrap();
        }
        drop(slave);
        feed.drain().await;
        assert!(feed.is_empty());
    }

    #[tokio::test]
    async fn a_terminal_owes_all_that_was_written_to_it() {
        let (master, slave) = terminal();
        // More than its line discipline takes at once, less than it keeps.
        let mut written = vec![b'x'; 6000];
        written.push(b'.');
        std::fs::File::from(slave).write_all(&written).unwrap();
        let mut output = Output::new(Some(Descriptor::new(master, Sort::Terminal).unwrap()));
        output.owe();
        let mut read = Vec::new();
        while read.len() < written.len() {
            assert!(output.owes(), "{} bytes", read.len());
            output.size = 1000;
            let filled = output.fill().await;
            read.extend_from_slice(&output.take(&filled).unwrap());
        }
        assert!(read == written);
        assert!(!output.owes());
    }

    #[tokio::test]
    async fn a_pipe_owes_what_it_held_and_nothing_that_came_later() {
        let (from, to) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut to = std::fs::File::from(to);
        to.write_all(b"held").unwrap();
        let mut output = Output::new(Some(Descriptor::new(from, Sort::Pipe).unwrap()));
        output.owe();
        assert!(output.owes());
        let filled = output.fill().await;
        assert_eq!(output.take(&filled).unwrap(), &b"held"[..]);
        to.write_all(b"later").unwrap();
        assert!(!output.owes());
    }

    #[tokio::test]
    async fn what_is_there_is_read_within_the_limit_and_only_what_is_owed_beyond() {
        let (from, to) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut to = std::fs::File::from(to);
        let mut output = Output::new(Some(Descriptor::new(from, Sort::Pipe).unwrap()));
        let mut pipes = Aftermath::begin(Sort::Pipe);
        let mut spent = Aftermath::within(Duration::ZERO, Duration::ZERO);
        assert!(!pipes.goes_on(&[&output]), "nothing is there");
        to.write_all(b"a line").unwrap();
        assert!(pipes.goes_on(&[&output]));
        assert!(!spent.goes_on(&[&output]));
        output.owe();
        assert!(spent.goes_on(&[&output]));
    }

    #[test]
    fn a_filter_may_write_for_minutes_and_a_daemon_not_for_ever() {
        let mut pipes = Aftermath::begin(Sort::Pipe);
        let begun = pipes.limit - LIMIT;
        pipes.extend();
        assert_eq!(
            pipes.limit,
            begun + LIMIT,
            "a moment more is no moment less"
        );
        assert!(pipes.limit > pipes.idle + Duration::from_mins(1));
        assert!(pipes.limit < begun + Duration::from_hours(1));
    }
}
