//! The programs that the tests drive. A missing one fails its test with the
//! line that installs it.

use std::env;
use std::path::{Path, PathBuf};

/// What is needed to run the tests and the package that brings it.
const PACKAGES: &[(&str, &str)] = &[
    ("bash", "bash"),
    ("caddy", "caddy"),
    ("certutil", "libnss3-tools"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("dbclient", "dropbear-bin"),
    ("docker", "docker.io"),
    ("docker-registry", "docker-registry"),
    ("dropbearconvert", "dropbear-bin"),
    ("firefox-esr", "firefox-esr"),
    ("fusermount3", "fuse3"),
    ("git", "git"),
    ("ip", "iproute2"),
    ("java", "default-jdk-headless"),
    ("lftp", "lftp"),
    ("nginx", "nginx"),
    ("node", "nodejs"),
    ("openssl", "openssl"),
    ("plink", "putty-tools"),
    ("pscp", "putty-tools"),
    ("psftp", "putty-tools"),
    ("puttygen", "putty-tools"),
    ("python3", "python3"),
    ("rsync", "rsync"),
    ("scp", "openssh-client"),
    ("sftp", "openssh-client"),
    ("socat", "socat"),
    ("ssh", "openssh-client"),
    ("ssh-add", "openssh-client"),
    ("ssh-agent", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("sshd", "openssh-server"),
    ("sshfs", "sshfs"),
    ("tmux", "tmux"),
    ("vim", "vim"),
    ("wrk", "wrk"),
    ("xauth", "xauth"),
    ("xdpyinfo", "x11-utils"),
    ("Xvfb", "xvfb"),
];

/// Returns the path of a program.
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers out of an ordinary user's PATH.
    let found = env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if let Some(found) = found {
        return found;
    }
    let package = PACKAGES
        .iter()
        .find_map(|(program, package)| (*program == name).then_some(*package))
        .unwrap_or(name);
    panic!("{name} is missing: sh scripts/setup-tests.sh (or: apt-get install -y {package})");
}

/// Returns schemathesis, in an environment of its own.
#[track_caller]
pub fn schemathesis() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or(home).unwrap_or_default();
    let program = cache.join("devgate-tests/python/bin/schemathesis");
    assert!(
        program.is_file(),
        "schemathesis is missing: sh scripts/setup-tests.sh"
    );
    program
}

/// Returns the folder that the tests' set-up fills.
pub fn cache() -> PathBuf {
    let variable = |name| env::var_os(name).map(PathBuf::from);
    variable("DEVGATE_TEST_CACHE").unwrap_or_else(|| {
        let home = || variable("HOME").unwrap_or_default().join(".cache");
        variable("XDG_CACHE_HOME")
            .unwrap_or_else(home)
            .join("devgate-tests")
    })
}

/// Returns one of the project's own binaries: beside this test's build, or in
/// `E2E_BIN_DIR`.
#[track_caller]
pub fn built(name: &str) -> PathBuf {
    let folder = env::var_os("E2E_BIN_DIR").map_or_else(
        || {
            let test = env::current_exe().expect("the test knows its own path");
            // …/debug/deps/e2e-0123456789abcdef, or …/debug/bench.
            let folder = test.parent().expect("a file is in a folder");
            if folder.ends_with("deps") {
                folder.parent().map(Path::to_path_buf).unwrap_or_default()
            } else {
                folder.to_path_buf()
            }
        },
        PathBuf::from,
    );
    let binary = folder.join(name);
    assert!(
        binary.is_file(),
        "{} is missing: make test builds it (or: cargo build --workspace --bins)",
        binary.display()
    );
    binary
}

/// Returns the folder of the VS Code server that is in code-server's package.
#[track_caller]
pub fn vscode_server() -> PathBuf {
    code_server_folder().join("lib/vscode")
}

/// Returns the program code-server.
#[track_caller]
pub fn code_server() -> PathBuf {
    code_server_folder().join("out/node/entry.js")
}

#[track_caller]
fn code_server_folder() -> PathBuf {
    let server = cache().join("code-server-4.100.3");
    assert!(
        server.join(".complete").is_file(),
        "the VS Code server is missing: sh scripts/code-server.sh"
    );
    server
}
