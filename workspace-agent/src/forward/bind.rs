//! Binds listeners inside the workspace.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use devgate_protocol::socket;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::dial;

/// Length of a listener's queue.
const BACKLOG: i32 = 1024;

/// How often another port is tried where one is free in one family only.
const MAX_ATTEMPTS: usize = 16;

/// Listens on the address that a `tcpip-forward` names (RFC 4254 §7.1), and returns
/// the port. An address of several families gets the same port in each; a family that
/// the workspace doesn't have is left out.
pub(super) async fn tcp(address: &str, port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let addresses: Vec<IpAddr> = match address {
        "" | "*" => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        name => {
            let found = dial::addresses(name, port).await?;
            found.iter().map(SocketAddr::ip).collect()
        }
    };
    let mut attempt = 0;
    loop {
        attempt += 1;
        match all(&addresses, port) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && port == 0
                    && attempt < MAX_ATTEMPTS => {}
            bound => return bound,
        }
    }
}

/// Listens on that port of both loopback addresses.
pub(crate) fn loopback(port: u16) -> io::Result<Vec<TcpListener>> {
    let both = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    all(&both, port).map(|(listeners, _)| listeners)
}

fn all(addresses: &[IpAddr], mut port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut listeners = Vec::new();
    let mut absent = None;
    for &ip in addresses {
        match one(SocketAddr::new(ip, port)) {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if is_absent(&error) => absent = Some(error),
            Err(error) => return Err(error),
        }
    }
    match absent {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok((listeners, port)),
    }
}

/// Returns whether an error says that there is no such address family or address here.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

fn one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A Unix socket that was bound, of mode 0600; its file is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: what somebody else put at the path since isn't removed.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    /// Binds a socket. A stale one is replaced.
    ///
    /// # Errors
    /// `AddrInUse` where something answers at `path`, `AlreadyExists` where there is
    /// something else than a socket.
    pub(crate) async fn bind(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is a file of that name",
                ));
            }
            _ => {}
        }
        let listener = socket::bind(path).await?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            identity: identity(path),
        })
    }

    /// Returns the bound socket.
    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // Where it can't be removed the next bind replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_the_workspace_chooses_is_the_same_in_both_families() {
        let (listeners, port) = tcp("localhost", 0).await.unwrap();
        assert_ne!(port, 0);
        for listener in &listeners {
            assert_eq!(listener.local_addr().unwrap().port(), port);
            assert!(listener.local_addr().unwrap().ip().is_loopback());
        }
        assert_eq!(listeners.len(), 2);
    }

    #[tokio::test]
    async fn a_port_in_use_is_refused() {
        let (_held, port) = tcp("127.0.0.1", 0).await.unwrap();
        let error = tcp("127.0.0.1", port).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_socket_replaces_neither_a_file_nor_one_that_answers_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.txt");
        fs::write(&file, "dear").unwrap();
        let error = SocketFile::bind(&file).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"dear");

        let path = folder.path().join("socket");
        let bound = SocketFile::bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let error = SocketFile::bind(&path).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(bound);
        assert!(!path.exists());
    }
}
