//! Clients: russh's own and OpenSSH's.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, client};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::process::{Child, Command};

use crate::ends;

/// The channel data of a connection in the order in which it arrived.
pub(crate) type Arrivals = Arc<Mutex<Vec<(ChannelId, usize)>>>;

/// Accepts any server and keeps a record of what arrives.
#[derive(Default)]
pub(crate) struct Client {
    arrivals: Arrivals,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.arrivals.lock().unwrap().push((id, data.len()));
        Ok(())
    }
}

/// A connection, authenticated.
pub(crate) async fn connect<S>(stream: S) -> client::Handle<Client>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    connect_with(client::Config::default(), stream).await.0
}

/// A connection and the record of what arrives on it.
pub(crate) async fn connect_with<S>(
    config: client::Config,
    stream: S,
) -> (client::Handle<Client>, Arrivals)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handler = Client::default();
    let arrivals = Arc::clone(&handler.arrivals);
    let mut client = client::connect_stream(Arc::new(config), stream, handler)
        .await
        .unwrap();
    assert!(client.authenticate_none("u").await.unwrap().success());
    (client, arrivals)
}

/// A channel on which the server carries out `command`.
pub(crate) async fn run(client: &client::Handle<Client>, command: &str) -> Channel<client::Msg> {
    let channel = client.channel_open_session().await.unwrap();
    channel.exec(false, command).await.unwrap();
    channel
}

/// OpenSSH's client.
pub(crate) fn ssh(address: SocketAddr) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-l", "u", "-p", &address.port().to_string()])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "LogLevel=ERROR"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    ssh
}

/// An `ssh` whose connection other ones share.
pub(crate) struct Master {
    address: SocketAddr,
    _process: Child,
    folder: tempfile::TempDir,
}

impl Master {
    pub(crate) async fn new(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The local command runs once the control socket is there.
        let mut process = ssh(address)
            .args([
                "-o",
                "PermitLocalCommand=yes",
                "-o",
                "LocalCommand=echo ready",
            ])
            .args(["-M", "-N", "-S"])
            .arg(folder.path().join("s"))
            .arg("127.0.0.1")
            .spawn()
            .expect("no ssh: apt-get install openssh-client");
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(
            ends(stdout.next_line()).await.unwrap().as_deref(),
            Some("ready")
        );
        Self {
            address,
            _process: process,
            folder,
        }
    }

    /// A command on a channel of the shared connection.
    pub(crate) fn ssh(&self, command: &str) -> Command {
        let mut ssh = ssh(self.address);
        ssh.arg("-S")
            .arg(self.folder.path().join("s"))
            .args(["127.0.0.1", command]);
        ssh
    }

    /// Fails if a small command on another channel does not get through.
    pub(crate) async fn answers(&self) {
        for _ in 0..3 {
            let output = ends(self.ssh("echo hi").output()).await.unwrap();
            assert_eq!(output.stdout, b"hi\n");
        }
    }
}
