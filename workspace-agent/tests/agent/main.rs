//! The agent, driven over its socket as a gateway drives it.

mod client;
mod exec;
mod forward;
mod init;
mod relays;
mod terminal;
