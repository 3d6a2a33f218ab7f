//! The SSH listener.

use serde::{Deserialize, Serialize};

use super::{Listen, Period, Size};

/// The SSH listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SshConfig {
    /// Where it listens, `HOST:PORT`; port 0 takes a free one, the last
    /// one again if it can. Default:
    /// `127.0.0.1:2222`.
    pub listen: Listen,
    /// Time from the first byte to the end of user authentication. Default: 60 s.
    pub login_grace: Period,
    /// Most connections at once that haven't authenticated. Default: 200.
    pub max_unauthenticated: u32,
    /// Window of a channel (RFC 4254 §5.2), in bytes: what a stalled channel may
    /// hold in memory, and what a long path may have in flight. Default: 2 MiB.
    pub window: Size,
    /// Silence after which the peer is asked for a sign of life. Default: 15 s.
    pub keepalive_interval: Period,
    /// Unanswered signs of life after which the peer is dead. Default: 6.
    pub keepalive_count: u32,
    /// Data after which keys are exchanged anew, each way, in bytes. Default: 1 GiB.
    pub rekey_after: Size,
    /// Time after which they are. Default: 1 h.
    pub rekey_interval: Period,
    /// When the cipher `chacha20-poly1305@openssh.com` is offered. Default:
    /// without AES hardware.
    pub chacha20: OfferChacha20,
    /// Whether a client without a known key may be let in by somebody who approves it in a
    /// browser. Default: true.
    pub browser_sign_in: bool,
    /// How long that may take. Default: 3 min.
    pub approval_timeout: Period,
    /// How long an approval lets in further connections from the same address with the
    /// same login name; 0: each asks for itself, those that wait at once included.
    /// Default: 5 min.
    pub approval_window: Period,
}

/// When the cipher `chacha20-poly1305@openssh.com` is offered. Where the processor
/// has instructions for AES it is half as fast as AES-GCM, and OpenSSH chooses it
/// wherever it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfferChacha20 {
    /// Where the processor has no instructions for AES.
    WithoutAesHardware,
    /// Always.
    Always,
}

impl Default for SshConfig {
    fn default() -> Self {
        Self {
            listen: Listen::new("127.0.0.1", 2222),
            login_grace: Period::seconds(60),
            max_unauthenticated: 200,
            window: Size::kib(2048),
            keepalive_interval: Period::seconds(15),
            // 6 × 15 s: a network that is gone for a minute is survived.
            keepalive_count: 6,
            // What RFC 4253 §9 recommends.
            rekey_after: Size::kib(1 << 20),
            rekey_interval: Period::seconds(3600),
            chacha20: OfferChacha20::WithoutAesHardware,
            browser_sign_in: true,
            approval_timeout: Period::seconds(180),
            approval_window: Period::seconds(300),
        }
    }
}
