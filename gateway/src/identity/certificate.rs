//! SSH user certificates: short-lived, signed by the gateway's own CA, and narrowed to what
//! they are for.
//!
//! Invariant: one counts only with its record, which the gateway makes when it signs it:
//! until it ends or is revoked, and no longer than the login or token that asked for it.

mod actions;
mod check;
mod news;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use devgate_certs::{CertsError, UserCa, UserCertificate};
use parking_lot::Mutex;
use ssh_key::Certificate;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use super::{AuthorizedKey, Caller, Sessions, Target, User, Via};
use crate::config::Network;
use crate::store::{Store, StoreError};

pub use actions::{InvalidSshAction, SshAction, SshActions};

use check::check;
use news::News;

/// Longest life.
pub(super) const MAX_CERTIFICATE_LIFE: Duration = Duration::days(1);

/// Certificates that one user may have that haven't ended.
const MAX_OF_USER: usize = 200;

/// How far clients' clocks may be behind.
const SKEW: Duration = Duration::minutes(1);

/// A certificate that is asked for.
#[derive(Clone, Debug)]
pub struct CertificateWish {
    /// The key that it is for.
    pub key: AuthorizedKey,
    /// For how long.
    pub lasts: Duration,
    /// Where it counts from; empty: from everywhere.
    pub networks: Vec<Network>,
    /// The workspaces that it leads to; empty: to all of its user's.
    pub workspaces: Vec<Target>,
    /// What it allows.
    pub actions: SshActions,
}

/// A certificate in the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Its number.
    pub serial: u64,
    /// Whose it is.
    pub user: User,
    /// What asked for it: it counts no longer than that.
    pub via: Via,
    /// What it is called in logs.
    pub key_id: String,
    /// The fingerprint of the key that it is for.
    pub fingerprint: String,
    /// Its principals.
    pub principals: Vec<String>,
    /// Where it counts from; empty: from everywhere.
    pub networks: Vec<Network>,
    /// What it allows.
    pub actions: SshActions,
    /// When it was signed.
    pub created: OffsetDateTime,
    /// When it ends.
    pub expires: OffsetDateTime,
    /// When it was revoked, if it was.
    pub revoked: Option<OffsetDateTime>,
}

/// A certificate that signs somebody in.
#[derive(Debug)]
pub struct Admitted {
    /// Its record.
    pub record: CertificateRecord,
    /// What ends connections that came in by it.
    pub ends: [CancellationToken; 2],
}

/// Why none is signed.
#[derive(Debug, thiserror::Error)]
pub enum NotSigned {
    /// The user has too many.
    #[error(
        "you have as many SSH certificates as one may have: revoke some, or wait for their end"
    )]
    TooMany,
    /// A workspace that isn't the user's own.
    #[error("{0} is no workspace of yours: the list of workspaces shows what there is")]
    NotOwn(Target),
    /// What asked for it has ended.
    #[error("what you are signed in with has ended: sign in anew")]
    Ended,
    /// The key can't be certified.
    #[error("this key can't be certified: use an ed25519, ECDSA or RSA key")]
    Key,
    /// The records can't be read or written.
    #[error("can't record the certificate")]
    Store(#[from] StoreError),
    /// It can't be signed.
    #[error("can't sign the certificate")]
    Certs(#[from] CertsError),
}

/// Why a certificate signs nobody in.
#[derive(Debug, thiserror::Error)]
pub enum CertificateRefused {
    /// Another authority signed it.
    #[error("it is signed by another authority, or wrongly")]
    Authority,
    /// It is for hosts.
    #[error("it is a host's certificate")]
    Host,
    /// There is no record of it.
    #[error("nothing is known of its serial number: its user was removed, or it ended long ago")]
    Unknown,
    /// It isn't what its record says.
    #[error("it isn't what was signed under its serial number")]
    Different,
    /// It was revoked.
    #[error("it was revoked")]
    Revoked,
    /// What asked for it has ended.
    #[error("the login or token that asked for it has ended")]
    Ended,
    /// Its time is over, or hasn't come.
    #[error("it has expired or is not yet valid")]
    Time,
    /// It has an option that isn't known and must not be ignored.
    #[error("it has the critical option {0:?}, which isn't supported")]
    CriticalOption(String),
    /// It doesn't count from there.
    #[error("it doesn't count from this address")]
    SourceAddress,
    /// It stands for something else.
    #[error("its principals don't include this login name")]
    Principal,
    /// The records can't be read.
    #[error("it can't be looked up")]
    Store(#[from] StoreError),
}

/// Signs certificates and tells which count. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    sessions: Sessions,
    ca: UserCa,
    /// What is cancelled when one is revoked, and until when it is kept.
    watched: Mutex<HashMap<u64, (CancellationToken, OffsetDateTime)>>,
    news: News,
}

impl Certificates {
    /// Signs with this authority, and keeps records there.
    pub fn new(store: Store, sessions: Sessions, ca: UserCa) -> Self {
        let (watched, news) = (Mutex::default(), News::default());
        Self(Arc::new(Inner {
            store,
            sessions,
            ca,
            watched,
            news,
        }))
    }

    /// Signs one for whoever asks.
    pub async fn sign(
        &self,
        caller: &Caller,
        wish: CertificateWish,
    ) -> Result<(CertificateRecord, Certificate), NotSigned> {
        let now = OffsetDateTime::now_utc();
        let store = &self.0.store;
        let user = &caller.user;
        let mine = store.ssh_certificates_of(user).await?;
        let open = mine
            .iter()
            .filter(|one| one.revoked.is_none() && one.expires > now);
        if open.count() >= MAX_OF_USER {
            return Err(NotSigned::TooMany);
        }
        let principals = self.principals(user, &wish.workspaces).await?;
        let ends = store
            .lasts(&caller.via, now)
            .await?
            .ok_or(NotSigned::Ended)?;
        let mut expires = now + wish.lasts.min(MAX_CERTIFICATE_LIFE);
        // A login that is used lasts longer than it says now.
        if let (super::Lasts::Until(end), Via::Token(_)) = (ends.0, &caller.via) {
            expires = expires.min(end);
        }
        let key = wish.key.public_key().ok_or(NotSigned::Key)?;
        let record = CertificateRecord {
            // 52 bits: every program can say it as a number.
            serial: rand::random::<u64>() >> 12,
            user: user.clone(),
            via: caller.via.clone(),
            key_id: format!("{}@devgate", user.name),
            fingerprint: wish.key.fingerprint().to_owned(),
            principals,
            networks: wish.networks,
            actions: wish.actions,
            created: now,
            expires,
            revoked: None,
        };
        let networks = listed(&record.networks);
        let extensions: Vec<_> = record.actions.iter().map(SshAction::extension).collect();
        let certificate = self.0.ca.sign(&UserCertificate {
            public_key: key.key_data(),
            serial: record.serial,
            key_id: &record.key_id,
            principals: &record.principals,
            validity: (now - SKEW, expires),
            source_address: (!networks.is_empty()).then_some(&networks),
            extensions: &extensions,
        })?;
        store.add_ssh_certificate(&record).await?;
        Ok((record, certificate))
    }

    /// Returns a user's, the newest first; those that ended lately included.
    pub async fn list(&self, user: &User) -> Result<Vec<CertificateRecord>, StoreError> {
        self.0.store.ssh_certificates_of(user).await
    }

    /// Revokes one of a user's, and ends the connections that came in by it; `false` where
    /// there is no such one.
    pub async fn revoke(&self, user: &User, serial: u64) -> Result<bool, StoreError> {
        let revoked = self.0.store.revoke_ssh_certificate(user, serial).await?;
        if revoked && let Some((token, _)) = self.0.watched.lock().remove(&serial) {
            token.cancel();
        }
        Ok(revoked)
    }

    /// Tells whom a certificate signs in with a login name from an address. Its key isn't
    /// proven by that.
    pub async fn admit(
        &self,
        certificate: &Certificate,
        login: &str,
        client: IpAddr,
    ) -> Result<Admitted, (CertificateRefused, Option<User>)> {
        let unknown = |refused| (refused, None);
        if !self.0.ca.signed(certificate) {
            return Err(unknown(CertificateRefused::Authority));
        }
        // Before the record is read: a revocation from here on is noticed.
        let serial = certificate.serial();
        let revoked = self.watch(serial);
        let found = self.0.store.ssh_certificate(serial).await;
        let record = found
            .map_err(|error| unknown(error.into()))?
            .ok_or(unknown(CertificateRefused::Unknown))?;
        let user = record.user.clone();
        if let Err(refused) = check(&record, certificate, login, client) {
            return Err((refused, Some(user)));
        }
        let ended = self.0.sessions.revoked(&record.via);
        if !self.0.sessions.live(&record.via).await {
            return Err((CertificateRefused::Ended, Some(user)));
        }
        Ok(Admitted {
            record,
            ends: [revoked, ended],
        })
    }

    /// Tells whether the refusal of a certificate is worth to be told of: once a minute for
    /// each address.
    pub fn is_news(&self, serial: u64, client: IpAddr) -> bool {
        self.0.news.is_news(serial, client)
    }

    /// Returns what is cancelled once a certificate is revoked.
    fn watch(&self, serial: u64) -> CancellationToken {
        let now = OffsetDateTime::now_utc();
        let mut watched = self.0.watched.lock();
        watched.retain(|_, (_, until)| *until > now);
        // As long as it is listed, and can be revoked.
        let until = now + MAX_CERTIFICATE_LIFE + crate::store::ENDED_CERTIFICATES_KEPT;
        let (token, kept) = watched
            .entry(serial)
            .or_insert_with(|| (CancellationToken::new(), until));
        *kept = until;
        token.child_token()
    }

    /// Returns what a certificate stands for: its user, or single workspaces of theirs.
    async fn principals(
        &self,
        user: &User,
        workspaces: &[Target],
    ) -> Result<Vec<String>, NotSigned> {
        if workspaces.is_empty() {
            return Ok(vec![user.name.to_string()]);
        }
        let identity = super::Identity::new(self.0.store.clone());
        let mut principals = Vec::new();
        for target in workspaces {
            match identity.authorize(user, target).await {
                Ok(grant) => principals.push(format!("{}.{}", grant.workspace().name, user.name)),
                Err(super::Denied::Store(error)) => return Err(error.into()),
                Err(_) => return Err(NotSigned::NotOwn(target.clone())),
            }
        }
        principals.sort();
        principals.dedup();
        Ok(principals)
    }
}

/// Returns networks as a certificate has them.
pub(crate) fn listed(networks: &[Network]) -> String {
    let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
    networks.join(",")
}

#[cfg(test)]
mod tests;
