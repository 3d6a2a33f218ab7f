//! Passwords: hashed with Argon2id, a few at a time.
//!
//! Every hash takes 19 MiB and a processor for a while, so as many run at once as
//! there are slots, and a bounded number waits. A name that nobody has takes as long
//! as a wrong password.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

/// Shortest password, in characters.
const MIN_PASSWORD: usize = 8;

/// Longest password, in bytes.
const MAX_PASSWORD: usize = 1024;

/// Memory of one hash in KiB, passes over it, and lanes: what OWASP recommends at
/// least.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Hashes at one time.
const SLOTS: usize = 2;

/// Callers that wait for a slot, or have one; more are sent away.
const WAITING: usize = 64;

/// Why a password is of no use here.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It is too short.
    #[error("the password is too short: use at least {MIN_PASSWORD} characters")]
    TooShort,
    /// It is too long.
    #[error("the password is too long: use at most {MAX_PASSWORD} bytes")]
    TooLong,
    /// Too many others wait.
    #[error("too many people sign in at this moment: try again in a few seconds")]
    Busy,
    /// Hashing fails.
    #[error("the password can't be hashed ({0})")]
    Hash(argon2::password_hash::Error),
    /// The thread that hashed ended.
    #[error("hashing a password broke off")]
    Task(#[from] tokio::task::JoinError),
}

/// Hashes passwords. Clones share the slots.
#[derive(Clone, Debug)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// A turn at hashing.
#[derive(Debug)]
pub struct Slot {
    _running: OwnedSemaphorePermit,
    _waiting: OwnedSemaphorePermit,
}

/// What a password was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The right one.
    Right,
    /// Another one, or there is none.
    Wrong,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(SLOTS)),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }
}

impl Passwords {
    /// Waits for a turn. Cancel-safe.
    ///
    /// # Errors
    /// `Busy` where too many wait already.
    pub async fn slot(&self) -> Result<Slot, PasswordError> {
        let waiting = Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| PasswordError::Busy)?;
        // Nobody closes the semaphore.
        let running = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::Busy)?;
        Ok(Slot {
            _running: running,
            _waiting: waiting,
        })
    }

    /// Returns what a new password hashes to, in PHC's form.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        if password.chars().count() < MIN_PASSWORD {
            return Err(PasswordError::TooShort);
        }
        if password.len() > MAX_PASSWORD {
            return Err(PasswordError::TooLong);
        }
        let slot = self.slot().await?;
        let hashed = spawn_blocking(move || {
            // The turn lasts as long as the work, also when nobody waits any more.
            let _slot = slot;
            hash(password.as_bytes())
        });
        hashed.await?
    }
}

impl Slot {
    /// Compares a password with what the right one hashes to; `None` where there is
    /// none, which takes as long.
    pub async fn verify(
        self,
        password: String,
        right: Option<String>,
    ) -> Result<Verdict, PasswordError> {
        let verified = spawn_blocking(move || {
            let _slot = self;
            let known = right.is_some();
            let right = match right {
                Some(right) => right,
                None => decoy()?.to_owned(),
            };
            let parsed = PasswordHash::new(&right)
                .map_err(|_| PasswordError::Hash(argon2::password_hash::Error::Internal))?;
            let same = argon2()?
                .verify_password(password.as_bytes(), &parsed)
                .is_ok();
            Ok(if known && same {
                Verdict::Right
            } else {
                Verdict::Wrong
            })
        });
        verified.await?
    }
}

/// Returns what no password is compared with in earnest.
fn decoy() -> Result<&'static str, PasswordError> {
    static DECOY: OnceLock<String> = OnceLock::new();
    if let Some(decoy) = DECOY.get() {
        return Ok(decoy);
    }
    let made = hash(b"nobody's password")?;
    Ok(DECOY.get_or_init(|| made))
}

fn hash(password: &[u8]) -> Result<String, PasswordError> {
    let hashed: Result<PasswordHash, _> = argon2()?.hash_password(password);
    hashed
        .map(|hash| hash.to_string())
        .map_err(PasswordError::Hash)
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None)
        .map_err(|_| PasswordError::Hash(argon2::password_hash::Error::Internal))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    async fn verify(passwords: &Passwords, password: &str, right: Option<&str>) -> Verdict {
        let slot = passwords.slot().await.unwrap();
        let right = right.map(str::to_owned);
        slot.verify(password.to_owned(), right).await.unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_eq!(
            verify(&passwords, "correct horse", Some(&hash)).await,
            Verdict::Right
        );
        assert_eq!(
            verify(&passwords, "wrong horse", Some(&hash)).await,
            Verdict::Wrong
        );
        assert_eq!(
            verify(&passwords, "nobody's password", None).await,
            Verdict::Wrong
        );
    }

    #[tokio::test]
    async fn a_password_has_a_least_and_a_greatest_length() {
        let passwords = Passwords::default();
        for (bad, why) in [
            ("short".to_owned(), "at least 8"),
            ("x".repeat(1025), "at most 1024"),
        ] {
            let error = passwords.hash(bad).await.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        passwords.hash("päßwörter\0".to_owned()).await.unwrap();
    }

    #[tokio::test]
    async fn more_than_can_wait_are_sent_away() {
        let passwords = Passwords::default();
        let mut held = Vec::new();
        for _ in 0..SLOTS {
            held.push(passwords.slot().await.unwrap());
        }
        let mut waiting: Vec<_> = (SLOTS..WAITING)
            .map(|_| Box::pin(passwords.slot()))
            .collect();
        for waiter in &mut waiting {
            assert!(waiter.as_mut().now_or_never().is_none());
        }
        assert!(matches!(passwords.slot().await, Err(PasswordError::Busy)));
        drop(waiting);
        held.clear();
        passwords.slot().await.unwrap();
    }
}
