//! The agent, driven over its socket as a gateway drives it.
#![expect(
    clippy::unwrap_used,
    reason = "functions that tests share are tests, too"
)]

mod browser;
mod client;
mod editor;
mod endings;
mod exec;
mod files;
mod forward;
mod init;
mod ports;
mod relays;
mod startup;
mod terminal;
mod terminals;
