//! What agents tell by themselves: programs that were killed because their workspace's memory
//! was used up, for one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Shared, process_limit};
use crate::chain::chain;
use crate::events::{Event, Kind, NewEvent};
use crate::names::WorkspaceId;
use crate::tunnel::{Notice, Victim};

/// Most that are recorded of a workspace within [`PERIOD`]: what loops there fills no disk
/// here.
const MOST: usize = 20;

/// See [`MOST`].
const PERIOD: Duration = Duration::from_mins(10);

/// The last program that was killed in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// Which one.
    pub victim: Victim,
    /// When that was told.
    pub at: OffsetDateTime,
}

/// Records what agents tell until the gateway ends.
pub(super) async fn record(shared: Arc<Shared>) {
    let Some(mut notices) = shared.tunnels.notices() else {
        return;
    };
    let mut recent: HashMap<WorkspaceId, VecDeque<Instant>> = HashMap::new();
    loop {
        let notice = tokio::select! {
            () = shared.stop.cancelled() => return,
            notice = notices.recv() => notice,
        };
        let Some((id, notice)) = notice else { return };
        let times = recent.entry(id.clone()).or_default();
        times.retain(|at| at.elapsed() < PERIOD);
        if times.len() >= MOST {
            debug!(workspace = %id, "an agent tells too much to record each");
            continue;
        }
        times.push_back(Instant::now());
        match notice {
            Notice::OutOfMemory(victim) => record_one(&shared, &id, victim).await,
            Notice::ProcessLimit(limit) => process_limit::record(&shared, &id, limit).await,
        }
    }
}

async fn record_one(shared: &Shared, id: &WorkspaceId, victim: Victim) {
    let record = match shared.store.workspace(id).await {
        Ok(Some(record)) => record,
        Ok(None) => return,
        Err(error) => {
            return warn!(error = chain(&error), "a killed program isn't recorded");
        }
    };
    let program = victim.program.as_deref();
    warn!(
        workspace = %id,
        program = program.unwrap_or("?"),
        pid = victim.pid,
        "a program was killed: the workspace's memory is used up"
    );
    let mut about = NewEvent::of_workspace(Kind::OutOfMemory, &record.workspace);
    if let Some(program) = program {
        about.says("program", program);
    }
    if let Some(pid) = victim.pid {
        about.says("pid", &pid.to_string());
    }
    let killed = Killed {
        victim,
        at: about.time,
    };
    shared.events.record(about);
    shared.killed.lock().insert(id.clone(), killed);
}

/// Reads what an earlier gateway recorded, the last of each workspace.
pub(super) fn of_events(events: Vec<Event>) -> HashMap<WorkspaceId, Killed> {
    let mut found = HashMap::new();
    // The newest come first.
    for event in events {
        let Some((id, _)) = event.workspace else {
            continue;
        };
        let text = |name: &str| event.data.get(name)?.as_str();
        found.entry(id).or_insert_with(|| Killed {
            victim: Victim {
                program: text("program").map(str::to_owned),
                pid: text("pid").and_then(|pid| pid.parse().ok()),
            },
            at: event.time,
        });
    }
    found
}
