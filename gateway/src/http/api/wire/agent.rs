//! What a workspace's agent answers and the gateway passes on as it is. These types
//! are there for the document alone.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// A terminal in a workspace, which lives on when nobody looks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Terminal {
    /// Its id.
    pub id: String,
    /// The title that its programs gave it.
    pub title: String,
    /// The command that it was opened with; absent for the log-in shell.
    pub command: Option<String>,
    /// When it was opened.
    pub created: OffsetDateTime,
    /// Its width, in cells.
    pub columns: u16,
    /// Its height, in cells.
    pub rows: u16,
    /// How many clients look at it.
    pub attached: u32,
    /// The program in its foreground.
    #[schema(required = true)]
    pub process: Option<String>,
    /// Whether its command runs.
    pub state: TerminalState,
    /// How the command ended.
    pub exit_status: Option<i32>,
    /// When it is cleared away.
    pub ends_at: Option<OffsetDateTime>,
}

/// Whether a terminal's command runs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TerminalState {
    /// It does.
    Running,
    /// It has ended.
    Exited,
}

/// All terminals of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Terminals {
    /// The terminals, oldest first.
    pub items: Vec<Terminal>,
}

/// Opens a terminal.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenTerminal {
    /// Its width, in cells.
    #[schema(minimum = 1, maximum = 1000)]
    pub columns: Option<u16>,
    /// Its height, in cells.
    #[schema(minimum = 1, maximum = 1000)]
    pub rows: Option<u16>,
    /// What to run; default: the login shell.
    #[schema(max_length = 32768)]
    pub command: Option<String>,
}

/// How large the window of a client is.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttachQuery {
    /// Its width, in cells.
    #[param(minimum = 1, maximum = 1000)]
    pub columns: Option<u16>,
    /// Its height, in cells.
    #[param(minimum = 1, maximum = 1000)]
    pub rows: Option<u16>,
}

/// VS Code in the browser, inside a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Editor {
    /// Whether it runs.
    pub state: EditorState,
    /// A sentence for people: what to do next.
    pub detail: String,
    /// Its version.
    pub version: Option<String>,
    /// Since when it is in this state.
    pub since: Option<OffsetDateTime>,
    /// How many connections it has.
    pub connections: u32,
}

/// Whether the editor runs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EditorState {
    /// It isn't installed.
    Missing,
    /// It doesn't run.
    Stopped,
    /// It is on its way.
    Starting,
    /// It runs.
    Running,
    /// It doesn't run, though it should.
    Failed,
}

/// Which part of the editor's log.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EditorLogQuery {
    /// How many of the last lines.
    #[param(minimum = 0, maximum = 100_000)]
    pub tail: Option<u32>,
}

/// How far back statistics go.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatisticsQuery {
    /// How far.
    #[param(inline)]
    pub window: Option<StatisticsWindow>,
}

/// How far back statistics go.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StatisticsWindow {
    /// One hour, every 10 seconds.
    Hour,
    /// One day, every 5 minutes.
    Day,
}

/// What a workspace used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Statistics {
    /// Time between two samples.
    pub interval_seconds: u32,
    /// Processors that the workspace may use.
    pub cpu_count: u32,
    /// Memory that it may use, in bytes.
    pub memory_total: u64,
    /// Size of its disk, in bytes.
    pub disk_total: u64,
    /// The samples, oldest first.
    pub samples: Vec<Sample>,
}

/// What a workspace used at one time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sample {
    /// When.
    pub time: OffsetDateTime,
    /// Processor time, in percent of one processor.
    pub cpu_percent: f64,
    /// Memory.
    pub memory_bytes: u64,
    /// Disk.
    pub disk_bytes: u64,
    /// Received from the network.
    pub received_bytes_per_second: f64,
    /// Sent to the network.
    pub sent_bytes_per_second: f64,
    /// How many processes there were.
    pub processes: u32,
}
