//! The connection to the engine, and its errors in our words.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use super::unreached::{is_unreachable, unreachable};
use crate::chain::chain;
use crate::drivers::DriverError;

/// Longest wait for an answer to begin, in seconds. Making fifty containers at once
/// takes a busy disk a minute.
const TIMEOUT: u64 = 180;

/// Longest wait for the first answer of all, which costs the engine nothing.
const FIRST_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for a sign of life, which costs the engine nothing.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for a further one of an engine that has given one, and may have much to do.
const FURTHER_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause between two questions for a sign of life.
const PAUSE: Duration = Duration::from_secs(5);

/// How long an engine is taken to be away after it was waited for in vain.
const SILENCE: Duration = Duration::from_secs(10);

/// Longest wait for the answer to what copies whole homes and images.
const PATIENCE: Duration = Duration::from_hours(24);

/// Longest text of the engine's that is handed on, in characters.
const MAX_DETAIL: usize = 400;

/// Where an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// On this host, at a Unix socket.
    Socket(PathBuf),
    /// Elsewhere, by TLS with a certificate on either side.
    Tls {
        /// Its name in the configuration.
        host: String,
        /// `HOST:PORT`.
        address: String,
        /// PEM file with the CA of its certificate.
        ca: PathBuf,
        /// PEM file with our certificate.
        certificate: PathBuf,
        /// PEM file with its private key.
        key: PathBuf,
    },
}

/// An engine, which may not be there at the moment.
#[derive(Debug)]
pub(super) struct Engine {
    endpoint: Endpoint,
    client: OnceCell<Docker>,
    /// Until when it is taken to be away.
    silent: Mutex<Option<Instant>>,
    first_timeout: Duration,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tls { host, address, .. } => write!(f, "{address} (docker.hosts {host})"),
        }
    }
}

impl Endpoint {
    /// Waits a short time for a sign of life.
    ///
    /// # Errors
    /// `EngineUnreachable` where it gives none.
    pub async fn answers(&self) -> Result<(), DriverError> {
        Engine::new(self.clone()).answers().await
    }
}

impl Engine {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            client: OnceCell::new(),
            silent: Mutex::default(),
            first_timeout: FIRST_TIMEOUT,
        }
    }

    /// Tells whether its containers' processes are this host's.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.endpoint, Endpoint::Socket(_))
    }

    /// Returns what talks to the engine. Each request is a connection of its own, so an
    /// engine that was away is found again.
    pub(super) async fn client(&self) -> Result<&Docker, DriverError> {
        let connect = || async {
            // Others have waited before this one: not each for as long again.
            if self.is_silent() {
                return Err(Error::RequestTimeoutError);
            }
            let connected = timeout(self.first_timeout, self.connect()).await;
            connected.unwrap_or_else(|_| {
                self.note_silence();
                Err(Error::RequestTimeoutError)
            })
        };
        let client = self.client.get_or_try_init(connect).await;
        client.map_err(|error| self.failed("tell its version", error))
    }

    async fn connect(&self) -> Result<Docker, Error> {
        let client = match &self.endpoint {
            Endpoint::Socket(path) => {
                let path = path.to_string_lossy();
                Docker::connect_with_unix(&path, TIMEOUT, API_DEFAULT_VERSION)?
            }
            Endpoint::Tls {
                address,
                ca,
                certificate,
                key,
                ..
            } => {
                let address = format!("tcp://{address}");
                let version = API_DEFAULT_VERSION;
                Docker::connect_with_ssl(&address, key, certificate, ca, TIMEOUT, version)?
            }
        };
        client.negotiate_version().await
    }

    /// Waits a short time for a sign of life; none at all where there was none a moment ago.
    ///
    /// # Errors
    /// `EngineUnreachable` where it gives none.
    pub(super) async fn answers(&self) -> Result<(), DriverError> {
        if self.is_silent() {
            return Err(self.away());
        }
        let asked = async {
            let answered = self.client().await?.ping().await;
            answered.map_err(|error| self.failed("answer", error))
        };
        if let Ok(answered) = timeout(ANSWER_TIMEOUT, asked).await {
            return answered.map(drop);
        }
        self.note_silence();
        Err(self.away())
    }

    /// Does work for as long as the engine gives signs of life: the work itself may have to
    /// wait for long. It is dropped where there are none.
    ///
    /// # Errors
    /// The work's, and `EngineUnreachable` where a sign of life was waited for in vain.
    pub(super) async fn while_it_lives<T>(
        &self,
        work: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.falls_silent() => Err(self.away()),
        }
    }

    /// Waits until there are no signs of life. What else goes wrong is others' to tell.
    async fn falls_silent(&self) {
        let mut patience = ANSWER_TIMEOUT;
        loop {
            let asked = async {
                let client = self.client().await.ok()?;
                client.ping().await.ok()
            };
            if timeout(patience, asked).await.is_err() {
                return self.note_silence();
            }
            patience = FURTHER_TIMEOUT;
            sleep(PAUSE).await;
        }
    }

    /// Returns the error of having waited for it in vain.
    pub(super) fn away(&self) -> DriverError {
        self.failed("answer", Error::RequestTimeoutError)
    }

    fn is_silent(&self) -> bool {
        let until = *self.silent.lock();
        until.is_some_and(|until| Instant::now() < until)
    }

    fn note_silence(&self) {
        let mut until = self.silent.lock();
        *until = Some(Instant::now() + SILENCE);
    }

    /// Returns what talks to the engine and waits for answers that take as long as what
    /// there is to copy.
    pub(super) async fn patient_client(&self) -> Result<Docker, DriverError> {
        Ok(self.client().await?.clone().with_timeout(PATIENCE))
    }

    /// Says what went wrong when `action` was asked for.
    pub(super) fn failed(&self, action: &'static str, error: Error) -> DriverError {
        match error {
            error if is_unreachable(&error) => unreachable(&self.endpoint, &error),
            Error::DockerResponseServerError { message, .. }
            | Error::DockerStreamError { error: message } => refused(action, &message),
            error => refused(action, &chain(&error)),
        }
    }
}

fn refused(action: &'static str, message: &str) -> DriverError {
    let detail = one_line(message);
    if detail.contains("no space left on device") {
        return DriverError::DiskFull { detail };
    }
    DriverError::Engine { action, detail }
}

/// Returns the engine's words in one line of bounded length.
fn one_line(message: &str) -> String {
    let words: Vec<_> = message.split_whitespace().collect();
    words.join(" ").chars().take(MAX_DETAIL).collect()
}

/// Tells whether the engine knows no such thing.
pub(super) fn is_missing(error: &Error) -> bool {
    status(error) == Some(404)
}

/// Tells whether the thing is in a state in which it can't be done.
pub(super) fn is_conflict(error: &Error) -> bool {
    status(error) == Some(409)
}

fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use futures_util::future::join_all;

    use super::*;

    /// Returns an engine that takes connections and never answers, and its socket.
    fn silent(folder: &std::path::Path) -> (Engine, UnixListener) {
        let path = folder.join("docker.sock");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        (Engine::new(Endpoint::Socket(path)), listener)
    }

    /// Counts the connections that came since it was asked last.
    fn connections(listener: &UnixListener) -> usize {
        std::iter::from_fn(|| listener.accept().ok()).count()
    }

    #[tokio::test]
    async fn many_who_wait_for_an_engine_that_never_answers_wait_together() {
        let folder = tempfile::tempdir().unwrap();
        let (mut engine, listener) = silent(folder.path());
        engine.first_timeout = Duration::from_millis(100);
        for client in join_all((0..20).map(|_| engine.client())).await {
            let error = client.unwrap_err();
            assert!(
                matches!(error, DriverError::EngineUnreachable { .. }),
                "{error:?}"
            );
        }
        assert_eq!(connections(&listener), 1);
    }

    #[tokio::test]
    async fn an_engine_that_never_answers_is_not_waited_for_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, listener) = silent(folder.path());
        let error = engine.answers().await.unwrap_err();
        assert!(chain(&error).contains("it takes too long"), "{error:?}");
        assert_eq!(connections(&listener), 1);
        engine.answers().await.unwrap_err();
        engine.client().await.unwrap_err();
        assert_eq!(connections(&listener), 0);
    }

    #[tokio::test]
    async fn work_with_an_engine_that_never_answers_ends_with_that() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _listener) = silent(folder.path());
        let work = std::future::pending::<Result<(), DriverError>>();
        let error = engine.while_it_lives(work).await.unwrap_err();
        assert!(chain(&error).contains("it takes too long"), "{error:?}");
        let done = engine.while_it_lives(async { Ok(7) }).await;
        assert_eq!(done.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_told_with_its_socket() {
        let engine = Engine::new(Endpoint::Socket("/nowhere/docker.sock".into()));
        let error = engine.client().await.unwrap_err();
        let text = chain(&error);
        assert!(matches!(error, DriverError::EngineUnreachable { .. }));
        assert!(text.contains("/nowhere/docker.sock"), "{text}");
        assert!(text.contains("no such socket"), "{text}");
    }

    #[tokio::test]
    async fn a_full_disk_is_told_apart_and_words_are_one_line() {
        let engine = Engine::new(Endpoint::Socket("/nowhere/docker.sock".into()));
        let answer = |message: &str| Error::DockerResponseServerError {
            status_code: 500,
            message: message.to_owned(),
        };
        let full = engine.failed("do it", answer("write /x:\n no space left on device"));
        assert!(matches!(full, DriverError::DiskFull { .. }), "{full:?}");
        let other = engine.failed("do it", answer("one\n two"));
        assert_eq!(other.to_string(), "the Docker Engine can't do it (one two)");
    }
}
