//! Both kinds of tunnel, with a real agent over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod network;
mod overtaking;
mod parts;
mod refused;
mod streams;
