//! The codes that browsers bring from the dashboard to an application.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Place;
use crate::identity::{Secret, SecretHash, Via};
use crate::names::UserId;

/// How long a code counts.
const CODE_LIFE: Duration = Duration::from_secs(30);

/// Most codes that wait; the oldest is forgotten when there are more.
const MAX_CODES: usize = 1024;

/// Codes that wait to be used.
#[derive(Debug, Default)]
pub(super) struct Codes(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    codes: HashMap<SecretHash, Code>,
    /// In the order in which they were made; used ones stay until their turn.
    order: VecDeque<SecretHash>,
}

/// What a code lets somebody into.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) place: Place,
    pub(super) user: UserId,
    pub(super) via: Via,
    pub(super) state: String,
    /// Path and query to go on to.
    pub(super) to: String,
    pub(super) made: Instant,
}

impl Codes {
    /// Returns what takes a code.
    pub(super) fn make(&self, code: Code) -> Secret {
        let secret = Secret::random("");
        let hash = secret.hash();
        let mut waiting = self.lock();
        while waiting.order.len() >= MAX_CODES {
            if let Some(oldest) = waiting.order.pop_front() {
                waiting.codes.remove(&oldest);
            }
        }
        waiting.order.push_back(hash.clone());
        waiting.codes.insert(hash, code);
        secret
    }

    /// Returns what a code was made for, once.
    pub(super) fn take(&self, shown: &str) -> Option<Code> {
        let hash = Secret::shown(shown)?.hash();
        let code = self.lock().codes.remove(&hash)?;
        (code.made.elapsed() < CODE_LIFE).then_some(code)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Both are whole after every method: a panic elsewhere breaks nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::LoginId;

    fn code() -> Code {
        Code {
            place: "3000--api--ada".parse().unwrap(),
            user: UserId::random(),
            via: Via::Login(LoginId::random()),
            state: String::new(),
            to: "/".to_owned(),
            made: Instant::now(),
        }
    }

    #[test]
    fn a_code_counts_once_and_for_half_a_minute() {
        let codes = Codes::default();
        let secret = codes.make(code());
        assert!(codes.take(secret.expose()).is_some());
        assert!(codes.take(secret.expose()).is_none());
        let secret = codes.make(Code {
            made: Instant::now() - CODE_LIFE,
            ..code()
        });
        assert!(codes.take(secret.expose()).is_none());
    }

    #[test]
    fn codes_that_nobody_uses_are_forgotten() {
        let codes = Codes::default();
        let first = codes.make(code());
        for _ in 0..MAX_CODES {
            codes.make(code());
        }
        assert!(codes.take(first.expose()).is_none());
        assert_eq!(codes.lock().codes.len(), MAX_CODES);
    }
}
