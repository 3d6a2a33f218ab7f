//! A client's side of the protocol: packets put together, and answers taken apart.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream as Socket;
use std::path::Path;
use std::thread::JoinHandle;

use devgate_agent::sftp;
use devgate_protocol::Stream;
use devgate_protocol::frame::{self, FrameReader, HEADER, Kind};
use tokio::net::UnixStream;

pub(crate) const STATUS: u8 = 101;
pub(crate) const HANDLE: u8 = 102;
pub(crate) const DATA: u8 = 103;
pub(crate) const NAME: u8 = 104;
pub(crate) const ATTRS: u8 = 105;
pub(crate) const REPLY: u8 = 201;

pub(crate) const OK: u32 = 0;
pub(crate) const EOF: u32 = 1;
pub(crate) const NO_SUCH_FILE: u32 = 2;
pub(crate) const FAILURE: u32 = 4;
pub(crate) const BAD_MESSAGE: u32 = 5;
pub(crate) const OP_UNSUPPORTED: u32 = 8;

pub(crate) const READ: u32 = 1;
pub(crate) const WRITE: u32 = 2;
pub(crate) const APPEND: u32 = 4;
pub(crate) const CREATE: u32 = 8;
pub(crate) const TRUNCATE: u32 = 16;
pub(crate) const EXCLUSIVE: u32 = 32;

/// Puts a request together.
#[derive(Clone, Default)]
pub(crate) struct Packet(pub(crate) Vec<u8>);

impl Packet {
    pub(crate) fn new(kind: u8, id: u32) -> Self {
        Self(vec![kind]).u32(id)
    }
    pub(crate) fn extended(id: u32, name: &str) -> Self {
        Self::new(200, id).string(name)
    }
    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    /// Adds the packet with its length to `bytes`.
    pub(crate) fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(u32::try_from(self.0.len()).unwrap().to_be_bytes());
        bytes.extend(self.0);
    }
    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    pub(crate) fn string(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut packet = self.u32(u32::try_from(bytes.len()).unwrap());
        packet.0.extend(bytes);
        packet
    }
}

/// Sends bytes in frames as long as those of OpenSSH's channel packets.
pub(crate) fn send(socket: &mut Socket, bytes: &[u8]) {
    for part in bytes.chunks(32 * 1024) {
        let header = frame::header(Kind::Data, part.len()).unwrap();
        socket.write_all(&[&header[..], part].concat()).unwrap();
    }
}

/// A client that sees every byte.
pub(crate) struct Client {
    pub(crate) socket: Socket,
    pub(crate) server: JoinHandle<std::io::Result<u32>>,
    received: Vec<u8>,
}

impl Client {
    /// Starts a server whose home is `home`, and initialises it.
    pub(crate) fn new(home: &Path) -> Self {
        Self::silent(home).initialised()
    }

    /// Does the same with one that may do with files what nobody in particular may.
    pub(crate) fn of_nobody(home: &Path) -> Self {
        let become_nobody = || {
            // Its own thread's, and that of those it starts.
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
        };
        Self::start(home, become_nobody).initialised()
    }

    fn initialised(mut self) -> Self {
        self.send(&Packet(vec![1]).u32(3));
        assert_eq!(self.receive()[..5], [2, 0, 0, 0, 3]);
        self
    }

    /// Starts a server and says nothing to it.
    pub(crate) fn silent(home: &Path) -> Self {
        Self::start(home, || ())
    }

    fn start(home: &Path, prepare: fn()) -> Self {
        let (socket, far) = Socket::pair().unwrap();
        let home = home.to_owned();
        let server = std::thread::spawn(move || {
            prepare();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                far.set_nonblocking(true)?;
                let (reader, writer) = Stream::from(UnixStream::from_std(far)?).split();
                let ended = sftp::serve(FrameReader::new(reader), writer, home).await?;
                Ok(ended.status)
            })
        });
        Self {
            socket,
            server,
            received: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, packet: &Packet) {
        let mut bytes = Vec::new();
        packet.clone().put(&mut bytes);
        self.send_raw(&bytes);
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        send(&mut self.socket, bytes);
    }

    /// The next answer, without its length; empty where there is no more.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        loop {
            if let Some(&length) = self.received.first_chunk() {
                let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
                if self.received.len() >= 4 + length {
                    let rest = self.received.split_off(4 + length);
                    return std::mem::replace(&mut self.received, rest).split_off(4);
                }
            }
            let mut header = [0; HEADER];
            if self.socket.read_exact(&mut header).is_err() {
                return Vec::new();
            }
            assert_eq!(header[0], Kind::Data as u8);
            let length = u32::from_be_bytes(header[1..].try_into().unwrap());
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.socket.read_exact(&mut payload).unwrap();
            self.received.extend(payload);
        }
    }

    /// Sends a request and returns its answer behind the id.
    pub(crate) fn ask(&mut self, packet: &Packet) -> (u8, Vec<u8>) {
        self.send(packet);
        let mut answer = self.receive();
        assert_eq!(
            answer[1..5],
            packet.0[1..5],
            "the answer has the request's id"
        );
        (answer[0], answer.split_off(5))
    }

    pub(crate) fn status(&mut self, packet: &Packet) -> u32 {
        let (kind, answer) = self.ask(packet);
        assert_eq!(kind, STATUS);
        u32::from_be_bytes(answer[..4].try_into().unwrap())
    }

    pub(crate) fn message(&mut self, packet: &Packet) -> String {
        let (kind, answer) = self.ask(packet);
        assert_eq!(kind, STATUS);
        String::from_utf8(answer[8..answer.len() - 4].to_vec()).unwrap()
    }

    pub(crate) fn open(&mut self, path: impl AsRef<[u8]>, flags: u32) -> Vec<u8> {
        let (kind, answer) = self.ask(&Packet::new(3, 1).string(path).u32(flags).u32(0));
        assert_eq!(kind, HANDLE);
        answer[4..].to_vec()
    }

    pub(crate) fn read(&mut self, handle: &[u8], offset: u64, length: u32) -> Option<Vec<u8>> {
        let (kind, answer) = self.ask(&Packet::new(5, 2).string(handle).u64(offset).u32(length));
        (kind == DATA).then(|| answer[4..].to_vec())
    }

    pub(crate) fn write(&mut self, handle: &[u8], offset: u64, data: &[u8]) -> u32 {
        self.status(&Packet::new(6, 3).string(handle).u64(offset).string(data))
    }

    pub(crate) fn name(&mut self, packet: &Packet) -> Vec<u8> {
        let (kind, answer) = self.ask(packet);
        assert_eq!(kind, NAME, "{}", answer.escape_ascii());
        let length = u32::from_be_bytes(answer[4..8].try_into().unwrap());
        answer[8..8 + usize::try_from(length).unwrap()].to_vec()
    }

    /// Sends EOF and returns the exit status.
    pub(crate) fn end(mut self) -> u32 {
        self.socket
            .write_all(&frame::header(Kind::Eof, 0).unwrap())
            .unwrap();
        assert!(self.receive().is_empty());
        self.server.join().unwrap().unwrap()
    }
}
