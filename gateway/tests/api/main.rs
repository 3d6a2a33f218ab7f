//! The REST API, against the real binary with real agents.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::format_push_string,
    clippy::large_stack_arrays,
    clippy::too_many_lines,
    reason = "a test reports by panicking"
)]

mod accounts;
mod attacks;
mod client;
#[path = "../cli/home.rs"]
mod home;
mod input;
mod lifecycle;
mod live;
mod narrowed;
mod snapshots;
mod startup;
mod under_way;
mod workspaces;
