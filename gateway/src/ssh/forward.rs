//! Listeners in the workspace that a client asked for: `tcpip-forward`
//! (RFC 4254 §7.1) and `streamlocal-forward@openssh.com`.
//!
//! A listener lives as long as its stream. Invariants: once a cancel was answered, its
//! address is free; requests are done one after the other, in their order, and a session
//! that is asked for after them begins after them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use devgate_protocol::frame::{Frame, FrameReader};
use devgate_protocol::{Answer, Open, Stream, StreamError};
use russh::server::GlobalReply;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connection::{Connection, Listener, Opened};
use crate::identity::SshAction;
use crate::refusal::Refused;
use crate::tunnel::TunnelError;
use crate::workspaces::{OpenError, Wake};

/// How many listeners one connection may have.
const MAX_LISTENERS: usize = 256;

/// How long an agent may take to free a listener.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// How many requests of one connection may wait for those before them.
const MAX_ASKED: usize = 1024;

/// Pauses between attempts to open a listener again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// What a listener is known by: what the client will cancel it with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Tcpip(String, u16),
    Streamlocal(String),
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Listen(Key),
    Cancel(Key),
}

/// Takes one connection's requests.
#[derive(Debug, Default)]
pub(super) struct Forwards(Option<mpsc::Sender<(Ask, GlobalReply)>>);

/// How many requests one connection has made, and how many of them are done.
#[derive(Debug, Default)]
pub(super) struct Asked {
    asked: AtomicU64,
    done: watch::Sender<u64>,
}

impl Forwards {
    /// Does what is asked once all is done that was asked before, and answers.
    pub(super) fn ask(&mut self, connection: &Arc<Connection>, ask: Ask, reply: GlobalReply) {
        let asks = self.0.get_or_insert_with(|| {
            let (tx, rx) = mpsc::channel(MAX_ASKED);
            connection.spawn(serve_all(Arc::clone(connection), rx));
            tx
        });
        connection.asked().asked.fetch_add(1, Ordering::Relaxed);
        if asks.try_send((ask, reply)).is_err() {
            connection.asked().one_is_done();
            connection.explain(&Refused::TooManyListeners);
        }
    }
}

impl Asked {
    /// Waits until all is done that is asked for now.
    pub(super) async fn settled(&self) {
        let asked = self.asked.load(Ordering::Relaxed);
        let mut done = self.done.subscribe();
        // The sender is ours.
        let _ = done.wait_for(|done| *done >= asked).await;
    }

    fn one_is_done(&self) {
        self.done.send_modify(|done| *done += 1);
    }
}

/// Does what is asked until the connection ends.
async fn serve_all(connection: Arc<Connection>, mut asks: mpsc::Receiver<(Ask, GlobalReply)>) {
    let ended = connection.token();
    let mut listeners = Listeners::default();
    let serving = async {
        while let Some((ask, reply)) = asks.recv().await {
            match ask {
                Ask::Listen(key) => {
                    if let Err(refused) = listeners.listen(&connection, &key, reply).await {
                        let why = connection.explain(&refused);
                        debug!(?key, why, "listener refused");
                    }
                }
                Ask::Cancel(key) => {
                    if listeners.cancel(&key).await {
                        reply.success(None);
                    }
                }
            }
            connection.asked().one_is_done();
        }
    };
    ended.run_until_cancelled(serving).await;
}

/// The listeners of one connection.
#[derive(Debug, Default)]
struct Listeners(HashMap<Key, Listening>);

#[derive(Debug)]
struct Listening {
    cancel: CancellationToken,
    freed: oneshot::Receiver<()>,
}

impl Listeners {
    /// Listens, and answers before anything comes in.
    async fn listen(
        &mut self,
        connection: &Arc<Connection>,
        key: &Key,
        reply: GlobalReply,
    ) -> Result<(), Refused> {
        connection.allow(SshAction::PortForwarding)?;
        self.0
            .retain(|_, listening| !listening.cancel.is_cancelled());
        if self.0.len() >= MAX_LISTENERS {
            return Err(Refused::TooManyListeners);
        }
        let open = key.open();
        let opening = connection.open(&open, Wake::Background, None);
        let Opened { stream, answer, .. } = opening.await?;
        let (key, listener) = match (key.clone(), answer) {
            (Key::Tcpip(bound, wanted), Answer::Listening { port }) => {
                reply.success((wanted == 0).then_some(port.into()));
                let key = Key::Tcpip(bound.clone(), port);
                let bound_port = port;
                (key, Listener::Tcpip { bound, bound_port })
            }
            (Key::Streamlocal(path), _) => {
                reply.success(None);
                (
                    Key::Streamlocal(path.clone()),
                    Listener::Streamlocal { path },
                )
            }
            (Key::Tcpip(..), _) => {
                let error = TunnelError::from(StreamError::NotOurs);
                return Err(OpenError::from(error).into());
            }
        };
        let listening = serve(connection, stream, key.open(), listener);
        self.0.insert(key, listening);
        Ok(())
    }

    /// Ends a listener and waits until its address is free; returns whether
    /// there was one.
    async fn cancel(&mut self, key: &Key) -> bool {
        let Some(listening) = self.0.remove(key) else {
            return false;
        };
        listening.cancel.cancel();
        // It ends in bounded time, also where the agent doesn't answer.
        let _ = listening.freed.await;
        true
    }
}

impl Key {
    fn open(&self) -> Open {
        match self {
            Self::Tcpip(address, port) => Open::TcpipForward {
                address: address.clone(),
                port: *port,
            },
            Self::Streamlocal(path) => Open::StreamlocalForward { path: path.clone() },
        }
    }
}

/// Collects what a listener announces, in a task of the connection. A listener
/// that is lost with its agent is opened again: the client believes it is there.
fn serve(
    connection: &Arc<Connection>,
    stream: Stream,
    open: Open,
    listener: Listener,
) -> Listening {
    let cancel = connection.token();
    let (free, freed) = oneshot::channel();
    let (cancelled, owner) = (cancel.clone(), Arc::clone(connection));
    connection.spawn(async move {
        let mut stream = Some(stream);
        while let Some(listening) = stream {
            let ended = announce(&owner, listening, &listener, &cancelled).await;
            stream = match ended {
                Announced::Cancelled => None,
                Announced::Lost => open_again(&owner, &open, &cancelled).await,
            };
        }
        // Nobody waits where the connection has ended.
        let _ = free.send(());
    });
    Listening { cancel, freed }
}

/// How a listener's stream ended.
enum Announced {
    /// The client or the connection's end cancelled it, and its address is free.
    Cancelled,
    /// The agent ended it.
    Lost,
}

/// Collects what one listener's stream announces.
async fn announce(
    connection: &Arc<Connection>,
    stream: Stream,
    listener: &Listener,
    cancelled: &CancellationToken,
) -> Announced {
    let (reader, mut writer) = stream.split();
    let mut frames = FrameReader::new(reader);
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            () = cancelled.cancelled() => break,
        };
        match frame {
            Ok(Some(Frame::Accepted(accepted))) => {
                connection.collect(accepted, listener.clone()).await;
            }
            Ok(Some(_)) => {}
            Ok(None) => return Announced::Lost,
            Err(error) => {
                debug!(%error, "listening stream broke");
                return Announced::Lost;
            }
        }
    }
    // The agent frees the address, then ends the stream.
    let freed = async {
        if writer.shutdown().await.is_ok() {
            while let Ok(Some(_)) = frames.next().await {}
        }
    };
    if timeout(CANCEL_TIMEOUT, freed).await.is_err() {
        debug!("agent was slow to free a listener");
    }
    Announced::Cancelled
}

/// Opens a listener again once its workspace runs; `None` where it is cancelled.
async fn open_again(
    connection: &Connection,
    open: &Open,
    cancelled: &CancellationToken,
) -> Option<Stream> {
    let mut pause = FIRST_PAUSE;
    loop {
        cancelled.run_until_cancelled(sleep(pause)).await?;
        // Nobody asks for it: it is there again once something wakes the workspace.
        let opening = connection.open(open, Wake::Again, None);
        match cancelled.run_until_cancelled(opening).await? {
            Ok(opened) => return Some(opened.stream),
            Err(error) => debug!(%error, ?pause, "listener not yet back"),
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
