//! The SFTP server, spoken to packet by packet.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it by panicking, as its tests do"
)]

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as Socket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use devgate_agent::sftp;
use devgate_protocol::Stream;
use devgate_protocol::frame::{self, FrameReader, HEADER, Kind};
use tokio::net::UnixStream;

const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const REPLY: u8 = 201;

const OK: u32 = 0;
const EOF: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const FAILURE: u32 = 4;
const BAD_MESSAGE: u32 = 5;
const OP_UNSUPPORTED: u32 = 8;

/// Puts a request together.
#[derive(Clone, Default)]
struct Packet(Vec<u8>);

impl Packet {
    fn new(kind: u8, id: u32) -> Self {
        Self(vec![kind]).u32(id)
    }
    fn extended(id: u32, name: &str) -> Self {
        Self::new(200, id).string(name)
    }
    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    /// Adds the packet with its length to `bytes`.
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(u32::try_from(self.0.len()).unwrap().to_be_bytes());
        bytes.extend(self.0);
    }
    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn string(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut packet = self.u32(u32::try_from(bytes.len()).unwrap());
        packet.0.extend(bytes);
        packet
    }
}

/// Sends bytes in frames as long as those of OpenSSH's channel packets.
fn send(socket: &mut Socket, bytes: &[u8]) {
    for part in bytes.chunks(32 * 1024) {
        let header = frame::header(Kind::Data, part.len()).unwrap();
        socket.write_all(&[&header[..], part].concat()).unwrap();
    }
}

/// A client that sees every byte.
struct Client {
    socket: Socket,
    server: JoinHandle<std::io::Result<u32>>,
    received: Vec<u8>,
}

impl Client {
    /// Starts a server whose home is `home`, and initialises it.
    fn new(home: &Path) -> Self {
        let mut client = Self::silent(home);
        client.send(&Packet(vec![1]).u32(3));
        assert_eq!(client.receive()[..5], [2, 0, 0, 0, 3]);
        client
    }

    /// Starts a server and says nothing to it.
    fn silent(home: &Path) -> Self {
        let (socket, far) = Socket::pair().unwrap();
        let home = home.to_owned();
        let server = std::thread::spawn(move || {
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

    fn send(&mut self, packet: &Packet) {
        let mut bytes = Vec::new();
        packet.clone().put(&mut bytes);
        self.send_raw(&bytes);
    }

    fn send_raw(&mut self, bytes: &[u8]) {
        send(&mut self.socket, bytes);
    }

    /// The next answer, without its length; empty where there is no more.
    fn receive(&mut self) -> Vec<u8> {
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
    fn ask(&mut self, packet: &Packet) -> (u8, Vec<u8>) {
        self.send(packet);
        let mut answer = self.receive();
        assert_eq!(
            answer[1..5],
            packet.0[1..5],
            "the answer has the request's id"
        );
        (answer[0], answer.split_off(5))
    }

    fn status(&mut self, packet: &Packet) -> u32 {
        let (kind, answer) = self.ask(packet);
        assert_eq!(kind, STATUS);
        u32::from_be_bytes(answer[..4].try_into().unwrap())
    }

    fn message(&mut self, packet: &Packet) -> String {
        let (kind, answer) = self.ask(packet);
        assert_eq!(kind, STATUS);
        String::from_utf8(answer[8..answer.len() - 4].to_vec()).unwrap()
    }

    fn open(&mut self, path: impl AsRef<[u8]>, flags: u32) -> Vec<u8> {
        let (kind, answer) = self.ask(&Packet::new(3, 1).string(path).u32(flags).u32(0));
        assert_eq!(kind, HANDLE);
        answer[4..].to_vec()
    }

    fn read(&mut self, handle: &[u8], offset: u64, length: u32) -> Option<Vec<u8>> {
        let (kind, answer) = self.ask(&Packet::new(5, 2).string(handle).u64(offset).u32(length));
        (kind == DATA).then(|| answer[4..].to_vec())
    }

    fn write(&mut self, handle: &[u8], offset: u64, data: &[u8]) -> u32 {
        self.status(&Packet::new(6, 3).string(handle).u64(offset).string(data))
    }

    fn name(&mut self, packet: &Packet) -> Vec<u8> {
        let (kind, answer) = self.ask(packet);
        assert_eq!(kind, NAME, "{}", answer.escape_ascii());
        let length = u32::from_be_bytes(answer[4..8].try_into().unwrap());
        answer[8..8 + usize::try_from(length).unwrap()].to_vec()
    }

    /// Sends EOF and returns the exit status.
    fn end(mut self) -> u32 {
        self.socket
            .write_all(&frame::header(Kind::Eof, 0).unwrap())
            .unwrap();
        assert!(self.receive().is_empty());
        self.server.join().unwrap().unwrap()
    }
}

const READ: u32 = 1;
const WRITE: u32 = 2;
const APPEND: u32 = 4;
const CREATE: u32 = 8;
const TRUNCATE: u32 = 16;
const EXCLUSIVE: u32 = 32;

#[test]
fn the_version_answer_is_openssh_s_to_the_byte() {
    let mut server = Command::new("/usr/lib/openssh/sftp-server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("OpenSSH's server: apt-get install openssh-sftp-server");
    let mut stdin = server.stdin.take().unwrap();
    let mut stdout = server.stdout.take().unwrap();
    stdin.write_all(b"\0\0\0\x05\x01\0\0\0\x03").unwrap();
    let mut length = [0; 4];
    stdout.read_exact(&mut length).unwrap();
    let mut theirs = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stdout.read_exact(&mut theirs).unwrap();
    drop(stdin);
    server.wait().unwrap();

    let home = tempfile::tempdir().unwrap();
    let mut client = Client::silent(home.path());
    client.send(&Packet(vec![1]).u32(3));
    assert_eq!(client.receive(), theirs);
    assert_eq!(client.end(), 0);
}

#[test]
fn every_open_flag_does_what_it_says() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("f");
    let mut client = Client::new(home.path());
    let open = |flags| Packet::new(3, 1).string("f").u32(flags).u32(4).u32(0o640);
    assert_eq!(client.status(&open(READ)), NO_SUCH_FILE);
    assert_eq!(client.ask(&open(WRITE | CREATE | EXCLUSIVE)).0, HANDLE);
    assert_eq!(client.status(&open(WRITE | CREATE | EXCLUSIVE)), FAILURE);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o640);

    let handle = client.open("f", WRITE);
    assert_eq!(client.write(&handle, 0, b"hello world"), OK);
    assert_eq!(client.write(&handle, 6, b"there"), OK);
    assert_eq!(client.read(&handle, 0, 5), None);
    let handle = client.open("f", READ | WRITE | APPEND);
    assert_eq!(client.write(&handle, 0, b"!"), OK);
    assert_eq!(client.read(&handle, 0, 100).unwrap(), b"hello there!");
    assert_eq!(client.read(&handle, 11, 100).unwrap(), b"!");
    assert_eq!(client.read(&handle, 12, 100), None);
    client.open("f", WRITE | TRUNCATE);
    assert_eq!(std::fs::read(&file).unwrap(), b"");
    assert_eq!(client.end(), 0);
}

#[test]
fn hundreds_of_requests_in_flight_are_answered_in_order_and_byte_exact() {
    let home = tempfile::tempdir().unwrap();
    let data: Vec<u8> = (0..3_000_000_u32)
        .map(|i| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap())
        .collect();
    let mut client = Client::new(home.path());
    let handle = client.open("big", READ | WRITE | CREATE);
    for size in [4096, 65_536, 261_120] {
        let length = u32::try_from(size).unwrap();
        let mut requests = Vec::new();
        for (id, part) in (0_u32..).zip(data.chunks(size)) {
            let at = u64::from(id) * u64::from(length);
            Packet::new(6, id)
                .string(&handle)
                .u64(at)
                .string(part)
                .put(&mut requests);
            Packet::new(5, id)
                .string(&handle)
                .u64(at)
                .u32(length)
                .put(&mut requests);
        }
        let mut sender = client.socket.try_clone().unwrap();
        let sending = std::thread::spawn(move || send(&mut sender, &requests));
        for (id, part) in (0_u32..).zip(data.chunks(size)) {
            let written = client.receive();
            assert_eq!(
                (written[0], &written[1..5]),
                (STATUS, &id.to_be_bytes()[..])
            );
            let read = client.receive();
            assert_eq!((read[0], &read[1..5]), (DATA, &id.to_be_bytes()[..]));
            assert!(read[9..] == *part, "packet {id} of {size} bytes");
        }
        sending.join().unwrap();
    }
    assert!(std::fs::read(home.path().join("big")).unwrap() == data);
    assert_eq!(client.end(), 0);
}

#[test]
fn attributes_are_set_one_by_one_and_read_back() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("f");
    std::fs::write(&file, "0123456789").unwrap();
    std::os::unix::fs::symlink("f", home.path().join("link")).unwrap();
    let mut client = Client::new(home.path());
    let handle = client.open("f", READ | WRITE);
    for by_handle in [false, true] {
        let set = || {
            if by_handle {
                Packet::new(10, 1).string(&handle)
            } else {
                Packet::new(9, 1).string("link")
            }
        };
        let shift = u32::from(by_handle);
        assert_eq!(client.status(&set().u32(1).u64(5 - u64::from(shift))), OK);
        assert_eq!(client.status(&set().u32(4).u32(0o100_600 + shift)), OK);
        assert_eq!(client.status(&set().u32(8).u32(1000 + shift).u32(2000)), OK);
        let own = std::fs::metadata(home.path()).unwrap();
        assert_eq!(
            client.status(&set().u32(2).u32(own.uid()).u32(u32::MAX)),
            OK
        );
        let now = std::fs::metadata(&file).unwrap();
        assert_eq!(now.len(), 5 - u64::from(shift));
        assert_eq!(now.mode() & 0o7777, 0o600 + shift);
        assert_eq!((now.atime(), now.mtime()), (1000 + i64::from(shift), 2000));
    }
    let link = || Packet::extended(1, "lsetstat@openssh.com").string("link");
    assert_eq!(client.status(&link().u32(8).u32(7).u32(8)), OK);
    assert_eq!(client.status(&link().u32(4).u32(0o600)), OP_UNSUPPORTED);
    assert_eq!(client.status(&link().u32(1).u64(0)), BAD_MESSAGE);
    let meta = std::fs::symlink_metadata(home.path().join("link")).unwrap();
    assert_eq!((meta.atime(), meta.mtime()), (7, 8));
    let file_link = Packet::extended(1, "lsetstat@openssh.com").string("f");
    assert_eq!(client.status(&file_link.u32(4).u32(0o640)), OK);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);

    for request in [
        Packet::new(17, 1).string("link"),
        Packet::new(7, 1).string("f"),
        Packet::new(8, 1).string(&handle),
    ] {
        let (kind, attributes) = client.ask(&request);
        assert_eq!((kind, attributes.len()), (ATTRS, 32));
        assert_eq!(attributes[..12], [0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 4]);
        assert_eq!(attributes[20..24], 0o100_640_u32.to_be_bytes());
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn names_of_any_bytes_are_listed_resolved_and_opened() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap();
    let names: [&[u8]; 4] = [
        b"plain",
        b"two words\nand a line",
        b"\xff\xfe",
        "ünï".as_bytes(),
    ];
    let mut client = Client::new(home.path());
    for name in names {
        client.open(name, WRITE | CREATE);
        let path = client.name(&Packet::new(16, 1).string(name));
        assert_eq!(path, [root.as_os_str().as_bytes(), b"/", name].concat());
    }
    for i in 0..250 {
        std::fs::write(root.join(format!("more-{i}")), "").unwrap();
    }
    let (kind, answer) = client.ask(&Packet::new(11, 1).string("."));
    assert_eq!(kind, HANDLE);
    let folder = answer[4..].to_vec();
    let (mut seen, mut counts) = (Vec::new(), Vec::new());
    loop {
        let (kind, answer) = client.ask(&Packet::new(12, 2).string(&folder));
        if kind == STATUS {
            assert_eq!(answer[..4], EOF.to_be_bytes());
            break;
        }
        let mut rest = &answer[4..];
        counts.push(u32::from_be_bytes(answer[..4].try_into().unwrap()));
        while !rest.is_empty() {
            let mut string = || {
                let length = u32::from_be_bytes(rest[..4].try_into().unwrap());
                let (string, after) = rest[4..].split_at(usize::try_from(length).unwrap());
                rest = after;
                string.to_vec()
            };
            let (name, line) = (string(), string());
            assert!(line.ends_with(&name));
            rest = &rest[32..];
            seen.push(name);
        }
    }
    assert_eq!(counts, [100, 100, 56]);
    for name in names.iter().chain([&&b"."[..], &&b".."[..]]) {
        assert!(
            seen.iter().any(|seen| seen == name),
            "{}",
            name.escape_ascii()
        );
    }
    assert_eq!(
        client.status(&Packet::new(5, 1).string(&folder).u64(0).u32(1)),
        FAILURE
    );
    assert_eq!(client.status(&Packet::new(4, 1).string(&folder)), OK);
    assert_eq!(client.status(&Packet::new(4, 1).string(&folder)), FAILURE);
    assert_eq!(
        client.status(&Packet::new(17, 1).string(b"a\0b")),
        BAD_MESSAGE
    );
    assert_eq!(client.end(), 0);
}

#[test]
fn links_and_renames_have_openssh_s_meaning() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    std::fs::write(at("a"), "a").unwrap();
    std::fs::write(at("b"), "b").unwrap();
    let mut client = Client::new(home.path());
    assert_eq!(
        client.status(&Packet::new(20, 1).string("target").string("l")),
        OK
    );
    assert_eq!(std::fs::read_link(at("l")).unwrap(), Path::new("target"));
    assert_eq!(client.name(&Packet::new(19, 1).string("l")), b"target");
    let hard = Packet::extended(1, "hardlink@openssh.com");
    assert_eq!(client.status(&hard.string("a").string("a2")), OK);
    assert_eq!(std::fs::metadata(at("a")).unwrap().nlink(), 2);

    let rename = |old: &str, new: &str| Packet::new(18, 1).string(old).string(new);
    assert_eq!(client.message(&rename("a", "b")), "File exists");
    assert_eq!(client.status(&rename("a", "c")), OK);
    assert_eq!(client.status(&rename("a", "c")), NO_SUCH_FILE);
    let posix = Packet::extended(1, "posix-rename@openssh.com");
    assert_eq!(client.status(&posix.string("c").string("b")), OK);
    assert_eq!(std::fs::read(at("b")).unwrap(), b"a");

    assert_eq!(
        client.status(&Packet::new(14, 1).string("d").u32(4).u32(0o710)),
        OK
    );
    assert_eq!(std::fs::metadata(at("d")).unwrap().mode() & 0o7777, 0o710);
    std::fs::write(at("d/x"), "").unwrap();
    assert_eq!(
        client.message(&Packet::new(15, 1).string("d")),
        "Directory not empty"
    );
    assert_eq!(client.status(&Packet::new(13, 1).string("d/x")), OK);
    assert_eq!(client.status(&Packet::new(15, 1).string("d")), OK);
    assert_eq!(client.end(), 0);
}

#[test]
fn copy_data_copies_ranges_and_refuses_overlaps() {
    let home = tempfile::tempdir().unwrap();
    let data: Vec<u8> = (0..1_000_000_u32)
        .map(|i| u8::try_from(i % 241).unwrap())
        .collect();
    std::fs::write(home.path().join("from"), &data).unwrap();
    let mut client = Client::new(home.path());
    let from = client.open("from", READ | WRITE);
    let to = client.open("to", READ | WRITE | CREATE);
    let copy = |from: &[u8], offset: u64, length: u64, to: &[u8], at: u64| {
        let packet = Packet::extended(1, "copy-data").string(from).u64(offset);
        packet.u64(length).string(to).u64(at)
    };
    assert_eq!(client.status(&copy(&from, 10, 0, &to, 5)), OK);
    let copied = std::fs::read(home.path().join("to")).unwrap();
    assert!(copied[..5] == [0; 5] && copied[5..] == data[10..]);
    assert_eq!(client.status(&copy(&from, 0, 100, &to, 0)), OK);
    let copied = std::fs::read(home.path().join("to")).unwrap();
    assert!(copied[..100] == data[..100] && copied.len() == 999_995);
    let again = client.open("from", READ | WRITE);
    assert_eq!(client.status(&copy(&from, 0, 100, &again, 50)), FAILURE);
    assert_eq!(client.status(&copy(&from, 0, 0, &again, 50)), FAILURE);
    assert_eq!(client.status(&copy(&from, 0, 100, &again, 100)), OK);
    let copied = std::fs::read(home.path().join("from")).unwrap();
    assert!(copied[100..200] == data[..100]);
    // A file of which the kernel doesn't know the length.
    let proc = client.open("/proc/self/status", READ);
    let text = client.open("text", WRITE | CREATE);
    assert_eq!(client.status(&copy(&proc, 0, 0, &text, 0)), OK);
    assert!(
        std::fs::read_to_string(home.path().join("text"))
            .unwrap()
            .contains("Pid:")
    );
    assert_eq!(client.end(), 0);
}

#[test]
fn the_other_extensions_answer() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap();
    let root = root.as_os_str().as_bytes();
    let mut client = Client::new(home.path());
    let (kind, limits) = client.ask(&Packet::extended(1, "limits@openssh.com"));
    let expected = Packet::default()
        .u64(262_144)
        .u64(261_120)
        .u64(261_120)
        .u64(1000);
    assert_eq!((kind, limits), (REPLY, expected.0));

    let mut expand =
        |path: &str| client.name(&Packet::extended(1, "expand-path@openssh.com").string(path));
    assert_eq!(expand("~"), root);
    assert_eq!(expand("~/x"), [root, b"/x"].concat());
    assert_eq!(expand("x"), [root, b"/x"].concat());
    assert_eq!(expand("/usr/../etc"), b"/etc");
    assert!(expand("~root/x").ends_with(b"/x"));
    assert_eq!(
        client.name(&Packet::extended(1, "home-directory").string("")),
        root
    );
    assert_eq!(client.name(&Packet::new(16, 1).string("")), root);
    let nobody = Packet::extended(1, "home-directory").string("no such user");
    assert_eq!(client.status(&nobody), NO_SUCH_FILE);

    let ids = Packet::extended(1, "users-groups-by-id@openssh.com")
        .string(b"\0\0\0\0\x7f\0\0\x01")
        .string(b"\0\0\0\0");
    let (kind, names) = client.ask(&ids);
    let expected = Packet::default()
        .string(Packet::default().string("root").string("").0)
        .string(Packet::default().string("root").0);
    assert_eq!((kind, names), (REPLY, expected.0));
    let many = Packet::extended(1, "users-groups-by-id@openssh.com");
    let many = many.string(vec![0; 200_000]).string("");
    assert_eq!(client.status(&many), BAD_MESSAGE);

    let handle = client.open("f", WRITE | CREATE);
    for request in [
        Packet::extended(1, "statvfs@openssh.com").string("f"),
        Packet::extended(1, "fstatvfs@openssh.com").string(&handle),
    ] {
        let (kind, answer) = client.ask(&request);
        assert_eq!((kind, answer.len()), (REPLY, 88));
        let name_max = u64::from_be_bytes(answer[80..].try_into().unwrap());
        assert_eq!(name_max, 255);
    }
    let sync = Packet::extended(1, "fsync@openssh.com").string(&handle);
    assert_eq!(client.status(&sync), OK);
    assert_eq!(
        client.status(&Packet::extended(1, "no@such")),
        OP_UNSUPPORTED
    );
    assert_eq!(client.status(&Packet::new(99, 1)), OP_UNSUPPORTED);
    assert_eq!(client.end(), 0);
}

#[test]
fn handles_run_out_with_a_clear_message_and_come_back() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("f"), "").unwrap();
    let mut client = Client::new(home.path());
    let request = Packet::new(3, 1).string("f").u32(READ).u32(0);
    let mut opened = Vec::new();
    let message = loop {
        let (kind, answer) = client.ask(&request);
        if kind == STATUS {
            break String::from_utf8_lossy(&answer).into_owned();
        }
        opened.push(answer[4..].to_vec());
    };
    // The process's own limit may come first.
    assert!(
        opened.len() == 1000 && message.contains("close some first")
            || message.contains("Too many open files"),
        "{} {message}",
        opened.len()
    );
    assert_eq!(client.status(&Packet::new(4, 1).string(&opened[5])), OK);
    assert_eq!(client.open("f", READ), opened[5]);
    for unknown in [&b""[..], b"\xff\xff\xff\xff", b"\0\0\0\0\0"] {
        assert_eq!(client.status(&Packet::new(8, 1).string(unknown)), FAILURE);
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn a_fifo_without_a_peer_and_a_device_dont_hold_the_session() {
    let home = tempfile::tempdir().unwrap();
    let mkfifo = Command::new("mkfifo")
        .arg(home.path().join("fifo"))
        .status();
    assert!(mkfifo.unwrap().success());
    let mut client = Client::new(home.path());
    let handle = client.open("fifo", READ);
    assert_eq!(client.read(&handle, 0, 10), None);
    assert_eq!(client.status(&Packet::new(4, 1).string(&handle)), OK);
    assert_eq!(
        client.status(&Packet::new(3, 1).string("fifo").u32(WRITE).u32(0)),
        FAILURE
    );
    let zero = client.open("/dev/zero", READ);
    assert_eq!(
        client.read(&zero, 1 << 40, u32::MAX).unwrap().len(),
        261_120
    );
    assert_eq!(client.read(&zero, u64::MAX, 1), None);
    assert_eq!(client.end(), 0);
}

#[test]
fn what_cant_be_understood_ends_the_session_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    for bytes in [
        &b"\0\0\0\0"[..],
        b"\xff\xff\xff\xff",
        b"\0\x04\0\x01\x01",
        b"\0\0\0\x01\x03",
        b"\0\0\0\x05\x03\0\0\0\x01",
        b"\0\0\0\x09\x03\0\0\0\x01\0\0\0\xff",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        for initialise in [false, true] {
            let mut client = if initialise {
                Client::new(home.path())
            } else {
                Client::silent(home.path())
            };
            client.send_raw(bytes);
            let answer = client.receive();
            assert!(answer.is_empty() || answer[0] == STATUS);
            if !answer.is_empty() {
                assert!(client.receive().is_empty());
            }
            assert_eq!(client.server.join().unwrap().unwrap(), 255);
        }
    }
}

#[test]
fn random_requests_are_answered_or_end_the_session_without_a_panic() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("a"), "abc").unwrap();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..300 {
        let mut client = Client::new(home.path());
        let handle = client.open("a", READ);
        for _ in 0..random(20) {
            // Reads, stats and nonsense only: it runs on a real filesystem.
            let kinds = [4, 5, 7, 8, 11, 12, 16, 17, 19, 200, 2, 101, 255];
            let kind = kinds[usize::try_from(random(13)).unwrap()];
            let mut packet = Packet::new(kind, 1);
            if kind == 200 && random(2) == 0 {
                packet = packet.string("users-groups-by-id@openssh.com");
            }
            for _ in 0..random(4) {
                packet = match random(4) {
                    0 => packet.u32(u32::try_from(random(300)).unwrap()),
                    1 => packet.u64(random(u64::MAX)),
                    2 => packet.string(&handle),
                    _ => packet.string("a"),
                };
            }
            let cut = usize::try_from(random(8)).unwrap();
            packet
                .0
                .truncate((packet.0.len() - cut.min(packet.0.len() - 1)).max(1));
            let length = u32::try_from(packet.0.len()).unwrap();
            let header = frame::header(Kind::Data, packet.0.len() + 4).unwrap();
            let bytes = [&header[..], &length.to_be_bytes(), &packet.0].concat();
            // It may have ended already.
            let _ = client.socket.write_all(&bytes);
        }
        let _ = client
            .socket
            .write_all(&frame::header(Kind::Eof, 0).unwrap());
        let _ = client.socket.shutdown(std::net::Shutdown::Write);
        while !client.receive().is_empty() {}
        let status = client.server.join().expect("no panic");
        assert!(matches!(status, Ok(0 | 255) | Err(_)));
    }
}

#[test]
fn a_client_that_doesnt_read_stops_the_server_and_gets_everything_later() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("f"), vec![7; 200_000]).unwrap();
    let mut client = Client::new(home.path());
    let handle = client.open("f", READ);
    // Far more answers than all buffers hold; the requests fit into the socket.
    let mut requests = Vec::new();
    for id in 0..200 {
        let request = Packet::new(5, id).string(&handle).u64(0).u32(200_000);
        request.put(&mut requests);
    }
    client.send_raw(&requests);
    for id in 0..200_u32 {
        let answer = client.receive();
        assert_eq!(answer[1..5], id.to_be_bytes());
        assert_eq!(answer.len(), 9 + 200_000);
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn a_dropped_session_and_a_broken_connection_end_the_thread() {
    let home = tempfile::tempdir().unwrap();
    let client = Client::new(home.path());
    drop(client.socket);
    assert_eq!(client.server.join().unwrap().unwrap(), 0);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (mut near, far) = Socket::pair().unwrap();
    runtime.block_on(async {
        far.set_nonblocking(true).unwrap();
        let (reader, writer) = Stream::from(UnixStream::from_std(far).unwrap()).split();
        let serve = sftp::serve(FrameReader::new(reader), writer, home.path().into());
        tokio::select! {
            biased;
            _ = serve => panic!("nothing was said"),
            () = tokio::task::yield_now() => {}
        }
    });
    // The thread has gone, or this would wait for ever.
    assert_eq!(near.read(&mut [0]).unwrap(), 0);
    let mode = std::fs::metadata(home.path()).unwrap().permissions();
    assert_ne!(mode.mode(), 0);
}
