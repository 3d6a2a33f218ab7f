//! What the operator may choose of SSH.

use std::borrow::Cow;
use std::time::Duration;

use russh::keys::{Certificate, PrivateKey};
use russh::server::Config;
use russh::{Limits, MethodKind, MethodSet, SshId};

use super::suites::{Configs, Fastest};

/// Options of the SSH side.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much a client may send on a channel before it is consumed, in bytes:
    /// the memory bound of a channel that stalls.
    pub window: u32,
    /// Whether chacha20-poly1305 is offered although the processor does AES:
    /// stock OpenSSH then picks it, at half the speed.
    pub chacha20: Chacha20,
    /// How long a log-in may take, from the first byte.
    pub login_grace: Duration,
    /// How many connections may be between their first byte and their log-in.
    pub max_unauthenticated: usize,
    /// Silence after which a client is asked for a sign of life.
    pub keepalive_interval: Duration,
    /// How many such questions may stay unanswered.
    pub keepalive_max: usize,
    /// Data after which keys are exchanged anew, each way, in bytes (RFC 4253 §9).
    pub rekey_after: usize,
    /// Time after which they are.
    pub rekey_interval: Duration,
}

/// What the host shows of itself.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// Its keys, in the order of preference.
    pub keys: &'a [PrivateKey],
    /// Certificates for them.
    pub certificates: &'a [Certificate],
}

/// Whether chacha20-poly1305 is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chacha20 {
    /// Where the processor has no instructions for AES.
    WithoutAesHardware,
    /// Always.
    Always,
}

/// Keys that a client may offer before it is disconnected: people carry many in
/// their authentication agents.
const MAX_KEYS_OFFERED: usize = 20;

/// Queue of a connection's outgoing messages; writers wait where it is full.
const OUTGOING: usize = 64;

/// Incoming messages of a channel after which small ones are merged.
const INCOMING: usize = 100;

/// Largest payload of a data packet, in bytes (RFC 4253 §6.1 asks for no more).
const PACKET: u32 = 32 * 1024;

/// How far the window of an upload grows where the path is long, in bytes: 160 MB/s
/// at a round trip of 100 ms. A program that doesn't keep up keeps the configured
/// one, and a connection's windows grow by no more than one of them may.
const MAX_WINDOW: u32 = 16 * 1024 * 1024;

/// How long a client's offer is waited for before ours is sent. Stock clients send
/// theirs at once; a few wait for ours.
const KEXINIT_TIMEOUT: Duration = Duration::from_secs(2);

impl Options {
    /// Returns russh's configurations; `methods` in the order in which clients are told of
    /// them.
    pub(super) fn configs(&self, host: &Host<'_>, methods: &[MethodKind]) -> Configs {
        let gcm = self.chacha20 == Chacha20::WithoutAesHardware && aes_hardware();
        let fastest = if gcm { Fastest::Gcm } else { Fastest::Unknown };
        Configs::of(&|| self.config(host, methods), fastest)
    }

    fn config(&self, host: &Host<'_>, methods: &[MethodKind]) -> Config {
        Config {
            // OpenSSH's client tells a server of its kind alone when nobody wants the
            // output any more (`eow@openssh.com`); without, `… | head` never ends. Node's
            // ssh2 asks no server for a Unix socket that isn't OpenSSH 5 or newer.
            server_id: SshId::Standard(Cow::Borrowed(concat!(
                "SSH-2.0-OpenSSH_9_compatible_devgate_",
                env!("CARGO_PKG_VERSION")
            ))),
            methods: MethodSet::from(methods),
            // Refusals are slowed by the lock-out, which knows who is asking.
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: host.keys.to_vec(),
            certificates: host.certificates.to_vec(),
            // An exit status goes out although the client has closed already.
            close_by_owner: true,
            client_kexinit_first: Some(KEXINIT_TIMEOUT),
            window_size: self.window,
            max_window_size: MAX_WINDOW.max(self.window),
            maximum_packet_size: PACKET,
            channel_buffer_size: INCOMING,
            event_buffer_size: OUTGOING,
            limits: Limits::new(self.rekey_after, self.rekey_after, self.rekey_interval),
            max_auth_attempts: MAX_KEYS_OFFERED,
            inactivity_timeout: None,
            keepalive_interval: Some(self.keepalive_interval),
            keepalive_max: self.keepalive_max,
            nodelay: true,
            ..Config::default()
        }
    }
}

/// Whether the processor has instructions for AES.
fn aes_hardware() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}
