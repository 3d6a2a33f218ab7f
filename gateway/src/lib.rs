//! The gateway of devgate: it knows who connects and carries them to their
//! workspace, wherever that runs.

pub mod http;
pub mod names;
pub mod tunnel;
