//! Files, folders and links: opened, described, listed and renamed.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::client::{
    APPEND, ATTRS, BAD_MESSAGE, CREATE, Client, EOF, EXCLUSIVE, FAILURE, HANDLE, NAME,
    NO_SUCH_FILE, OK, OP_UNSUPPORTED, Packet, READ, STATUS, TRUNCATE, WRITE,
};

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
fn what_cannot_be_looked_at_is_listed_with_the_rest() {
    let home = tempfile::tempdir().unwrap();
    let allow = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let shut = home.path().join("shut");
    std::fs::create_dir(&shut).unwrap();
    for name in ["a", "b"] {
        std::fs::write(shut.join(name), name).unwrap();
    }
    // Its names may be read, what they stand for not.
    allow(&shut, 0o444);
    allow(home.path(), 0o755);
    let mut client = Client::of_nobody(home.path());
    let (kind, answer) = client.ask(&Packet::new(11, 1).string("shut"));
    assert_eq!(kind, HANDLE);
    let (kind, listed) = client.ask(&Packet::new(12, 2).string(&answer[4..]));
    assert_eq!(kind, NAME, "{}", listed.escape_ascii());
    assert_eq!(listed[..4], 4_u32.to_be_bytes());
    let unknown = Packet::default().string("b").0;
    let at = listed.windows(5).position(|part| part == unknown).unwrap();
    let line = &listed[at + 5..];
    let length = usize::try_from(u32::from_be_bytes(line[..4].try_into().unwrap())).unwrap();
    let (line, rest) = line[4..].split_at(length);
    assert!(line.starts_with(b"??????????") && line.ends_with(b" b"));
    assert_eq!(rest[..4], [0; 4], "no attributes");
    let (kind, answer) = client.ask(&Packet::new(12, 3).string(&answer[4..]));
    assert_eq!((kind, &answer[..4]), (STATUS, &EOF.to_be_bytes()[..]));
    assert_eq!(client.end(), 0);
    allow(&shut, 0o755);
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
