//! What the operator may choose of SSH, and the algorithms on offer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::server::Config;
use russh::{Limits, MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};

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

/// Data after which keys are exchanged anew, each way, in bytes (RFC 4253 §9).
const REKEY_AFTER: usize = 1 << 30;

const REKEY_INTERVAL: Duration = Duration::from_hours(1);

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

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::SkEd25519,
    Algorithm::SkEcdsaSha2NistP256,
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

const MACS: &[mac::Name] = &[
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256,
    mac::HMAC_SHA512,
];

const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

const GCM: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM];

/// How long a client's offer is waited for before ours is sent. Stock clients send
/// theirs at once; a few wait for ours.
const KEXINIT_TIMEOUT: Duration = Duration::from_millis(200);

/// Configurations by what a client can do.
pub(super) struct Configs {
    /// For clients that can do AES-GCM, where that is what we prefer.
    gcm: Option<Arc<Config>>,
    /// For all others.
    pub(super) all: Arc<Config>,
}

impl Options {
    /// Returns russh's configuration for clients that do what we prefer, and for
    /// all others; `host_keys` in the order of preference.
    pub(super) fn configs(&self, host_keys: &[PrivateKey]) -> Configs {
        let mut all = CIPHERS.to_vec();
        if !self.prefers_gcm() {
            all.insert(0, cipher::CHACHA20_POLY1305);
        }
        Configs {
            gcm: self
                .prefers_gcm()
                .then(|| Arc::new(self.config(host_keys.to_vec(), GCM.to_vec()))),
            all: Arc::new(self.config(host_keys.to_vec(), all)),
        }
    }

    /// Tells whether AES-GCM is the fastest cipher, and nobody wants another.
    fn prefers_gcm(&self) -> bool {
        self.chacha20 == Chacha20::WithoutAesHardware && aes_hardware()
    }

    fn config(&self, host_keys: Vec<PrivateKey>, ciphers: Vec<cipher::Name>) -> Config {
        let methods = MethodSet::from([MethodKind::PublicKey].as_slice());
        Config {
            // OpenSSH's client tells a server of its kind alone when nobody wants the
            // output any more (`eow@openssh.com`); without, `… | head` never ends.
            server_id: SshId::Standard(Cow::Borrowed(concat!(
                "SSH-2.0-OpenSSH_compatible_devgate_",
                env!("CARGO_PKG_VERSION")
            ))),
            methods,
            // Refusals are slowed by the lock-out, which knows who is asking.
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: host_keys,
            // An exit status goes out although the client has closed already.
            close_by_owner: true,
            client_kexinit_first: Some(KEXINIT_TIMEOUT),
            window_size: self.window,
            max_window_size: MAX_WINDOW.max(self.window),
            maximum_packet_size: PACKET,
            channel_buffer_size: INCOMING,
            event_buffer_size: OUTGOING,
            limits: Limits::new(REKEY_AFTER, REKEY_AFTER, REKEY_INTERVAL),
            preferred: preferred(ciphers),
            max_auth_attempts: MAX_KEYS_OFFERED,
            inactivity_timeout: None,
            keepalive_interval: Some(self.keepalive_interval),
            keepalive_max: self.keepalive_max,
            nodelay: true,
            ..Config::default()
        }
    }
}

fn preferred(ciphers: Vec<cipher::Name>) -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Borrowed(KEYS),
        cipher: Cow::Owned(ciphers),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(&[compression::NONE]),
        ..Preferred::default()
    }
}

impl Configs {
    /// Returns what to offer to a client that offers these ciphers (a name-list,
    /// RFC 4251 §5).
    ///
    /// The client's order decides (RFC 4253 §7.1), and stock OpenSSH has the slower
    /// ones first: where it can do AES-GCM nothing else is offered.
    pub(super) fn for_ciphers(&self, offered: &str) -> &Arc<Config> {
        let fast = |name: &str| GCM.iter().any(|gcm| gcm.as_ref() == name);
        match &self.gcm {
            Some(gcm) if offered.split(',').any(fast) => gcm,
            _ => &self.all,
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
