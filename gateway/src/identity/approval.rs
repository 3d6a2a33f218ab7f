//! What waits until somebody approves it in a browser: programs, after RFC 8628, and
//! connections of clients without a key that is known ([`connections`]).
//!
//! A program is told two codes: a long one that it alone knows and polls with, and a short
//! one that its person sees there and in the browser. Whoever approves gives it a token of
//! theirs, once.
//!
//! Invariant: a code ends with its time, its refusal or its first token, and whoever
//! approved one is the only one whom it can stand for. All of it is in memory: a gateway
//! that starts anew knows none, and the program asks again.

mod code;
mod connections;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use time::OffsetDateTime;

use super::{Scope, Secret, SecretHash, Target, User, Via, network_of};
use crate::names::{UserId, UserName};

pub use code::{InvalidCode, UserCode};
pub use connections::{Decision, Hold, Joined, LetIn, People, Sharing, Times, Undecided, Window};

use connections::{Crowd, Opened};

/// How long a code lives.
pub const LIFE: Duration = Duration::from_mins(10);

/// How long a program waits between two polls, unless it is told to be slower.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// By how much a program that polls too soon has to slow down (RFC 8628 §3.5).
pub const SLOWER: Duration = Duration::from_secs(5);

/// How much sooner than asked a poll may come: clocks and networks aren't exact.
const TOLERANCE: Duration = Duration::from_millis(500);

/// Most programs that wait; of the address that has the most the oldest ends.
const MAX_WAITING: usize = 256;

/// Most programs that wait for one address.
const MAX_OF_ADDRESS: usize = 16;

/// Most codes that one person may try in [`LIFE`] that are none.
const MAX_TRIES: u32 = 20;

/// What is asked for, and where from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What.
    pub what: What,
    /// The address of the program or client.
    pub address: IpAddr,
}

/// What somebody may approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// That a program gets a token.
    Token(ProgramWish),
    /// That SSH connections with this login name are let in.
    Connections {
        /// The login name: where they lead, and who alone may approve it where it says so.
        login: Target,
        /// How long further ones are let in; zero where none are.
        window: Duration,
    },
}

/// The token that a program asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramWish {
    /// What the program calls itself, and its token.
    pub name: String,
    /// What the token is to allow.
    pub scope: Scope,
    /// How long the token is to last.
    pub lasts: Duration,
}

/// The codes of a program that has begun to wait.
#[derive(Clone, Debug)]
pub struct Codes {
    /// What it polls with.
    pub device: Secret,
    /// What its person sees.
    pub user: UserCode,
}

/// What waits, as whoever may approve it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its short code.
    pub code: UserCode,
    /// What it asks for.
    pub wish: Wish,
    /// How many connections wait for it.
    pub connections: usize,
    /// When the code ends.
    pub until: OffsetDateTime,
}

/// A program that may have its token.
#[derive(Clone, Debug)]
pub struct Approved {
    /// What it asked for.
    pub wish: ProgramWish,
    /// The program's address.
    pub address: IpAddr,
    /// Who approved it.
    pub user: User,
    /// What they were signed in with.
    pub via: Via,
}

/// Why a program has no token yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// Nobody has decided.
    #[error("nobody has approved this yet: ask again after the interval")]
    Pending,
    /// It polls too often.
    #[error("this was asked for too soon: wait five seconds longer each time from now on")]
    TooSoon,
    /// Somebody said no.
    #[error("this was refused in the browser: begin again if that was a mistake")]
    Refused,
    /// The code is unknown, spent or too old.
    #[error("the code is too old or was used: begin again")]
    Ended,
}

/// Why nothing can be decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDecision {
    /// There is no such code, or another one decided.
    #[error(
        "nothing waits with this code: compare it with the one in the terminal; it lives for \
         minutes, and an SSH connection's only as long as that"
    )]
    NoSuchCode,
    /// It leads to somebody else's workspace.
    #[error(
        "this connection asks for a workspace of {0}'s, so that {0} alone may decide: connect \
         with the name of a workspace of yours"
    )]
    OwnersAlone(UserName),
    /// Too many codes that were none.
    #[error("too many codes that were none: wait ten minutes, then begin again in the terminal")]
    TooManyTries,
}

/// Keeps the programs that wait. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Approvals(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<SecretHash, Entry>,
    /// What was approved and still lets connections in, or has some that go on.
    opened: Vec<Opened>,
    /// Codes that were none, by who tried them, since when.
    tries: HashMap<UserId, (u32, Instant)>,
}

#[derive(Debug)]
struct Entry {
    code: UserCode,
    wish: Wish,
    since: Instant,
    /// How long it lives from then on.
    life: Duration,
    until: OffsetDateTime,
    /// The connections that wait for it, or were let in by it.
    crowd: Option<Crowd>,
    /// When it last polled, and how long it has to wait since.
    polled: Option<Instant>,
    interval: Duration,
    decided: Decided,
}

#[derive(Debug)]
enum Decided {
    NotYet,
    Approved(User, Via),
    Refused,
}

impl Approvals {
    /// Has a program wait.
    pub fn begin(&self, wish: ProgramWish, address: IpAddr) -> Codes {
        let device = Secret::random("");
        let what = What::Token(wish);
        let user = self
            .state()
            .add(device.hash(), Wish { what, address }, LIFE, None);
        Codes { device, user }
    }

    /// Tells a program whether it may have its token; once it may, its code is spent.
    pub fn poll(&self, device: &SecretHash) -> Result<Approved, NotApproved> {
        let mut state = self.state();
        state.forget_old();
        let entry = state.waiting.get_mut(device).ok_or(NotApproved::Ended)?;
        let now = Instant::now();
        let early = entry
            .polled
            .is_some_and(|last| now.duration_since(last) + TOLERANCE < entry.interval);
        entry.polled = Some(now);
        let What::Token(wish) = &entry.wish.what else {
            // Nobody was told what it is polled with.
            return Err(NotApproved::Ended);
        };
        match &entry.decided {
            _ if early => {
                entry.interval += SLOWER;
                Err(NotApproved::TooSoon)
            }
            Decided::NotYet => Err(NotApproved::Pending),
            Decided::Refused => {
                state.waiting.remove(device);
                Err(NotApproved::Refused)
            }
            Decided::Approved(user, via) => {
                let approved = Approved {
                    wish: wish.clone(),
                    address: entry.wish.address,
                    user: user.clone(),
                    via: via.clone(),
                };
                state.waiting.remove(device);
                Ok(approved)
            }
        }
    }

    /// Shows a program that waits to somebody who may approve it.
    pub fn show(&self, user: &User, code: &str) -> Result<Waiting, NoDecision> {
        let mut state = self.state();
        let entry = state.find(user, code)?;
        Ok(Waiting {
            code: entry.code.clone(),
            wish: entry.wish.clone(),
            connections: entry.crowd.as_ref().map_or(0, Crowd::waiting),
            until: entry.until,
        })
    }

    /// Lets a program have a token of whoever approves it, or connections in as them.
    pub fn approve(&self, user: &User, via: &Via, code: &str) -> Result<Wish, NoDecision> {
        let mut state = self.state();
        let entry = state.find(user, code)?;
        entry.decided = Decided::Approved(user.clone(), via.clone());
        let wish = entry.wish.clone();
        let opened = entry.open(user, via);
        state.opened.extend(opened);
        Ok(wish)
    }

    /// Has a program have none, and connections ended.
    pub fn refuse(&self, user: &User, code: &str) -> Result<Wish, NoDecision> {
        let mut state = self.state();
        let entry = state.find(user, code)?;
        entry.decided = Decided::Refused;
        if let Some(crowd) = &entry.crowd {
            crowd.decide(Decision::Refused);
        }
        Ok(entry.wish.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl Entry {
    /// Tells how much it is worth to be kept, as compared with others: what somebody has
    /// approved most, what nobody polls for any more least, and what is older less.
    fn worth(&self) -> (bool, bool, Instant) {
        let is_approved = matches!(self.decided, Decided::Approved(..));
        let last = self.polled.unwrap_or(self.since);
        let is_polled = match &self.crowd {
            Some(crowd) => crowd.waiting() > 0,
            None => last.elapsed() < self.interval * 3,
        };
        (is_approved, is_polled, self.since)
    }
}

impl State {
    /// Adds what begins to wait, and returns its short code.
    fn add(
        &mut self,
        key: SecretHash,
        wish: Wish,
        life: Duration,
        crowd: Option<Crowd>,
    ) -> UserCode {
        self.make_room(network_of(wish.address));
        let mut code = UserCode::random();
        while self.waiting.values().any(|entry| entry.code == code) {
            code = UserCode::random();
        }
        let entry = Entry {
            code: code.clone(),
            wish,
            since: Instant::now(),
            life,
            until: OffsetDateTime::now_utc() + life,
            crowd,
            polled: None,
            interval: INTERVAL,
            decided: Decided::NotYet,
        };
        self.waiting.insert(key, entry);
        code
    }

    fn forget_old(&mut self) {
        self.waiting.retain(|_, entry| entry.is_alive());
        self.opened.retain(Opened::is_held);
        self.tries.retain(|_, (_, since)| since.elapsed() < LIFE);
    }

    /// Ends the least worthy of an address that has as many as it may, or of the one that has the
    /// most where all have.
    fn make_room(&mut self, address: IpAddr) {
        self.forget_old();
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for entry in self.waiting.values() {
            *counts.entry(network_of(entry.wish.address)).or_default() += 1;
        }
        let own = counts.get(&address).copied().unwrap_or_default();
        let most = if own >= MAX_OF_ADDRESS {
            Some(address)
        } else if self.waiting.len() >= MAX_WAITING {
            let most = counts.into_iter().max_by_key(|(_, count)| *count);
            most.map(|(address, _)| address)
        } else {
            None
        };
        let Some(most) = most else {
            return;
        };
        let theirs = self.waiting.iter();
        let theirs = theirs.filter(|(_, entry)| network_of(entry.wish.address) == most);
        let least = theirs.min_by_key(|(_, entry)| entry.worth());
        if let Some(least) = least.map(|(hash, _)| hash.clone()) {
            self.waiting.remove(&least);
        }
    }

    /// Finds what nobody has decided yet, and counts a code that is none.
    fn find(&mut self, user: &User, code: &str) -> Result<&mut Entry, NoDecision> {
        self.forget_old();
        let tried = self.tries.get(&user.id).map_or(0, |(count, _)| *count);
        if tried >= MAX_TRIES {
            return Err(NoDecision::TooManyTries);
        }
        let code = code.parse::<UserCode>();
        let found = self.waiting.values_mut().find(|entry| {
            let open = matches!(entry.decided, Decided::NotYet);
            open && code.as_ref().is_ok_and(|code| entry.code == *code)
        });
        let Some(found) = found else {
            let first = (0, Instant::now());
            self.tries.entry(user.id.clone()).or_insert(first).0 += 1;
            return Err(NoDecision::NoSuchCode);
        };
        match &found.wish.what {
            What::Connections { login, .. } => match &login.owner {
                Some(owner) if *owner != user.name => Err(NoDecision::OwnersAlone(owner.clone())),
                _ => Ok(found),
            },
            What::Token(_) => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests;
