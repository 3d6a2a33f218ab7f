//! The certificate authority, TLS certificates and SSH host keys of devgate.
//!
//! One folder of mode 0700 holds everything, each private key in a file of mode
//! 0600 that is written atomically:
//!
//! | file | holds |
//! | --- | --- |
//! | `ca.key`, `ca.pem` | the CA, made on first use |
//! | `gateway.pem` | the gateway's TLS key and certificate, renewed before it expires |
//! | `ssh_host_ed25519_key`, `ssh_host_rsa_key`, `ssh_host_ecdsa_key` and their `.pub` | the SSH host keys |
//! | `ssh_host_ca` and its `.pub` | what signs certificates for the SSH host keys |
//! | `ssh_user_ca`, its `.pub`, `ssh_user_ca.old` | what signs SSH user certificates, and what did before it |
//!
//! Agents' certificates are issued and not kept: an agent's identity is the URI
//! `devgate://workspace/ID` in its certificate.

mod agents;
mod authority;
mod clock;
mod error;
mod files;
mod gateway;
mod given;
mod host_ca;
mod host_keys;
mod hosts;
mod issue;
mod renew;
mod secret;
mod ssh_ca;
#[cfg(test)]
mod tests;
mod tls;
mod user_ca;

pub use agents::{AgentIdentity, AgentRequest, UnknownAgent, agent_request};
pub use authority::Authority;
pub use clock::Clock;
pub use error::CertsError;
pub use files::{
    Access, private_text as read_private_text, public_text as read_public_text,
    read_private as read_private_file, write as write_file,
};
pub use given::Given;
pub use host_ca::HostCa;
pub use host_keys::HostKeys;
pub use hosts::Wanted;
pub use issue::{Validity, validity};
pub use renew::renew_forever;
pub use secret::Secret;
pub use tls::{client_config, why_refused};
pub use user_ca::{UserCa, UserCertificate};
