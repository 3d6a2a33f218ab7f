//! Connections out of the workspace and into it.
//!
//! Invariant: a connection that breaks harms no other stream.

mod bind;
mod dial;
mod relay;

pub(crate) use bind::{SocketFile, loopback};
pub(crate) use relay::{Listener, relay};

use std::path::Path;

use devgate_protocol::frame::{FrameReader, Kind};
use devgate_protocol::{Accepted, Answer, RefusalReason, Stream, StreamError, handshake, socket};
use tokio::net::TcpStream;
use tracing::{debug, info};

use crate::agent::Agent;
use crate::send::send_json;
use crate::serve::refuse;
use crate::splice::splice;
use crate::waiting::Connection;

/// Serves `direct-tcpip`: dials inside the workspace.
pub(crate) async fn direct_tcpip(
    mut stream: Stream,
    host: &str,
    port: u16,
) -> Result<(), StreamError> {
    let target = match dial::tcp(host, port).await {
        Ok(target) => target,
        Err(error) => {
            let detail = format!("connect to {host} port {port}: {}", dial::reason(&error));
            return refuse(stream, RefusalReason::ConnectFailed, detail).await;
        }
    };
    handshake::write_answer(&mut stream, &Answer::Opened).await?;
    join(stream, Connection::Tcp(target)).await
}

/// Serves `direct-streamlocal@openssh.com`: connects to a Unix socket.
pub(crate) async fn direct_streamlocal(mut stream: Stream, path: &Path) -> Result<(), StreamError> {
    let target = match socket::connect(path).await {
        Ok(target) => target,
        Err(error) => {
            let detail = format!("connect to {}: {}", path.display(), dial::reason(&error));
            return refuse(stream, RefusalReason::ConnectFailed, detail).await;
        }
    };
    handshake::write_answer(&mut stream, &Answer::Opened).await?;
    join(stream, Connection::Unix(target)).await
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
    mut stream: Stream,
    number: u64,
) -> Result<(), StreamError> {
    let Some(connection) = agent.waiting().collect(number) else {
        let detail = format!("connection {number} is gone");
        return refuse(stream, RefusalReason::UnknownConnection, detail).await;
    };
    handshake::write_answer(&mut stream, &Answer::Opened).await?;
    join(stream, connection).await
}

async fn join(stream: Stream, connection: Connection) -> Result<(), StreamError> {
    let ended = match connection {
        Connection::Tcp(tcp) => join_tcp(stream, tcp).await,
        Connection::Unix(unix) => splice(stream, unix.into_split()).await,
    };
    if let Err(error) = ended {
        debug!(%error, "a forwarded connection broke");
    }
    Ok(())
}

async fn join_tcp(stream: Stream, tcp: TcpStream) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    splice(stream, tcp.into_split()).await
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
