//! SSH connections that wait, and the time for which one approval lets further ones in.
//!
//! An editor opens many connections at once, and more a moment later: those of one address
//! with one login name wait for one decision, and for a time after it come in by it.
//!
//! Invariant: who comes in by an approval comes from the very address and with the very
//! login name that were approved, before its window is over, and while what approved it
//! still counts. An address isn't a proof: others behind the same one come in with the
//! same name, too. That is why the window is short, shown, and can be ended or set to none.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Approvals, Decided, Entry, User, UserCode, Via, What, Wish};
use crate::identity::Secret;
use crate::names::ApprovalId;

/// How long an approval may take, and how long it lets further connections in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long connections wait for it.
    pub wait: Duration,
    /// How long it lets further ones in.
    pub window: Duration,
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
    /// Cancelled once they end it.
    pub over: CancellationToken,
}

/// A connection's place among those that wait for the same decision.
#[derive(Debug)]
pub struct Joined {
    /// The short code.
    pub code: UserCode,
    /// Whether it is the first, which asks.
    pub is_first: bool,
    /// When it is too late.
    pub until: Instant,
    decision: watch::Receiver<Decision>,
}

/// An approval that still lets connections in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its id.
    pub id: ApprovalId,
    /// Where it leads.
    pub login: String,
    /// Where from.
    pub address: IpAddr,
    /// Until when.
    pub until: OffsetDateTime,
}

/// The connections that share a decision.
#[derive(Debug)]
pub(super) struct Crowd {
    id: ApprovalId,
    decision: watch::Sender<Decision>,
}

impl Crowd {
    fn new() -> Self {
        Self {
            id: ApprovalId::random(),
            decision: watch::Sender::default(),
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
    /// Waits until it is decided, at most that long. `None`: it ended undecided.
    ///
    /// Cancel-safe.
    pub async fn decided_within(&mut self, limit: Duration) -> Option<Decision> {
        let left = self.until.saturating_duration_since(Instant::now());
        let decided = self
            .decision
            .wait_for(|decision| !matches!(decision, Decision::Pending));
        match tokio::time::timeout(limit.min(left), decided).await {
            Ok(Ok(decision)) => Some(decision.clone()),
            // Nobody can decide any more.
            Ok(Err(_)) => None,
            Err(_) if left <= limit => None,
            Err(_) => Some(Decision::Pending),
        }
    }

    /// Returns what is decided so far.
    pub fn decision(&self) -> Decision {
        self.decision.borrow().clone()
    }
}

impl Approvals {
    /// Has a connection wait with those of its address and login name, or finds it let in
    /// already.
    pub fn join(&self, login: &str, address: IpAddr, times: Times) -> Joined {
        let mut state = self.state();
        state.forget_old();
        let found = state.waiting.values().find(|entry| {
            let same =
                matches!(&entry.wish.what, What::Connections { login: own, .. } if own == login);
            same && entry.wish.address == address && !matches!(entry.decided, Decided::Refused)
        });
        if let Some((entry, crowd)) = found.and_then(|entry| Some((entry, entry.crowd.as_ref()?))) {
            return Joined {
                code: entry.code.clone(),
                is_first: false,
                until: entry.since + entry.life,
                decision: crowd.decision.subscribe(),
            };
        }
        let crowd = Crowd::new();
        let decision = crowd.decision.subscribe();
        let login = login.to_owned();
        let what = What::Connections {
            login,
            window: times.window,
        };
        // Nobody is told what this hashes: it isn't polled.
        let key = Secret::random("").hash();
        let code = state.add(key, Wish { what, address }, times.wait, Some(crowd));
        Joined {
            code,
            is_first: true,
            until: Instant::now() + times.wait,
            decision,
        }
    }

    /// Returns the approvals of a user's that still let connections in, newest first.
    pub fn windows(&self, user: &User) -> Vec<Window> {
        let mut state = self.state();
        state.forget_old();
        let mut windows: Vec<_> = state
            .waiting
            .values()
            .filter(|entry| entry.is_of(user))
            .filter_map(Entry::window)
            .collect();
        windows.sort_by(|a, b| b.until.cmp(&a.until).then_with(|| a.id.cmp(&b.id)));
        windows
    }

    /// Ends one of them, and the connections that it let in. `None`: the user has no such
    /// one.
    pub fn end(&self, user: &User, id: &ApprovalId) -> Option<Window> {
        let mut state = self.state();
        state.forget_old();
        let found = state.waiting.iter().find(|(_, entry)| {
            let same = entry.crowd.as_ref().is_some_and(|crowd| crowd.id == *id);
            same && entry.is_of(user)
        });
        let key = found.map(|(key, _)| key.clone())?;
        let entry = state.waiting.remove(&key)?;
        if let Some(crowd) = &entry.crowd
            && let Decision::Approved(let_in) = &*crowd.decision.borrow()
        {
            let_in.over.cancel();
        }
        entry.window()
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
    pub(super) fn open_window(&mut self, user: &User, via: &Via) {
        let (Some(crowd), What::Connections { window, .. }) = (&self.crowd, &self.wish.what) else {
            return;
        };
        (self.since, self.life) = (Instant::now(), *window);
        self.until = OffsetDateTime::now_utc() + *window;
        crowd.decide(Decision::Approved(LetIn {
            user: user.clone(),
            via: via.clone(),
            over: CancellationToken::new(),
        }));
    }

    fn is_of(&self, user: &User) -> bool {
        matches!(&self.decided, Decided::Approved(own, _) if own.id == user.id)
    }

    fn window(&self) -> Option<Window> {
        let What::Connections { login, .. } = &self.wish.what else {
            return None;
        };
        Some(Window {
            id: self.crowd.as_ref()?.id.clone(),
            login: login.clone(),
            address: self.wish.address,
            until: self.until,
        })
    }
}
