//! The command line, against the real binary with real agents.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod administration;
mod configuration;
mod home;
mod starting;
