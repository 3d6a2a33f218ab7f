//! Keys that change in the middle of a transfer.

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use e2e::gateway::file;
use e2e::process::run;
use e2e::target::Target;
use e2e::wait::{SOON, until};
use e2e::{everywhere, everywhere_with};

const SIZE: usize = 200_000_000;
const LIMIT: Duration = Duration::from_secs(150);

fn make(target: &Target) -> std::path::PathBuf {
    let path = target.path("original");
    let chunk: Vec<u8> = (0..250_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let mut content = Vec::with_capacity(SIZE);
    for number in 0..SIZE / chunk.len() {
        content.extend_from_slice(&chunk);
        // No two megabytes are the same, so that a lost one is noticed.
        content.truncate(content.len() - 8);
        content.extend_from_slice(&number.to_le_bytes());
    }
    fs::write(&path, content).unwrap();
    path
}

fn sum(path: &std::path::Path) -> String {
    let mut command = Command::new("sha256sum");
    run(
        command.stdin(File::open(path).unwrap()).arg(path),
        b"",
        SOON,
    )
    .ok()
    .out()
    .split(' ')
    .next()
    .unwrap()
    .to_owned()
}

everywhere! {
    fn two_hundred_megabytes_come_down_while_keys_change(target: &Target) {
        let data = make(target);
        let copy = target.path("copy");
        let done = target.ssh().option("RekeyLimit=1M").within(LIMIT)
            .run_between(&format!("cat {}; echo end >&2; exit 3", data.display()), File::open("/dev/null").unwrap(), file(&copy));
        assert_eq!((done.code(), done.err().as_str()), (3, "end\n"));
        assert_eq!(sum(&copy), sum(&data));
    }

    fn two_hundred_megabytes_go_up_while_keys_change(target: &Target) {
        let data = make(target);
        let out = target.path("out");
        let done = target.ssh().option("RekeyLimit=1M").within(LIMIT)
            .run_between("sha256sum; exit 4", File::open(&data).unwrap(), file(&out));
        assert_eq!((done.code(), done.err().as_str()), (4, ""));
        assert!(fs::read_to_string(&out).unwrap().starts_with(&sum(&data)));
    }

    fn both_directions_at_once_survive_changing_keys(target: &Target) {
        let data = make(target);
        let copy = target.path("copy");
        let done = target.ssh().option("RekeyLimit=1M").within(LIMIT)
            .run_between("cat", File::open(&data).unwrap(), file(&copy)).ok();
        assert_eq!(done.err(), "");
        assert_eq!(sum(&copy), sum(&data));
    }
}

/// The gateway itself asks for new keys, by what was sent.
const OWN_LIMIT: [(&str, &str); 1] = [("DEVGATE_SSH_REKEY_AFTER", "1MiB")];

/// By the clock.
const OWN_CLOCK: [(&str, &str); 1] = [("DEVGATE_SSH_REKEY_INTERVAL", "1s")];

everywhere_with! {
    OWN_LIMIT;

    fn transfers_both_ways_survive_the_servers_own_limit(target: &Target) {
        let large = e2e::clients::large(target);
        let copy = target.path("copy");
        let input = File::open(&large).unwrap();
        let done = target.ssh().option("LogLevel=DEBUG1").run_between("cat; exit 3", input, file(&copy));
        assert_eq!(done.code(), 3, "{done:?}");
        assert_eq!(sum(&copy), sum(&large));
        // The first is the handshake's; what is under way meanwhile isn't counted twice.
        let exchanges = done.err().matches("SSH2_MSG_NEWKEYS received").count();
        assert!(exchanges >= 4, "{exchanges}: {done:?}");
    }

}

everywhere_with! {
    OWN_CLOCK;

    fn a_connection_grows_old_without_harm(target: &Target) {
        let mut ssh = target.ssh().option("LogLevel=DEBUG1").start("cat");
        for round in 0..3 {
            let said = format!("round {round}\n");
            ssh.write(said.as_bytes());
            ssh.wait_for(&said, SOON);
            let exchanges = || ssh.errors().matches("SSH2_MSG_NEWKEYS received").count();
            until(SOON, "new keys", || exchanges() > round + 1);
        }
        ssh.end_input();
        let _ = ssh.finish(SOON).ok();
    }
}
