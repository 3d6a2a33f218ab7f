//! Names, ports, TLS and clocks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, header};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::finding::Findings;
use crate::cli::client::{Proxy, Remote, Stopped, Stream, Trust, certificate_refused};
use crate::cli::contexts::Context;
use crate::http::{Origin, Scheme};

/// How long any one step may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How far clocks may be apart before it is said, and before something stops to work.
const APART: time::Duration = time::Duration::seconds(30);
const TOO_FAR: time::Duration = time::Duration::minutes(5);

/// Looks at the way to the server's HTTPS port; returns whether it leads there. `proxy` is what
/// it goes through.
pub(super) async fn look(
    origin: &Origin,
    context: &Context,
    proxy: Option<&Proxy>,
    findings: &mut Findings,
) -> bool {
    if let Some(proxy) = proxy {
        return match through(proxy, origin, findings).await {
            Some(stream) => tls(origin, context, stream, findings).await,
            None => false,
        };
    }
    let Some(addresses) = resolve(origin, findings).await else {
        return false;
    };
    let Some(tcp) = connect(origin, &addresses, findings).await else {
        return false;
    };
    if origin.scheme() == Scheme::Http {
        findings.skipped("tls", "the address is http://, of this machine alone");
        return true;
    }
    tls(origin, context, tcp, findings).await
}

/// Goes through a proxy, which looks the server's name up itself.
async fn through(
    proxy: &Proxy,
    origin: &Origin,
    findings: &mut Findings,
) -> Option<Box<dyn Stream>> {
    let late = || Stopped {
        detail: format!("{proxy} doesn't answer"),
        remedy: "see that it runs, and that no firewall is in between".to_owned(),
    };
    let reached = timeout(PATIENCE, proxy.reach()).await;
    let reached = match reached.unwrap_or_else(|_| Err(late())) {
        Ok(reached) => reached,
        Err(stopped) => {
            findings.failed("proxy", stopped.detail, stopped.remedy);
            return None;
        }
    };
    findings.ok("proxy", format!("{proxy} takes connections"));
    let there = timeout(PATIENCE, proxy.through(reached, origin)).await;
    match there.unwrap_or_else(|_| Err(late())) {
        Ok(stream) => {
            let authority = origin.authority();
            findings.ok("port", format!("the proxy leads to {authority}"));
            Some(stream)
        }
        Err(stopped) => {
            findings.failed("port", stopped.detail, stopped.remedy);
            None
        }
    }
}

/// Returns a host without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Looks a host up.
pub(super) async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = timeout(PATIENCE, lookup_host((host, port))).await;
    let found: Vec<_> = found.map_err(io::Error::from)??.collect();
    if found.is_empty() {
        return Err(io::Error::other("it has no addresses"));
    }
    Ok(found)
}

async fn resolve(origin: &Origin, findings: &mut Findings) -> Option<Vec<SocketAddr>> {
    let host = bare(origin.host());
    match addresses(host, origin.port()).await {
        Ok(found) => {
            let ips: Vec<_> = found.iter().map(|it| it.ip().to_string()).collect();
            findings.ok("dns", format!("{host} is {}", ips.join(", ")));
            Some(found)
        }
        Err(error) => {
            let remedy = "check the name for a typing error, that this machine's DNS knows it (a \
                          VPN may have to be up), or sign in by another address";
            findings.failed("dns", format!("{host} isn't found: {error}"), remedy);
            None
        }
    }
}

async fn connect(
    origin: &Origin,
    addresses: &[SocketAddr],
    findings: &mut Findings,
) -> Option<TcpStream> {
    let mut last = io::Error::other("no address");
    for address in addresses {
        match dial(*address).await {
            Ok(tcp) => {
                findings.ok("port", format!("{address} takes connections"));
                return Some(tcp);
            }
            Err(error) => last = error,
        }
    }
    let remedy = "see that the server runs, that it listens for other machines (http.listen), and \
                  that no firewall is in between; where only a proxy leads out, name it in \
                  HTTPS_PROXY";
    let detail = format!("{} doesn't take connections: {last}", origin.authority());
    findings.failed("port", detail, remedy);
    None
}

/// Connects to an address.
pub(super) async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let dialled = timeout(PATIENCE, TcpStream::connect(address)).await;
    dialled.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "nobody answers"))?
}

/// Shakes hands as `host`.
pub(super) async fn shake(
    config: Arc<ClientConfig>,
    host: &str,
    stream: impl Stream,
) -> io::Result<()> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let shaken = timeout(PATIENCE, TlsConnector::from(config).connect(name, stream)).await;
    shaken.map_err(io::Error::from)?.map(drop)
}

async fn tls(
    origin: &Origin,
    context: &Context,
    stream: impl Stream,
    findings: &mut Findings,
) -> bool {
    let config = match context.trust().config() {
        Ok(config) => config,
        Err(failure) => {
            let remedy = format!("sign in anew: devgate login {origin}");
            findings.failed("tls", failure.to_string(), remedy);
            return false;
        }
    };
    let host = bare(origin.host());
    let Err(error) = shake(config, host, stream).await else {
        let whose = match context.ca {
            Some(_) => "the authority that was pinned",
            None => "an authority that this machine trusts",
        };
        findings.ok("tls", format!("the certificate is of {whose}"));
        return true;
    };
    let Some(why) = certificate_refused(&error) else {
        let remedy = "see that the address is that of the HTTPS port, and that whatever stands in \
                      between passes TLS on";
        findings.failed("tls", format!("no TLS there: {error}"), remedy);
        return false;
    };
    let detail = format!("the certificate isn't trusted: {why}");
    match why {
        _ if is_about_issuer(why) => {
            let remedy = format!(
                "another authority issued it than before: ask whoever runs the server whether \
                 that is right, compare `devgate status` there, and sign in anew: devgate login \
                 {origin}"
            );
            findings.failed("tls", detail, remedy);
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let remedy = format!(
                "sign in by a name that the certificate has, or have {host} added to http.names \
                 of the server's configuration"
            );
            findings.failed("tls", detail, remedy);
        }
        _ if is_about_time(why) => {
            let remedy = "if the clocks below agree, the certificate has run out: see the \
                          server's log, or renew the one in http.certificate";
            findings.failed("tls", detail, remedy);
            // Who answers isn't known; what it believes the time to be is told all the same.
            if let Ok(mut anybody) = Remote::new(origin.clone(), &Trust::Anybody, None)
                && let Ok(headers) = anybody.headers("/ca").await
            {
                clock(&headers, findings);
            }
        }
        _ => findings.failed("tls", detail, "look at the server's certificate and log"),
    }
    false
}

/// Tells whether a certificate isn't of anybody who is trusted.
pub(super) fn is_about_issuer(why: &CertificateError) -> bool {
    matches!(
        why,
        CertificateError::UnknownIssuer | CertificateError::BadSignature
    )
}

fn is_about_time(why: &CertificateError) -> bool {
    matches!(
        why,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

/// Compares this clock with the server's.
pub(super) fn clock(headers: &HeaderMap, findings: &mut Findings) {
    let date = headers
        .get(header::DATE)
        .and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
    let Some(there) = date else {
        return findings.skipped("clock", "the server doesn't say what time it is");
    };
    let here = OffsetDateTime::now_utc();
    let apart = (here - there).abs();
    let seconds = apart.whole_seconds();
    let detail = format!(
        "this clock and the server's are {seconds} s apart: {} here, {} there",
        crate::cli::output::time(here),
        crate::cli::output::time(there)
    );
    let remedy = "set the clock that is wrong, and have it follow NTP (timedatectl set-ntp true): \
                  certificates, tokens and codes are valid for a time";
    if apart > TOO_FAR {
        findings.failed("clock", detail, remedy);
    } else if apart > APART {
        findings.warning("clock", detail, remedy);
    } else {
        findings.ok("clock", "it agrees with the server's");
    }
}
