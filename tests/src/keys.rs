//! Fresh SSH keys.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::component::program;
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
