//! What agents tell by themselves.

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tracing::warn;

use crate::names::WorkspaceId;

/// Notices that wait; what comes when it is full is dropped, and the log says so.
const QUEUE: usize = 256;

/// Longest name of a program that is kept, in characters; Linux's are shorter.
const MAX_NAME: usize = 64;

/// A program that the kernel killed because its workspace's memory was used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Its name, as far as it is known.
    pub program: Option<String>,
    /// Its process id in the workspace, as far as it is known.
    pub pid: Option<u32>,
}

/// What an agent tells by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The workspace's memory was used up.
    OutOfMemory(Victim),
    /// The workspace has as many processes and threads as it may: that many, where it is known.
    ProcessLimit(Option<u64>),
}

/// Takes notices in, and hands them out to one who asks.
#[derive(Debug)]
pub(super) struct Notices {
    queue: mpsc::Sender<(WorkspaceId, Notice)>,
    waiting: Mutex<Option<mpsc::Receiver<(WorkspaceId, Notice)>>>,
}

impl Victim {
    /// Takes over what an agent says, which may be anything.
    pub(super) fn new(program: Option<&str>, pid: Option<u32>) -> Self {
        let shown = |name: &str| {
            let plain = name.chars().filter(|c| !c.is_control());
            plain.take(MAX_NAME).collect()
        };
        Self {
            program: program.map(shown),
            pid,
        }
    }
}

impl Default for Notices {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
        }
    }
}

impl Notices {
    pub(super) fn tell(&self, id: &WorkspaceId, notice: Notice) {
        if self.queue.try_send((id.clone(), notice)).is_err() {
            warn!(workspace = %id, "an agent's notice is dropped");
        }
    }

    pub(super) fn take(&self) -> Option<mpsc::Receiver<(WorkspaceId, Notice)>> {
        let mut waiting = self.waiting.lock();
        waiting.take()
    }
}
