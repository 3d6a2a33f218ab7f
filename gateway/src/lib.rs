//! The gateway of devgate: it knows who connects and carries them to their
//! workspace, wherever that runs.

pub mod activity;
mod build_context;
mod chain;
pub mod cli;
pub mod config;
pub mod devcontainer;
pub mod drivers;
pub mod events;
mod files;
mod fingerprint;
pub mod http;
pub mod identity;
pub mod names;
mod open_files;
pub mod person;
pub mod refusal;
pub mod repositories;
pub mod secrets;
pub mod server;
pub mod sleep;
pub mod ssh;
mod startups;
pub mod store;
pub mod templates;
pub mod tunnel;
mod whole;
pub mod workspaces;
