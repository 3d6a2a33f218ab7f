//! Many requests and handles at once, and what could hold the session up.

use std::process::Command;

use crate::client::{CREATE, Client, DATA, FAILURE, OK, Packet, READ, STATUS, WRITE, send};

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
