//! The harness of the end-to-end tests: it starts the real gateway, drives real
//! clients against it and breaks things on purpose.
//!
//! Everything here reports by panicking, with what the programs printed, since
//! its only caller is a test. Nothing outlives the value that started it: each
//! guard ends its processes when it is dropped.

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a harness reports by panicking; whatever is missing or out of range fails the test"
)]

pub mod api;
pub mod bench;
pub mod browser;
pub mod caller;
pub mod clients;
pub mod component;
pub mod connect;
pub mod docker;
pub mod gateway;
pub mod keys;
pub mod memory;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod reach;
pub mod registry;
pub mod repository;
pub mod reverse_proxy;
pub mod sdk;
pub mod servers;
pub mod severed;
pub mod socks;
pub mod ssh;
pub mod sshd;
pub mod survivors;
pub mod target;
pub mod tmux;
pub mod vscode;
pub mod wait;
