//! Applications of a workspace through the gateway: real agents, real sockets, TLS.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod access;
mod application;
mod bodies;
mod client;
mod data_path;
mod expected;
mod gateway;
mod inside;
mod odd_servers;
mod plain;
mod upgrades;
