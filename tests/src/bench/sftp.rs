//! Files by SFTP: a large one, and many small ones.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use crate::process::run;
use crate::survivors::Folder;

use super::peers::Peer;
use super::report::Better;
use super::shared::{Master, speed};
use super::{Aim, Bench, Row};

/// Size of a small file, in bytes.
const SMALL: usize = 1024;

const GCM: &[&str] = &["-o", "Ciphers=aes128-gcm@openssh.com"];

pub(super) fn measure(bench: &mut Bench) {
    large(bench);
    small(bench);
}

fn large(bench: &mut Bench) {
    let (size, rounds) = (bench.size(1024), bench.rounds(3));
    let folder = Folder::new();
    let source = folder.path().join("source");
    // Without blocks of its own: no disk has a say.
    File::create(&source)
        .and_then(|file| file.set_len(u64::from(size) << 20))
        .expect("the folder is writable");
    for way in ["get", "put"] {
        let name = format!("sftp {way} 1 file of {size} MiB");
        let row = Row::new(name, "MB/s", Better::Higher, Aim::against_sshd(1.3));
        bench.compare(row, rounds, |peer| {
            let target = peer.folder().join("target");
            let line = format!("{way} {} {}\n", source.display(), target.display());
            let elapsed = batch(peer, &line);
            let length = fs::metadata(&target).expect("it was made").len();
            assert_eq!(length, u64::from(size) << 20, "not all arrived");
            fs::remove_file(&target).expect("it was made");
            speed(size, elapsed)
        });
    }
}

fn small(bench: &mut Bench) {
    let (count, rounds) = (bench.size(10_000), bench.rounds(3));
    let folder = Folder::new();
    let source = folder.path().join("source");
    fs::create_dir(&source).expect("the folder is writable");
    for number in 0..count {
        fs::write(source.join(number.to_string()), [b'x'; SMALL]).expect("the folder is writable");
    }
    for way in ["get", "put"] {
        let name = format!("sftp {way} {count} files of 1 KiB");
        let row = Row::new(name, "files/s", Better::Higher, Aim::against_sshd(1.0));
        bench.compare(row, rounds, |peer| {
            let target = peer.folder().join("target");
            if way == "put" {
                fs::create_dir(&target).expect("the folder is writable");
            }
            let to = target.display();
            let line = format!("{way} -R {} {to}\n", source.display());
            let elapsed = batch(peer, &line);
            assert_eq!(files(&target), count, "not all arrived");
            fs::remove_dir_all(&target).expect("it was made");
            f64::from(count) / elapsed.as_secs_f64()
        });
    }
}

/// How long a command takes, on a connection that is there already.
fn batch(peer: &Peer, line: &str) -> std::time::Duration {
    let master = Master::start(peer, GCM);
    let mut command = master.client("sftp");
    command.args(["-q", "-b", "-"]).arg(crate::ssh::HOST);
    command.stderr(Stdio::piped());
    let start = Instant::now();
    let _ = run(
        &mut command,
        line.as_bytes(),
        std::time::Duration::from_mins(10),
    )
    .ok();
    start.elapsed()
}

/// Regular files below a folder.
fn files(folder: &Path) -> u32 {
    let entries = fs::read_dir(folder).expect("it was made");
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            Ok(kind) if kind.is_file() => 1,
            _ => 0,
        })
        .sum()
}
