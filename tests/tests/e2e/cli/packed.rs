//! What `make dist` packs.

use std::fs;
use std::process::Command;

use e2e::component::built;
use e2e::process::run;
use e2e::survivors::Folder;

use super::LIMIT;

#[test]
fn the_archive_has_static_programs_and_all_that_belongs_to_them() {
    let folder = Folder::new();
    let dist = folder.path().join("dist");
    let binaries = built("devgate");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/dist.sh");
    let mut pack = Command::new("/bin/sh");
    pack.arg(script).arg(binaries.parent().unwrap()).arg(&dist);
    // Debug builds are large.
    let _ = run(&mut pack, b"", LIMIT * 5).ok();
    let sums = fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
    let name = sums.split_whitespace().nth(1).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let arch = std::env::consts::ARCH;
    assert_eq!(name, format!("devgate-{version}-{arch}-linux.tar.gz"));
    let mut check = Command::new("sha256sum");
    check.args(["--check", "SHA256SUMS"]).current_dir(&dist);
    let _ = run(&mut check, b"", LIMIT).ok();

    let mut unpack = Command::new("tar");
    unpack
        .args(["--extract", "--gzip", "--file", name])
        .current_dir(&dist);
    let _ = run(&mut unpack, b"", LIMIT).ok();
    let at = dist.join(name.strip_suffix(".tar.gz").unwrap());
    let mut packed = Command::new(at.join("bin/devgate"));
    let said = run(packed.arg("--version").env_clear(), b"", LIMIT)
        .ok()
        .out();
    assert_eq!(said.trim_end(), format!("devgate {version}"));
    for file in [
        "bin/devgate-agent",
        "share/man/man1/devgate.1",
        "share/bash-completion/completions/devgate",
        "share/doc/devgate/LICENSE",
    ] {
        assert!(at.join(file).is_file(), "{file}");
    }

    // What needs a loader runs in no other image.
    let bad = folder.path().join("bad");
    fs::create_dir(&bad).unwrap();
    fs::copy("/bin/true", bad.join("devgate")).unwrap();
    let mut pack = Command::new("/bin/sh");
    let refused = run(pack.arg(script).arg(&bad).arg(&dist), b"", LIMIT);
    assert!(refused.err().contains("isn't static"), "{refused:?}");
}
