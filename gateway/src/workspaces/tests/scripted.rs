//! A driver whose agents run in the test and go wrong on demand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use devgate_protocol::control::{self, FromAgent};
use devgate_protocol::{Answer, Open, Refusal, RefusalReason, Stream, handshake, socket};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::drivers::{
    Driver, DriverError, Exit, Follow, HomeSize, Logs, Pending, Presence, Reach, Started,
};
use crate::names::WorkspaceId;
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
    /// Nothing can be done, or found out, until that passes.
    Away,
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
    released: Vec<WorkspaceId>,
    next: u32,
    /// Of each home, in bytes.
    size: u64,
}

#[derive(Debug)]
struct Agent {
    pid: u32,
    exit: watch::Sender<Option<Exit>>,
    _serving: JoinSet<()>,
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
                released: Vec::new(),
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

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        self.calls.store(0, Ordering::Relaxed);
        self.hung.send_replace(false);
        self.inner().fault = fault;
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

    fn is_there(&self) -> Result<(), DriverError> {
        match self.inner().fault {
            Fault::Away => Err(DriverError::EngineUnreachable {
                engine: "/nowhere".to_owned(),
                source: "it is away".into(),
            }),
            _ => Ok(()),
        }
    }

    /// Has something be kept of a workspace that nobody knows.
    pub(super) fn keep(&self, id: &WorkspaceId) {
        self.inner().kept.insert(id.clone(), None);
    }

    pub(super) fn keeps(&self, id: &WorkspaceId) -> bool {
        self.inner().kept.contains_key(id)
    }

    pub(super) fn released(&self) -> Vec<WorkspaceId> {
        self.inner().released.clone()
    }

    pub(super) fn set_size(&self, bytes: u64) {
        self.inner().size = bytes;
    }

    pub(super) fn running(&self) -> usize {
        self.inner().kept.values().flatten().count()
    }

    pub(super) fn kept(&self) -> usize {
        self.inner().kept.len()
    }

    pub(super) fn pid(&self, id: &WorkspaceId) -> Option<u32> {
        self.inner().kept.get(id)?.as_ref().map(|agent| agent.pid)
    }

    pub(super) fn crash(&self, id: &WorkspaceId) {
        self.end(id, Exit::Signal(9));
    }

    fn end(&self, id: &WorkspaceId, exit: Exit) {
        if let Some(kept) = self.inner().kept.get_mut(id)
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
        let fault = self.inner().fault;
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
        let fault = self.inner().fault;
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
            let mut inner = self.inner();
            inner.next += 1;
            let pid = inner.next;
            let agent = Agent {
                pid,
                exit: watch::Sender::new(None),
                _serving: serving,
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

async fn serve(listener: UnixListener, id: WorkspaceId) {
    let mut streams = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let id = id.clone();
        streams.spawn(async move {
            let mut stream = Stream::from(stream);
            let Ok(open) = handshake::read_open(&mut stream).await else {
                return;
            };
            let answer = match open {
                Open::Control | ECHO => Answer::Opened,
                _ => Answer::Refused(Refusal {
                    reason: RefusalReason::ConnectFailed,
                    detail: "connection refused".into(),
                }),
            };
            let _ = handshake::write_answer(&mut stream, &answer).await;
            if open == Open::Control {
                let hello = FromAgent::Hello {
                    protocol: devgate_protocol::VERSION,
                    version: "0.1.0".into(),
                    workspace: id.to_string(),
                    pid: 1,
                    features: Vec::new(),
                };
                let _ = control::write(&mut stream, &hello).await;
                while let Ok(Some(message)) = control::read(&mut stream).await {
                    if let control::FromGateway::Ping { number } = message {
                        let _ = control::write(&mut stream, &FromAgent::Pong { number }).await;
                    }
                }
            }
        });
    }
}

impl Driver for Scripted {
    fn create<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async move {
            self.is_there()?;
            self.inner().kept.entry(workspace.id.clone()).or_default();
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
            if matches!(self.inner().fault, Fault::Unstoppable) {
                return Err(DriverError::Unstoppable { count: 1 });
            }
            self.end(id, Exit::Status(0));
            Ok(())
        }))
    }

    fn release<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async move {
            assert_eq!(self.pid(id), None, "released under a running agent");
            self.inner().released.push(id.clone());
            Ok(())
        }))
    }

    fn remove<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async move {
            assert_eq!(self.pid(id), None, "removed under a running agent");
            self.inner().kept.remove(id);
            Ok(())
        }))
    }

    fn inspect<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Presence, DriverError>> {
        Box::pin(async move {
            self.is_there()?;
            Ok(match (self.pid(id), self.inner().kept.contains_key(id)) {
                (Some(pid), _) => Presence::Running { pid },
                (None, true) => Presence::Stopped,
                (None, false) => Presence::Absent,
            })
        })
    }

    fn exited<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Exit, DriverError>> {
        Box::pin(async move {
            let agent = match self.inner().kept.get(id) {
                Some(Some(agent)) => Some(agent.exit.subscribe()),
                _ => None,
            };
            let Some(mut exit) = agent else {
                return Ok(match self.inner().fault {
                    Fault::Dies(exit) => exit,
                    _ => Exit::Unseen,
                });
            };
            let ended = exit.wait_for(Option::is_some).await;
            Ok(ended.ok().and_then(|exit| *exit).unwrap_or(Exit::Unseen))
        })
    }

    fn kept(&self) -> Pending<'_, Result<Vec<WorkspaceId>, DriverError>> {
        Box::pin(async move {
            self.is_there()?;
            Ok(self.inner().kept.keys().cloned().collect())
        })
    }

    fn sizes(&self) -> Pending<'_, Result<HashMap<WorkspaceId, HomeSize>, DriverError>> {
        Box::pin(async move {
            self.is_there()?;
            let at = time::OffsetDateTime::now_utc();
            let bytes = self.inner().size;
            let kept = self.inner().kept.keys().cloned().collect::<Vec<_>>();
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
}
