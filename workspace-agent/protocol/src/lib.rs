//! What the gateway and the agents say to each other.
//!
//! Everything between them is a *stream*: one connection of its own, over a Unix
//! socket or TLS, with the kernel's flow control. The gateway begins every stream
//! with an [`Open`] header and the agent answers with an [`Answer`]; both are
//! prefixed with the protocol's version and their length (see [`handshake`]).
//! What follows depends on the kind:
//!
//! | [`Open`] | after the answer |
//! | --- | --- |
//! | `session` | [`frame`]s both ways |
//! | `direct-tcpip`, `direct-streamlocal`, `accept` | raw bytes with half-close |
//! | `tcpip-forward`, `streamlocal-forward` | [`frame`]s of kind `accepted`, until either side closes |
//! | `http` | HTTP/1.1 to the agent, with keep-alive and upgrades |
//! | `editor` | HTTP/1.1 to the workspace's editor |
//! | `control` | [`control`] messages, each one JSON text |
//! | `activity` | [`activity`] messages: each question is answered by a report |
//! | `hand-over` | nothing: the bytes cross a [`descriptor`] that comes with the answer |
//!
//! A connection that the agent's side accepts (a forwarded port, a forwarded
//! authentication agent) is announced with a number, and the gateway collects it
//! with a stream of its own (`accept`). So streams are opened by the gateway only,
//! whichever side dialled the connection underneath.

pub mod activity;
pub mod config;
pub mod control;
pub mod descriptor;
pub mod environment;
pub mod frame;
pub mod handshake;
pub mod mark;
mod open;
pub mod pipe;
mod secret;
pub mod socket;
pub mod startup;
mod stream;
pub mod transport;
pub mod websocket;

pub use open::{
    Accepted, Answer, Open, Originator, Peer, Refusal, RefusalReason, SessionOpen, StreamError,
};
pub use secret::Secret;
pub use stream::{ReadHalf, Stream, WriteHalf};

/// Version of the protocol, sent with every header.
pub const VERSION: u8 = 1;

/// Oldest version that this side still speaks: upgrades happen under running
/// workspaces, so an agent one version older than its gateway keeps working.
pub const OLDEST_VERSION: u8 = 1;

/// HTTP path at which an agent opens its control connection (a WebSocket).
pub const CONTROL_PATH: &str = "/agent/v1/control";

/// HTTP path at which an agent offers a spare data connection.
pub const DATA_PATH: &str = "/agent/v1/data";

/// Token of the HTTP `Upgrade` that turns a data connection into a raw stream
/// (RFC 9110 §7.8).
pub const UPGRADE_TOKEN: &str = "devgate-stream";

/// HTTP header with which an agent numbers its tunnel: a random text of its own
/// choice on the control connection, and the same on each data connection, so
/// that the spares of an agent that died aren't taken for its successor's.
pub const TUNNEL_HEADER: &str = "devgate-tunnel";

/// Longest value of [`TUNNEL_HEADER`], in bytes.
pub const MAX_TUNNEL_NAME: usize = 64;

/// Feature of an agent that serves [`Open::Http`].
pub const FEATURE_HTTP: &str = "http";

/// Feature of an agent that serves [`Open::Editor`].
pub const FEATURE_EDITOR: &str = "editor";

/// Feature of an agent that serves [`Open::HandOver`].
pub const FEATURE_HAND_OVER: &str = "hand-over";

/// Feature of an agent that has `/startup` and its log in its HTTP.
pub const FEATURE_STARTUP: &str = "startup";

/// Feature of an agent that takes secrets in its welcome.
pub const FEATURE_SECRETS: &str = "secrets";
/// Feature of an agent that passes on [`control::FromGateway::Overtake`].
pub const FEATURE_OVERTAKING: &str = "overtaking";

/// Feature of an agent that serves [`Open::Activity`].
pub const FEATURE_ACTIVITY: &str = "activity";
