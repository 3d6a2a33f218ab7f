//! What runs inside a workspace.
//!
//! The agent does the work of an SSH server's session side: it starts programs on
//! pipes and terminals, dials and listens for forwarded ports and sockets, and
//! serves files. Everything that it is asked to do arrives as a
//! [`devgate_protocol::Stream`]; [`serve`] is the one place that takes them, whether
//! they came through the local socket ([`listen`]) or over a tunnel that the agent
//! dialled.
//!
//! Invariants: a program's output is never lost around its exit; what a gateway
//! started lives on without it, unless its terminal is hung up; memory per stream is
//! bounded, and an idle stream holds no buffer.

mod account;
mod agent;
pub mod awake;
mod control;
pub mod dial;
mod editor;
mod files;
mod forward;
mod git;
mod http;
pub mod init;
pub mod listen;
mod log;
mod memory;
mod notices;
mod outlived;
mod places;
mod ports;
mod process;
mod process_limit;
mod processes;
mod runs;
mod secrets;
mod send;
mod serve;
mod session;
pub mod sftp;
mod splice;
mod startup;
mod state_folder;
mod statistics;
mod terminals;
mod waiting;
mod watches;

pub use account::Account;
pub use agent::{Agent, AgentError};
pub use notices::Notices;
pub use process::{Orphans, raise_open_files};
pub use secrets::Secrets;
pub use serve::{serve, serve_opened};
pub use session::Passing;

/// The agent's version, as it tells it to gateways.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
