//! `devgate proxy`: SSH over one WebSocket on the HTTPS port, as `ProxyCommand` of ssh.

use std::io::ErrorKind;

use clap::Args;
use tokio::io::{AsyncWriteExt as _, copy, split, stdin, stdout};

use super::certificate;
use super::client::Client;
use super::failure::{Failure, Kind};
use crate::identity::Target;

/// `devgate proxy`.
#[derive(Debug, Args)]
pub(super) struct Proxy {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
}

/// Carries stdin and stdout to the SSH server until it ends.
pub(super) async fn run(client: &mut Client, command: Proxy) -> Result<(), Failure> {
    let Some(rest) = client.there() else {
        let message = "this is for servers elsewhere (`devgate login`): on its own machine ssh \
                       reaches the server directly, and `devgate status` shows its address";
        return Err(Failure::new(Kind::Usage, message));
    };
    // An agent is asked for its keys later: what is renewed here counts for this connection.
    certificate::ready(rest).await;
    let socket = rest.ssh(&command.workspace.to_string()).await?;
    let (mut from_server, mut to_server) = split(socket);
    // The end of ssh's input is the end of that direction alone.
    let up = async {
        copy(&mut stdin(), &mut to_server).await?;
        to_server.shutdown().await?;
        std::future::pending::<std::io::Result<()>>().await
    };
    let down = async {
        let mut out = stdout();
        copy(&mut from_server, &mut out).await?;
        out.flush().await
    };
    let ended = tokio::select! {
        ended = up => ended,
        ended = down => ended,
    };
    ended.map_err(|error| {
        let name = rest.name();
        let message = match error.kind() {
            // Without a word, as it ends what a token had open that is no more.
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => format!(
                "{name} ended the connection: it stops, or you aren't signed in there any more"
            ),
            _ => format!("the connection to {name} broke: {error}"),
        };
        Failure::new(Kind::Unreachable, message)
    })
}
