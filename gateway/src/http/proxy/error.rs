//! Why a request gets no answer from a workspace.

use crate::workspaces::OpenError;

/// Why a request gets no answer from what serves inside a workspace.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No stream opens to it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It closed the connection, or doesn't speak HTTP/1.1.
    #[error("{}", why_broken(.0))]
    Broken(#[source] hyper::Error),
    /// The client's body ended before its end, or isn't framed as it says.
    #[error("the request's body broke off, or isn't what its headers say: send it whole")]
    Body(#[source] hyper::Error),
    /// The client's body is in a form that isn't undone here.
    #[error("no Transfer-Encoding but chunked is known here: send the body without it")]
    Coding,
    /// It switched protocols without being asked to.
    #[error("the application switched to another protocol, which wasn't asked for")]
    Unasked,
    /// The right to see the answer ended before it came.
    #[error("your sign-in has ended: sign in again")]
    Cut,
    /// It comes back from an application that it was sent to.
    #[error(
        "the application sent the request back to this gateway: have it answer by itself, or \
         forward to another address"
    )]
    Loop,
    /// The method makes a tunnel, which isn't offered.
    #[error("CONNECT is not served here: forward ports with SSH")]
    Connect,
}

impl From<hyper::Error> for ProxyError {
    fn from(error: hyper::Error) -> Self {
        if error.is_user() {
            Self::Body(error)
        } else {
            Self::Broken(error)
        }
    }
}

/// Says what of an exchange went wrong, and where to look.
fn why_broken(error: &hyper::Error) -> &'static str {
    if error.is_parse_too_large() {
        "the application's answer has too many headers, or too long ones: have it set fewer \
         cookies or shorter headers"
    } else if error.is_parse() {
        "the application answered, but not in HTTP/1.1 that can be read: see whether it speaks \
         plain HTTP on this port, and which headers it sends"
    } else {
        "the application closed the connection without an answer: see its output, and whether \
         it speaks HTTP on this port"
    }
}
