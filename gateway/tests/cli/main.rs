//! The command line, against the real binary with real agents.

mod administration;
mod configuration;
mod home;
mod starting;
