//! What is beyond version 3: the answer that names the extensions, and each of them.

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::client::{
    BAD_MESSAGE, CREATE, Client, FAILURE, NO_SUCH_FILE, OK, OP_UNSUPPORTED, Packet, READ, REPLY,
    WRITE,
};

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
