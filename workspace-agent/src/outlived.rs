//! What children of a program write once it has ended and nobody reads it any more.
//!
//! They live on, and to write to a pipe that nobody reads would kill them: so it is read
//! here, and thrown away, for as long as one of them holds the pipe.

use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::pipe::Output;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

/// Most pipes that are read for nobody; one that comes beyond is closed. Each is an open
/// file of the agent's.
const MAX: usize = 1024;

/// How long to wait between two reads: whoever writes without an end is slowed down.
const PAUSE: Duration = Duration::from_millis(10);

/// Reads pipes whose program has ended. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Outlived {
    tasks: TaskTracker,
    stop: CancellationToken,
    room: Arc<Semaphore>,
}

impl Outlived {
    /// Returns what reads on `tasks` until `stop`.
    pub(crate) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        let room = Arc::new(Semaphore::new(MAX));
        Self { tasks, stop, room }
    }

    /// Takes a program's output, which must be a pipe's, and reads it to its end.
    pub(crate) fn keep(&self, mut output: Output) {
        if !output.is_open() {
            return;
        }
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            debug!("too many pipes outlived their program: one is closed");
            return;
        };
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let _place = place;
            stop.run_until_cancelled(output.discard(PAUSE)).await;
        });
    }
}
