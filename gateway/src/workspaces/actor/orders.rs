//! What is asked of a workspace, as far as the records go.

use std::mem::discriminant;
use std::sync::Arc;

use tracing::{info, warn};

use super::{Actor, Lifecycle};
use crate::chain::chain;
use crate::events::{Kind, NewEvent};
use crate::names::WorkspaceName;
use crate::store::StoreError;
use crate::tunnel::TunnelError;
use crate::workspaces::decide::{Decision, Verb, decide};
use crate::workspaces::ending::{self, Retries};
use crate::workspaces::error::CommandError;
use crate::workspaces::renaming;
use crate::workspaces::state::{Intent, State};
use crate::workspaces::{Change, Command, Order};

impl Actor {
    /// Carries out a command as far as the records go. Returns what to do instead
    /// where it changes that.
    pub(super) async fn accept(&mut self, command: Command) -> Option<Lifecycle> {
        let Command { order, reply } = command;
        let (verb, name) = match order {
            Order::Do(verb) => (verb, None),
            Order::Restore(name) => (Verb::Restore, name),
            Order::Change(change) => {
                let _ = reply.send(self.change(change).await);
                return None;
            }
            Order::Claim(owner, name) => {
                let claimed = self.claim(owner, name).await;
                let next = claimed.is_ok().then_some(Lifecycle::Running);
                let _ = reply.send(claimed);
                return next;
            }
            Order::Extend(length) => {
                let _ = reply.send(self.extend(length).await);
                return None;
            }
            Order::Expire if self.is_over() => (self.verb_of_expiry(), None),
            Order::Dismiss if self.workspace.is_pooled() => (Verb::Purge, None),
            Order::Expire | Order::Dismiss => {
                let _ = reply.send(Err(CommandError::Gone));
                return None;
            }
        };
        let decision = decide(&self.state.borrow(), self.intent, &verb);
        // Where nobody waits for the reply any more, the command still counts.
        let (intent, state) = match decision {
            Decision::Granted => {
                if verb == Verb::Start {
                    self.let_go_on().await;
                }
                let _ = reply.send(Ok(()));
                return None;
            }
            Decision::Refused(error) => {
                let _ = reply.send(Err(error));
                return None;
            }
            Decision::Go(intent, state) => (intent, state),
        };
        let changes = discriminant(&state) != discriminant(&*self.state.borrow());
        let before = self.workspace.clone();
        if let Verb::Rebuild(blueprint) = &verb {
            self.workspace = before.made_of(blueprint.after(&before.blueprint));
        }
        let is_rebuilt = matches!(verb, Verb::Rebuild(_));
        if is_rebuilt && let Err(error) = self.shared.ledger.rebuild(&self.workspace) {
            self.workspace = before;
            let _ = reply.send(Err(error.into()));
            return None;
        }
        if (changes || intent != self.intent || is_rebuilt)
            && let Err(error) = self.take(intent, &state, name).await
        {
            self.workspace = before;
            self.shared.ledger.renamed(&self.workspace);
            let _ = reply.send(Err(error));
            return None;
        }
        info!(
            verb = verb.as_str(),
            state = state.as_str(),
            "command accepted"
        );
        self.intent = intent;
        let next = Lifecycle::of(&state);
        if changes {
            self.note_crash(None).await;
            self.shared.reached.lock().remove(&self.workspace.id);
            // Only what nobody asked for needs a reason.
            self.publish(state, None);
        }
        let _ = reply.send(Ok(()));
        changes.then_some(next)
    }

    /// Lets what runs go on where somebody else made it stand still.
    async fn let_go_on(&self) {
        let id = &self.workspace.id;
        let turn = self.shared.snapshots.turn(id);
        // A snapshot that is taken holds it up itself, for a while.
        let Ok(_turn) = turn.try_lock() else {
            return;
        };
        if let Err(error) = self.shared.driver.go_on(id).await {
            warn!(
                error = chain(&error),
                "can't look whether the workspace stands still"
            );
        }
    }

    /// Gives the workspace another name or owner; whatever goes on goes on, with the
    /// environment that it has.
    async fn change(&mut self, change: Change) -> Result<(), CommandError> {
        match self.intent {
            Intent::Run | Intent::Stop | Intent::Sleep => {}
            Intent::Delete => return Err(CommandError::Deleted),
            Intent::Purge => return Err(CommandError::Deleting),
        }
        let mut changed = self.workspace.clone();
        if let Some(name) = change.name {
            changed.name = name;
        }
        if let Some(owner) = change.owner {
            (changed.owner, changed.owner_name) = (owner.id, owner.name);
        }
        if changed == self.workspace {
            return Ok(());
        }
        self.shared.ledger.change(&changed)?;
        if let Err(error) = self.shared.store.rename_workspace(&changed).await {
            self.shared.ledger.renamed(&self.workspace);
            return Err(error.into());
        }
        // Before its new owner starts anything there.
        self.tell_agent().await;
        let before = std::mem::replace(&mut self.workspace, changed);
        if before.owner != self.workspace.owner {
            self.owned.pass_on(self.workspace.owner.clone());
        }
        info!(from = %before.target(), to = %self.workspace.target(), "workspace changed hands or name");
        for told in renaming::told(&before, &self.workspace) {
            self.shared.events.record(told);
        }
        Ok(())
    }

    /// Tells the agent what its programs get by the records of this moment: names, and its
    /// owner's secrets.
    pub(super) async fn tell_agent(&self) {
        let (tunnels, id) = (&self.shared.tunnels, &self.workspace.id);
        match tunnels.tell(id).await {
            Ok(()) | Err(TunnelError::NotConnected) => {}
            Err(error) => {
                warn!(error = chain(&error), "the agent isn't told whose it is");
                // It is told when it is connected again.
                tunnels.forget(id);
            }
        }
    }

    /// Takes what that needs, and records it.
    async fn take(
        &mut self,
        intent: Intent,
        state: &State,
        name: Option<WorkspaceName>,
    ) -> Result<(), CommandError> {
        let ledger = Arc::clone(&self.shared.ledger);
        let restored = self.deleted.is_some() && !intent.ends();
        if restored {
            ledger.restore(&self.workspace)?;
        }
        let started = intent == Intent::Run && ledger.start(&self.workspace)?;
        let recorded = self.record(intent, state, name).await;
        if recorded.is_err() {
            // Nothing came of it.
            if restored {
                ledger.deleted(&self.workspace.id);
            }
            if started {
                ledger.seen(&self.workspace.id, &State::Stopped);
            }
        }
        Ok(recorded?)
    }

    /// Records what is wanted of the workspace from now on: also that it is deleted, or
    /// lives again under that name or its own.
    async fn record(
        &mut self,
        intent: Intent,
        state: &State,
        name: Option<WorkspaceName>,
    ) -> Result<(), StoreError> {
        let (store, id) = (&self.shared.store, &self.workspace.id);
        match (self.deleted, intent.ends()) {
            (Some(_), true) | (None, false) => {
                store.set_intent(&self.workspace, (intent, state)).await?;
            }
            (None, true) => {
                let deletion = ending::deletion(intent, self.shared.options.delete_grace);
                store
                    .delete_workspace(id, (intent, state), deletion)
                    .await?;
                self.deleted = Some(deletion);
                self.shared.ledger.deleted(id);
                self.retries = Retries::default();
                self.shared
                    .events
                    .record(ending::told(&self.workspace, intent, deletion));
            }
            (Some(_), false) => {
                let mut restored = self.workspace.clone();
                restored.name = name.unwrap_or(restored.name);
                restored.expires = self.life_of_restored();
                let recorded = store.restore_workspace(&restored, (intent, state));
                recorded.await?;
                self.deleted = None;
                self.workspace = restored;
                self.shared.ledger.renamed(&self.workspace);
                let about = NewEvent::of_workspace(Kind::WorkspaceRestored, &self.workspace);
                self.shared.events.record(about);
            }
        }
        Ok(())
    }
}
