//! The SFTP server over TLS, where its thread drives an asynchronous connection.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it by panicking, as its tests do"
)]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devgate_agent::sftp;
use devgate_certs::{Authority, client_config};
use devgate_protocol::frame::{Frame, FrameReader, Kind, write};
use devgate_protocol::transport::Transport;
use devgate_protocol::{ReadHalf, Stream, WriteHalf};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const DEADLINE: Duration = Duration::from_mins(1);

/// Largest data that a request carries here, in bytes.
const PIECE: usize = 32 * 1024;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("in time")
}

/// Returns both ends of a connection: the gateway's, which accepts, and the agent's.
async fn connection(folder: &Path) -> (Stream, Stream) {
    let authority = Authority::open(&folder.join("certs")).unwrap();
    authority.gateway_leaf(&["localhost".to_owned()]).unwrap();
    let identity = authority.issue_agent("sftp").unwrap();
    let config = client_config(
        authority.ca_pem(),
        &identity.chain_pem,
        identity.key_pem.expose(),
    )
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(authority.server_config().unwrap());
    let near = async {
        let (socket, _) = listener.accept().await.unwrap();
        acceptor.accept(Transport::from(socket)).await.unwrap()
    };
    let far = async {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(config);
        let socket = Transport::from(socket);
        connector.connect(name, socket).await.unwrap()
    };
    let (near, far) = soon(async { tokio::join!(near, far) }).await;
    (Stream::from(Box::new(near)), Stream::from(Box::new(far)))
}

/// A client, and the server that it talks to.
struct Client {
    reader: FrameReader<ReadHalf>,
    writer: WriteHalf,
    received: Vec<u8>,
    server: JoinSet<io::Result<u32>>,
    folder: TempDir,
}

impl Client {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (near, far) = connection(folder.path()).await;
        let home = folder.path().to_owned();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let (reader, writer) = far.split();
            let mut ended = sftp::serve(FrameReader::new(reader), writer, home).await?;
            ended.writer.shutdown().await?;
            Ok(ended.status)
        });
        let (reader, writer) = near.split();
        let mut client = Self {
            reader: FrameReader::new(reader),
            writer,
            received: Vec::new(),
            server,
            folder,
        };
        client.send(&packet(1, &[&3_u32.to_be_bytes()])).await;
        assert_eq!(client.receive().await[0], 2);
        client
    }

    /// Returns a path as the system shows it.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    async fn send(&mut self, bytes: &[u8]) {
        soon(write(&mut self.writer, Kind::Data, bytes))
            .await
            .unwrap();
        soon(self.writer.flush()).await.unwrap();
    }

    /// Returns the next answer without its length.
    async fn receive(&mut self) -> Vec<u8> {
        loop {
            if let Some(&length) = self.received.first_chunk() {
                let end = 4 + usize::try_from(u32::from_be_bytes(length)).unwrap();
                if self.received.len() >= end {
                    let rest = self.received.split_off(end);
                    return std::mem::replace(&mut self.received, rest).split_off(4);
                }
            }
            match soon(self.reader.next()).await.unwrap() {
                Some(Frame::Data(bytes)) => self.received.extend_from_slice(&bytes),
                other => panic!("{other:?} instead of an answer"),
            }
        }
    }

    /// Opens a file and returns its handle as a `string`.
    async fn open(&mut self, name: &str, flags: u32) -> Vec<u8> {
        let request = packet(
            3,
            &[
                &[0; 4],
                &string(name.as_bytes()),
                &flags.to_be_bytes(),
                &[0; 4],
            ],
        );
        self.send(&request).await;
        let answer = self.receive().await;
        assert_eq!(answer[0], 102, "{}", answer.escape_ascii());
        answer[5..].to_vec()
    }

    /// Ends its direction and returns the exit status.
    async fn end(mut self) -> u32 {
        soon(write(&mut self.writer, Kind::Eof, &[])).await.unwrap();
        soon(self.writer.flush()).await.unwrap();
        assert!(soon(self.reader.next()).await.unwrap().is_none());
        soon(self.server.join_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
    }
}

fn packet(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    string(&[&[kind], parts.concat().as_slice()].concat())
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

fn read_request(handle: &[u8], position: u64) -> Vec<u8> {
    let length = u32::try_from(PIECE).unwrap();
    packet(
        5,
        &[
            &[0; 4],
            handle,
            &position.to_be_bytes(),
            &length.to_be_bytes(),
        ],
    )
}

fn write_request(handle: &[u8], position: u64, data: &[u8]) -> Vec<u8> {
    packet(
        6,
        &[&[0; 4], handle, &position.to_be_bytes(), &string(data)],
    )
}

/// Bytes no two pieces of which are the same.
fn content(size: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(size)
        .collect()
}

/// Says whether a thread still holds a file of this process open.
fn is_open(path: &Path) -> bool {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == path))
}

async fn until_closed(path: &Path) {
    soon(async {
        while is_open(path) {
            sleep(Duration::from_millis(5)).await; // no event tells of it
        }
    })
    .await;
}

/// Asks for more than the connection holds without reading any of it, until the server
/// can't write. Returns what it reads from.
async fn stall(client: &mut Client) -> PathBuf {
    let path = client.path("zeros");
    File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let handle = client.open("zeros", 1).await;
    assert!(is_open(&path));
    let many: Vec<u8> = (0..32)
        .flat_map(|piece| read_request(&handle, piece * 32 * 1024))
        .collect();
    // A server that is stalled reads no requests: at some time a write waits.
    loop {
        let sent = write(&mut client.writer, Kind::Data, &many);
        match timeout(Duration::from_millis(500), sent).await {
            Ok(sent) => sent.unwrap(),
            Err(_) => return path,
        }
        if timeout(Duration::from_millis(500), client.writer.flush())
            .await
            .is_err()
        {
            return path;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_goes_up_and_comes_back_byte_for_byte() {
    let mut client = Client::start().await;
    let content = content(20_000_000);
    let handle = client.open("large", 0x1a).await; // write, create, truncate
    // Several under way, as every client has them, and frames that cut packets apart.
    for (batch, pieces) in content.chunks(16 * PIECE).enumerate() {
        let begin = batch * 16 * PIECE;
        let mut requests = Vec::new();
        for (number, piece) in pieces.chunks(PIECE).enumerate() {
            let position = u64::try_from(begin + number * PIECE).unwrap();
            requests.extend(write_request(&handle, position, piece));
        }
        for frame in requests.chunks(50_000) {
            client.send(frame).await;
        }
        for _ in pieces.chunks(PIECE) {
            let answer = client.receive().await;
            assert_eq!((answer[0], &answer[5..9]), (101, &[0; 4][..]));
        }
    }
    assert!(fs::read(client.path("large")).unwrap() == content);

    let handle = client.open("large", 1).await;
    let mut back = Vec::new();
    while back.len() < content.len() {
        let mut expected = 0;
        let mut requests = Vec::new();
        while expected < 16 && back.len() + expected * PIECE < content.len() {
            let position = u64::try_from(back.len() + expected * PIECE).unwrap();
            requests.extend(read_request(&handle, position));
            expected += 1;
        }
        client.send(&requests).await;
        for _ in 0..expected {
            let answer = client.receive().await;
            assert_eq!(answer[0], 103);
            back.extend_from_slice(&answer[9..]);
        }
    }
    assert!(back == content);
    assert_eq!(client.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_disappears_while_it_is_written_to_frees_the_thread() {
    let mut client = Client::start().await;
    let path = stall(&mut client).await;
    let Client {
        reader,
        writer,
        mut server,
        folder: _folder,
        ..
    } = client;
    drop((reader, writer));
    let ended = soon(server.join_next()).await.unwrap().unwrap();
    assert!(ended.is_err(), "{ended:?}");
    until_closed(&path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_dropped_while_it_writes_frees_the_thread() {
    let mut client = Client::start().await;
    let path = stall(&mut client).await;
    client.server.shutdown().await;
    until_closed(&path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_disappears_in_the_middle_of_an_upload_frees_the_thread() {
    let mut client = Client::start().await;
    let path = client.path("half");
    let handle = client.open("half", 0x1a).await;
    let request = write_request(&handle, 0, &content(PIECE));
    client.send(&request[..request.len() / 2]).await;
    assert!(is_open(&path));
    let Client {
        reader,
        writer,
        mut server,
        folder: _folder,
        ..
    } = client;
    drop((reader, writer));
    // Whether it ends with an error depends on how the connection went.
    let _ = soon(server.join_next()).await.unwrap().unwrap();
    until_closed(&path).await;
}
