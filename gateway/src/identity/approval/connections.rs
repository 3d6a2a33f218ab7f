//! SSH connections that wait, and the time for which one approval lets further ones in.
//!
//! An editor opens many connections at once, and more a moment later: those of one address
//! with one login name wait for one decision, and for a time after it come in by it, where
//! the name says whose workspace it is or there is one person alone. Elsewhere nothing tells
//! them from others', and each asks for itself.
//!
//! Invariant: who comes in by an approval comes from the very address and with the very
//! login name that were approved, before its window is over, and while what approved it
//! still counts; and where the name has an owner, it was they who approved it. An address
//! isn't a proof: others behind the same one come in with the same name, too. That is why
//! the window is short, shown, and can be ended or set to none, and why there is none for
//! this machine's own addresses, which stand for whatever runs or forwards here.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Approvals, Decided, Entry, User, UserCode, Via, What, Wish};
use crate::identity::{Secret, Target};
use crate::names::{ApprovalId, UserId};

/// How long an approval may take, and how long it lets further connections in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long connections wait for it.
    pub wait: Duration,
    /// How long it lets further ones in; zero: each connection asks for itself.
    pub window: Duration,
}

/// Whose connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// One person's alone.
    One,
    /// Several people's.
    Several,
}

/// What was decided of connections.
#[derive(Clone, Debug, Default)]
pub enum Decision {
    /// Nothing yet.
    #[default]
    Pending,
    /// They are let in.
    Approved(LetIn),
    /// They aren't.
    Refused,
}

/// Who lets connections in, and until when.
#[derive(Clone, Debug)]
pub struct LetIn {
    /// Who approved it: whom they sign in.
    pub user: User,
    /// What they were signed in with.
    pub via: Via,
    /// The connection's share in it.
    pub hold: Hold,
}

/// Which connections share a decision with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// None.
    None,
    /// None, since its login name doesn't say whose workspace it means.
    Unnamed,
    /// Those of the same address with the same login name.
    Alike,
}

/// A share in an approval, which is listed and can be ended as long as there is one.
#[derive(Clone, Debug)]
pub struct Hold(Arc<CancellationToken>);

/// Why nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// Nobody did in time.
    Late,
    /// It had to make room for others.
    Displaced,
}

/// A connection's place among those that wait for the same decision.
#[derive(Debug)]
pub struct Joined {
    /// The short code.
    pub code: UserCode,
    /// Whether it is the first, which asks.
    pub is_first: bool,
    /// Which others may wait for the same decision, or come in by it later.
    pub sharing: Sharing,
    /// When it is too late.
    pub until: Instant,
    decision: watch::Receiver<Decision>,
}

/// An approval that still lets connections in, or has some that go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its id.
    pub id: ApprovalId,
    /// Where it leads.
    pub login: Target,
    /// Where from.
    pub address: IpAddr,
    /// Until when it lets some in; in the past where it only has some that go on.
    pub until: OffsetDateTime,
}

/// What ends an approval.
#[derive(Debug)]
pub(super) struct Opened {
    window: Window,
    by: UserId,
    hold: Weak<CancellationToken>,
}

/// The connections that share a decision.
#[derive(Debug)]
pub(super) struct Crowd {
    id: ApprovalId,
    decision: watch::Sender<Decision>,
    is_shared: bool,
}

impl Hold {
    /// Returns what is cancelled once whoever approved it ends it.
    pub fn over(&self) -> CancellationToken {
        self.0.as_ref().clone()
    }
}

impl Opened {
    /// Tells whether it still lets connections in, or has some.
    pub(super) fn is_held(&self) -> bool {
        self.hold.strong_count() > 0
    }
}

impl Crowd {
    fn new(is_shared: bool) -> Self {
        Self {
            id: ApprovalId::random(),
            decision: watch::Sender::default(),
            is_shared,
        }
    }

    /// Returns how many wait.
    pub(super) fn waiting(&self) -> usize {
        self.decision.receiver_count()
    }

    pub(super) fn decide(&self, decision: Decision) {
        self.decision.send_replace(decision);
    }
}

impl Joined {
    /// Waits until it is decided, at most that long.
    ///
    /// Cancel-safe.
    pub async fn decided_within(&mut self, limit: Duration) -> Result<Decision, Undecided> {
        let left = self.until.saturating_duration_since(Instant::now());
        let decided = self
            .decision
            .wait_for(|decision| !matches!(decision, Decision::Pending));
        match tokio::time::timeout(limit.min(left), decided).await {
            Ok(Ok(decision)) => Ok(decision.clone()),
            // Nobody can decide any more.
            Ok(Err(_)) if Instant::now() < self.until => Err(Undecided::Displaced),
            Ok(Err(_)) => Err(Undecided::Late),
            Err(_) if left <= limit => Err(Undecided::Late),
            Err(_) => Ok(Decision::Pending),
        }
    }

    /// Returns what is decided so far.
    pub fn decision(&self) -> Decision {
        self.decision.borrow().clone()
    }
}

impl Approvals {
    /// Has a connection wait, with those of its address and login name where they may share
    /// a decision, or finds it let in already.
    pub fn join(&self, login: &Target, address: IpAddr, times: Times, people: People) -> Joined {
        let mut state = self.state();
        state.forget_old();
        let sharing = sharing(login, address, times, people);
        let is_shared = sharing == Sharing::Alike;
        let found = state.waiting.values().find(|entry| {
            let same =
                matches!(&entry.wish.what, What::Connections { login: own, .. } if own == login);
            let open = entry.crowd.as_ref().is_some_and(|crowd| crowd.is_shared)
                && !matches!(entry.decided, Decided::Refused);
            is_shared && same && open && entry.wish.address == address
        });
        if let Some((entry, crowd)) = found.and_then(|entry| Some((entry, entry.crowd.as_ref()?))) {
            return Joined {
                code: entry.code.clone(),
                is_first: false,
                sharing,
                until: entry.since + entry.life,
                decision: crowd.decision.subscribe(),
            };
        }
        let crowd = Crowd::new(is_shared);
        let decision = crowd.decision.subscribe();
        let what = What::Connections {
            login: login.clone(),
            window: if is_shared {
                times.window
            } else {
                Duration::ZERO
            },
        };
        // Not later than the entry's own end.
        let until = Instant::now() + times.wait;
        // Nobody is told what this hashes: it isn't polled.
        let key = Secret::random("").hash();
        let code = state.add(key, Wish { what, address }, times.wait, Some(crowd));
        Joined {
            code,
            is_first: true,
            sharing,
            until,
            decision,
        }
    }

    /// Returns the approvals of a user's that still let connections in or have some that go
    /// on, newest first.
    pub fn windows(&self, user: &User) -> Vec<Window> {
        let mut state = self.state();
        state.forget_old();
        let opened = state.opened.iter().filter(|opened| opened.by == user.id);
        let mut windows: Vec<_> = opened.map(|opened| opened.window.clone()).collect();
        windows.sort_by(|a, b| b.until.cmp(&a.until).then_with(|| a.id.cmp(&b.id)));
        windows
    }

    /// Ends one of them, and the connections that it let in. `None`: the user has no such
    /// one.
    pub fn end(&self, user: &User, id: &ApprovalId) -> Option<Window> {
        let mut state = self.state();
        state.forget_old();
        let mut opened = state.opened.iter();
        let index = opened.position(|one| one.window.id == *id && one.by == user.id)?;
        let opened = state.opened.swap_remove(index);
        if let Some(over) = opened.hold.upgrade() {
            over.cancel();
        }
        state.waiting.retain(|_, entry| {
            let crowd = entry.crowd.as_ref();
            crowd.is_none_or(|crowd| crowd.id != *id)
        });
        Some(opened.window)
    }
}

/// Tells which connections may share a decision: those of whom an address and a name tell
/// that they are of who approves it.
fn sharing(login: &Target, address: IpAddr, times: Times, people: People) -> Sharing {
    match people {
        _ if times.window.is_zero() => Sharing::None,
        // Whatever runs or forwards on this machine has these addresses.
        People::Several if address.to_canonical().is_loopback() => Sharing::None,
        People::Several if login.owner.is_none() => Sharing::Unnamed,
        People::One | People::Several => Sharing::Alike,
    }
}

impl Entry {
    /// Tells whether it can still be decided, or still lets connections in.
    pub(super) fn is_alive(&self) -> bool {
        // Whoever waited may have gone: then nobody is there to be let in.
        let is_awaited = match (&self.crowd, &self.decided) {
            (Some(crowd), Decided::NotYet) => crowd.waiting() > 0,
            _ => true,
        };
        is_awaited && self.since.elapsed() < self.life
    }

    /// Lets in those who wait, and for a time those who come; does nothing for programs.
    pub(super) fn open(&mut self, user: &User, via: &Via) -> Option<Opened> {
        let (Some(crowd), What::Connections { login, window }) = (&self.crowd, &self.wish.what)
        else {
            return None;
        };
        (self.since, self.life) = (Instant::now(), *window);
        self.until = OffsetDateTime::now_utc() + *window;
        let hold = Arc::new(CancellationToken::new());
        let opened = Opened {
            window: Window {
                id: crowd.id.clone(),
                login: login.clone(),
                address: self.wish.address,
                until: self.until,
            },
            by: user.id.clone(),
            hold: Arc::downgrade(&hold),
        };
        crowd.decide(Decision::Approved(LetIn {
            user: user.clone(),
            via: via.clone(),
            hold: Hold(hold),
        }));
        Some(opened)
    }
}
