//! VS Code's persistent protocol (`ipc.net.ts`): numbered messages over a
//! WebSocket, replayed after a reconnection.

use std::io::{Read, Write};
use std::net::TcpStream;

use rand::RngExt;

/// Kinds of message.
const REGULAR: u8 = 1;
const CONTROL: u8 = 2;
const ACK: u8 = 3;
const KEEP_ALIVE: u8 = 9;

/// Opcodes (RFC 6455 §5.2).
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Lengths that announce a longer one of two or eight bytes.
const MEDIUM: u8 = 0x7e;
const LONG: u8 = 0x7f;

/// Kind, id, acknowledged id, length.
const HEADER: usize = 1 + 4 + 4 + 4;

/// Messages over one connection after another.
pub(super) struct Protocol {
    stream: TcpStream,
    received: Vec<u8>,
    sent: u32,
    seen: u32,
}

impl Protocol {
    /// Upgrades `stream` to a WebSocket.
    #[track_caller]
    pub(super) fn open(stream: TcpStream, path: &str) -> Self {
        let mut protocol = Self {
            stream,
            received: Vec::new(),
            sent: 0,
            seen: 0,
        };
        protocol.upgrade(path);
        protocol
    }

    /// Goes on over a new connection.
    #[track_caller]
    pub(super) fn reopen(&mut self, stream: TcpStream, path: &str) {
        self.stream = stream;
        self.received.clear();
        self.upgrade(path);
    }

    /// Sends a control message, which has no number.
    #[track_caller]
    pub(super) fn send_control(&mut self, message: &serde_json::Value) {
        self.send(CONTROL, 0, message.to_string().as_bytes());
    }

    /// Receives a control message.
    #[track_caller]
    pub(super) fn receive_control(&mut self) -> serde_json::Value {
        let message = self.receive_kind(CONTROL);
        serde_json::from_slice(&message).expect("control messages are JSON")
    }

    /// Sends a message.
    #[track_caller]
    pub(super) fn send_regular(&mut self, message: &[u8]) {
        self.sent += 1;
        self.send(REGULAR, self.sent, message);
    }

    /// Receives the next message that hasn't been received before.
    #[track_caller]
    pub(super) fn receive_regular(&mut self) -> Vec<u8> {
        self.receive_kind(REGULAR)
    }

    #[track_caller]
    fn receive_kind(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let header = self.take(HEADER);
            let number =
                |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes"));
            let length = usize::try_from(number(9)).expect("it fits");
            let message = self.take(length);
            match header[0] {
                REGULAR if number(1) <= self.seen => {} // replayed
                REGULAR => {
                    assert_eq!(number(1), self.seen + 1, "a message is missing");
                    self.seen = number(1);
                    self.send(ACK, 0, b"");
                    if wanted == REGULAR {
                        return message;
                    }
                }
                CONTROL if wanted == CONTROL => return message,
                KEEP_ALIVE => self.send(KEEP_ALIVE, 0, b""),
                _ => {}
            }
        }
    }

    #[track_caller]
    fn upgrade(&mut self, path: &str) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.stream
            .write_all(request.as_bytes())
            .expect("the server reads");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream
                .read_exact(&mut byte)
                .unwrap_or_else(|error| panic!("{error} after {answer:?}"));
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        // RFC 6455 §1.3 gives the accept value of its sample key.
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    }

    #[track_caller]
    fn send(&mut self, kind: u8, id: u32, message: &[u8]) {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(&self.seen.to_be_bytes());
        let length = u32::try_from(message.len()).expect("a short message");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(message);
        self.send_frame(BINARY, &bytes);
    }

    #[track_caller]
    fn send_frame(&mut self, opcode: u8, payload: &[u8]) {
        const MASKED: u8 = 0x80;
        const FINAL: u8 = 0x80;
        let mut frame = vec![FINAL | opcode];
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(short), _) if short < MEDIUM => frame.push(MASKED | short),
            (_, Ok(medium)) => {
                frame.push(MASKED | MEDIUM);
                frame.extend_from_slice(&medium.to_be_bytes());
            }
            _ => {
                frame.push(MASKED | LONG);
                let long = u64::try_from(payload.len()).expect("it fits");
                frame.extend_from_slice(&long.to_be_bytes());
            }
        }
        let mask: [u8; 4] = rand::rng().random();
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
        self.stream.write_all(&frame).expect("the server reads");
    }

    /// Takes bytes from the stream that the frames make up.
    #[track_caller]
    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            self.receive_frame();
        }
        let rest = self.received.split_off(count);
        std::mem::replace(&mut self.received, rest)
    }

    #[track_caller]
    fn receive_frame(&mut self) {
        let [first, second] = self.read();
        let length = match second & 0x7f {
            MEDIUM => u64::from(u16::from_be_bytes(self.read())),
            LONG => u64::from_be_bytes(self.read()),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).expect("it fits")];
        self.stream
            .read_exact(&mut payload)
            .expect("the server writes");
        match first & 0x0f {
            PING => self.send_frame(PONG, &payload),
            PONG => {}
            CLOSE => panic!("the server closed the WebSocket: {payload:?}"),
            _ => self.received.append(&mut payload),
        }
    }

    #[track_caller]
    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream
            .read_exact(&mut bytes)
            .expect("the server writes");
        bytes
    }
}
