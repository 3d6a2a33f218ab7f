//! What runs inside a workspace.

pub mod sftp;
