//! The data API of a workspace, through the gateway and over HTTPS.

mod files;
mod git;
mod handed;
mod large;
mod processes;
mod sockets;
mod trees;
mod watch;
