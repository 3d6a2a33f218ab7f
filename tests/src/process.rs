//! Programs that a test runs: their output collected, their end guaranteed.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::wait::eventually;

/// How much output is kept; a test that expects more sends it to a file.
const KEPT: usize = 64 * 1024 * 1024;

/// What a program left behind.
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Returns the exit status, or 128 and the signal's number.
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default())
    }

    /// Returns the standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns the standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Panics with everything that the program printed unless it ended with 0.
    #[track_caller]
    #[must_use]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "failed: {self:?}");
        self
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first error is near the beginning, the last one at the end.
        let shorten = |text: String| {
            let count = text.chars().count();
            if count <= 16_000 {
                return text;
            }
            let head: String = text.chars().take(8000).collect();
            let tail: String = text.chars().skip(count - 8000).collect();
            format!("{head}\n[{} characters left out]\n{tail}", count - 16_000)
        };
        write!(
            f,
            "{}\n--- stdout ({} bytes)\n{}\n--- stderr\n{}",
            self.status,
            self.stdout.len(),
            shorten(self.out()),
            shorten(self.err())
        )
    }
}

/// Bytes that a program has written so far.
#[derive(Default)]
struct Collected {
    bytes: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    bytes: Vec<u8>,
    ended: bool,
}

impl Collected {
    fn follow(mut source: impl Read + Send + 'static) -> Arc<Self> {
        let collected = Arc::new(Self::default());
        let writer = Arc::clone(&collected);
        thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            loop {
                let read = source.read(&mut chunk).unwrap_or(0);
                let mut progress = writer.bytes.lock().unwrap();
                if read == 0 || progress.bytes.len() > KEPT {
                    progress.ended = true;
                    writer.changed.notify_all();
                    return;
                }
                progress.bytes.extend_from_slice(&chunk[..read]);
                writer.changed.notify_all();
            }
        });
        collected
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().bytes.clone()
    }

    /// Waits until `done` accepts what is there, the end included.
    fn wait(&self, limit: Duration, mut done: impl FnMut(&[u8], bool) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut progress = self.bytes.lock().unwrap();
        while !done(&progress.bytes, progress.ended) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            progress = self.changed.wait_timeout(progress, left).unwrap().0;
        }
        true
    }
}

/// A program that runs in its own process group, which is killed when this is
/// dropped.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Collected>,
    stderr: Arc<Collected>,
    what: String,
}

impl Running {
    /// Starts a program with all three standard streams connected to the test.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self::start_as_it_is(command)
    }

    /// Starts a program whose standard input and output the caller has set;
    /// those that it set to `piped` are connected to the test.
    #[track_caller]
    pub fn start_as_it_is(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let mut child = command
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let nothing = || Collected::follow(std::io::empty());
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map_or_else(nothing, Collected::follow),
            stderr: child.stderr.take().map_or_else(nothing, Collected::follow),
            child,
            what,
        }
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(bytes).expect("the program reads");
        stdin.flush().expect("the program reads");
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Writes all of `input` from a thread of its own, then ends the input.
    pub fn feed(&mut self, input: Vec<u8>) {
        if let Some(mut stdin) = self.stdin.take() {
            // A program may well end without having read everything.
            thread::spawn(move || stdin.write_all(&input).ok());
        }
    }

    /// Waits until its standard output holds `text` and returns the output so far.
    #[track_caller]
    pub fn wait_for(&self, text: &str, limit: Duration) -> String {
        self.wait_for_bytes(limit, text, |seen| contains(seen, text.as_bytes()))
    }

    /// Waits until its standard output satisfies `done` and returns it.
    #[track_caller]
    pub fn wait_for_bytes(
        &self,
        limit: Duration,
        what: &str,
        done: impl Fn(&[u8]) -> bool,
    ) -> String {
        let mut found = false;
        self.stdout.wait(limit, |seen, ended| {
            found = done(seen);
            found || ended
        });
        assert!(
            found,
            "{}: no {what:?} within {limit:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.what,
            self.output(),
            self.errors()
        );
        self.output()
    }

    /// Waits until its standard error holds `text` and returns it so far.
    #[track_caller]
    pub fn wait_for_error(&self, text: &str, limit: Duration) -> String {
        let mut found = false;
        self.stderr.wait(limit, |seen, ended| {
            found = contains(seen, text.as_bytes());
            found || ended
        });
        assert!(
            found,
            "{}: no {text:?} on stderr within {limit:?}\n{}",
            self.what,
            self.errors()
        );
        self.errors()
    }

    /// Returns what it has written to its standard output so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.stdout.so_far()).into_owned()
    }

    /// Returns what it has written to its standard error so far.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr.so_far()).into_owned()
    }

    /// Returns how it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child is ours")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(pid(self.child.id()), signal).ok();
    }

    /// Waits for its end. Panics with its output after `limit`.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Finished {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "{}: still running after {limit:?}\n--- stdout\n{}\n--- stderr\n{}",
                self.what,
                self.output(),
                self.errors()
            );
            thread::sleep(Duration::from_millis(5));
        };
        // Its children may hold the pipes open: what is there is enough then.
        let drained = Duration::from_secs(2);
        self.stdout.wait(drained, |_, ended| ended);
        self.stderr.wait(drained, |_, ended| ended);
        Finished {
            status,
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group may outlive its leader.
        killpg(pid(self.child.id()), Signal::SIGKILL).ok();
        self.child.wait().ok();
    }
}

/// Runs a program to its end with `input` on its standard input.
#[track_caller]
pub fn run(command: &mut Command, input: &[u8], limit: Duration) -> Finished {
    let mut running = Running::start(command);
    running.feed(input.to_vec());
    running.finish(limit)
}

/// Runs a program to its end between two files.
#[track_caller]
pub fn run_between(command: &mut Command, from: File, to: File, limit: Duration) -> Finished {
    command.stdin(from).stdout(to);
    Running::start_as_it_is(command).finish(limit)
}

/// Waits until a process is gone.
#[track_caller]
pub fn wait_until_gone(process: u32, limit: Duration) {
    eventually(limit, &format!("the end of process {process}"), || {
        (!is_running(process)).then_some(())
    });
}

/// Says whether a process exists and is no zombie.
pub fn is_running(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| {
        // The state follows the name, which may itself hold parentheses.
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
    })
}

/// Sends a signal to a process that this test started or that a program which it
/// started has started.
pub fn signal(process: u32, signal: Signal) {
    kill(pid(process), signal).ok();
}

/// Says whether `all` holds `part`.
pub fn contains(all: &[u8], part: &[u8]) -> bool {
    part.is_empty() || all.windows(part.len()).any(|window| window == part)
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(i32::try_from(process).expect("a process id is positive"))
}
