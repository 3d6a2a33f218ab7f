//! `devgate status` of a server elsewhere.

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
        ssh: format!("{}:{}", connection.ssh_host, connection.ssh_port),
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
