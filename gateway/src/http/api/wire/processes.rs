//! Processes in a workspace, as its agent shows them. For the document alone.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Starts a process: `command` or `script`, one of the two.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessRequest {
    /// The program and its arguments. The program is a name that is looked for on `PATH`, or
    /// a path, a relative one from `cwd`.
    #[schema(min_items = 1, max_items = 65536)]
    pub command: Option<Vec<String>>,
    /// What the log-in shell is given with `-c`.
    #[schema(min_length = 1)]
    pub script: Option<String>,
    /// Where it begins, a relative path from the home; default: the home.
    #[schema(max_length = 4096)]
    pub cwd: Option<String>,
    /// Variables over those that an SSH session has, `HOME` and `PATH` included. What begins
    /// with `LD_` or `DEVGATE_` is left out; a name that is empty or has a `=` or NUL in it, or
    /// a value with a NUL, has the request refused with `bad-command`.
    pub env: Option<BTreeMap<String, String>>,
    /// What it reads; default: `none`, or what `input` and `pty` give it.
    pub stdin: Option<ProcessStdin>,
    /// A text that it reads, and then the end of its input. Not with `stdin`.
    pub input: Option<String>,
    /// Has it run on a terminal: what it writes is its stdout.
    pub pty: Option<ProcessPty>,
    /// After how long it is ended: SIGTERM to its group, and SIGKILL 5 s later.
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub timeout_seconds: Option<u64>,
    /// What it is called by whoever starts it.
    #[schema(max_length = 200)]
    pub label: Option<String>,
    /// How much of the end of each output is kept, in bytes.
    #[schema(minimum = 0, maximum = 16_777_216, default = 1_048_576)]
    pub keep_bytes: Option<u32>,
    /// Whether it outlives the `WebSocket` that it is run over.
    #[schema(default = false)]
    pub detach: Option<bool>,
}

/// What a process reads.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessStdin {
    /// Nothing.
    None,
    /// What is sent to it.
    Open,
}

/// A process's terminal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessPty {
    /// Its width, in cells.
    #[schema(minimum = 1, maximum = 1000, default = 80)]
    pub columns: Option<u16>,
    /// Its height, in cells.
    #[schema(minimum = 1, maximum = 1000, default = 24)]
    pub rows: Option<u16>,
    /// Its kind, for `TERM`.
    #[schema(max_length = 100, default = "xterm-256color")]
    pub term: Option<String>,
}

/// A process that was started over the API.
#[derive(Debug, Serialize, ToSchema)]
pub struct Process {
    /// Its id, which grows with each that is started.
    pub id: String,
    /// Its process id in the workspace.
    pub pid: u32,
    /// What it was started with, where that is a command; of a very long one its beginning, of
    /// an address to clone from no password.
    pub command: Option<Vec<String>>,
    /// What it was started with, where that is a script; of a very long one its beginning.
    pub script: Option<String>,
    /// What it is called by whoever started it.
    pub label: Option<String>,
    /// Where it began.
    pub cwd: String,
    /// Whether it runs.
    pub state: ProcessState,
    /// When it was started.
    pub started: OffsetDateTime,
    /// When it ended.
    pub ended: Option<OffsetDateTime>,
    /// How it ended, where it did by itself.
    pub exit_code: Option<u32>,
    /// What ended it, where a signal did: `KILL`, say.
    pub signal: Option<String>,
    /// Whether it was ended because it took longer than it was given.
    pub timed_out: bool,
    /// How much it has written to stdout.
    pub stdout_bytes: u64,
    /// How much it has written to stderr.
    pub stderr_bytes: u64,
    /// How much of both isn't kept any more.
    pub dropped_bytes: u64,
}

/// Whether a process runs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// It does.
    Running,
    /// It has ended, and what it wrote has been read.
    Ended,
}

/// A process that has ended, and what it wrote.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessResult {
    /// The process.
    pub process: Process,
    /// What it wrote to stdout; what is no UTF-8 is replaced by U+FFFD.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// Whether `stdout` is the end alone.
    pub stdout_truncated: bool,
    /// Whether `stderr` is the end alone.
    pub stderr_truncated: bool,
}

/// How a process is started.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StartProcessQuery {
    /// Whether the answer waits for its end, and has what it wrote.
    #[param(default = false)]
    pub wait: Option<bool>,
    /// How long it waits at most; default: to the end.
    #[param(minimum = 0, maximum = 86400)]
    pub wait_seconds: Option<u32>,
    /// Whether the process ends with this request, where the client goes away while it
    /// waits.
    #[param(default = false)]
    pub attached: Option<bool>,
}

/// Which processes.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProcessesQuery {
    /// In this state alone.
    #[param(inline)]
    pub state: Option<ProcessState>,
    /// Most entries of the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 100, pattern = "^[A-Za-z0-9._-]+$")]
    pub cursor: Option<String>,
}

/// How long to wait.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProcessQuery {
    /// How many seconds the answer may wait for its end.
    #[param(minimum = 0, maximum = 86400, default = 0)]
    pub wait_seconds: Option<u32>,
}

/// One of a process's outputs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessStream {
    /// Its stdout.
    Stdout,
    /// Its stderr.
    Stderr,
}

/// Which part of a process's output.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProcessOutputQuery {
    /// Which one.
    #[param(inline)]
    pub stream: Option<ProcessStream>,
    /// From which of its bytes on.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64, default = 0)]
    pub from: Option<u64>,
    /// Whether what it will write follows, to its end.
    #[param(default = false)]
    pub follow: Option<bool>,
}

/// Whether its input ends.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProcessInputQuery {
    /// Whether its input ends with this.
    #[param(default = false)]
    pub close: Option<bool>,
}

/// Sends a signal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendSignal {
    /// Its name: `TERM`, say, with or without `SIG`.
    #[schema(pattern = "^(SIG)?[A-Z0-9]{2,8}$")]
    pub signal: String,
    /// Whether it goes to the whole process group; on a terminal to the one in the
    /// foreground.
    #[schema(default = true)]
    pub group: Option<bool>,
}

/// The size of a terminal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminalSize {
    /// Its width, in cells.
    #[schema(minimum = 1, maximum = 1000)]
    pub columns: u16,
    /// Its height, in cells.
    #[schema(minimum = 1, maximum = 1000)]
    pub rows: u16,
}

/// From where on a client that attaches wants the outputs.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttachProcessQuery {
    /// From which byte of stdout on.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64, default = 0)]
    pub stdout_from: Option<u64>,
    /// From which byte of stderr on.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64, default = 0)]
    pub stderr_from: Option<u64>,
}

/// A text message to a process's `WebSocket`: one of these. It is heard at once where no more
/// input than `stdin_window` waits for the process; otherwise once the process has taken some.
/// Where a message of any kind has more than 4 MiB, the
/// socket is closed with 1009; where the workspace stops, with 1001.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessControl {
    /// A signal to its group: `INT`, say.
    pub signal: Option<String>,
    /// Its terminal has another size.
    pub resize: Option<TerminalSize>,
    /// Whether it outlives the `WebSocket` that it is run over.
    pub detach: Option<bool>,
}

/// A text message from a process's `WebSocket`: one of these, with the first one
/// `stdin_window`. What isn't known is to be ignored.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessNotice {
    /// The first one of `run`: it was started.
    pub started: Option<Process>,
    /// The first one of `attach`: this is it, and from where on its outputs follow.
    pub attached: Option<ProcessAttached>,
    /// With the first one: how many bytes for stdin a client may have sent beyond those of
    /// `stdin_taken`, so that a signal that it sends after them is heard at once.
    pub stdin_window: Option<u64>,
    /// How many bytes for stdin from this client it took so far, or doesn't want. It is told
    /// each time that a quarter of the window was taken.
    pub stdin_taken: Option<u64>,
    /// It wrote faster than this client read, and this is left out. With `run` only once it was
    /// killed while the client didn't read.
    pub dropped: Option<ProcessDropped>,
    /// The last one: it has ended, and all that it wrote was sent.
    pub ended: Option<Process>,
    /// The only one of `run`: it couldn't be started.
    pub error: Option<crate::http::problem::Problem>,
}

/// A process that a client attached to.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessAttached {
    /// The process.
    pub process: Process,
    /// The first byte of stdout that follows.
    pub stdout_from: u64,
    /// The first byte of stderr that follows.
    pub stderr_from: u64,
}

/// Output that is left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessDropped {
    /// Of which output.
    pub stream: ProcessStream,
    /// How much.
    pub bytes: u64,
}
