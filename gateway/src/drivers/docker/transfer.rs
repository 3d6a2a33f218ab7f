//! Carrying archives from one container to another, without keeping them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::doings::Doing;
use super::engine::Engine;
use super::room;
use crate::drivers::DriverError;

/// How long an archive may go without any progress.
const PATIENCE: Duration = Duration::from_mins(5);

/// How often progress is told.
const TELL: Duration = Duration::from_millis(500);

/// What became of an archive that is read while it is written elsewhere.
#[derive(Debug, Default)]
pub(super) struct Carried {
    bytes: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl Carried {
    /// Returns why reading failed, where it did: what is written to then fails, too, and
    /// knows less.
    pub(super) fn failure(&self) -> Option<Error> {
        let mut failure = self.failure.lock();
        failure.take()
    }
}

/// Returns an archive's chunks to be sent on, and what becomes of them.
pub(super) fn counted(
    chunks: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
) -> (
    impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    Arc<Carried>,
) {
    let carried = Arc::<Carried>::default();
    let counting = Arc::clone(&carried);
    let chunks = stream::unfold(
        (Box::pin(chunks), false),
        |(mut chunks, ended)| async move {
            if ended {
                return None;
            }
            let next = match timeout(PATIENCE, chunks.next()).await {
                Ok(next) => next?,
                Err(_) => Err(Error::RequestTimeoutError),
            };
            let ended = next.is_err();
            Some((next, (chunks, ended)))
        },
    );
    let counted = chunks.map(move |chunk| match chunk {
        Ok(chunk) => {
            let length = u64::try_from(chunk.len()).unwrap_or_default();
            counting.bytes.fetch_add(length, Ordering::Relaxed);
            Ok(chunk)
        }
        Err(error) => {
            let broken = io::Error::other(error.to_string());
            let mut failure = counting.failure.lock();
            *failure = Some(error);
            Err(broken)
        }
    });
    (counted, carried)
}

/// Waits for work, and tells meanwhile how much was carried.
pub(super) async fn telling<T>(
    work: impl Future<Output = T>,
    carried: &Carried,
    doing: &Doing<'_>,
    what: &str,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(done) = timeout(TELL, &mut work).await {
            return done;
        }
        let bytes = carried.bytes.load(Ordering::Relaxed);
        doing.tell(format!("{what} ({} MiB)", bytes >> 20));
    }
}

/// Copies a folder of one container into a folder of another one, owners included.
pub(super) async fn copy_folder(
    engine: &Engine,
    (from, to): (&str, &str),
    (folder, into): (&str, &str),
    (doing, what): (&Doing<'_>, &str),
) -> Result<(), DriverError> {
    let client = engine.patient_client().await?;
    let options = DownloadFromContainerOptionsBuilder::new()
        .path(folder)
        .build();
    let (chunks, carried) = counted(client.download_from_container(from, Some(options)));
    let options = UploadToContainerOptionsBuilder::new().path(into).build();
    let upload = client.upload_to_container(to, Some(options), bollard::body_try_stream(chunks));
    let copied = || carried.bytes.load(Ordering::Relaxed);
    let uploaded = tokio::select! {
        uploaded = telling(upload, &carried, doing, what) => uploaded,
        full = room::lacking(engine, copied) => return Err(full),
    };
    if let Some(error) = carried.failure() {
        return Err(engine.failed("read the home", error));
    }
    uploaded.map_err(|error| engine.failed("copy the home", error))
}
