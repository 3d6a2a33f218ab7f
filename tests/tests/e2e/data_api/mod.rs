//! The data API of a workspace, through the gateway and over HTTPS.

mod files;
mod large;
