//! SSH keys.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::component::{built, program};
use crate::process::run;
use crate::wait::SOON;

/// Makes an ed25519 key pair `folder/name` and `folder/name.pub` and returns the
/// path of the private one.
pub fn generate(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    let mut command = Command::new(program("ssh-keygen"));
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(&file);
    let _ = run(&mut command, b"", SOON).ok();
    file
}

/// Returns the path of the public half of a private key file.
pub fn public(private: &Path) -> PathBuf {
    private.with_extension("pub")
}

/// Returns the public half of a private key file, `type base64`.
pub fn public_text(private: &Path) -> String {
    let mut command = Command::new(program("ssh-keygen"));
    command.arg("-y").arg("-f").arg(private);
    let line = run(&mut command, b"", SOON).ok().out();
    line.split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Puts an RSA host key into the data folder of a gateway that is yet to start.
///
/// Making one takes a second of a core, so all tests share one, which lies beside
/// the binaries under test; their other keys are their own.
#[track_caller]
pub fn prepare_host_key(data: &Path) {
    const NAME: &str = "ssh_host_rsa_key";
    let cache = built("devgate").with_file_name("e2e-keys");
    fs::create_dir_all(&cache).expect("the build's folder is writable");
    let lock = File::create(cache.join("lock")).expect("the build's folder is writable");
    lock.lock().expect("a file can be locked");
    let shared = cache.join(NAME);
    if !shared.exists() {
        let unfinished = cache.join("unfinished");
        fs::remove_file(&unfinished).ok();
        let mut command = Command::new(program("ssh-keygen"));
        command
            .args(["-q", "-t", "rsa", "-b", "3072", "-N", "", "-f"])
            .arg(&unfinished);
        let _ = run(&mut command, b"", SOON).ok();
        fs::rename(&unfinished, &shared).expect("it was made");
    }
    drop(lock);
    let certs = data.join("certs");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&certs)
        .expect("the test's folder is writable");
    // The copy has the mode of the original, 0600.
    fs::copy(shared, certs.join(NAME)).expect("the test's folder is writable");
}
