//! User authentication (RFC 4252): who a connection's client is.

use std::net::IpAddr;
use std::sync::Arc;

use russh::keys::{Algorithm, Certificate, HashAlg, ssh_key};
use russh::server::{Auth, PublicKeyOffer, VerifiedPublicKey};
use tracing::{Span, debug, error, info};

use super::Gateway;
use super::browser::{Asker, Asking, Step};
use super::connection::quoted;
use super::login::Login;
use super::proof::Proof;
use crate::events::{Kind, NewEvent};
use crate::identity::{Admitted, CertificateRefused, User};

/// What a client is told whose key is refused for the hash of its signatures.
const SHA1: &str = "devgate takes no SHA-1 signatures, and your client offers no others with its \
                    RSA key: use a newer client, or an ed25519 or ECDSA key.";

/// Signs one connection's client in.
pub(super) struct SignIn {
    gateway: Arc<Gateway>,
    client: IpAddr,
    login: Arc<Login>,
    /// The connection's.
    span: Span,
    asking: Asking,
    /// Why the last certificate or key was refused, where that isn't that it is unknown.
    refusal: Option<String>,
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
            refusal: None,
            proof: None,
        }
    }

    /// Tells whether it is worth to prove a key.
    pub(super) async fn offered(&mut self, name: &str, offer: &PublicKeyOffer<'_>) -> Auth {
        self.login.name(name);
        if is_sha1(offer.algorithm) {
            self.refuse_sha1(name, offer.public_key);
            return Auth::reject();
        }
        let known = match offer.certificate {
            Some(certificate) => self.admitted(name, certificate).await.is_some(),
            None => self.user_of(name, offer.public_key).await.is_some(),
        };
        if known { Auth::Accept } else { Auth::reject() }
    }

    /// Notes a key that would be proven with a hash that is broken, once: it is nobody's guess,
    /// whether anybody has it or not.
    fn refuse_sha1(&mut self, name: &str, key: &ssh_key::PublicKey) {
        if self.refusal.as_deref() == Some(SHA1) {
            return;
        }
        self.refusal = Some(SHA1.to_owned());
        let key = key.fingerprint(HashAlg::Sha256);
        info!(
            parent: &self.span,
            login = ?quoted(name), %key, "key refused: its client offers SHA-1 signatures only"
        );
    }

    /// Signs in with a certificate whose key was proven, as it was offered.
    pub(super) async fn by_certificate(&mut self, name: &str, certificate: &Certificate) -> Auth {
        let admitted = self.admitted(name, certificate).await;
        self.signed_in(admitted.map(Proof::certificate))
    }

    /// Notes a certificate that is refused, by whatever finds out.
    async fn refused(
        &mut self,
        name: &str,
        certificate: &Certificate,
        (why, user): (&str, Option<User>),
    ) {
        self.refusal = Some(format!("devgate refused your certificate: {why}."));
        let refused = self.login.refuse();
        let (serial, key_id) = (certificate.serial(), quoted(certificate.key_id()));
        let login = quoted(name);
        info!(
            parent: &self.span,
            ?login, refused, serial, ?key_id, why, "SSH certificate refused"
        );
        // What another authority signed is nobody's here; and nobody has to prove a key to
        // be refused, so it isn't told each time.
        let certificates = &self.gateway.certificates;
        if let Some(user) = user
            && certificates.is_news(certificate.serial(), self.client)
        {
            let about = NewEvent::of_user(Kind::SshCertificate, &user)
                .saying("decision", "refused")
                .saying("serial", &serial.to_string())
                .saying("reason", why);
            let about = about.saying("address", &self.client.to_string());
            self.gateway.workspaces.events().record(about);
        }
        tokio::time::sleep(self.gateway.lockout.delay(self.client, name)).await;
    }

    /// Tells whose certificate it is, where the log-in may go on with it.
    async fn admitted(&mut self, name: &str, certificate: &Certificate) -> Option<Admitted> {
        if self.is_locked_out(name) {
            return None;
        }
        let certificates = &self.gateway.certificates;
        match certificates.admit(certificate, name, self.client).await {
            Ok(admitted) => Some(admitted),
            Err((CertificateRefused::Store(error), _)) => {
                let error = &error as &dyn std::error::Error;
                error!(parent: &self.span, error, "certificates can't be looked up");
                None
            }
            Err((refused, user)) => {
                let why = refused.to_string();
                self.refused(name, certificate, (&why, user)).await;
                None
            }
        }
    }

    /// Notes a certificate that wasn't in time, or was signed wrongly.
    pub(super) async fn invalid(&mut self, name: &str, certificate: &Certificate, why: &str) {
        self.login.name(name);
        if self.is_locked_out(name) {
            return;
        }
        // Whose it is, if it is one of ours at all.
        let certificates = &self.gateway.certificates;
        let user = match certificates.admit(certificate, name, self.client).await {
            Ok(admitted) => Some(admitted.record.user),
            Err((_, user)) => user,
        };
        self.refused(name, certificate, (why, user)).await;
    }

    /// Signs in with a key that was proven.
    pub(super) async fn by_key(&mut self, name: &str, key: &VerifiedPublicKey<'_>) -> Auth {
        if is_sha1(key.algorithm) {
            return Auth::reject();
        }
        let user = self.user_of(name, key.public_key).await;
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
            identity: &self.gateway.identity,
            events: self.gateway.workspaces.events(),
            refusal: self.refusal.as_deref(),
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

    fn is_locked_out(&self, name: &str) -> bool {
        let Err(locked) = self.gateway.lockout.check_address(self.client) else {
            return false;
        };
        debug!(parent: &self.span, login = ?quoted(name), %locked, "log-in refused");
        true
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
        if self.is_locked_out(name) {
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

/// Whether what is signed so is hashed with SHA-1 (RFC 8332 §1), which is broken.
fn is_sha1(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Rsa { hash: None })
}
