//! Slows down and locks out those who guess.
//!
//! Failures are counted for the address that they come from (IPv6: its /64) and
//! for the name that they try. An address that is locked out signs in nobody. A name
//! that is locked out costs who fails with it the longest delay, and locks their
//! addresses out after the failures that are free otherwise; it must not keep out a
//! public key that matches, since strangers can lock out any name, and nobody can
//! guess a key. A way to sign in with what can be guessed asks [`Lockout::check`].
//! An address that signed in as that name lately is spared what others do to the name.
//! Signing in excuses the failures with that very name, not those of the address with
//! others: who has an account can't guess others' passwords by it.
//!
//! Invariant: memory is bounded, whatever comes; the least recently seen is forgotten
//! first.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::warn;

/// Longest login name that is told from others, in characters.
const MAX_NAME: usize = 100;

/// Failures that cost no delay: an agent offers several keys before the right one.
const FREE: usize = 6;

/// The first delay; each further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest delay.
const LAST_DELAY: Duration = Duration::from_secs(5);

/// Limits of a [`Lockout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockoutOptions {
    /// Failures that lock out.
    pub failures: usize,
    /// Time in which they count.
    pub window: Duration,
    /// How long a lock-out lasts.
    pub locked_for: Duration,
    /// How long an address that signed in is trusted with that name.
    pub trusted_for: Duration,
    /// Addresses and names, each, that are remembered.
    pub remembered: usize,
}

/// What is locked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The address.
    Address,
    /// The login name.
    Name,
}

/// A lock-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many failed log-ins from this {subject}: try again in {} s", left.as_secs().max(1))]
pub struct Locked {
    /// What is locked out.
    pub subject: Subject,
    /// Time until it ends.
    pub left: Duration,
}

/// Counts failures to sign in.
pub struct Lockout {
    options: LockoutOptions,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    hasher: RandomState,
    counts: Mutex<Counts>,
}

struct Counts {
    addresses: Lru<Network, Failures>,
    names: Lru<Name, Failures>,
    trusted: Lru<(Network, Name), Instant>,
}

/// What somebody tries to sign in as. A login name of SSH says where to go and whoever
/// has any key may say any, so it is never taken for an account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried<'a> {
    /// The login name of SSH.
    Login(&'a str),
    /// The name of an account, with its password.
    Account(&'a str),
}

impl<'a> From<&'a str> for Tried<'a> {
    fn from(login: &'a str) -> Self {
        Self::Login(login)
    }
}

impl<'a> From<&'a String> for Tried<'a> {
    fn from(login: &'a String) -> Self {
        Self::Login(login)
    }
}

/// What was tried, as far as it is told from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Login(String),
    Account(String),
}

impl Name {
    fn of<'a>(tried: impl Into<Tried<'a>>) -> Self {
        let bounded = |name: &str| name.chars().take(MAX_NAME).collect();
        match tried.into() {
            Tried::Login(name) => Self::Login(bounded(name)),
            Tried::Account(name) => Self::Account(bounded(name)),
        }
    }
}

/// An address, as far as attackers can't change it at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Network(IpAddr);

#[derive(Debug, Default)]
struct Failures {
    /// When, and with which name: its hash, where one was said.
    at: VecDeque<(Instant, Option<u64>)>,
    locked_until: Option<Instant>,
}

/// A map that forgets the least recently used entry when full.
struct Lru<K, V> {
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
    capacity: usize,
}

impl Default for LockoutOptions {
    fn default() -> Self {
        Self {
            failures: 20,
            window: Duration::from_mins(10),
            locked_for: Duration::from_mins(15),
            trusted_for: Duration::from_hours(24),
            remembered: 10_000,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Name => "name",
        })
    }
}

impl fmt::Debug for Lockout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lockout")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Lockout {
    /// Counts by the system's monotonic clock.
    pub fn new(options: LockoutOptions) -> Self {
        Self::with_clock(options, Instant::now)
    }

    /// Counts by another clock.
    pub fn with_clock(
        options: LockoutOptions,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        let capacity = options.remembered.max(1);
        Self {
            options,
            clock: Box::new(clock),
            hasher: RandomState::new(),
            counts: Mutex::new(Counts {
                addresses: Lru::new(capacity),
                names: Lru::new(capacity),
                trusted: Lru::new(capacity),
            }),
        }
    }

    /// Tells whether an address may connect at all, before it says a name.
    ///
    /// # Errors
    /// The lock-out, where there is one.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Locked> {
        let now = (self.clock)();
        let mut counts = self.counts();
        locked(
            counts.addresses.get(&Network::of(address)),
            Subject::Address,
            now,
        )
    }

    /// Tells whether an address may try to sign in as a name with what can be guessed.
    ///
    /// # Errors
    /// The lock-out, where there is one.
    pub fn check<'a>(&self, address: IpAddr, name: impl Into<Tried<'a>>) -> Result<(), Locked> {
        let now = (self.clock)();
        let (network, name) = (Network::of(address), Name::of(name));
        let mut counts = self.counts();
        locked(counts.addresses.get(&network), Subject::Address, now)?;
        if self.is_trusted(&mut counts, network, &name, now) {
            return Ok(());
        }
        locked(counts.names.get(&name), Subject::Name, now)
    }

    /// Counts a failure: a wrong key, or a connection that ended without having
    /// signed in. Returns how long to wait before saying so.
    pub fn failed<'a>(&self, address: IpAddr, name: impl Into<Tried<'a>>) -> Duration {
        let now = (self.clock)();
        let (network, name) = (Network::of(address), Name::of(name));
        let mut counts = self.counts();
        let trusted = self.is_trusted(&mut counts, network, &name, now);
        let attacked = !trusted && locked(counts.names.get(&name), Subject::Name, now).is_err();
        let limit = if attacked {
            self.options.failures.min(FREE)
        } else {
            self.options.failures
        };
        let failure = (now, Some(self.hasher.hash_one(&name)));
        let by_address = self.count(counts.addresses.entry(network), limit, failure);
        if by_address.locks {
            warn!(%address, ?name, "address locked out after too many failed log-ins");
        }
        if trusted {
            // Their own mistakes must not lock others out of the name, either.
            return by_address.delay;
        }
        let by_name = self.count(
            counts.names.entry(name.clone()),
            self.options.failures,
            failure,
        );
        if by_name.locks {
            warn!(%address, ?name, "login name locked out after too many failed log-ins");
        }
        by_address.delay.max(by_name.delay)
    }

    /// Counts a failure for an address alone, where no name was said; `what` was
    /// tried. Returns how long to wait before saying so.
    pub fn failed_from(&self, address: IpAddr, what: &str) -> Duration {
        let now = (self.clock)();
        let mut counts = self.counts();
        let limit = self.options.failures;
        let failures = counts.addresses.entry(Network::of(address));
        let counted = self.count(failures, limit, (now, None));
        if counted.locks {
            warn!(%address, what, "address locked out after too many failed log-ins");
        }
        counted.delay
    }

    /// Returns how long to wait before saying no: the more failures so far, the
    /// longer, and longest while the name is locked out. It counts nothing. What others
    /// do to a name costs nothing where that name signed in lately.
    pub fn delay<'a>(&self, address: IpAddr, name: impl Into<Tried<'a>>) -> Duration {
        let now = (self.clock)();
        let (network, name) = (Network::of(address), Name::of(name));
        let mut counts = self.counts();
        let by_address = counts.addresses.get(&network).map_or(0, Failures::count);
        if self.is_trusted(&mut counts, network, &name, now) {
            return delay_after(by_address);
        }
        let by_name = counts.names.get(&name);
        if locked(by_name, Subject::Name, now).is_err() {
            return LAST_DELAY;
        }
        delay_after(by_address.max(by_name.map_or(0, Failures::count)))
    }

    /// Clears what was counted for an address with the name that it signed in as, and
    /// trusts it with that name. What it did with other names still counts, and for
    /// strangers what they did to this one.
    pub fn succeeded<'a>(&self, address: IpAddr, name: impl Into<Tried<'a>>) {
        let now = (self.clock)();
        let (network, name) = (Network::of(address), Name::of(name));
        let mut counts = self.counts();
        let own = Some(self.hasher.hash_one(&name));
        if let Some(failures) = counts.addresses.get_mut(&network) {
            failures.at.retain(|(_, name)| *name != own);
        }
        *counts.trusted.entry_or((network, name), now) = now;
    }

    fn is_trusted(&self, counts: &mut Counts, network: Network, name: &Name, now: Instant) -> bool {
        counts
            .trusted
            .get(&(network, name.clone()))
            .is_some_and(|since| now.duration_since(*since) < self.options.trusted_for)
    }

    fn count(
        &self,
        failures: &mut Failures,
        limit: usize,
        failure: (Instant, Option<u64>),
    ) -> Counted {
        let (now, _) = failure;
        let window = self.options.window;
        failures
            .at
            .retain(|(at, _)| now.saturating_duration_since(*at) < window);
        // What is older than the limit can't matter: the queue stays short.
        if failures.at.len() >= self.options.failures.max(1) {
            failures.at.pop_front();
        }
        failures.at.push_back(failure);
        let was_locked = failures.locked_until.is_some_and(|until| until > now);
        let locks = !was_locked && failures.at.len() >= limit;
        if locks {
            failures.locked_until = now.checked_add(self.options.locked_for);
        }
        let delay = delay_after(failures.at.len());
        Counted { locks, delay }
    }

    fn counts(&self) -> parking_lot::MutexGuard<'_, Counts> {
        self.counts.lock()
    }
}

struct Counted {
    locks: bool,
    delay: Duration,
}

impl Failures {
    fn count(&self) -> usize {
        self.at.len()
    }
}

fn delay_after(failures: usize) -> Duration {
    match failures.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(further) => {
            let doublings = u32::try_from(further).unwrap_or(u32::MAX).min(16);
            (FIRST_DELAY * 2_u32.pow(doublings)).min(LAST_DELAY)
        }
    }
}

fn locked(failures: Option<&Failures>, subject: Subject, now: Instant) -> Result<(), Locked> {
    match failures.and_then(|failures| failures.locked_until) {
        Some(until) if until > now => Err(Locked {
            subject,
            left: until.duration_since(now),
        }),
        _ => Ok(()),
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        Self(network_of(address))
    }
}

/// Returns an address as far as whoever has it can't change it at will: of an IPv6 one
/// its /64.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
        }
    }
}

impl<K: Clone + Eq + Hash, V> Lru<K, V> {
    fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            capacity,
        }
    }

    fn get(&mut self, key: &K) -> Option<&V> {
        self.get_mut(key).map(|value| &*value)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (used, value) = self.entries.get_mut(key)?;
        self.order.remove(used);
        self.next += 1;
        *used = self.next;
        self.order.insert(self.next, key.clone());
        Some(value)
    }

    fn entry_or(&mut self, key: K, value: V) -> &mut V {
        if self.get(&key).is_none()
            && self.entries.len() >= self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        let next = &mut self.next;
        let order = &mut self.order;
        let (_, value) = self.entries.entry(key).or_insert_with_key(|key| {
            *next += 1;
            order.insert(*next, key.clone());
            (*next, value)
        });
        value
    }

    fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.entry_or(key, V::default())
    }
}

#[cfg(test)]
mod tests;
