//! The codes that browsers bring from the dashboard to an application.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::Place;
use crate::identity::{Secret, SecretHash, Via};
use crate::names::UserId;

/// How long a code counts.
const CODE_LIFE: Duration = Duration::from_secs(30);

/// Most codes of one user that wait: as many tabs open at once. Beyond that their oldest
/// is forgotten.
const MAX_EACH: usize = 32;

/// Most codes that wait; the oldest is forgotten when there are more.
const MAX_CODES: usize = 4096;

/// Codes that wait to be used, in the order in which they were made. `Debug` prints none.
#[derive(Default)]
pub(super) struct Codes(Mutex<VecDeque<(SecretHash, Code)>>);

/// What a code lets somebody into.
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
        let mut codes = self.lock();
        codes.retain(|(_, code)| code.counts());
        let mut own = (0..)
            .zip(codes.iter())
            .filter(|(_, (_, other))| other.user == code.user);
        let oldest = own.next().map(|(place, _)| place);
        if own.count() + 1 >= MAX_EACH {
            oldest.map(|oldest: usize| codes.remove(oldest));
        } else if codes.len() >= MAX_CODES {
            codes.pop_front();
        }
        codes.push_back((secret.hash(), code));
        secret
    }

    /// Returns what a code was made for, once.
    pub(super) fn take(&self, shown: &str) -> Option<Code> {
        let hash = Secret::shown(shown)?.hash();
        let mut codes = self.lock();
        let place = codes.iter().position(|(found, _)| *found == hash)?;
        let (_, code) = codes.remove(place)?;
        code.counts().then_some(code)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(SecretHash, Code)>> {
        self.0.lock()
    }
}

impl Code {
    fn counts(&self) -> bool {
        self.made.elapsed() < CODE_LIFE
    }
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes").finish_non_exhaustive()
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
    fn a_user_who_makes_many_codes_loses_their_own() {
        let codes = Codes::default();
        let (others, expired) = (codes.make(code()), {
            let made = Instant::now() - CODE_LIFE;
            codes.make(Code { made, ..code() })
        });
        let user = UserId::random();
        let of_user = || Code {
            user: user.clone(),
            ..code()
        };
        let own: Vec<_> = (0..=MAX_EACH).map(|_| codes.make(of_user())).collect();
        assert_eq!(codes.lock().len(), 1 + MAX_EACH);
        assert!(codes.take(expired.expose()).is_none());
        assert!(codes.take(own[0].expose()).is_none());
        assert!(codes.take(own[1].expose()).is_some());
        assert!(codes.take(others.expose()).is_some());
    }

    #[test]
    fn codes_that_nobody_uses_are_forgotten() {
        let codes = Codes::default();
        let first = codes.make(code());
        for _ in 0..MAX_CODES {
            codes.make(code());
        }
        assert!(codes.take(first.expose()).is_none());
        assert_eq!(codes.lock().len(), MAX_CODES);
    }
}
