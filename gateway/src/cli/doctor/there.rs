//! A server elsewhere, as a person reaches it.

use http::Method;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::finding::Findings;
use super::network::{self, PATIENCE};
use super::{ssh, wildcard, workspace};
use crate::cli::client::{Remote, Rest, Unanswered};
use crate::cli::contexts::Context;
use crate::cli::failure::{Failure, Kind};
use crate::http::Origin;
use crate::http::api::wire::Workspace;
use crate::identity::Target;

/// What an SSH server says first (RFC 4253 §4.2).
const IDENTIFICATION: &[u8; 4] = b"SSH-";

/// Looks at it.
pub(super) async fn look(
    name: &str,
    context: &Context,
    target: Option<&Target>,
    findings: &mut Findings,
) {
    let (origin, mut remote) = match address(context) {
        Ok(both) => both,
        Err(failure) => {
            let remedy = "sign in anew with the right address: devgate login https://…";
            return findings.failed("address", failure.to_string(), remedy);
        }
    };
    let proxy = remote.proxy().cloned();
    if !network::look(&origin, context, proxy.as_ref(), findings).await {
        return;
    }
    match remote.headers("/ca").await {
        Ok(headers) => network::clock(&headers, findings),
        Err(error) => {
            let detail = crate::cli::client::explain(error, name).to_string();
            return findings.failed("server", detail, SERVER);
        }
    }
    if !server(&mut remote, name, context, findings).await {
        return;
    }
    let mut rest = Rest::new(name.to_owned(), remote);
    let connection = match rest.connection().await {
        Ok(connection) => connection,
        Err(failure) => return findings.failed("server", failure.to_string(), SERVER),
    };
    let chosen = workspace::choose(&mut rest, target, findings).await;
    websocket(&mut rest, chosen.as_ref(), findings).await;
    if let Some(proxy) = &proxy {
        let detail = format!("browsers go by way of {proxy}, or as they are set");
        findings.skipped(wildcard::CHECK, detail);
        let detail = "SSH goes over the HTTPS port (`devgate ssh`, `devgate config-ssh`), as the \
                      proxy carries that";
        findings.skipped(ssh::CHECK, detail);
    } else {
        ssh::look(&connection, Some((&origin, name)), findings).await;
        wildcard::look_there(&connection, context, chosen.as_ref(), findings).await;
    }
    if let Some(chosen) = &chosen {
        workspace::editor(&mut rest, chosen, findings).await;
    }
}

const SERVER: &str = "see that the server runs and that the address is its own: its log tells more, \
                      and `devgate doctor` on its own machine";

fn address(context: &Context) -> Result<(Origin, Remote), Failure> {
    let remote = context.remote()?;
    Ok((remote.origin().clone(), remote))
}

/// Sees that it is devgate that answers, and that it knows who asks.
async fn server(
    remote: &mut Remote,
    name: &str,
    context: &Context,
    findings: &mut Findings,
) -> bool {
    let sign_in = format!("sign in: devgate login {}", context.url);
    let problem = match remote.ask(Method::GET, "/me", None).await {
        Ok(_) if context.token.is_some() => {
            findings.ok("server", format!("devgate answers at {}", context.url));
            findings.ok("token", "you are signed in");
            return true;
        }
        Err(Unanswered::Refused(problem)) => problem,
        Ok(_) => {
            findings.failed(
                "server",
                "somebody answers who knows you without a token",
                SERVER,
            );
            return false;
        }
        Err(error) => {
            let detail = crate::cli::client::explain(error, name).to_string();
            findings.failed("server", detail, SERVER);
            return false;
        }
    };
    match problem.code.as_str() {
        "signed-out" => {
            findings.ok("server", format!("devgate answers at {}", context.url));
            let detail = match context.token {
                Some(_) => "it doesn't know your token, or no longer",
                None => "nobody is signed in",
            };
            findings.failed("token", detail, sign_in);
        }
        "" => {
            let detail = format!("something else than devgate answers: {}", problem.detail);
            let remedy = "check the address; a proxy in between has to pass all paths on, with \
                          their Host (docs/reverse-proxy)";
            findings.failed("server", detail, remedy);
        }
        "wrong-host" => {
            let remedy = "sign in by the address that it names, or have a proxy in between pass \
                          Host on";
            findings.failed("server", problem.detail, remedy);
        }
        _ => findings.failed("server", problem.detail, SERVER),
    }
    false
}

/// Sees that a WebSocket comes through, and that its bytes do.
async fn websocket(rest: &mut Rest, chosen: Option<&Workspace>, findings: &mut Findings) {
    const CHECK: &str = "websocket";
    const REMEDY: &str = "a proxy in between lets no WebSockets through: nginx needs \
                          `proxy_http_version 1.1` and the headers Upgrade and Connection handed \
                          on, as docs/reverse-proxy/nginx.conf has it; others have a setting for \
                          WebSockets";
    let Some(chosen) = chosen else {
        return findings.skipped(CHECK, "you have no workspace to try it with");
    };
    if !chosen.may_enter {
        let target = format!("{}.{}", chosen.name, chosen.owner);
        return findings.skipped(CHECK, format!("you may not enter {target}"));
    }
    let opened = rest.try_ssh(chosen.id.as_str()).await;
    let mut socket = match opened {
        Ok(socket) => socket,
        Err(Unanswered::Refused(problem)) if problem.code == "scope-too-small" => {
            return findings.skipped(CHECK, "your token only reads");
        }
        // The server says no by itself: what is in between lets it say so.
        Err(Unanswered::Refused(problem))
            if !matches!(problem.code.as_str(), "" | "no-upgrade") =>
        {
            return findings.failed(CHECK, problem.detail, SERVER);
        }
        Err(Unanswered::Refused(problem)) => {
            let detail = format!("the upgrade didn't arrive: {}", problem.detail);
            return findings.failed(CHECK, detail, REMEDY);
        }
        Err(error) => {
            let detail = crate::cli::client::explain(error, rest.name()).to_string();
            return findings.failed(CHECK, detail, REMEDY);
        }
    };
    let mut first = [0; IDENTIFICATION.len()];
    match timeout(PATIENCE, socket.read_exact(&mut first)).await {
        Ok(Ok(_)) if &first == IDENTIFICATION => {
            findings.ok(CHECK, "SSH comes through the HTTPS port (`devgate ssh`)");
        }
        Ok(_) => findings.failed(CHECK, "it opens, and breaks at once", REMEDY),
        Err(_) => {
            let remedy = "a proxy in between gathers what should be handed on at once: switch its \
                          buffering off (nginx: `proxy_buffering off`)";
            findings.failed(CHECK, "it opens, and nothing comes through", remedy);
        }
    }
}

/// Tells whether a failure is that something isn't there.
pub(super) fn is_missing(failure: &Failure) -> bool {
    failure.kind() == Kind::NotFound
}
