//! The task that owns a process: it reads what it writes, gives it what it reads, and ends
//! it where it is asked to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use devgate_protocol::mark::Mark;
use devgate_protocol::pipe::{Aftermath, Feed, Output, Sort};
use rustix::io::Errno;
use rustix::process::{Signal, test_kill_process, test_kill_process_group};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::run::{Input, Run, Stream};
use crate::init;
use crate::outlived::Outlived;
use crate::process::{End, Exit};

/// How long a process that was asked to end has for that.
const GRACE: Duration = Duration::from_secs(5);

/// What ends input on a terminal (`VEOF`): at the beginning of a line once, within one it
/// only hands that over.
const END_OF_INPUT: &[u8] = b"\x04";

/// What is due at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// It took too long.
    TimeUp,
    /// It has been asked to end.
    Kill,
}

/// A process's descriptors and its end.
pub(super) struct Owner {
    run: Arc<Run>,
    end: End,
    feed: Feed,
    outputs: [Output; 2],
    input: mpsc::Receiver<Input>,
    outlived: Outlived,
    /// Whether what was given last ended a line.
    is_at_line_start: bool,
    pub(super) is_on_terminal: bool,
    pub(super) limit: Option<Duration>,
    mark: Mark,
}

impl Owner {
    pub(super) fn new(
        run: Arc<Run>,
        end: End,
        feed: Feed,
        outputs: [Output; 2],
        input: mpsc::Receiver<Input>,
        outlived: Outlived,
        mark: Mark,
    ) -> Self {
        Self {
            run,
            end,
            feed,
            outputs,
            input,
            outlived,
            is_at_line_start: true,
            is_on_terminal: false,
            limit: None,
            mark,
        }
    }

    /// Gives it something to read.
    pub(super) fn give(&mut self, bytes: Bytes) {
        if let Some(last) = bytes.last() {
            self.is_at_line_start = matches!(last, b'\n' | b'\r');
        }
        let fed = self.feed.push(bytes);
        self.note(fed);
    }

    /// Ends what it reads. A terminal goes on: what ends input there is typed.
    pub(super) fn end_input(&mut self) {
        if !self.is_on_terminal {
            self.feed.end();
            self.run.close_stdin();
            return;
        }
        let times = if self.is_at_line_start { 1 } else { 2 };
        for _ in 0..times {
            let fed = self.feed.push(Bytes::from_static(END_OF_INPUT));
            self.note(fed);
        }
        self.is_at_line_start = true;
    }

    /// Tells those who have more for it where it reads no more.
    fn note(&mut self, fed: io::Result<()>) {
        if let Err(error) = fed {
            debug!(%error, "a process doesn't read any more");
            self.run.close_stdin();
            self.input.close();
        }
    }

    /// Serves it to its end; with it those that it leaves behind, where it was ended.
    pub(super) async fn run(mut self) {
        let (exit, asked) = self.serve().await;
        let Self {
            run,
            feed,
            outputs,
            outlived,
            mark,
            is_on_terminal,
            ..
        } = self;
        drop(feed);
        let Some(deadline) = asked else {
            if !is_on_terminal {
                for output in outputs {
                    outlived.keep(output);
                }
            }
            run.exited(exit);
            return;
        };
        drop(outputs);
        run.exited(exit);
        let leader = run.child.pid();
        // The shell of a terminal has groups beside its own.
        if is_on_terminal || test_kill_process_group(leader).is_ok() {
            sleep_until(deadline).await;
            let killing = spawn_blocking(move || {
                // As long as its session has somebody in it, its number isn't given again.
                if test_kill_process(leader) == Err(Errno::SRCH) {
                    init::kill_session(&mark, leader);
                }
            });
            // A panic in there is no reason to stop here.
            let _ = killing.await;
        }
    }

    /// Carries bytes until the process has ended and what it wrote is read; returns how it
    /// ended, and where it was asked to, until when what it leaves behind has time.
    async fn serve(&mut self) -> (Exit, Option<Instant>) {
        let run = Arc::clone(&self.run);
        let mut exit = None;
        let sort = if self.is_on_terminal {
            Sort::Terminal
        } else {
            Sort::Pipe
        };
        let mut aftermath = Aftermath::begin(sort);
        let limit = self
            .limit
            .and_then(|limit| Instant::now().checked_add(limit));
        let mut due = limit.map(|at| (at, Due::TimeUp));
        let mut kill_at = None;
        let mut takes_input = true;
        loop {
            let [stdout, stderr] = &mut self.outputs;
            if let Some(exit) = exit
                && !stdout.is_open()
                && !stderr.is_open()
            {
                return (exit, kill_at);
            }
            let [room_for_stdout, room_for_stderr] = run.room();
            tokio::select! {
                ended = self.end.wait(), if exit.is_none() => {
                    exit = Some(ended);
                    due.take_if(|(_, due)| *due == Due::TimeUp);
                    stdout.owe();
                    stderr.owe();
                    aftermath = Aftermath::begin(sort);
                }
                read = stdout.fill(), if room_for_stdout => {
                    deliver(&run, Stream::Stdout, stdout, &read);
                    aftermath.heard();
                }
                read = stderr.fill(), if room_for_stderr => {
                    deliver(&run, Stream::Stderr, stderr, &read);
                    aftermath.heard();
                }
                flowed = self.feed.flow() => self.note(flowed),
                input = self.input.recv(), if takes_input && self.feed.has_room() => match input {
                    Some(Input::Data(bytes)) => self.give(bytes),
                    Some(Input::End) => self.end_input(),
                    None => takes_input = false,
                },
                () = run.drained.notified() => {}
                () = run.asked.notified() => if let Some(asked) = run.take_asked() {
                    due = Some((self.ask(asked.signal()), Due::Kill));
                    kill_at = due.map(|(at, _)| at);
                },
                next = until(due) => match next {
                    Due::TimeUp => {
                        run.timed_out();
                        due = Some((self.ask(Signal::TERM), Due::Kill));
                        kill_at = due.map(|(at, _)| at);
                    }
                    Due::Kill => {
                        run.child.signal_group(Signal::KILL);
                        // It is over, whether or not somebody reads what it wrote.
                        run.release();
                        due = None;
                    }
                },
                () = aftermath.over(), if exit.is_some() => {
                    // Its silence is its reader's.
                    let waits = (stdout.is_open() && !room_for_stdout)
                        || (stderr.is_open() && !room_for_stderr);
                    if waits {
                        aftermath.extend();
                    } else if !aftermath.goes_on(&[stdout, stderr])
                        && let Some(exit) = exit
                    {
                        return (exit, kill_at);
                    }
                }
            }
        }
    }

    /// Asks it to end; returns until when it has time.
    fn ask(&self, signal: Signal) -> Instant {
        self.run.child.signal_group(signal);
        // One that is stopped acts on nothing else.
        self.run.child.signal_group(Signal::CONT);
        Instant::now() + GRACE
    }
}

fn deliver(run: &Run, stream: Stream, output: &mut Output, read: &io::Result<usize>) {
    if let Some(bytes) = output.take(read) {
        run.wrote(stream, &bytes);
    }
}

/// Waits until something is due; for ever where nothing is. Cancel-safe.
async fn until(due: Option<(Instant, Due)>) -> Due {
    match due {
        Some((at, due)) => {
            sleep_until(at).await;
            due
        }
        None => std::future::pending().await,
    }
}
