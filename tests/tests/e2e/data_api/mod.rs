//! The data API of a workspace, through the gateway and over HTTPS.

mod git;
mod processes;
mod sockets;
mod watch;
mod files;
mod large;
