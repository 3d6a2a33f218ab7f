//! The agent, driven over its socket as a gateway drives it.
#![expect(
    clippy::unwrap_used,
    reason = "functions that tests share are tests, too"
)]

mod client;
mod exec;
mod forward;
mod init;
mod relays;
mod terminal;
