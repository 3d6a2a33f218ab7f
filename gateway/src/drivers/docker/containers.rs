//! The containers and homes of an installation.
//!
//! Everything has a name that follows from the workspace's id, so that whatever a call
//! that was cut short has left is found by the next one; and a label with the
//! installation's id: what has another one, or none, is never touched.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerState};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::doings::Doings;
use super::engine::{Engine, is_conflict, is_missing};
use super::homes::homes_of;
use super::image::Images;
use super::makings::Makings;
use super::pauses::Pauses;
use super::{agent, exit, image, network, spec};
use crate::drivers::{DriverError, Exit};
use crate::names::{InstallationId, WorkspaceId};
use crate::workspaces::{Build, Workspace};

/// How long is waited for the engine to finish what another call has begun.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Pause before such a call is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// How long a container may take to end once it is killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(20);

/// An installation's part of an engine.
#[derive(Debug)]
pub(super) struct Containers {
    pub(super) engine: Arc<Engine>,
    pub(super) installation: InstallationId,
    /// Held while the network is made: once.
    pub(super) making: Mutex<()>,
    images: Images,
    /// What goes on that takes time, and how far it is, by what it is about.
    pub(super) doings: Doings,
    makings: Makings,
    pub(super) pauses: Pauses,
}

/// A container that doesn't run yet.
pub(super) struct Fresh {
    /// Its name.
    pub(super) name: String,
    /// Whether nothing has run in it so far.
    pub(super) is_new: bool,
    /// Whether it shares the agent's program, and needs none of its own.
    pub(super) shares_agent: bool,
    /// The network that somebody has taken it out of.
    pub(super) lost_network: Option<String>,
}

/// What there is after [`Containers::prepare`].
pub(super) enum Prepared {
    /// A container whose agent runs, with its process id.
    Running(u32),
    /// One to be started.
    Fresh(Fresh),
}

/// How a container was asked to start.
pub(super) enum Launch {
    /// It was started.
    Done,
    /// It can't be, because something of it, or that it was made with, isn't there.
    Lacking(DriverError),
}

impl Containers {
    pub(super) fn new(engine: Arc<Engine>, installation: InstallationId) -> Self {
        Self {
            engine,
            installation,
            making: Mutex::default(),
            images: Images::default(),
            doings: Doings::default(),
            makings: Makings::default(),
            pauses: Pauses::default(),
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Tells how far that is which a workspace waits for.
    pub(super) fn waits_for(&self, id: &WorkspaceId) -> Option<String> {
        self.images
            .text(id)
            .or_else(|| self.doings.text(id.as_str()))
            .or_else(|| self.pauses.text(id))
    }

    pub(super) fn installation(&self) -> &InstallationId {
        &self.installation
    }

    /// Returns a workspace's container, if there is one. One with another name gets its name
    /// back.
    pub(super) async fn find(
        &self,
        id: &WorkspaceId,
    ) -> Result<Option<ContainerInspectResponse>, DriverError> {
        let name = spec::container(id);
        let mut found = self.look(&name).await?;
        if found.is_none() && self.name_again(id).await? {
            found = self.look(&name).await?;
        }
        if let Some(found) = &found {
            let config = found.config.as_ref();
            self.check(name, config.and_then(|config| config.labels.as_ref()))?;
        }
        Ok(found)
    }

    async fn look(&self, name: &str) -> Result<Option<ContainerInspectResponse>, DriverError> {
        let client = self.engine.client().await?;
        let found = client.inspect_container(name, None::<InspectContainerOptions>);
        match found.await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.engine.failed("look for the container", error)),
        }
    }

    /// Returns the state of a workspace's container, if there is one.
    pub(super) async fn state(
        &self,
        id: &WorkspaceId,
    ) -> Result<Option<ContainerState>, DriverError> {
        let found = self.find(id).await?;
        Ok(found.map(|found| found.state.unwrap_or_default()))
    }

    /// Refuses what isn't this installation's.
    pub(super) fn check(
        &self,
        name: String,
        labels: Option<&HashMap<String, String>>,
    ) -> Result<(), DriverError> {
        let installation = labels.and_then(|labels| labels.get(spec::INSTALLATION));
        if installation.is_some_and(|id| id == self.installation.as_str()) {
            return Ok(());
        }
        Err(DriverError::Foreign { name })
    }

    /// Finds a workspace's container or makes it, and the network and the image with
    /// it. One that was made with other settings is made anew, unless it runs.
    pub(super) async fn prepare(
        &self,
        workspace: &Workspace,
        wanted: &ContainerCreateBody,
        build: Option<&Build>,
    ) -> Result<Prepared, DriverError> {
        // What the engine is asked is large.
        Box::pin(self.find_or_make(workspace, wanted, build)).await
    }

    async fn find_or_make(
        &self,
        workspace: &Workspace,
        wanted: &ContainerCreateBody,
        build: Option<&Build>,
    ) -> Result<Prepared, DriverError> {
        let id = &workspace.id;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.find(id).await? {
                let state = found.state.clone().unwrap_or_default();
                if exit::is_running(&state) {
                    self.go_on(id, &state).await?;
                    return Ok(Prepared::Running(exit::pid(&state)));
                }
                if self.is_current(&found, wanted).await? {
                    return Ok(Prepared::Fresh(Fresh {
                        name: spec::container(id),
                        is_new: exit::has_never_run(&state),
                        shares_agent: agent::is_shared(&found),
                        lost_network: network::lost(&found),
                    }));
                }
                info!("the container is out of date: it is made anew");
                Box::pin(self.put_container_away(id)).await?;
            }
            let mut wanted = wanted.clone();
            let image = wanted.image.as_deref().unwrap_or_default();
            if let Some(id) = self.have_image(id, image, build).await? {
                let labels = wanted.labels.get_or_insert_default();
                labels.insert(spec::IMAGE.to_owned(), id);
            }
            self.add_declared(&mut wanted, workspace).await?;
            let options = CreateContainerOptionsBuilder::new()
                .name(&spec::container(id))
                .build();
            let client = self.engine.client().await?.clone();
            let made = async move { client.create_container(Some(options), wanted).await };
            match self.makings.make(id, made).await {
                Ok(_) => {}
                // Another call's comes or goes at this moment; or the image went.
                Err(error)
                    if (is_conflict(&error) || is_missing(&error)) && Instant::now() < deadline =>
                {
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(self.engine.failed("make the container", error)),
            }
        }
    }

    /// Pulls or builds an image, unless the engine has it. Returns its id.
    pub(super) async fn have_image(
        &self,
        id: &WorkspaceId,
        image: &str,
        build: Option<&Build>,
    ) -> Result<Option<String>, DriverError> {
        self.check_snapshot(image).await?;
        let _doing = self.doings.begin(image, "getting the image");
        let (engine, installation) = (&self.engine, &self.installation);
        self.images
            .have(engine, installation, (id, image, build))
            .await
    }

    /// Tells whether a container was made with these settings and of this image.
    async fn is_current(
        &self,
        found: &ContainerInspectResponse,
        wanted: &ContainerCreateBody,
    ) -> Result<bool, DriverError> {
        let label = |labels: Option<&HashMap<String, String>>, name| {
            labels.and_then(|labels| labels.get(name)).cloned()
        };
        let labels = found.config.as_ref().and_then(|it| it.labels.as_ref());
        let dead = found.state.as_ref().and_then(|state| state.dead);
        let wanted_digest = label(wanted.labels.as_ref(), spec::SPEC);
        if label(labels, spec::SPEC) != wanted_digest || dead == Some(true) {
            return Ok(false);
        }
        let image = wanted.image.as_deref().unwrap_or_default();
        // An image that was removed meanwhile isn't needed.
        let now = image::find(&self.engine, image).await?;
        Ok(now.is_none() || now == label(labels, spec::IMAGE))
    }

    /// Starts a container; one that runs is left as it is.
    pub(super) async fn start(&self, name: &str) -> Result<Launch, DriverError> {
        let client = self.engine.client().await?;
        let started = client
            .start_container(name, None::<StartContainerOptions>)
            .await;
        let failed = |error| self.engine.failed("start the container", error);
        match started {
            Ok(()) => Ok(Launch::Done),
            Err(error) if is_missing(&error) => Ok(Launch::Lacking(failed(error))),
            Err(error) => Err(failed(error)),
        }
    }

    /// Ends a workspace's container: asks, and kills it after `grace`.
    pub(super) async fn stop(&self, id: &WorkspaceId, grace: Duration) -> Result<(), DriverError> {
        let Some(state) = self.running(id).await? else {
            return Ok(());
        };
        let name = spec::container(id);
        self.go_on(id, &state).await?;
        if !grace.is_zero() {
            self.kill(&name, "SIGTERM").await?;
            if let Ok(exited) = timeout(grace, self.exited(id)).await {
                return exited.map(drop);
            }
            warn!(?grace, "killing a container that doesn't end");
        }
        self.kill(&name, "SIGKILL").await?;
        match timeout(KILL_TIMEOUT, self.exited(id)).await {
            Ok(exited) => exited.map(drop),
            Err(_) => Err(DriverError::Unstoppable { count: 1 }),
        }
    }

    pub(super) async fn running(
        &self,
        id: &WorkspaceId,
    ) -> Result<Option<ContainerState>, DriverError> {
        Ok(self.state(id).await?.filter(exit::is_running))
    }

    async fn kill(&self, name: &str, signal: &str) -> Result<(), DriverError> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        let client = self.engine.client().await?;
        let killed = client.kill_container(name, Some(options)).await;
        self.done("signal the container", killed)
    }

    /// Takes it for done where there is nothing, or nothing that runs.
    pub(super) fn done(
        &self,
        action: &'static str,
        done: Result<(), Error>,
    ) -> Result<(), DriverError> {
        match done {
            Err(error) if !is_missing(&error) && !is_conflict(&error) => {
                Err(self.engine.failed(action, error))
            }
            _ => Ok(()),
        }
    }

    /// Waits until a workspace's container doesn't run, and has it alone meanwhile.
    /// Cancel-safe.
    pub(super) async fn exited(&self, id: &WorkspaceId) -> Result<Exit, DriverError> {
        let (name, state) = (spec::container(id), || self.watched_state(id));
        tokio::select! {
            exit = exit::wait(&self.engine, &name, state) => exit,
            never = self.keep_alone(id) => match never {},
        }
    }

    /// Removes a workspace's container, with what the image keeps outside of it.
    pub(super) async fn remove_container(&self, id: &WorkspaceId) -> Result<(), DriverError> {
        self.makings.ended(id).await;
        let deadline = Instant::now() + PATIENCE;
        let mut homes = Vec::new();
        while let Some(found) = self.find(id).await? {
            if exit::has_never_run(&found.state.clone().unwrap_or_default()) {
                homes = homes_of(id, found);
            }
            let (name, action) = (spec::container(id), "remove the container");
            // Looked for once more: a removal that is under way may still go on.
            self.remove_named(&name, action, deadline).await?;
        }
        for home in homes {
            self.remove_stray_home(&home).await?;
        }
        Ok(())
    }

    /// Tries once to remove a container; `Ok` where there is none, or it goes on.
    pub(super) async fn remove_named(
        &self,
        name: &str,
        action: &'static str,
        deadline: Instant,
    ) -> Result<(), DriverError> {
        let options = RemoveContainerOptionsBuilder::new()
            .v(true)
            .force(true)
            .build();
        let client = self.engine.client().await?;
        match client.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if goes_on(&error, deadline) => {
                sleep(PAUSE).await;
                Ok(())
            }
            Err(error) => Err(self.engine.failed(action, error)),
        }
    }
}

/// Tells whether a removal is under way, or done, by another call; up to a deadline.
pub(super) fn goes_on(error: &Error, deadline: Instant) -> bool {
    is_missing(error) || (is_conflict(error) && Instant::now() < deadline)
}
