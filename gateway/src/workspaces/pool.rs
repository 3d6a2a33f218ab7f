//! Pools: workspaces that are kept ready, nobody's until somebody makes one like them.
//!
//! A member is a workspace like any other whose owner is nobody, so that whatever ends a
//! gateway, the next one goes on with it. It becomes somebody's by its own task and in
//! one statement: nobody shares one, and none is ended that was handed out.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{info, warn};

use super::blueprint::{Blueprint, TemplateUse};
use super::error::CommandError;
use super::failure::FailureReason;
use super::state::{Intent, Record, State, Workspace};
use super::{Order, Workspaces};
use crate::chain::chain;
use crate::identity::User;
use crate::names::{TemplateName, WorkspaceId, WorkspaceName};
use crate::whole::to_the_end;

/// How long pools aren't looked at where nothing seems to have changed.
const LOOK: Duration = Duration::from_secs(5);

/// How long a member may be on its way until others are made beside it.
const PATIENCE: Duration = Duration::from_mins(30);

/// Pause after a member couldn't be made; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest such pause.
const LAST_PAUSE: Duration = Duration::from_mins(5);

/// What a template wants to be kept ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPool {
    /// Its name.
    pub template: TemplateName,
    /// How many workspaces, made of what; absent: it can't be read at the moment, and its
    /// pool stays as it is.
    pub of: Option<(usize, Blueprint)>,
}

impl WantedPool {
    /// Tells whether what is made from that may be of it.
    fn is_of(&self, used: &TemplateUse) -> bool {
        let of = self.of.as_ref();
        let same = |(_, blueprint): &(_, Blueprint)| blueprint.template.as_ref() == Some(used);
        self.template == used.name && of.is_none_or(same)
    }
}

/// How a template's pool is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolStanding {
    /// How many workspaces are ready.
    pub ready: usize,
    /// Why there aren't more, where something is wrong.
    pub problem: Option<String>,
}

/// How the filling of a pool goes.
#[derive(Debug, Default)]
pub(super) struct Filling {
    /// What it is filled with.
    of: Option<TemplateUse>,
    /// The member that was begun last, until it is known what became of it.
    begun: Option<WorkspaceId>,
    /// How many in a row couldn't be made.
    failures: u32,
    /// When the next one may be made.
    until: Option<Instant>,
    problem: Option<String>,
}

impl Filling {
    fn failed(&mut self, problem: String) {
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures));
        self.until = Some(Instant::now() + pause.min(LAST_PAUSE));
        self.failures = self.failures.saturating_add(1);
        self.begun = None;
        self.problem = Some(problem);
    }

    /// Begins anew where a pool is filled with something else than before.
    fn goes_for(&mut self, of: &Blueprint) {
        if self.of != of.template {
            *self = Self {
                of: of.template.clone(),
                ..Self::default()
            };
        }
    }

    /// Takes note that nothing is being made, which tells that what was begun last became
    /// ready; and whether the pool is full.
    fn went_well(&mut self, full: bool) {
        if self.begun.take().is_some() || full {
            (self.failures, self.until, self.problem) = (0, None, None);
        }
    }

    /// Returns how long no member is made.
    fn pause(&self) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

impl Workspaces {
    /// Brings pools nearer to what templates want: ends members that are too many, or made
    /// of something else, and begins to make a member of each pool that lacks some and
    /// makes none. Returns how long nothing more is due
    /// unless [`Self::pools_to_look_at`] says so.
    pub async fn keep_pools(&self, wanted: &[WantedPool]) -> Duration {
        self.dismiss_unwanted(wanted).await;
        self.inner
            .shared
            .pools
            .lock()
            .retain(|name, _| wanted.iter().any(|pool| pool.template == *name));
        self.inner
            .shared
            .ledger
            .expect_only(|of| wanted.iter().any(|pool| pool.is_of(of)));
        let mut pause = LOOK;
        for pool in wanted {
            if let Some((count, blueprint)) = &pool.of {
                let filled = self.fill(&pool.template, *count, blueprint).await;
                pause = pause.min(filled);
            }
        }
        pause
    }

    /// Waits until there may be something to do about pools. Cancel-safe.
    pub async fn pools_to_look_at(&self) {
        self.inner.shared.ledger.pools_to_look_at().await;
    }

    /// Tells how the pool of a template is, at that version.
    pub fn pool(&self, name: &TemplateName, version: &str) -> PoolStanding {
        let mut members = self.members_of(name);
        members.retain(|member| {
            let used = member.blueprint.template.as_ref();
            used.is_some_and(|used| used.version == version)
        });
        let ready = members.iter().filter(|it| self.is_ready(&it.id)).count();
        let failure = members.iter().find_map(|member| self.failure(member));
        let pools = self.inner.shared.pools.lock();
        let problem = pools.get(name).and_then(|it| it.problem.clone());
        PoolStanding {
            ready,
            problem: problem.or(failure.map(|reason| reason.to_string())),
        }
    }

    /// Hands out a member that is made of exactly that, if one is ready.
    ///
    /// # Errors
    /// As of [`Self::create`].
    pub(super) async fn claim(
        &self,
        owner: &User,
        name: &WorkspaceName,
        blueprint: &Blueprint,
    ) -> Result<Option<Record>, CommandError> {
        for member in self.inner.shared.ledger.members() {
            if *member.blueprint != *blueprint || !self.is_ready(&member.id) {
                continue;
            }
            let order = Order::Claim(owner.clone(), name.clone());
            match self.command(&member.id, order).await {
                Ok(()) => return Ok(self.get(&member.id).await?),
                // Somebody was faster, or it goes.
                Err(CommandError::Gone | CommandError::Deleting) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn dismiss_unwanted(&self, wanted: &[WantedPool]) {
        let mut members = self.inner.shared.ledger.members();
        // Those that are ready stay first.
        members.sort_by_key(|member| !self.is_ready(&member.id));
        let mut stay: Vec<Workspace> = Vec::new();
        for member in members {
            let used = member.blueprint.template.as_ref();
            let pool = wanted
                .iter()
                .find(|pool| used.is_some_and(|used| used.name == pool.template));
            let fits = match pool.map(|pool| &pool.of) {
                None => false,
                Some(None) => true,
                Some(Some((count, blueprint))) => {
                    let like = |other: &&Workspace| other.blueprint == member.blueprint;
                    *member.blueprint == *blueprint && stay.iter().filter(like).count() < *count
                }
            };
            if fits && !self.has_failed(&member) {
                stay.push(member);
            } else {
                self.dismiss(&member).await;
            }
        }
    }

    /// Tells whether a member failed for good, its start-up included, and takes note of
    /// that.
    fn has_failed(&self, member: &Workspace) -> bool {
        let failure = self.failure(member).filter(|reason| !reason.passes());
        let failure = failure.map(|reason| reason.to_string());
        let Some(reason) = failure.or_else(|| self.startup_failure(&member.id)) else {
            return false;
        };
        if let Some(used) = &member.blueprint.template {
            let mut pools = self.inner.shared.pools.lock();
            let filling = pools.entry(used.name.clone()).or_default();
            filling.failed(reason);
        }
        true
    }

    fn startup_failure(&self, id: &WorkspaceId) -> Option<String> {
        let failure = self.startup(id)?.failure?;
        let step = failure.step.as_deref().unwrap_or("readiness");
        Some(format!(
            "the start-up failed ({step}): {}",
            failure.last_line
        ))
    }

    fn failure(&self, member: &Workspace) -> Option<FailureReason> {
        match &*self.watch(&member.id)?.borrow() {
            State::Failed(reason) => Some(reason.clone()),
            _ => None,
        }
    }

    async fn dismiss(&self, member: &Workspace) {
        match self.command(&member.id, Order::Dismiss).await {
            Ok(()) => info!(workspace = %member.id, "a workspace of a pool is ended"),
            Err(CommandError::Gone | CommandError::ShuttingDown) => {}
            Err(error) => {
                let error = chain(&error);
                warn!(workspace = %member.id, error, "a workspace of a pool isn't ended");
            }
        }
    }

    /// Ends members until what is left isn't more than there may be.
    pub async fn make_room(&self) {
        let mut members = self.inner.shared.ledger.members();
        members.sort_by_key(|member| self.is_ready(&member.id));
        for member in members {
            if !self.inner.shared.ledger.is_crowded() {
                return;
            }
            self.dismiss(&member).await;
        }
    }

    /// Begins to make a member where one is wanted and none is being made.
    async fn fill(&self, template: &TemplateName, count: usize, of: &Blueprint) -> Duration {
        let members = self.members_of(template);
        let ready = members.iter().filter(|it| self.is_ready(&it.id)).count();
        let coming = members.iter().filter(|it| self.is_coming(it)).count();
        // Those that are away with their host don't count, but are bounded, too.
        let full = ready + coming >= count || members.len() >= count.saturating_mul(2);
        let settled = coming == 0;
        {
            let mut pools = self.inner.shared.pools.lock();
            let filling = pools.entry(template.clone()).or_default();
            filling.goes_for(of);
            if settled {
                filling.went_well(full);
            }
            if let Some(left) = filling.pause() {
                return left;
            }
        }
        if full || !settled {
            return LOOK;
        }
        let (nobody, name) = (User::nobody(), WorkspaceName::unnamed(template));
        let (workspaces, of) = (self.clone(), of.clone());
        let making = to_the_end(&mut self.inner.actors.lock(), async move {
            workspaces.make_new(&nobody, &name, of, Intent::Run).await
        });
        let made = making.await;
        let mut pools = self.inner.shared.pools.lock();
        let filling = pools.entry(template.clone()).or_default();
        match made {
            Ok(record) => filling.begun = Some(record.workspace.id),
            // It is for people to make room, or to leave it.
            Err(CommandError::Limit(reached)) => filling.problem = Some(reached.to_string()),
            Err(error) => {
                warn!(%template, error = chain(&error), "a pool isn't filled");
                filling.failed(chain(&error));
            }
        }
        filling.pause().unwrap_or(LOOK)
    }

    fn members_of(&self, template: &TemplateName) -> Vec<Workspace> {
        let mut members = self.inner.shared.ledger.members();
        members.retain(|member| {
            let used = member.blueprint.template.as_ref();
            used.is_some_and(|used| used.name == *template)
        });
        members
    }

    /// Tells whether a workspace runs, nothing went wrong at its start, and its agent is
    /// there, of this version.
    fn is_ready(&self, id: &WorkspaceId) -> bool {
        let runs = self
            .watch(id)
            .is_some_and(|state| *state.borrow() == State::Running);
        let agent = self.inner.shared.tunnels.agent(id);
        let is_ours = agent.is_some_and(|agent| agent.version == env!("CARGO_PKG_VERSION"));
        runs && is_ours && self.startup_failure(id).is_none()
    }

    /// Tells whether a member is on its way, and not for too long.
    fn is_coming(&self, member: &Workspace) -> bool {
        let state = self.watch(&member.id).map(|state| state.borrow().clone());
        let is_young = OffsetDateTime::now_utc() - member.created < PATIENCE;
        is_young && matches!(state, Some(State::Created | State::Starting))
    }
}
