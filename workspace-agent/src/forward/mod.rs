//! Connections out of the workspace and into it.
//!
//! Invariant: a connection that breaks harms no other stream.

mod bind;
mod dial;
mod relay;

pub(crate) use bind::{SocketFile, loopback};
pub(crate) use relay::{Listener, relay};

use std::os::fd::AsFd;
use std::path::Path;

use devgate_protocol::frame::{FrameReader, Kind};
use devgate_protocol::{
    Accepted, Answer, RefusalReason, Stream, StreamError, descriptor, handshake, socket,
};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tracing::{debug, info};

use crate::agent::Agent;
use crate::send::send_json;
use crate::serve::refuse;
use crate::splice::splice;
use crate::waiting::Connection;

/// How a connection's bytes reach the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through this process and the stream.
    Carried,
    /// By themselves: the gateway gets the connection's descriptor.
    HandedOver,
}

/// Serves `direct-tcpip`: dials inside the workspace.
pub(crate) async fn direct_tcpip(
    stream: Stream,
    host: &str,
    port: u16,
    way: Way,
) -> Result<(), StreamError> {
    let target = match dial::tcp(host, port).await {
        Ok(target) => target,
        Err(error) => {
            let detail = format!("connect to {host} port {port}: {}", dial::reason(&error));
            return refuse(stream, RefusalReason::ConnectFailed, detail).await;
        }
    };
    join(stream, Connection::Tcp(target), way).await
}

/// Serves `direct-streamlocal@openssh.com`: connects to a Unix socket.
pub(crate) async fn direct_streamlocal(
    stream: Stream,
    path: &Path,
    way: Way,
) -> Result<(), StreamError> {
    let target = match socket::connect(path).await {
        Ok(target) => target,
        Err(error) => {
            let detail = format!("connect to {}: {}", path.display(), dial::reason(&error));
            return refuse(stream, RefusalReason::ConnectFailed, detail).await;
        }
    };
    join(stream, Connection::Unix(target), way).await
}

/// Serves `tcpip-forward`: listens until the stream ends.
pub(crate) async fn tcpip_forward(
    agent: &Agent,
    mut stream: Stream,
    address: &str,
    port: u16,
) -> Result<(), StreamError> {
    let (listeners, port) = match bind::tcp(address, port).await {
        Ok(bound) => bound,
        Err(error) => {
            let detail = format!(
                "listen on {address:?} port {port}: {}",
                dial::reason(&error)
            );
            return refuse(stream, RefusalReason::BindFailed, detail).await;
        }
    };
    handshake::write_answer(&mut stream, &Answer::Listening { port }).await?;
    info!(address, port, "forward opened");
    let ended = listen(agent, stream, &Listener::Tcp(listeners)).await;
    info!(address, port, "forward closed");
    ended
}

/// Serves `streamlocal-forward@openssh.com`: listens until the stream ends.
pub(crate) async fn streamlocal_forward(
    agent: &Agent,
    mut stream: Stream,
    path: &Path,
) -> Result<(), StreamError> {
    let socket = match SocketFile::bind(path).await {
        Ok(socket) => socket,
        Err(error) => {
            let detail = format!("listen on {}: {}", path.display(), dial::reason(&error));
            return refuse(stream, RefusalReason::BindFailed, detail).await;
        }
    };
    handshake::write_answer(&mut stream, &Answer::Opened).await?;
    info!(path = %path.display(), "forward opened");
    let ended = listen(agent, stream, &Listener::Unix(socket)).await;
    info!(path = %path.display(), "forward closed");
    ended
}

/// Serves `accept`: joins the stream with the connection of that number.
pub(crate) async fn accept(
    agent: &Agent,
    stream: Stream,
    number: u64,
    way: Way,
) -> Result<(), StreamError> {
    let Some(connection) = agent.waiting().collect(number) else {
        let detail = format!("connection {number} is gone");
        return refuse(stream, RefusalReason::UnknownConnection, detail).await;
    };
    join(stream, connection, way).await
}

/// Answers that the stream is open, and joins it with a connection until their end.
pub(crate) async fn join(
    mut stream: Stream,
    connection: Connection,
    way: Way,
) -> Result<(), StreamError> {
    if let Connection::Tcp(tcp) = &connection {
        tcp.set_nodelay(true)?;
    }
    if let (Way::HandedOver, Stream::Local(local)) = (way, &mut stream) {
        return hand_over(local, connection).await;
    }
    handshake::write_answer(&mut stream, &Answer::Opened).await?;
    let ended = match connection {
        Connection::Tcp(tcp) => splice(stream, tcp.into_split()).await,
        Connection::Unix(unix) => splice(stream, unix.into_split()).await,
    };
    if let Err(error) = ended {
        debug!(%error, "a forwarded connection broke");
    }
    Ok(())
}

/// Gives a connection to the gateway, and keeps the stream open until that ends it.
async fn hand_over(stream: &mut UnixStream, connection: Connection) -> Result<(), StreamError> {
    handshake::write_answer(stream, &Answer::HandedOver).await?;
    let descriptor = match &connection {
        Connection::Tcp(tcp) => tcp.as_fd(),
        Connection::Unix(unix) => unix.as_fd(),
    };
    descriptor::give(stream, &[descriptor]).await?;
    // The gateway's copy alone is the connection now.
    drop(connection);
    while stream.read(&mut [0]).await? > 0 {}
    Ok(())
}

/// Accepts and announces until the gateway ends the stream or the agent stops.
async fn listen(agent: &Agent, stream: Stream, listener: &Listener) -> Result<(), StreamError> {
    let (reader, mut writer) = stream.split();
    let mut reader = FrameReader::new(reader);
    let (announce, mut announced) = tokio::sync::mpsc::channel::<Accepted>(1);
    let accepting = relay(agent.waiting(), listener, announce);
    let writing = async {
        while let Some(accepted) = announced.recv().await {
            send_json(&mut writer, Kind::Accepted, &accepted).await?;
        }
        Ok(())
    };
    let closing = async {
        while reader.next().await?.is_some() {}
        Ok(())
    };
    let stopping = agent.stopping();
    tokio::select! {
        () = accepting => Ok(()),
        written = writing => written,
        closed = closing => closed,
        () = stopping.cancelled() => Ok(()),
    }
    .map_err(StreamError::Io)
}
