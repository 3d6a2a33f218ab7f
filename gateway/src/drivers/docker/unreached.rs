//! Why an engine isn't reached, and what is to be done about it.

use std::error::Error as StdError;
use std::fs;
use std::io;
use std::path::Path;

use bollard::errors::Error;
use devgate_certs::{validity, why_refused};
use rustls::AlertDescription;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::engine::Endpoint;
use crate::drivers::DriverError;

/// A problem, and its remedy.
type Told = (String, String);

/// Tells whether the engine wasn't there to answer, or wasn't asked.
pub(super) fn is_unreachable(error: &Error) -> bool {
    match error {
        Error::SocketNotFoundError(_)
        | Error::RequestTimeoutError
        | Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::CertPathError { .. }
        | Error::CertParseError { .. }
        | Error::IOError { .. } => true,
        error => error.source().is_some_and(<dyn StdError>::is::<io::Error>),
    }
}

/// Says why an engine isn't reached.
pub(super) fn unreachable(endpoint: &Endpoint, error: &Error) -> DriverError {
    let (problem, remedy) =
        of_certificates(endpoint, error).unwrap_or_else(|| (plain(error), remedy(endpoint)));
    DriverError::EngineUnreachable {
        engine: endpoint.to_string(),
        remedy,
        source: problem.into(),
    }
}

/// Returns what is to be done where nothing listens at an engine's address.
pub(super) fn remedy(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Socket(_) => at_socket(),
        Endpoint::Tls { host, .. } => format!(
            "start it there, and have this machine reach it at the url of docker.hosts {host}"
        ),
    }
}

/// Returns what is to be done about an engine of this host.
pub(crate) fn at_socket() -> String {
    "start it (systemctl start docker) and let devgate's user use it (group docker)".to_owned()
}

fn plain(error: &Error) -> String {
    match error {
        Error::RequestTimeoutError => "it takes too long".to_owned(),
        Error::SocketNotFoundError(_) => "there is no such socket".to_owned(),
        // The client's words are about itself; what the system said is at the end.
        error => causes(error)
            .last()
            .map_or_else(String::new, ToString::to_string),
    }
}

/// Returns an error and what caused it, the deepest last.
fn causes(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |&it| it.source())
}

/// Says what is wrong with a certificate, on either side, where that is it.
fn of_certificates(endpoint: &Endpoint, error: &Error) -> Option<Told> {
    let Endpoint::Tls {
        host,
        ca,
        certificate,
        key,
        ..
    } = endpoint
    else {
        return None;
    };
    if let Error::CertPathError { path } | Error::CertParseError { path } = error {
        let problem = unread(path).unwrap_or_else(|| format!("{} is no PEM file", path.display()));
        return Some((problem, mend(host)));
    }
    let refused = causes(error).find_map(of_tls);
    if let Some(rustls::Error::InvalidCertificate(_)) = refused {
        let why = refused.and_then(why_refused).unwrap_or_default();
        let problem = format!("its certificate isn't accepted: {why}");
        let remedy = format!(
            "have it show a certificate for the host in the url of docker.hosts {host} that the \
             authority in its ca ({}) has issued",
            ca.display()
        );
        return Some((problem, remedy));
    }
    let is_about_ours = match refused {
        Some(error) => why_refused(error).is_some() || is_asked_for(error),
        // An engine may be gone before it is heard that it refuses ours.
        None => causes(error).any(is_cut_off),
    };
    if !is_about_ours {
        return None;
    }
    let problem = unread(certificate)
        .or_else(|| unread(key))
        .or_else(|| untimely(certificate))
        .or_else(|| {
            let path = certificate.display();
            let refused = refused?;
            Some(format!(
                "it doesn't accept our certificate {path}: {refused}"
            ))
        })?;
    Some((problem, mend(host)))
}

fn mend(host: &str) -> String {
    format!("see to certificate, key and ca of docker.hosts {host}")
}

/// Returns an error of TLS, which is within one of the system's, or several.
fn of_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut error = error;
    while let Some(inner) = error
        .downcast_ref::<io::Error>()
        .and_then(|it| it.get_ref())
    {
        error = inner;
    }
    error.downcast_ref()
}

/// Tells whether the engine misses our certificate.
fn is_asked_for(error: &rustls::Error) -> bool {
    use AlertDescription::{
        AccessDenied, CertificateRequired, CertificateRevoked, HandshakeFailure,
    };
    matches!(
        error,
        rustls::Error::AlertReceived(
            AccessDenied | CertificateRequired | CertificateRevoked | HandshakeFailure
        )
    )
}

/// Tells whether a connection was there.
fn is_cut_off(error: &(dyn StdError + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    )
}

fn unread(path: &Path) -> Option<String> {
    let error = fs::read(path).err()?;
    Some(format!("{} can't be read: {error}", path.display()))
}

/// Says that our certificate is over, or not yet to be used.
fn untimely(certificate: &Path) -> Option<String> {
    let validity = validity(&fs::read_to_string(certificate).ok()?).ok()?;
    let now = OffsetDateTime::now_utc();
    let shown = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_else(|_| at.to_string());
    let path = certificate.display();
    if validity.not_after < now {
        let until = shown(validity.not_after);
        return Some(format!("our certificate {path} expired at {until}"));
    }
    let from = shown(validity.not_before);
    (now < validity.not_before)
        .then(|| format!("our certificate {path} isn't valid before {from}: compare the clocks"))
}
