//! Leases that programs in the workspace hold.
//!
//! One that ends with its time is kept in a file of the runtime folder, so that it
//! outlives the agent; one that ends with its program goes on for as long as that holds
//! its connection.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use devgate_protocol::activity::Held;
use devgate_protocol::{control, socket};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::wish::{LONGEST, MAX_REASON, Reply, Until, Wish};

/// Most leases at once, and most connections.
const MAX_LEASES: usize = 64;

/// Name of the file in the runtime folder.
const FILE: &str = "keep-awake.json";

/// How long a program may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause after a failed accept: what failed, a lack of descriptors say, lasts.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// All leases. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Leases(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    held: BTreeMap<u64, Lease>,
}

/// One lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    reason: String,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// What ends it; what the file keeps ends with its time.
    #[serde(skip, default = "kept")]
    ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    WithItsTime,
    WithItsProgram,
}

const fn kept() -> Ends {
    Ends::WithItsTime
}

impl Leases {
    /// Takes up what an agent before has left.
    pub(super) fn load(runtime: &Path) -> Self {
        let file = runtime.join(FILE);
        let left: Vec<Lease> = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                warn!(%error, "leases of before can't be read");
                Vec::new()
            }),
            Err(_) => Vec::new(),
        };
        let held: BTreeMap<_, _> = (0..).zip(left).collect();
        let next = u64::try_from(held.len()).unwrap_or_default();
        Self(Arc::new(Inner {
            file,
            entries: Mutex::new(Entries { next, held }),
        }))
    }

    /// Returns those that are held now.
    pub(super) fn held(&self) -> Vec<Held> {
        let now = OffsetDateTime::now_utc();
        let mut entries = self.lock();
        entries.held.retain(|_, lease| lease.until > now);
        let held = entries.held.values().map(|lease| Held {
            reason: lease.reason.clone(),
            since: milliseconds(now - lease.since),
            left: milliseconds(lease.until - now),
        });
        held.collect()
    }

    /// Takes leases at `path` until `stop`.
    pub(super) async fn serve(self, path: PathBuf, stop: CancellationToken) {
        let listener = match socket::bind(&path).await {
            Ok(listener) => listener,
            Err(error) => {
                warn!(%error, path = %path.display(), "programs can't take leases");
                return;
            }
        };
        stop.run_until_cancelled(self.take(listener)).await;
    }

    async fn take(self, listener: UnixListener) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            tokio::select! {
                Some(_) = connections.join_next(), if connections.len() >= MAX_LEASES => {}
                accepted = listener.accept(), if connections.len() < MAX_LEASES => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(self.clone().hear(stream));
                    }
                    Err(error) => {
                        warn!(%error, "accept failed");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    /// Serves one program.
    async fn hear(self, mut stream: UnixStream) {
        if let Err(error) = socket::check_peer(&stream) {
            debug!(%error, "a program was turned away");
            return;
        }
        let Ok(Ok(Some(wish))) = timeout(PATIENCE, control::read::<Wish>(&mut stream)).await else {
            return;
        };
        let (seconds, until) = (wish.seconds, wish.until);
        let taken = self.add(&wish);
        let reply = match &taken {
            Ok(_) => Reply::Held,
            Err(refused) => Reply::Refused(refused.clone()),
        };
        let told = control::write(&mut stream, &reply).await;
        let Ok(id) = taken else {
            return;
        };
        if until == Until::Closed {
            let _held = Release { leases: &self, id };
            if told.is_ok() {
                // Nothing more is said: whatever comes, an end above all, ends it.
                let ended = async { stream.read_u8().await.map(drop) };
                let _ = timeout(Duration::from_secs(seconds), ended).await;
            }
        }
    }

    fn add(&self, wish: &Wish) -> Result<u64, String> {
        if !(1..=LONGEST).contains(&wish.seconds) {
            return Err("a lease lasts from 1 second to 7 days".to_owned());
        }
        let seconds = i64::try_from(wish.seconds).unwrap_or(i64::MAX);
        let since = OffsetDateTime::now_utc();
        let reason = wish.reason.chars().filter(|c| !c.is_control());
        let lease = Lease {
            reason: reason.take(MAX_REASON).collect(),
            since,
            until: since + time::Duration::seconds(seconds),
            ends: match wish.until {
                Until::Time => Ends::WithItsTime,
                Until::Closed => Ends::WithItsProgram,
            },
        };
        let mut entries = self.lock();
        entries.held.retain(|_, lease| lease.until > since);
        if entries.held.len() >= MAX_LEASES {
            return Err(format!("there are {MAX_LEASES} leases already"));
        }
        let id = entries.next;
        entries.next += 1;
        entries.held.insert(id, lease);
        // Written under the lock: the file is as the last one left it.
        if wish.until == Until::Time
            && let Err(error) = self.write(&entries)
        {
            entries.held.remove(&id);
            return Err(format!("the lease can't be written down ({error})"));
        }
        Ok(id)
    }

    fn write(&self, entries: &Entries) -> io::Result<()> {
        let kept: Vec<_> = entries
            .held
            .values()
            .filter(|lease| lease.ends == Ends::WithItsTime)
            .collect();
        let new = self.0.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&kept)?)?;
        fs::rename(new, &self.0.file)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.entries.lock()
    }
}

/// Ends a lease when it is dropped.
struct Release<'a> {
    leases: &'a Leases,
    id: u64,
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.leases.lock().held.remove(&self.id);
    }
}

fn milliseconds(time: time::Duration) -> u64 {
    u64::try_from(time.whole_milliseconds()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(seconds: u64, until: Until) -> Wish {
        Wish {
            seconds,
            reason: "train\u{1b}ing".to_owned(),
            until,
        }
    }

    #[test]
    fn a_lease_for_a_time_outlives_the_agent_and_one_for_a_program_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let leases = Leases::load(folder.path());
        leases.add(&wish(60, Until::Closed)).unwrap();
        leases.add(&wish(3600, Until::Time)).unwrap();
        assert_eq!(leases.held().len(), 2);
        let again = Leases::load(folder.path()).held();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].reason, "training");
        assert!(
            (3_500_000..=3_600_000).contains(&again[0].left),
            "{again:?}"
        );
    }

    #[test]
    fn leases_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let leases = Leases::load(folder.path());
        for seconds in [0, LONGEST + 1] {
            assert!(leases.add(&wish(seconds, Until::Time)).is_err());
        }
        for _ in 0..MAX_LEASES {
            leases.add(&wish(60, Until::Closed)).unwrap();
        }
        assert!(leases.add(&wish(60, Until::Closed)).is_err());
    }

    #[tokio::test]
    async fn a_lease_ends_with_the_connection_of_its_program() {
        let folder = tempfile::tempdir().unwrap();
        let leases = Leases::load(folder.path());
        let (mut program, agent) = UnixStream::pair().unwrap();
        let serving = leases.clone().hear(agent);
        let asking = async {
            control::write(&mut program, &wish(60, Until::Closed))
                .await
                .unwrap();
            let reply: Option<Reply> = control::read(&mut program).await.unwrap();
            assert_eq!(reply, Some(Reply::Held));
            assert_eq!(leases.held().len(), 1);
            drop(program);
        };
        tokio::join!(serving, asking);
        assert!(leases.held().is_empty());
    }
}
