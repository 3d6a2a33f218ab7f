//! The SFTP server, spoken to packet by packet.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it by panicking, as its tests do"
)]

mod client;
mod extensions;
mod files;
mod flow;
mod hostile;
