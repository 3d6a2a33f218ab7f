//! The algorithms on offer: what a client is offered depends on what it can do.
//!
//! A client's own order decides (RFC 4253 §7.1), and it is often an old one. So each is
//! offered the best set of which it can do something in every respect, and nothing that is
//! weaker or slower. What only old clients need is offered to nobody else.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::server::Config;
use russh::{Offer, Preferred, cipher, compression, kex, mac};

/// Safe even from those who keep what they see for a quantum computer.
const POST_QUANTUM: &[kex::Name] = &[kex::MLKEM768X25519_SHA256];

const TODAYS: &[kex::Name] = &[kex::CURVE25519, kex::CURVE25519_PRE_RFC_8731];

const ANY_KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::DH_G16_SHA512,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA256,
];

/// Not methods: what the two can do besides.
const EXTENSIONS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// What users sign with, and what the host's own keys may be.
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

/// Encrypt, then authenticate.
const ETM: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];

const ANY_MAC: &[mac::Name] = &[
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256,
    mac::HMAC_SHA512,
];

const GCM: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM];

const ANY_CIPHER: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

/// Whether AES-GCM is the fastest cipher, and nobody wants another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fastest {
    /// It is offered alone to whoever can do it.
    Gcm,
    /// The client chooses, of chacha20-poly1305 too.
    Unknown,
}

/// Begins the version of a client that goes by the host key where it doesn't know the
/// authority of its certificate. Others give up there, and are shown none; nor are those that
/// verify no ed25519, which the authority signs with.
const KNOWS_CERTIFICATES: &str = "SSH-2.0-OpenSSH_";

/// Configurations by what a client can do.
pub(super) struct Configs {
    /// The best first.
    suites: Vec<Suite>,
    /// For those that say nothing until we have.
    all: Suite,
}

/// Algorithms on offer.
struct Suite {
    plain: Arc<Config>,
    /// The same, with certificates for the host keys.
    certified: Arc<Config>,
}

impl Configs {
    /// Makes them all of one, whose keys are the host's, in the order of preference.
    pub(super) fn of(base: &dyn Fn() -> Config, fastest: Fastest) -> Self {
        let (old, usual) = base()
            .keys
            .into_iter()
            .partition::<Vec<_>, _>(|key| key.algorithm().is_ecdsa());
        let any_cipher = match fastest {
            Fastest::Gcm => ANY_CIPHER.to_vec(),
            Fastest::Unknown => [&[cipher::CHACHA20_POLY1305], ANY_CIPHER].concat(),
        };
        let make = |kex: &[kex::Name], keys: &[PrivateKey], ciphers: &[_], macs: &[_]| {
            let of = |certificates| {
                Arc::new(Config {
                    keys: keys.to_vec(),
                    certificates,
                    preferred: preferred(kex, ciphers, macs),
                    ..base()
                })
            };
            Suite {
                plain: of(Vec::new()),
                certified: of(base().certificates),
            }
        };
        let mut suites = Vec::new();
        for kex in [POST_QUANTUM, TODAYS, ANY_KEX] {
            for macs in [ETM, ANY_MAC] {
                if fastest == Fastest::Gcm {
                    suites.push(make(kex, &usual, GCM, macs));
                }
                suites.push(make(kex, &usual, &any_cipher, macs));
            }
        }
        suites.push(make(ANY_KEX, &old, &any_cipher, ANY_MAC));
        // Without the old keys: who knows the host by another one isn't shown these on a slow
        // day.
        let all = make(ANY_KEX, &usual, &any_cipher, ANY_MAC);
        Self { suites, all }
    }

    /// Returns what to offer to a client that says nothing until we have.
    pub(super) fn for_silent(&self) -> &Arc<Config> {
        &self.all.plain
    }

    /// Returns what to offer to a client.
    pub(super) fn for_client(&self, offer: &Offer) -> &Arc<Config> {
        let able = Able::of(offer);
        let best = self.suites.iter().find(|suite| able.can(&suite.plain));
        let best = best.unwrap_or(&self.all);
        let verifies = able.host_keys.contains(Algorithm::Ed25519.as_str());
        if offer.version.starts_with(KNOWS_CERTIFICATES) && verifies {
            &best.certified
        } else {
            &best.plain
        }
    }
}

fn preferred(kex: &[kex::Name], ciphers: &[cipher::Name], macs: &[mac::Name]) -> Preferred {
    Preferred {
        kex: Cow::Owned([kex, EXTENSIONS].concat()),
        key: Cow::Borrowed(KEYS),
        cipher: Cow::Owned(ciphers.to_vec()),
        mac: Cow::Owned(macs.to_vec()),
        compression: Cow::Borrowed(&[compression::NONE]),
        ..Preferred::default()
    }
}

/// What a client can do. Its lists are as long as it likes, so they are read once.
struct Able<'a> {
    kex: HashSet<&'a str>,
    host_keys: HashSet<&'a str>,
    ciphers: HashSet<&'a str>,
    macs: HashSet<&'a str>,
}

impl<'a> Able<'a> {
    fn of(offer: &'a Offer) -> Self {
        Self {
            kex: offer.kex.split(',').collect(),
            host_keys: offer.host_keys.split(',').collect(),
            ciphers: offer.ciphers.split(',').collect(),
            macs: offer.macs.split(',').collect(),
        }
    }

    /// Tells whether it can do something of a suite in every respect; GCM needs no MAC.
    fn can(&self, suite: &Config) -> bool {
        let Preferred {
            kex, cipher, mac, ..
        } = &suite.preferred;
        let mut methods = kex.iter().filter(|kex| !EXTENSIONS.contains(kex));
        methods.any(|kex| self.kex.contains(kex.as_ref()))
            && suite.keys.iter().any(|key| self.verifies(key))
            && cipher.iter().any(|it| self.ciphers.contains(it.as_ref()))
            && (cipher.iter().all(|cipher| GCM.contains(cipher))
                || mac.iter().any(|mac| self.macs.contains(mac.as_ref())))
    }

    fn verifies(&self, host_key: &PrivateKey) -> bool {
        let knows = |name: &str| self.host_keys.contains(name);
        match host_key.algorithm() {
            // Under its own name it would sign with SHA-1.
            Algorithm::Rsa { .. } => knows("rsa-sha2-512") || knows("rsa-sha2-256"),
            other => knows(other.as_str()),
        }
    }
}

#[cfg(test)]
#[path = "suites/tests.rs"]
mod tests;
