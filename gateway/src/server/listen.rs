//! Where the server listens.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

use super::StartError;
use crate::config::Listen;

/// Connections that the kernel keeps for us; it caps this by `somaxconn`.
const BACKLOG: i32 = 4096;

/// One of the listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// For SSH.
    Ssh,
    /// For HTTPS.
    Http,
}

impl Port {
    /// Returns what it is for.
    pub(super) const fn protocol(self) -> &'static str {
        match self {
            Self::Ssh => "SSH",
            Self::Http => "HTTPS",
        }
    }

    /// Returns the flag that sets it.
    pub(super) const fn flag(self) -> &'static str {
        match self {
            Self::Ssh => "--ssh-listen",
            Self::Http => "--http-listen",
        }
    }
}

/// Binds a listener, to the first address that the name has. Port 0 is the one that
/// it was the `last` time, if that is free, else any.
pub(super) async fn bind(
    port: Port,
    listen: &Listen,
    last: Option<u16>,
) -> Result<TcpListener, StartError> {
    let failed = |cause| StartError::Listen {
        port,
        listen: listen.clone(),
        cause,
    };
    let addresses: Vec<_> = lookup_host((listen.host(), listen.port()))
        .await
        .map_err(failed)?
        .collect();
    let again = last.filter(|_| listen.port() == 0).into_iter();
    let again = again.flat_map(|last| {
        let addresses = addresses.iter();
        addresses.map(move |address| SocketAddr::new(address.ip(), last))
    });
    let mut refused = io::ErrorKind::AddrNotAvailable.into();
    for address in again.chain(addresses.iter().copied()) {
        match bind_to(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(failed(refused))
}

fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A server that starts again takes its port over from connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    // `[::]` is for IPv4 clients too, whatever the system's default.
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Says what to do where binding failed.
pub(super) fn remedy(error: &io::Error, port: Port) -> String {
    let flag = port.flag();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program uses the port; end that one, or choose another with {flag}")
        }
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 are root's; choose another with {flag}, or grant \
             CAP_NET_BIND_SERVICE"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine doesn't have that address; choose one that it has with {flag}")
        }
        _ => format!("{error}; choose another with {flag}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn port_zero_takes_a_free_one() {
        let listener = bind(Port::Ssh, &Listen::new("127.0.0.1", 0), None)
            .await
            .unwrap();
        assert_ne!(listener.local_addr().unwrap().port(), 0);
    }

    #[tokio::test]
    async fn port_zero_takes_the_last_one_again_unless_it_is_taken() {
        let listen = Listen::new("127.0.0.1", 0);
        let first = bind(Port::Ssh, &listen, None).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let second = bind(Port::Ssh, &listen, Some(port)).await.unwrap();
        let other = second.local_addr().unwrap().port();
        drop(second);
        assert_ne!(other, port);
        let again = bind(Port::Ssh, &listen, Some(other)).await.unwrap();
        assert_eq!(again.local_addr().unwrap().port(), other);
        let named = Listen::new("127.0.0.1", port);
        bind(Port::Ssh, &named, Some(other)).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_port_in_use_and_a_foreign_address_are_one_clear_line() {
        let first = bind(Port::Ssh, &Listen::new("127.0.0.1", 0), None)
            .await
            .unwrap();
        let port = first.local_addr().unwrap().port();
        for listen in [
            Listen::new("127.0.0.1", port),
            Listen::new("192.0.2.1", 0),
            Listen::new("no-such-host.invalid", 0),
        ] {
            let error = bind(Port::Http, &listen, None)
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains(&listen.to_string()), "{error}");
            assert!(error.contains("--http-listen"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
