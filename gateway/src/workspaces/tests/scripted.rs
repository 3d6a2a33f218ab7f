//! A driver whose agents run in the test and go wrong on demand.

mod agent;
mod snapshots;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use devgate_protocol::{Open, socket};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use agent::serve;

use crate::drivers::{
    Credentials, Driver, DriverError, Exit, Follow, HomeSize, Kept, Label, Logs, Pending, Presence,
    Reach, Snapshots, Started, Taken,
};
use crate::names::{SnapshotId, WorkspaceId};
use crate::workspaces::Workspace;

/// A stream that scripted agents accept; others they refuse.
pub(super) const ECHO: Open = Open::Accept { connection: 1 };

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    None,
    /// Agents end at once, like that.
    Dies(Exit),
    /// Agents run but don't answer.
    Mute,
    /// Agents take that long to start.
    Slow(Duration),
    /// Agents don't end.
    Unstoppable,
    /// The disk is full.
    Full,
    /// Nothing can be done, or found out, until that passes.
    Away,
    /// The workspaces' host was taken out of the configuration.
    HostGone,
    /// That call, counted from now, never returns: before or after its work.
    Hangs {
        call: u32,
        after: bool,
    },
}

#[derive(Debug)]
pub(super) struct Scripted {
    folder: PathBuf,
    inner: Mutex<Inner>,
    /// Agents started ever.
    starts: watch::Sender<u32>,
    hung: watch::Sender<bool>,
    /// Calls under way.
    active: watch::Sender<u32>,
    calls: AtomicU32,
}

#[derive(Debug)]
struct Inner {
    fault: Fault,
    kept: HashMap<WorkspaceId, Option<Agent>>,
    /// What each home has in it.
    homes: HashMap<WorkspaceId, String>,
    /// The restorings that are in place.
    restored: HashMap<WorkspaceId, SnapshotId>,
    /// Snapshots, and what each has in it; `None`: half of one.
    snapshots: HashMap<SnapshotId, Option<String>>,
    /// Images that were built.
    builds: Vec<String>,
    released: Vec<WorkspaceId>,
    /// Whether there may be workspaces that can't be told of.
    hides: bool,
    next: u32,
    /// Of each home, in bytes.
    size: u64,
}

#[derive(Debug)]
struct Agent {
    pid: u32,
    exit: watch::Sender<Option<Exit>>,
    serving: JoinSet<()>,
}

struct Active<'a>(&'a watch::Sender<u32>);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|active| *active -= 1);
    }
}

impl Scripted {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            inner: Mutex::new(Inner {
                fault: Fault::None,
                kept: HashMap::new(),
                homes: HashMap::new(),
                restored: HashMap::new(),
                snapshots: HashMap::new(),
                builds: Vec::new(),
                released: Vec::new(),
                hides: false,
                next: 100,
                size: 0,
            }),
            starts: watch::Sender::new(0),
            hung: watch::Sender::new(false),
            active: watch::Sender::new(0),
            calls: AtomicU32::new(0),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        self.calls.store(0, Ordering::Relaxed);
        self.hung.send_replace(false);
        self.inner.lock().fault = fault;
    }

    pub(super) fn starts(&self) -> u32 {
        *self.starts.borrow()
    }

    pub(super) async fn started(&self, count: u32) {
        let mut starts = self.starts.subscribe();
        super::within(starts.wait_for(|starts| *starts >= count))
            .await
            .unwrap();
    }

    pub(super) async fn hung(&self) {
        self.hung.subscribe().wait_for(|hung| *hung).await.unwrap();
    }

    /// Waits until no call is under way.
    pub(super) async fn quiet(&self) {
        let mut active = self.active.subscribe();
        super::within(active.wait_for(|active| *active == 0))
            .await
            .unwrap();
    }

    /// Writes to a workspace's home.
    pub(super) fn write(&self, id: &WorkspaceId, text: &str) {
        self.inner.lock().homes.insert(id.clone(), text.to_owned());
    }

    pub(super) fn read(&self, id: &WorkspaceId) -> Option<String> {
        self.inner.lock().homes.get(id).cloned()
    }

    /// Returns the snapshots, and whether each is whole.
    pub(super) fn snapshots(&self) -> Vec<(SnapshotId, bool)> {
        let inner = self.inner.lock();
        let all = inner.snapshots.iter();
        all.map(|(id, text)| (id.clone(), text.is_some())).collect()
    }

    pub(super) fn set_builds(&self, digests: &[&str]) {
        self.inner.lock().builds = digests.iter().map(|digest| (*digest).to_owned()).collect();
    }

    pub(super) fn builds(&self) -> Vec<String> {
        self.inner.lock().builds.clone()
    }

    fn restore(&self, workspace: &Workspace) -> Result<(), DriverError> {
        let Some(home) = &workspace.blueprint.home else {
            return Ok(());
        };
        if self.inner.lock().restored.get(&workspace.id) == Some(&home.restoring) {
            return Ok(());
        }
        let text = self.content(&home.snapshot)?;
        let mut inner = self.inner.lock();
        inner.homes.insert(workspace.id.clone(), text);
        let restoring = home.restoring.clone();
        inner.restored.insert(workspace.id.clone(), restoring);
        Ok(())
    }

    /// Returns what a snapshot has in it.
    fn content(&self, id: &SnapshotId) -> Result<String, DriverError> {
        let found = self.inner.lock().snapshots.get(id).cloned().flatten();
        found.ok_or_else(|| DriverError::SnapshotMissing {
            snapshot: id.clone(),
            detail: "there is none".to_owned(),
        })
    }

    /// Has a snapshot be gone, as by somebody else's hand.
    pub(super) fn lose(&self, id: &SnapshotId) {
        self.inner.lock().snapshots.remove(id);
    }

    fn is_there(&self) -> Result<(), DriverError> {
        match self.inner.lock().fault {
            Fault::Away => Err(away()),
            Fault::HostGone => Err(DriverError::HostGone {
                host: "old".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Has something be kept of a workspace that nobody knows.
    pub(super) fn keep(&self, id: &WorkspaceId) {
        self.inner.lock().kept.insert(id.clone(), None);
    }

    /// Can't tell of all that is kept from now on.
    pub(super) fn hide_some(&self) {
        self.inner.lock().hides = true;
    }

    pub(super) fn tell_all(&self) {
        self.inner.lock().hides = false;
    }

    pub(super) fn keeps(&self, id: &WorkspaceId) -> bool {
        self.inner.lock().kept.contains_key(id)
    }

    pub(super) fn released(&self) -> Vec<WorkspaceId> {
        self.inner.lock().released.clone()
    }

    pub(super) fn set_size(&self, bytes: u64) {
        self.inner.lock().size = bytes;
    }

    pub(super) fn running(&self) -> usize {
        self.inner.lock().kept.values().flatten().count()
    }

    pub(super) fn kept(&self) -> usize {
        self.inner.lock().kept.len()
    }

    pub(super) fn pid(&self, id: &WorkspaceId) -> Option<u32> {
        self.inner
            .lock()
            .kept
            .get(id)?
            .as_ref()
            .map(|agent| agent.pid)
    }

    pub(super) fn crash(&self, id: &WorkspaceId) {
        self.end(id, Exit::Signal(9));
    }

    fn end(&self, id: &WorkspaceId, exit: Exit) {
        if let Some(kept) = self.inner.lock().kept.get_mut(id)
            && let Some(agent) = kept.take()
        {
            agent.exit.send_replace(Some(exit));
        }
    }

    /// Counts a call, and hangs where that is scripted.
    async fn call<T>(&self, work: impl Future<Output = T>) -> T {
        self.active.send_modify(|active| *active += 1);
        let _active = Active(&self.active);
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let fault = self.inner.lock().fault;
        let hang = async |now: bool| {
            if let Fault::Hangs { call, after } = fault
                && call == number
                && after == now
            {
                self.hung.send_replace(true);
                std::future::pending::<()>().await;
            }
        };
        hang(false).await;
        let done = work.await;
        hang(true).await;
        done
    }

    fn socket(&self, id: &WorkspaceId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    async fn start_agent(&self, id: &WorkspaceId) -> Started {
        let fault = self.inner.lock().fault;
        if let Some(pid) = self.pid(id) {
            return Started::Found(pid);
        }
        if let Fault::Slow(time) = fault {
            tokio::time::sleep(time).await;
        }
        let mut serving = JoinSet::new();
        if !matches!(fault, Fault::Mute) {
            // A predecessor's may still be open for a moment.
            let _ = std::fs::remove_file(self.socket(id));
            let listener = socket::bind(&self.socket(id)).await.unwrap();
            serving.spawn(serve(listener, id.clone()));
        }
        let pid = {
            let mut inner = self.inner.lock();
            inner.next += 1;
            let pid = inner.next;
            let agent = Agent {
                pid,
                exit: watch::Sender::new(None),
                serving,
            };
            inner.kept.insert(id.clone(), Some(agent));
            pid
        };
        if let Fault::Dies(exit) = fault {
            self.end(id, exit);
        }
        self.starts.send_modify(|starts| *starts += 1);
        Started::New(pid)
    }
}

fn away() -> DriverError {
    DriverError::EngineUnreachable {
        engine: "/nowhere".to_owned(),
        remedy: "start it".to_owned(),
        source: "it is away".into(),
    }
}

impl Driver for Scripted {
    fn create<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async move {
            self.is_there()?;
            self.restore(workspace)?;
            self.inner
                .lock()
                .kept
                .entry(workspace.id.clone())
                .or_default();
            Ok(())
        }))
    }

    fn start<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<Started, DriverError>> {
        Box::pin(self.call(async move { Ok(self.start_agent(&workspace.id).await) }))
    }

    fn stop<'a>(
        &'a self,
        id: &'a WorkspaceId,
        _grace: Duration,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async move {
            self.is_there()?;
            if matches!(self.inner.lock().fault, Fault::Unstoppable) {
                return Err(DriverError::Unstoppable { count: 1 });
            }
            self.end(id, Exit::Status(0));
            Ok(())
        }))
    }

    fn release<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async move {
            self.is_there()?;
            assert_eq!(self.pid(id), None, "released under a running agent");
            self.inner.lock().released.push(id.clone());
            Ok(())
        }))
    }

    fn remove<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async move {
            if matches!(self.inner.lock().fault, Fault::HostGone) {
                // What is there is left.
                self.end(id, Exit::Unseen);
            }
            assert_eq!(self.pid(id), None, "removed under a running agent");
            self.inner.lock().kept.remove(id);
            self.inner.lock().homes.remove(id);
            Ok(())
        }))
    }

    fn inspect<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Presence, DriverError>> {
        Box::pin(async move {
            self.is_there()?;
            Ok(
                match (self.pid(id), self.inner.lock().kept.contains_key(id)) {
                    (Some(pid), _) => Presence::Running { pid },
                    (None, true) => Presence::Stopped,
                    (None, false) => Presence::Absent,
                },
            )
        })
    }

    fn exited<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Exit, DriverError>> {
        Box::pin(async move {
            let agent = match self.inner.lock().kept.get(id) {
                Some(Some(agent)) => Some(agent.exit.subscribe()),
                _ => None,
            };
            let Some(mut exit) = agent else {
                return Ok(match self.inner.lock().fault {
                    Fault::Dies(exit) => exit,
                    _ => Exit::Unseen,
                });
            };
            let ended = exit.wait_for(Option::is_some).await;
            Ok(ended.ok().and_then(|exit| *exit).unwrap_or(Exit::Unseen))
        })
    }

    fn kept(&self) -> Pending<'_, Result<Kept, DriverError>> {
        Box::pin(async move {
            self.is_there()?;
            let inner = self.inner.lock();
            Ok(Kept {
                workspaces: inner.kept.keys().cloned().collect(),
                unknown: inner.hides.then(away),
            })
        })
    }

    fn sizes(&self) -> Pending<'_, Result<HashMap<WorkspaceId, HomeSize>, DriverError>> {
        Box::pin(async move {
            self.is_there()?;
            let at = time::OffsetDateTime::now_utc();
            let bytes = self.inner.lock().size;
            let kept = self.inner.lock().kept.keys().cloned().collect::<Vec<_>>();
            let sizes = kept.into_iter().map(|id| (id, HomeSize { bytes, at }));
            Ok(sizes.collect())
        })
    }

    fn doing(&self, _id: &WorkspaceId) -> Option<String> {
        None
    }

    fn reach(&self, id: &WorkspaceId) -> Reach {
        Reach::Socket(self.socket(id))
    }

    fn home(&self, id: &WorkspaceId) -> PathBuf {
        self.folder().join(id.as_str())
    }

    fn logs<'a>(
        &'a self,
        _id: &'a WorkspaceId,
        _lines: usize,
        _follow: Follow,
    ) -> Pending<'a, Result<Logs, DriverError>> {
        Box::pin(async { Ok(Box::pin(futures_util::stream::empty()) as Logs) })
    }

    fn home_file<'a>(
        &'a self,
        _id: &'a WorkspaceId,
        _path: &'a str,
    ) -> Pending<'a, Result<Option<String>, DriverError>> {
        Box::pin(async { Ok(None) })
    }
}
