//! Unix sockets at paths of any length, with their peer's identity checked.
//!
//! A socket's address holds 107 bytes (unix(7)); data folders are longer than
//! that. The folder is opened instead, and the socket reached through
//! `/proc/self/fd`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Longest path that an address takes as it is, in bytes.
const MAX_PATH: usize = 107;

/// Listens on a new socket of mode 0600; a stale one at `path` is replaced.
///
/// # Errors
/// `AddrInUse` where something still listens at `path`, whether or not it answers;
/// otherwise what the system says of the folder or the socket.
pub async fn bind(path: &Path) -> io::Result<UnixListener> {
    bind_with(path, 0o600).await
}

/// Listens on a new socket that anybody may connect to who gets into its folder; a
/// stale one at `path` is replaced. The peers are to be checked.
///
/// # Errors
/// As of [`bind`].
pub async fn bind_for_others(path: &Path) -> io::Result<UnixListener> {
    bind_with(path, 0o666).await
}

async fn bind_with(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match connect(path).await {
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Nobody listens.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // Whoever has it is busy, or isn't for us to connect to.
        Err(error) if path.symlink_metadata().is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, error));
        }
        Err(error) => return Err(error),
    }
    let (address, _folder) = address(path)?;
    let listener = UnixListener::bind(address)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Connects to the socket at `path`.
pub async fn connect(path: &Path) -> io::Result<UnixStream> {
    let (address, _folder) = address(path)?;
    UnixStream::connect(address).await
}

/// Connects to the socket that is at `path` itself, in a folder that others write to:
/// a link there, which could lead to somebody else's socket, isn't followed.
///
/// # Errors
/// `InvalidInput` where something else than a socket is there.
pub async fn connect_unlinked(path: &Path) -> io::Result<UnixStream> {
    let socket = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_PATH | nix::libc::O_NOFOLLOW)
        .open(path)?;
    // Held open: what was looked at is what is connected to.
    if !socket.metadata()?.file_type().is_socket() {
        let message = format!("{} is not a socket", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd())).await
}

/// Returns the process id of the other end, where it runs as this process's own
/// user or as root.
///
/// # Errors
/// `PermissionDenied` where it runs as somebody else.
pub fn check_peer(stream: &UnixStream) -> io::Result<Option<i32>> {
    check_peer_or(stream, None)
}

/// Does the same, and lets one more user in.
///
/// # Errors
/// `PermissionDenied` where the other end runs as somebody else.
pub fn check_peer_or(stream: &UnixStream, guest: Option<u32>) -> io::Result<Option<i32>> {
    let peer = stream.peer_cred()?;
    let own = nix::unistd::geteuid().as_raw();
    if peer.uid() == own || peer.uid() == 0 || Some(peer.uid()) == guest {
        return Ok(peer.pid());
    }
    let message = format!("the peer runs as user {}, not as {own}", peer.uid());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

/// Returns an address for `path`, valid for as long as the folder is held.
fn address(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    if path.as_os_str().len() <= MAX_PATH {
        return Ok((path.to_owned(), None));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_PATH | nix::libc::O_DIRECTORY)
        .open(parent)?;
    let address = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok((address, Some(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_deep_in_a_folder_is_reached_and_its_peer_known() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("d".repeat(200));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("agent.sock");
        let listener = bind(&path).await.unwrap();
        let near = connect(&path).await.unwrap();
        listener.accept().await.unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(check_peer(&near).unwrap(), Some(own));
        assert_eq!(
            bind(&path).await.unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop(listener);
        bind(&path).await.unwrap();
    }

    #[tokio::test]
    async fn the_socket_of_a_service_that_is_too_busy_to_answer_is_left_alone() {
        use nix::sys::socket::{
            AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_to, listen, socket,
        };
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("service.sock");
        let kind = (AddressFamily::Unix, SockType::Stream);
        let service = socket(kind.0, kind.1, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind_to(service.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        listen(&service, Backlog::new(1).unwrap()).unwrap();
        let mut waiting = Vec::new();
        let refused = loop {
            match connect(&path).await {
                Ok(connection) => waiting.push(connection),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        let error = bind(&path).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
        drop(service);
        bind(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_link_in_a_folder_of_others_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("d".repeat(200));
        std::fs::create_dir(&folder).unwrap();
        let (path, link) = (folder.join("agent.sock"), folder.join("link.sock"));
        let _listener = bind_for_others(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        connect(&link).await.unwrap();
        let refused = connect_unlinked(&link).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        let near = connect_unlinked(&path).await.unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(check_peer_or(&near, Some(1)).unwrap(), Some(own));
    }
}
