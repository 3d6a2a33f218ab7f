//! Connections that break while both ends live, as where a network is gone for too long.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{Shutdown, SocketAddrV4, getpeername, getsockname, shutdown};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Breaks all TCP connections (IPv4) of a process that came in on `port`. The process has to be a
/// child of the test's.
///
/// # Panics
/// Where there is none.
#[track_caller]
pub fn sever(process: u32, port: u16) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    let handle = pidfd_open(pid.expect("a process id"), PidfdFlags::empty());
    let handle = handle.expect("the process runs");
    let open = fs::read_dir(format!("/proc/{process}/fd")).expect("its files can be seen");
    let mut severed = 0;
    for file in open {
        let name = file.expect("its files can be seen").file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may be closed by now.
        let Ok(file) = pidfd_getfd(&handle, number, PidfdGetfdFlags::empty()) else {
            continue;
        };
        if came_in_on(&file, port) && shutdown(&file, Shutdown::Both).is_ok() {
            severed += 1;
        }
    }
    assert!(severed > 0, "no connection to port {port} is open");
}

/// Whether a file is such a connection.
fn came_in_on(file: &OwnedFd, port: u16) -> bool {
    let own = getsockname(file.as_fd()).ok();
    let own = own.and_then(|own| SocketAddrV4::try_from(own).ok());
    own.is_some_and(|own| own.port() == port) && getpeername(file.as_fd()).is_ok()
}
