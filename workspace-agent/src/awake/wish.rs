//! What a program says to take a lease, and what it is answered. Both are framed like
//! [`devgate_protocol::control`] messages.

use serde::{Deserialize, Serialize};

/// Longest lease, in seconds: a week.
pub(super) const LONGEST: u64 = 7 * 24 * 3600;

/// Longest reason that is kept, in characters.
pub(super) const MAX_REASON: usize = 200;

/// Asks for a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wish {
    /// How long it goes on at most, in seconds.
    pub(super) seconds: u64,
    /// What for.
    pub(super) reason: String,
    /// What ends it before its time.
    pub(super) until: Until,
}

/// What ends a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Until {
    /// Its time alone.
    Time,
    /// The end of the connection that it was taken on.
    Closed,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    /// The lease is held.
    Held,
    /// It isn't, and why.
    Refused(String),
}
