//! The HTTP side.

pub mod admin;
pub mod problem;
