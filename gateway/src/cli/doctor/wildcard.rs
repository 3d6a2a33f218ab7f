//! Web applications, each found on a host of its own below one domain.
//!
//! Finding a host and judging what was found are apart: no test has a DNS.

use std::io;
use std::net::SocketAddr;

use super::finding::Findings;
use super::network::{addresses, bare, dial, shake};
use crate::cli::contexts::Context;
use crate::config::{Applications, Config};
use crate::http::Origin;
use crate::http::api::wire::{ApplicationsBy, Connection, Workspace};

/// What this looks at.
pub(super) const CHECK: &str = "wildcard-dns";

/// The port of a server whose address names none.
const HTTPS: u16 = 443;

/// Sees that applications are found from the server's own machine.
pub(super) async fn look_here(config: &Config, findings: &mut Findings) {
    let domain = config.http.domain.as_str();
    if config.http.applications == Applications::Path {
        return not_needed(findings);
    }
    if is_of_browsers(domain, findings) {
        return;
    }
    let host = host(None, domain);
    let own = addresses(domain, HTTPS).await.unwrap_or_default();
    judge_here(domain, &host, &own, addresses(&host, HTTPS).await, findings);
}

fn judge_here(
    domain: &str,
    host: &str,
    own: &[SocketAddr],
    found: io::Result<Vec<SocketAddr>>,
    findings: &mut Findings,
) {
    match found {
        Ok(found) if own.iter().any(|own| found.contains(own)) => {
            findings.ok(CHECK, format!("*.{domain} is found, where {domain} is"));
        }
        Ok(found) => {
            let shown = |all: &[SocketAddr]| match all.first() {
                Some(address) => address.ip().to_string(),
                None => "nowhere".to_owned(),
            };
            let detail = format!(
                "*.{domain} leads to {}, and {domain} to {}",
                shown(&found),
                shown(own)
            );
            let remedy = format!("have *.{domain} and {domain} lead to the same machine");
            findings.warning(CHECK, detail, remedy);
        }
        Err(error) => {
            let remedy =
                format!("add a DNS record for *.{domain}, or set http.applications = \"path\"");
            findings.failed(CHECK, format!("{host} isn't found: {error}"), remedy);
        }
    }
}

/// Sees that the applications of a server elsewhere are found and answer.
pub(super) async fn look_there(
    connection: &Connection,
    context: &Context,
    chosen: Option<&Workspace>,
    findings: &mut Findings,
) {
    let domain = connection.domain.as_str();
    if connection.applications == ApplicationsBy::Path {
        return not_needed(findings);
    }
    if is_of_browsers(domain, findings) {
        return;
    }
    let host = host(chosen, domain);
    let url = connection.url.parse::<Origin>();
    let port = url.map_or(HTTPS, |url| url.port());
    let found = addresses(&host, port).await;
    judge_there(domain, &host, found, context, findings).await;
}

async fn judge_there(
    domain: &str,
    host: &str,
    found: io::Result<Vec<SocketAddr>>,
    context: &Context,
    findings: &mut Findings,
) {
    let address = match found {
        Ok(found) => found.into_iter().next(),
        Err(error) => {
            let remedy = format!(
                "add a DNS record for *.{domain} that leads to the same machine as {domain}, or \
                 set http.applications = \"path\""
            );
            return findings.failed(CHECK, format!("{host} isn't found: {error}"), remedy);
        }
    };
    let tcp = match address {
        Some(address) => dial(address).await.ok(),
        None => None,
    };
    let Some(tcp) = tcp else {
        let remedy = format!("have *.{domain} lead to the same machine as {domain}");
        let detail = format!("{host} is found, and nobody answers there");
        return findings.failed(CHECK, detail, remedy);
    };
    if context.url.starts_with("http:") {
        return findings.ok(CHECK, format!("*.{domain} is found"));
    }
    let shaken = match context.trust().config() {
        Ok(config) => shake(config, bare(host), tcp).await,
        Err(failure) => Err(io::Error::other(failure.to_string())),
    };
    match shaken {
        Ok(()) => findings.ok(CHECK, format!("*.{domain} is found, with a certificate")),
        Err(error) => findings.failed(
            CHECK,
            format!("{host} is found, and its certificate isn't trusted: {error}"),
            format!("get a certificate for *.{domain}, too"),
        ),
    }
}

fn not_needed(findings: &mut Findings) {
    findings.ok(CHECK, "not needed: applications are below the dashboard");
}

/// Tells, and says, whether browsers find a domain without a DNS (RFC 6761 §6.3).
fn is_of_browsers(domain: &str, findings: &mut Findings) -> bool {
    let is = domain == "localhost" || domain.ends_with(".localhost");
    if is {
        findings.ok(CHECK, format!("browsers find *.{domain} by themselves"));
    }
    is
}

/// Returns the host of an application, of a workspace or of one that is made up.
fn host(workspace: Option<&Workspace>, domain: &str) -> String {
    let (name, owner) = match workspace {
        Some(workspace) => (workspace.name.as_str(), workspace.owner.as_str()),
        None => ("doctor", "doctor"),
    };
    format!("65535--{name}--{owner}.{domain}")
}

#[cfg(test)]
mod tests {
    use devgate_certs::Authority;
    use tokio::net::{TcpListener, TcpSocket};
    use tokio_rustls::TlsAcceptor;

    use super::super::finding::Verdict;
    use super::*;

    const DOMAIN: &str = "dev.example.com";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Asserts that one thing was found, that it is so, and that these words are in it.
    #[track_caller]
    fn is(findings: &Findings, verdict: Verdict, words: &[&str]) {
        let text = findings.text();
        assert_eq!(findings.count(verdict), 1, "{text}");
        for word in words {
            assert!(text.contains(word), "{word:?} is not in {text}");
        }
    }

    fn here(own: &[SocketAddr], found: io::Result<Vec<SocketAddr>>) -> Findings {
        let mut findings = Findings::default();
        judge_here(DOMAIN, &host(None, DOMAIN), own, found, &mut findings);
        findings
    }

    #[test]
    fn a_wildcard_leads_where_its_domain_does() {
        let (one, other) = (address("192.0.2.1:443"), address("192.0.2.2:443"));
        is(
            &here(&[one], Ok(vec![other, one])),
            Verdict::Ok,
            &["where dev.example.com is"],
        );
        is(
            &here(&[one], Ok(vec![other])),
            Verdict::Warning,
            &[
                "*.dev.example.com leads to 192.0.2.2, and dev.example.com to 192.0.2.1",
                "the same machine",
            ],
        );
        is(
            &here(&[], Ok(vec![other])),
            Verdict::Warning,
            &["dev.example.com to nowhere"],
        );
        is(
            &here(&[one], Err(io::Error::other("no such host"))),
            Verdict::Failed,
            &["no such host", "add a DNS record for *.dev.example.com"],
        );
    }

    async fn there(url: &str, ca: Option<String>, found: Vec<SocketAddr>) -> Findings {
        let context = Context {
            url: url.to_owned(),
            ca,
            ..Context::default()
        };
        let mut findings = Findings::default();
        let host = host(None, DOMAIN);
        judge_there(DOMAIN, &host, Ok(found), &context, &mut findings).await;
        findings
    }

    #[tokio::test]
    async fn a_wildcard_that_is_found_where_nobody_answers() {
        let url = format!("https://{DOMAIN}");
        let words = ["nobody answers there", "lead to the same machine"];
        // Bound, so that nobody else gets the port, and not listened on.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address("127.0.0.1:0")).unwrap();
        let silent = there(&url, None, vec![socket.local_addr().unwrap()]).await;
        is(&silent, Verdict::Failed, &words);
        is(&there(&url, None, vec![]).await, Verdict::Failed, &words);
    }

    #[tokio::test]
    async fn a_wildcard_needs_a_certificate_of_its_own() {
        // Looks at a server whose certificate has these names.
        let look = async |names: &[&str], url: &str| {
            let folder = tempfile::tempdir().unwrap();
            let authority = Authority::open(folder.path()).unwrap();
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            authority.gateway_leaf(&names).unwrap();
            let acceptor = TlsAcceptor::from(authority.server_config().unwrap());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let found = vec![listener.local_addr().unwrap()];
            let serving = async {
                let (tcp, _) = listener.accept().await.unwrap();
                // It breaks off where the certificate isn't trusted.
                let _ = acceptor.accept(tcp).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                findings = there(url, Some(authority.ca_pem().to_owned()), found) => findings,
                () = serving => unreachable!("it serves for ever"),
            }
        };
        let https = "https://dev.example.com";
        is(
            &look(&[DOMAIN], https).await,
            Verdict::Failed,
            &["isn't trusted", "get a certificate for *.dev.example.com"],
        );
        let both = ["dev.example.com", "*.dev.example.com"];
        is(
            &look(&both, https).await,
            Verdict::Ok,
            &["with a certificate"],
        );
        is(
            &look(&[DOMAIN], "http://dev.example.com").await,
            Verdict::Ok,
            &["*.dev.example.com is found"],
        );
    }
}
