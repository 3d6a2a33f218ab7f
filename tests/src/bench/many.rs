//! Many connections that each echo a steady trickle.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{ChannelMsg, client};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::peers::Kind;
use super::report::Better;
use super::{Aim, Bench, Row};

/// Bytes a second of each connection, in pieces.
const RATE: u32 = 40_000;
const PIECES_PER_SECOND: u32 = 10;

/// Handshakes at once.
const AT_ONCE: usize = 16;

/// How long the last echoes may take.
const GRACE: Duration = Duration::from_secs(1);

pub(super) fn measure(bench: &mut Bench) {
    let (count, seconds) = (bench.size(1000), bench.size(16));
    let aims = [Kind::Unix, Kind::Dial].map(|of| Aim {
        of,
        against: None,
        limit: 99.0,
    });
    let name = format!("{count} connections echo 40 kB/s each, kept");
    let mut row = Row::new(name, "%", Better::Higher, aims.into());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    for peer in &bench.peers {
        let Some(gateway) = peer.gateway() else {
            continue;
        };
        eprintln!("{} by {} …", row.name(), peer.kind().label());
        let (address, user) = (gateway.ready().ssh, &gateway.ready().workspace);
        match runtime.block_on(trickle(address, user, gateway.identity(), count, seconds)) {
            Ok(kept) => row.add(peer.kind(), [kept]),
            Err(error) => bench.report.remark(format!("{}: {error:#}", row.name())),
        }
    }
    bench.report.add(row);
}

struct Client;

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true) // it is on this machine, started by us
    }
}

/// A connection with `cat` on it.
struct Echo {
    _client: client::Handle<Client>,
    channel: russh::Channel<client::Msg>,
}

/// Returns the share of the rate that was kept, in percent.
async fn trickle(
    address: SocketAddr,
    user: &str,
    identity: &Path,
    count: u32,
    seconds: u32,
) -> Result<f64> {
    let key = Arc::new(load_secret_key(identity, None).context("the key can't be read")?);
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut connecting = JoinSet::new();
    for _ in 0..count {
        let (key, at_once) = (Arc::clone(&key), Arc::clone(&at_once));
        let user = user.to_owned();
        connecting.spawn(async move {
            let _permit = at_once.acquire().await?;
            connect(address, user, key).await
        });
    }
    let mut connections = Vec::new();
    while let Some(connected) = connecting.join_next().await {
        connections.push(connected?.context("a connection failed")?);
    }
    let mut echoing = JoinSet::new();
    for connection in connections {
        echoing.spawn(echo(connection, seconds));
    }
    let mut echoed = 0.0;
    while let Some(bytes) = echoing.join_next().await {
        echoed += f64::from(bytes?.context("a connection was dropped")?);
    }
    Ok(100.0 * echoed / (f64::from(RATE) * f64::from(seconds) * f64::from(count)))
}

async fn connect(
    address: SocketAddr,
    user: String,
    key: Arc<russh::keys::PrivateKey>,
) -> Result<Echo> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut client = client::connect_stream(Arc::default(), stream, Client).await?;
    let key = PrivateKeyWithHashAlg::new(key, None);
    if !client.authenticate_publickey(user, key).await?.success() {
        bail!("the key isn't let in");
    }
    let channel = client.channel_open_session().await?;
    channel.exec(false, "exec cat").await?;
    Ok(Echo {
        _client: client,
        channel,
    })
}

/// Sends at the rate and returns how many bytes came back in time.
async fn echo(connection: Echo, seconds: u32) -> Result<u32> {
    let (mut reader, writer) = connection.channel.split();
    let piece = Bytes::from(vec![b'x'; usize::try_from(RATE / PIECES_PER_SECOND)?]);
    let end = Instant::now() + Duration::from_secs(u64::from(seconds)) + GRACE;
    let sending = async {
        let mut ticks = interval(Duration::from_secs(1) / PIECES_PER_SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for _ in 0..seconds * PIECES_PER_SECOND {
            ticks.tick().await;
            writer.data_bytes(piece.clone()).await?;
        }
        anyhow::Ok(())
    };
    let receiving = async {
        let mut received = 0;
        while received < RATE * seconds {
            match timeout_at(end, reader.wait()).await {
                Ok(Some(ChannelMsg::Data { data })) => received += u32::try_from(data.len())?,
                Ok(Some(ChannelMsg::Close) | None) => bail!("the server closed"),
                Ok(Some(_)) => {}
                Err(_) => break, // late is as good as lost
            }
        }
        Ok(received)
    };
    let (sent, received) = tokio::join!(sending, receiving);
    sent?;
    received
}
