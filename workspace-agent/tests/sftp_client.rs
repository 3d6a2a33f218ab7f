//! The SFTP server under OpenSSH's own client.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

/// The example that puts the server on stdin and stdout.
fn bridge() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("it lies in deps");
    profile.join("examples/sftp-bridge")
}

#[test]
fn openssh_s_client_copies_trees_and_changes_files() {
    let root = tempfile::tempdir().unwrap();
    let (home, source) = (root.path().join("home"), root.path().join("source"));
    fs::create_dir(&home).unwrap();
    fs::create_dir_all(source.join("sub")).unwrap();
    let big: Vec<u8> = (0..5_000_000_u32)
        .map(|i| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap())
        .collect();
    fs::write(source.join("big"), &big).unwrap();
    fs::write(source.join("two words"), "b").unwrap();
    fs::write(source.join("ünï"), "c").unwrap();
    fs::write(source.join("line\nbreak"), "d").unwrap();
    fs::write(source.join(OsStr::from_bytes(b"n\xff\xfe")), "e").unwrap();
    for i in 0..300 {
        fs::write(source.join(format!("sub/{i}")), i.to_string()).unwrap();
    }
    fs::write(home.join("part"), &big[..1_000_000]).unwrap();
    let batch = root.path().join("batch");
    let commands = "put -r source up\nget -r up down\nreput source/big part\n\
        mkdir \"x y\"\nput -p \"source/two words\" \"x y/z z\"\nrename \"x y/z z\" zz\n\
        rmdir \"x y\"\nln zz hard\nln -s zz soft\nchmod 600 zz\ncopy up/big copy\n\
        df\nls -la up\nrm zz\n-get nope\n-rmdir up\n";
    fs::write(&batch, commands).unwrap();
    let output = Command::new("sftp")
        .args([OsStr::new("-b"), batch.as_os_str(), OsStr::new("-D")])
        .arg(bridge())
        .current_dir(root.path())
        .env("HOME", &home)
        .output()
        .expect("OpenSSH's client: apt-get install openssh-client");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("nope"), "{errors}");
    let listing = String::from_utf8_lossy(&output.stdout);
    assert!(listing.contains("two words"), "{listing}");
    for copy in [home.join("up"), root.path().join("down")] {
        let same = Command::new("diff")
            .arg("-r")
            .arg(&source)
            .arg(&copy)
            .status();
        assert!(same.unwrap().success(), "{}", copy.display());
    }
    assert!(fs::read(home.join("part")).unwrap() == big);
    assert!(fs::read(home.join("copy")).unwrap() == big);
    assert!(!home.join("x y").exists() && !home.join("zz").exists());
    let hard = fs::metadata(home.join("hard")).unwrap();
    assert_eq!(
        (hard.permissions().mode() & 0o777, hard.nlink()),
        (0o600, 1)
    );
    assert_eq!(
        fs::read_link(home.join("soft")).unwrap(),
        PathBuf::from("zz")
    );
}
