//! User authentication (RFC 4252): who a connection's client is.

use std::net::IpAddr;
use std::sync::Arc;

use russh::keys::{HashAlg, ssh_key};
use russh::server::{Auth, PublicKeyOffer};
use tracing::{Span, debug, error, info};

use super::Gateway;
use super::browser::{Asker, Asking, Step};
use super::connection::quoted;
use super::login::Login;
use super::proof::Proof;
use crate::identity::User;

/// Signs one connection's client in.
pub(super) struct SignIn {
    gateway: Arc<Gateway>,
    client: IpAddr,
    login: Arc<Login>,
    /// The connection's.
    span: Span,
    asking: Asking,
    /// What was proven, once something was.
    pub(super) proof: Option<Proof>,
}

/// Whose turn it is in keyboard-interactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The client begins.
    First,
    /// The client has answered.
    Answered,
}

impl SignIn {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        client: IpAddr,
        login: Arc<Login>,
        span: Span,
    ) -> Self {
        Self {
            gateway,
            client,
            login,
            span,
            asking: Asking::default(),
            proof: None,
        }
    }

    /// Tells whether it is worth to prove a key.
    pub(super) async fn offered(&self, name: &str, offer: &PublicKeyOffer<'_>) -> Auth {
        self.login.name(name);
        match self.user_of(name, offer.public_key).await {
            Some(_) => Auth::Accept,
            None => Auth::reject(),
        }
    }

    /// Signs in with a key that was proven.
    pub(super) async fn by_key(&mut self, name: &str, key: &ssh_key::PublicKey) -> Auth {
        let user = self.user_of(name, key).await;
        self.signed_in(user.map(Proof::key))
    }

    /// Goes on with keyboard-interactive: somebody is to approve it in a browser.
    pub(super) async fn by_browser(&mut self, name: &str, turn: Turn) -> Auth {
        self.login.name(name);
        let Some(sign_in) = &self.gateway.browser else {
            return Auth::reject();
        };
        let asker = Asker {
            client: self.client,
            name,
            login: &self.login,
            lockout: &self.gateway.lockout,
            span: &self.span,
        };
        let step = match turn {
            Turn::First => self.asking.begin(sign_in, &asker).await,
            Turn::Answered => self.asking.go_on(sign_in, &asker).await,
        };
        match step {
            Step::In(proof) => self.signed_in(Some(proof)),
            Step::Answer(answer) => answer,
        }
    }

    fn signed_in(&mut self, proof: Option<Proof>) -> Auth {
        self.proof = proof;
        match self.proof {
            Some(_) => Auth::Accept,
            None => Auth::reject(),
        }
    }

    /// Returns whose key it is, where the log-in may go on with it.
    ///
    /// A lock-out of the address keeps everybody out. One of the name doesn't keep out
    /// a key that signs in: strangers can lock any name out by failing with it, keys
    /// can't be guessed, and refusing them would only hurt the person whose name it is.
    /// It slows down those who fail, and has their addresses locked out sooner.
    async fn user_of(&self, name: &str, key: &ssh_key::PublicKey) -> Option<User> {
        let lockout = &self.gateway.lockout;
        let span = &self.span;
        if let Err(locked) = lockout.check_address(self.client) {
            debug!(parent: span, login = ?quoted(name), %locked, "log-in refused");
            return None;
        }
        match self.gateway.identity.user_of_key(key).await {
            Ok(Some(user)) => Some(user),
            Ok(None) => {
                let refused = self.login.refuse();
                let key = key.fingerprint(HashAlg::Sha256);
                info!(parent: span, login = ?quoted(name), refused, %key, "unknown key");
                tokio::time::sleep(lockout.delay(self.client, name)).await;
                None
            }
            Err(error) => {
                error!(
                    parent: span,
                    error = &error as &dyn std::error::Error,
                    "keys can't be looked up"
                );
                None
            }
        }
    }
}
