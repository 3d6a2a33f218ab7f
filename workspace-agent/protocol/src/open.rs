//! The header that begins a stream, and its answer.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What the gateway wants of a new stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Open {
    /// A session channel (RFC 4254 §6).
    Session(SessionOpen),
    /// A TCP connection, dialled inside the workspace (RFC 4254 §7.2).
    DirectTcpip {
        /// Name or address, as the client gave it.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A connection to a Unix socket inside the workspace
    /// (`direct-streamlocal@openssh.com`).
    DirectStreamlocal {
        /// Path of the socket; a relative one starts at the home directory.
        path: String,
    },
    /// Listens on a TCP port inside the workspace for as long as the stream
    /// lives (RFC 4254 §7.1).
    TcpipForward {
        /// Address to bind, as the client gave it: empty, `*`, `localhost` or
        /// an address.
        address: String,
        /// Port to bind; 0 lets the workspace choose.
        port: u16,
    },
    /// Listens on a Unix socket inside the workspace for as long as the stream
    /// lives (`streamlocal-forward@openssh.com`).
    StreamlocalForward {
        /// Path of the socket; a relative one starts at the home directory.
        path: String,
    },
    /// Collects a connection that was announced as [`Accepted`].
    Accept {
        /// The announced number.
        connection: u64,
    },
    /// HTTP/1.1 to the agent's own router: terminals, ports, statistics, the editor.
    /// From agents that name the feature [`crate::FEATURE_HTTP`].
    Http,
    /// The workspace's editor (code-server), which is started where it doesn't run.
    /// The answer comes once it is healthy; HTTP/1.1 to the editor follows. From
    /// agents that name the feature [`crate::FEATURE_EDITOR`].
    Editor,
    /// A stream of raw bytes whose other end is in the agent's hands as a socket. It
    /// answers [`Answer::HandedOver`] and gives it away ([`crate::descriptor`]), or
    /// answers as it would without. On the same host only, from agents that name the
    /// feature [`crate::FEATURE_HAND_OVER`].
    HandOver {
        /// What is wanted; see [`Open::is_raw`].
        open: Box<Open>,
    },
    /// Reports on whether anything goes on in the workspace ([`crate::activity`]). From
    /// agents that name the feature [`crate::FEATURE_ACTIVITY`].
    Activity,
    /// Connection-level messages. Only where the gateway dials; an agent that
    /// dials itself opens [`crate::CONTROL_PATH`] instead.
    Control,
}

impl Open {
    /// Whether the stream carries the bytes of one connection, as they are.
    pub fn is_raw(&self) -> bool {
        match self {
            Self::DirectTcpip { .. }
            | Self::DirectStreamlocal { .. }
            | Self::Accept { .. }
            | Self::Editor => true,
            Self::Session(_)
            | Self::TcpipForward { .. }
            | Self::StreamlocalForward { .. }
            | Self::Http
            | Self::HandOver { .. }
            | Self::Activity
            | Self::Control => false,
        }
    }
}

/// What a session starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpen {
    /// The connection that the session belongs to.
    pub peer: Option<Peer>,
    /// Environment that the gateway adds to the workspace's own.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Whether the gateway has made pipes for the program's stdin and stdout, and gives
    /// the program's ends to an agent that answers [`Answer::TakesPipes`]
    /// ([`crate::descriptor`]). What goes through them isn't framed: of `data` only
    /// empty frames come, and the gateway reads the pipe to its end ([`crate::pipe`])
    /// before it believes an `eof` or an exit.
    #[serde(default)]
    pub pipes: bool,
    /// A number that the gateway gives no other session. By it the session of an agent with
    /// the feature [`crate::FEATURE_OVERTAKING`] is reached past its stream
    /// ([`crate::control::FromGateway::Overtake`]).
    #[serde(default)]
    pub number: Option<u64>,
}

/// Both ends of the client's connection to the gateway, for `SSH_CONNECTION` and
/// `SSH_CLIENT` (ssh(1), ENVIRONMENT).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The client's address.
    pub client: IpAddr,
    /// The client's port.
    pub client_port: u16,
    /// The gateway's address.
    pub server: IpAddr,
    /// The gateway's port.
    pub server_port: u16,
}

/// The agent's answer to [`Open`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// The stream is open.
    Opened,
    /// The stream is open and a TCP listener is bound.
    Listening {
        /// The port that it got.
        port: u16,
    },
    /// The stream is open, and a descriptor of its connection follows.
    HandedOver,
    /// The session is open, and waits for the pipes that the gateway offered: the end
    /// that the program's stdin is read from, and the one that its stdout is written to.
    TakesPipes,
    /// The stream was refused and closes.
    Refused(Refusal),
}

/// Why a stream was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of failure it was.
    pub reason: RefusalReason,
    /// One sentence for the person who asked.
    pub detail: String,
}

/// Kinds of refusal, as far as the other side treats them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalReason {
    /// The target didn't accept the connection, doesn't exist or can't be resolved.
    ConnectFailed,
    /// The address or path can't be bound.
    BindFailed,
    /// The announced connection is gone.
    UnknownConnection,
    /// The agent doesn't know this kind of stream, or not this version.
    Unsupported,
    /// The agent is out of a resource: processes, files, memory.
    ResourceShortage,
    /// There is no editor in the workspace. The detail says how to get it there.
    EditorMissing,
    /// The editor doesn't start, or ends again and again.
    EditorFailed,
    /// A reason that this version doesn't know.
    #[serde(other)]
    Other,
}

/// A connection that waits in the agent to be collected with [`Open::Accept`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its number, unique while the agent runs.
    pub connection: u64,
    /// Where it came from.
    pub originator: Originator,
}

/// Where an accepted connection came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Originator {
    /// A forwarded TCP port.
    Tcpip {
        /// The peer's address.
        address: IpAddr,
        /// The peer's port.
        port: u16,
    },
    /// A forwarded Unix socket.
    Streamlocal,
    /// A session's forwarded authentication agent.
    AuthAgent,
    /// A session's forwarded X11 display.
    X11 {
        /// The peer's address.
        address: IpAddr,
        /// The peer's port.
        port: u16,
    },
}

/// A stream that didn't come to be.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection broke or was closed.
    #[error("the stream broke")]
    Io(#[from] std::io::Error),
    /// What came is not our protocol.
    #[error("not a devgate stream")]
    NotOurs,
    /// The other side speaks a version that this one doesn't.
    #[error("protocol version {0} is not supported")]
    Version(u8),
    /// A header larger than [`crate::handshake::MAX_HEADER`].
    #[error("a header of {0} bytes is too long")]
    TooLong(usize),
    /// A header that can't be read.
    #[error("unreadable header")]
    Unreadable(#[from] serde_json::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}
