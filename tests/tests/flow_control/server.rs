//! A server whose channels are connected to programs, to themselves, or to
//! nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::server::{self, Auth, ChannelOpenHandle, Config, Handle, Msg, Session};
use russh::{Channel, ChannelId, ChannelMsg};
use ssh_key::PrivateKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::WINDOW;

/// What the connections of a server did so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Bytes that the channels' writers handed to russh.
    pub(crate) written: watch::Sender<usize>,
    /// Bytes that `Handler::data` got.
    pub(crate) received: watch::Sender<usize>,
    /// Channels with a writer.
    pub(crate) writers: watch::Sender<usize>,
    /// Connections that came to their end.
    pub(crate) ended: watch::Sender<usize>,
}

/// Waits until a count is as `wanted`.
pub(crate) async fn reaches(count: &watch::Sender<usize>, wanted: impl FnMut(&usize) -> bool) {
    crate::ends(count.subscribe().wait_for(wanted))
        .await
        .unwrap();
}

/// Serves connections until it is dropped.
pub(crate) struct Server {
    config: Arc<Config>,
    pub(crate) seen: Arc<Seen>,
    /// The handle of the last connection.
    pub(crate) handle: Arc<Mutex<Option<Handle>>>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A server whose configuration `change` changes.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let key = PrivateKey::random(&mut rand::rng(), ssh_key::Algorithm::Ed25519).unwrap();
        let mut config = Config {
            keys: vec![key],
            inactivity_timeout: None,
            auth_rejection_time_initial: Some(Duration::ZERO),
            window_size: u32::try_from(WINDOW).unwrap(),
            event_buffer_size: 64,
            ..Config::default()
        };
        change(&mut config);
        Self {
            config: Arc::new(config),
            seen: Arc::default(),
            handle: Arc::default(),
            tasks: Arc::default(),
        }
    }

    /// Serves one connection.
    pub(crate) fn attach<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let bridge = Bridge {
            channels: HashMap::new(),
            counted: None,
            seen: Arc::clone(&self.seen),
            tasks: Arc::clone(&self.tasks),
        };
        let (config, seen) = (Arc::clone(&self.config), Arc::clone(&self.seen));
        let last = Arc::clone(&self.handle);
        self.tasks.lock().unwrap().spawn(async move {
            if let Ok(session) = server::run_stream(config, stream, bridge).await {
                *last.lock().unwrap() = Some(session.handle());
                let _ = session.await;
            }
            seen.ended.send_modify(|count| *count += 1);
        });
    }

    /// Accepts connections on a port of its own.
    pub(crate) async fn listen(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::downgrade(self);
        self.tasks.lock().unwrap().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let Some(server) = server.upgrade() else {
                    break;
                };
                server.attach(stream);
            }
        });
        address
    }

    /// The handle of the last connection.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.lock().unwrap().clone().expect("no connection")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.lock().unwrap().abort_all();
    }
}

struct Bridge {
    channels: HashMap<ChannelId, Channel<Msg>>,
    counted: Option<ChannelId>,
    seen: Arc<Seen>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Bridge {
    fn spawn(&self, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let seen = Arc::clone(&self.seen);
        seen.writers.send_modify(|count| *count += 1);
        self.tasks.lock().unwrap().spawn(async move {
            let _ = work.await;
            seen.writers.send_modify(|count| *count -= 1);
        });
    }
}

impl server::Handler for Bridge {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        let Some(channel) = self.channels.remove(&id) else {
            return Ok(());
        };
        let seen = Arc::clone(&self.seen);
        let command = String::from_utf8_lossy(command).into_owned();
        match command.as_str() {
            // The channel is dropped: its data is the handler's.
            "count" => self.counted = Some(id),
            "ignore" => drop(self.channels.insert(id, channel)),
            "echo" => self.spawn(echo(channel)),
            "flood" => self.spawn(flood(channel, seen)),
            "flood by handle" => self.spawn(flood_by_handle(session.handle(), id, seen)),
            "answer" => self.spawn(answer(channel)),
            _ => self.spawn(program(channel, command, seen)),
        }
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.counted == Some(id) {
            self.seen.received.send_modify(|count| *count += data.len());
            if data.last() == Some(&b'!') {
                let total = *self.seen.received.borrow();
                session.data(id, total.to_string())?;
            }
        }
        Ok(())
    }
}

/// Returns what arrives.
async fn echo(channel: Channel<Msg>) -> anyhow::Result<()> {
    let (mut reader, writer) = channel.split();
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } => writer.data_bytes(data).await?,
            ChannelMsg::Eof | ChannelMsg::Close => break,
            _ => {}
        }
    }
    writer.eof().await?;
    writer.close().await?;
    Ok(())
}

/// Writes as fast as it may, for ever.
async fn flood(channel: Channel<Msg>, seen: Arc<Seen>) -> anyhow::Result<()> {
    let data = Bytes::from(vec![0; 32 * 1024]);
    loop {
        channel.data_bytes(data.clone()).await?;
        seen.written.send_modify(|count| *count += data.len());
    }
}

/// Does the same by a handle, which doesn't know of the window.
async fn flood_by_handle(handle: Handle, id: ChannelId, seen: Arc<Seen>) -> anyhow::Result<()> {
    let data = Bytes::from(vec![0; 32 * 1024]);
    while handle.data(id, data.clone()).await.is_ok() {
        seen.written.send_modify(|count| *count += data.len());
    }
    Ok(())
}

/// Writes 100,000 bytes and ends with the exit status 7.
async fn answer(channel: Channel<Msg>) -> anyhow::Result<()> {
    channel.data_bytes(vec![b'a'; 100_000]).await?;
    channel.write_end(7).await
}

/// The orderly end of a channel.
trait WriteEnd {
    async fn write_end(&self, status: u32) -> anyhow::Result<()>;
}

impl WriteEnd for Channel<Msg> {
    async fn write_end(&self, status: u32) -> anyhow::Result<()> {
        self.exit_status(status).await?;
        self.eof().await?;
        self.close().await?;
        Ok(())
    }
}

/// Connects a channel to `sh -c command`.
async fn program(channel: Channel<Msg>, command: String, seen: Arc<Seen>) -> anyhow::Result<()> {
    let mut child = Command::new("sh")
        .args(["-c", &command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut reader, writer) = channel.split();
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        while let Some(message) = reader.wait().await {
            match message {
                ChannelMsg::Data { data } if stdin.write_all(&data).await.is_err() => break,
                ChannelMsg::Eof | ChannelMsg::Close => break,
                _ => {}
            }
        }
    });
    loop {
        let mut data = BytesMut::with_capacity(32 * 1024);
        if stdout.read_buf(&mut data).await? == 0 {
            break;
        }
        let len = data.len();
        writer.data_bytes(data.freeze()).await?;
        seen.written.send_modify(|count| *count += len);
    }
    drop(stdout);
    let status = child.wait().await?.code().unwrap_or(255);
    writer.exit_status(u32::try_from(status)?).await?;
    writer.eof().await?;
    writer.close().await?;
    Ok(())
}
