//! `devgate status` of a server elsewhere.

use std::net::{Ipv6Addr, SocketAddr};

use serde::Serialize;

use super::client::Rest;
use super::failure::Failure;
use super::output::{Format, printable};
use crate::http::wire::{HostKey, RoleName};
use crate::names::UserName;

#[derive(Debug, Serialize)]
struct Status {
    context: String,
    url: String,
    user: UserName,
    role: RoleName,
    /// Host and port of its SSH server.
    ssh: String,
    host_keys: Vec<HostKey>,
}

/// Shows the server and who one is there.
pub(super) async fn status(rest: &mut Rest, format: Format) -> Result<(), Failure> {
    let me = rest.me().await?;
    let connection = rest.connection().await?;
    let status = Status {
        context: rest.name().to_owned(),
        url: rest.origin(),
        user: me.name,
        role: me.role,
        ssh: address(&connection.ssh_host, connection.ssh_port),
        host_keys: connection.host_keys,
    };
    format.print(&status, |status| {
        let role = match status.role {
            RoleName::Admin => "administrator",
            RoleName::Member => "member",
        };
        let mut lines = Vec::new();
        let mut line = |name: &str, value: &str| {
            lines.push(format!("{name:<12}{}\n", printable(value)));
        };
        line("context", &status.context);
        line("server", &status.url);
        line("user", &format!("{} ({role})", status.user));
        line("ssh", &status.ssh);
        for key in &status.host_keys {
            line(
                "host key",
                &format!("{} ({})", key.fingerprint, key.algorithm),
            );
        }
        lines.concat()
    })
}

/// Returns host and port in one, an IPv6 address in brackets.
fn address(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(host) => SocketAddr::from((host, port)).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_told_from_its_port() {
        for (host, whole) in [
            ("::1", "[::1]:22"),
            ("127.0.0.1", "127.0.0.1:22"),
            ("dev.example.com", "dev.example.com:22"),
        ] {
            assert_eq!(address(host, 22), whole);
        }
    }
}
