//! Large files: whatever their size, neither gateway nor agent holds more of them.

use std::env;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::api::Api;
use e2e::component::program;
use e2e::memory::anonymous_kib;
use e2e::over_both_reaches;
use e2e::process::Running;
use e2e::target::Target;
use e2e::wait::until;

/// How long one way may take.
const LIMIT: Duration = Duration::from_mins(4);

/// The file's size, in MiB: as much as a build without optimisation carries in seconds.
const SIZE: u64 = 768;

/// Names another size, to see that it makes no difference.
const SIZE_VARIABLE: &str = "DEVGATE_LARGE_MIB";

/// Returns the file's size, in bytes.
fn size() -> u64 {
    let wanted = env::var(SIZE_VARIABLE).ok();
    let wanted = wanted.map(|text| text.parse().expect("a number of MiB"));
    wanted.unwrap_or(SIZE) << 20
}

/// How much gateway or agent may grow, in KiB.
const GROWTH: u64 = 32 * 1024;

over_both_reaches! {

fn a_large_file_goes_both_ways_in_little_memory(target: &Target) {
    let (api, size) = (Api::of(target), size());
    let source = api.folder().join("source");
    // Holes take no place, and what is between them isn't the same everywhere.
    let mut file = File::create(&source).unwrap();
    for part in 0_u64..64 {
        file.seek(SeekFrom::Start(part * size / 64 + part)).unwrap();
        file.write_all(format!("part {part}").as_bytes()).unwrap();
    }
    file.set_len(size).unwrap();
    let mut summing = Command::new(program("sha256sum"));
    summing.stdin(Stdio::from(File::open(&source).unwrap()));
    let sum = String::from_utf8(summing.output().unwrap().stdout).unwrap();

    let (gateway, agent) = (target.gateway().ready().pid, target.gateway().agent());
    // What the first requests need isn't counted.
    let _ = api.send("PUT", "/files/content?path=small", &vec![7; 1_000_000]).json(201);
    assert_eq!(api.file("/files/content?path=small", &[]).body.len(), 1_000_000);
    let before = (anonymous_kib(gateway), anonymous_kib(agent));
    let mut most = before;
    let mut measure = |mut running: Running| {
        until(LIMIT, "the file's way", || {
            most = (most.0.max(anonymous_kib(gateway)), most.1.max(anonymous_kib(agent)));
            running.ended().is_some()
        });
        running.finish(LIMIT).ok().out()
    };
    let mut up = api.curl();
    up.args(["--fail", "--upload-file", source.to_str().unwrap()]);
    up.arg(api.inside("/files/content?path=large"));
    let entry = measure(Running::start(&mut up));
    assert!(entry.contains(&format!("\"size\":{size}")), "{entry}");
    std::fs::remove_file(source).unwrap();
    let mut down = Command::new(program("bash"));
    let curl = program("curl").display().to_string();
    down.arg("-c")
        .arg("set -o pipefail; \"$@\" | sha256sum")
        .arg("sh")
        .args([&curl, "--silent", "--fail", "--insecure", "--header", &api.bearer()])
        .arg(api.inside("/files/content?path=large"));
    assert_eq!(measure(Running::start(&mut down)), sum);
    let grown = (most.0 - before.0, most.1 - before.1);
    assert!(grown.0 < GROWTH && grown.1 < GROWTH, "gateway and agent grew by {grown:?} KiB");
    let gone = api.file("/files?path=large", &["--request", "DELETE"]);
    assert_eq!(gone.status, 204);
}

}
