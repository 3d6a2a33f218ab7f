//! `devgate ssh`: the stock client, on the way that always works.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use clap::Args;
use devgate_certs::{Access, HostCa, write_file};

use super::certificate;
use super::client::{Client, Rest};
use super::contexts;
use super::failure::{Failure, Kind};
use super::output;
use crate::http::admin::wire::{KeyView, WorkspaceView};
use crate::http::api::wire::Connection;
use crate::identity::Target;

/// `devgate ssh`.
#[derive(Debug, Args)]
pub(super) struct Ssh {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// Connect to the SSH port, instead of going over the HTTPS port
    #[arg(long)]
    direct: bool,
    /// Option for ssh, as its configuration has it; may be given several times
    #[arg(short = 'o', value_name = "OPTION")]
    option: Vec<String>,
    /// What to run, instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs ssh in this program's place; returns only where that fails.
pub(super) async fn run(client: &mut Client, command: Ssh) -> Result<(), Failure> {
    let path = format!("/workspaces/{}", command.workspace);
    let there = client.there().is_some();
    if !there {
        let message = "this is for servers elsewhere (`devgate login`): on its own machine ssh \
                       reaches the server directly, and `devgate status` shows its address";
        return Err(Failure::new(Kind::Usage, message));
    }
    let view: WorkspaceView = client.get(&path).await?;
    let keys: Vec<KeyView> = client.get("/keys").await?;
    let Some(rest) = client.there() else {
        return Ok(());
    };
    let mut ssh = Command::new("ssh");
    match certificate::ready(rest).await {
        Some(kept) => {
            for (name, value) in kept.options()? {
                ssh.arg("-o").arg(format!("{name}={value}"));
            }
        }
        None if keys.is_empty() => output::note(
            "devgate: no key of yours is known there: get a certificate with devgate \
             ssh-certificate get, or add a key with devgate keys add ~/.ssh/id_ed25519.pub",
        ),
        None => {}
    }
    let (host, options) = known(rest).await?;
    for (name, value) in options {
        ssh.arg("-o").arg(format!("{name}={value}"));
    }
    if command.direct {
        let connection = rest.connection().await?;
        ssh.arg("-p").arg(connection.ssh_port.to_string());
        ssh.arg("-o")
            .arg(format!("HostName={}", connection.ssh_host));
    } else {
        let proxy = proxy_command(rest, view.id.as_str())?;
        ssh.arg("-o").arg(format!("ProxyCommand={proxy}"));
    }
    for option in &command.option {
        ssh.arg("-o").arg(option);
    }
    ssh.arg(format!("{}.{}@{host}", view.name, view.owner));
    if !command.command.is_empty() {
        ssh.arg("--").args(&command.command);
    }
    let error = ssh.exec();
    let message = format!("cannot run ssh: {error}; install OpenSSH's client");
    Err(Failure::new(Kind::Failed, message))
}

/// Keeps a server's host keys for ssh, which knows it by those, whatever its address.
/// Returns what it is called to ssh, and the options that say so.
pub(super) async fn known(
    rest: &mut Rest,
) -> Result<(String, [(&'static str, String); 5]), Failure> {
    let connection = rest.connection().await?;
    let host = format!("devgate-{}", slug(rest.name()));
    let folder = contexts::folder_made()?;
    let path = folder.join(format!("{}.known_hosts", slug(rest.name())));
    let lines = known_hosts(&host, &connection);
    write_file(&path, Access::Private, &lines)
        .map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
    let options = [
        ("UserKnownHostsFile", quoted(&path)?),
        ("GlobalKnownHostsFile", "none".to_owned()),
        ("StrictHostKeyChecking", "yes".to_owned()),
        ("UpdateHostKeys", "no".to_owned()),
        ("HostKeyAlias", HostCa::NAME.to_owned()),
    ];
    Ok((host, options))
}

/// Returns a file of known hosts (sshd(8)): the host's keys, and the authority that signs for
/// whichever it has later. Earlier versions called the host otherwise in what they wrote for ssh.
fn known_hosts(host: &str, connection: &Connection) -> String {
    let mut lines = String::new();
    let authority = format!("@cert-authority {}", HostCa::NAME);
    let own = format!("{},{host}", HostCa::NAME);
    let keys = connection.public_keys.iter().map(|key| (&own, key));
    for (names, key) in [(&authority, &connection.host_authority)]
        .into_iter()
        .chain(keys)
    {
        // A line of it is one key; an older server names no authority.
        if !key.is_empty() && !key.contains(['\n', '\r']) {
            lines.extend([names.as_str(), " ", key.as_str(), "\n"]);
        }
    }
    lines
}

/// Returns what ssh runs to reach the server: a shell reads it, and ssh replaces `%`.
pub(super) fn proxy_command(rest: &Rest, workspace: &str) -> Result<String, Failure> {
    own_command(rest, &format!("proxy {workspace}"))
}

/// Returns what ssh runs of this program: a shell reads it, and ssh replaces `%`.
pub(super) fn own_command(rest: &Rest, command: &str) -> Result<String, Failure> {
    let own = env::current_exe()?;
    let own = own.to_string_lossy();
    let own = own.replace('\'', r"'\''").replace('%', "%%");
    // What the environment names, it names there as well.
    let context = match rest.name() {
        name if name.contains("://") => String::new(),
        name => format!(" --context {name}"),
    };
    Ok(format!("'{own}'{context} {command}"))
}

/// Returns a name of a server so that it can be part of a file's.
pub(super) fn slug(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name = name.chars().map(|c| if fits(c) { c } else { '-' });
    name.collect()
}

/// Returns a path as ssh takes it in an option.
pub(super) fn quoted(path: &Path) -> Result<String, Failure> {
    let text = path
        .to_str()
        .filter(|text| !text.contains(['"', '%', '\n']));
    let text = text.ok_or_else(|| {
        let message = format!("ssh can't read a file whose path is {}", path.display());
        Failure::new(Kind::Usage, message)
    })?;
    Ok(format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_for_ssh_and_a_name_is_part_of_a_file_name() {
        assert_eq!(quoted(Path::new("/a b/c")).unwrap(), "\"/a b/c\"");
        assert!(quoted(Path::new("/a\"b")).is_err());
        assert_eq!(slug("https://[::1]:8443"), "https------1--8443");
    }
}
