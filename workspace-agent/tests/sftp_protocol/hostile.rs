//! What can't be understood, and sessions that break off.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as Socket;

use devgate_agent::sftp;
use devgate_protocol::Stream;
use devgate_protocol::frame::{self, FrameReader, Kind};
use tokio::net::UnixStream;

use crate::client::{Client, Packet, READ, STATUS};

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
