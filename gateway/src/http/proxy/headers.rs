//! Headers that concern one hop only, and those that frame a message.

use axum::body::Body;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use hyper::body::Body as _;

use super::ProxyError;
use crate::http::leftover;

/// Headers of one hop (RFC 9110 §7.6.1), whether `Connection` names them or not.
const HOP_BY_HOP: [HeaderName; 5] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Names the gateways that a request went through (RFC 8586).
pub(super) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Longest `Connection` header that is looked at, in names.
const MAX_CONNECTION_OPTIONS: usize = 32;

/// Adds this gateway's id to those that a request went through.
///
/// # Errors
/// Where it is among them: an application has sent the request, which it got from here,
/// back here, and would go on doing so.
pub(super) fn mark(headers: &mut HeaderMap, id: &HeaderValue) -> Result<(), ProxyError> {
    let mut passed = headers.get_all(CDN_LOOP).iter().flat_map(|value| {
        let entries = value.as_bytes().split(|byte| *byte == b',');
        entries.filter_map(|entry| entry.split(|byte| *byte == b';').next())
    });
    if passed.any(|found| found.trim_ascii() == id.as_bytes()) {
        return Err(ProxyError::Loop);
    }
    headers.append(CDN_LOOP, id.clone());
    Ok(())
}

/// Takes out of a request what concerns the client's connection only, and returns the
/// protocol that it asks to switch to.
pub(super) fn prepare(request: &mut Request<Body>) -> Result<Option<HeaderValue>, ProxyError> {
    if request.method() == Method::CONNECT {
        return Err(ProxyError::Connect);
    }
    let headers = request.headers();
    let upgrade = asked_upgrade(request);
    let trailers = has_token(headers, &header::TE, "trailers");
    if is_coded(headers) {
        return Err(ProxyError::Coding);
    }
    let expected = leftover::is_held_back(request);
    let unknown_length = request.body().size_hint().exact().is_none()
        && !headers.contains_key(header::CONTENT_LENGTH);
    let headers = request.headers_mut();
    strip(headers);
    // In the one spelling, as what reads another might wait for another body.
    headers.remove(header::EXPECT);
    if expected {
        headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
    }
    if unknown_length {
        // hyper sends no body with GET and the like where nothing says that there is one.
        headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    }
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    match (&upgrade, trailers) {
        (Some(protocol), _) => {
            headers.insert(header::UPGRADE, protocol.clone());
            let value = HeaderValue::from_static("upgrade");
            headers.insert(header::CONNECTION, value);
        }
        (None, true) => {
            let value = HeaderValue::from_static("te");
            headers.insert(header::CONNECTION, value);
        }
        (None, false) => {}
    }
    Ok(upgrade)
}

/// Whether a body is in a form that isn't undone here. Whoever is next wouldn't learn of it.
fn is_coded(headers: &HeaderMap) -> bool {
    let said = headers.get_all(header::TRANSFER_ENCODING).iter();
    let mut codings = said.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let known = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    codings.next().is_some_and(|coding| !known(coding)) || codings.next().is_some()
}

/// Returns the protocol that a request asks to switch to, where that can be: HTTP/2
/// would lead around everything that is checked here.
fn asked_upgrade(request: &Request<Body>) -> Option<HeaderValue> {
    let headers = request.headers();
    let protocol = headers.get(header::UPGRADE)?;
    let asked = request.version() == Version::HTTP_11
        && has_token(headers, &header::CONNECTION, "upgrade")
        && !has_token(headers, &header::UPGRADE, "h2c")
        && !has_token(headers, &header::UPGRADE, "h2")
        && request.body().is_end_stream();
    asked.then(|| protocol.clone())
}

/// Takes out of an answer what concerns the application's connection only.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    // What says that it ends otherwise is mistaken (RFC 9112 §6.3).
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    settle_length(headers);
    strip(headers);
}

/// Says a length once: not every client reads one that is said again (RFC 9112 §6.3).
fn settle_length(headers: &mut HeaderMap) {
    let mut said = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut lengths = said
        .by_ref()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii);
    let Some(length) = lengths.next() else {
        return;
    };
    let (mut again, mut same) = (false, true);
    for other in lengths {
        again = true;
        same &= other == length;
    }
    if !again {
        return;
    }
    match HeaderValue::from_bytes(length) {
        Ok(length) if same => headers.insert(header::CONTENT_LENGTH, length),
        // Of an answer without a body: of another one it was refused.
        _ => headers.remove(header::CONTENT_LENGTH),
    };
}

/// Whether an answer is Server-Sent Events, which go on until somebody ends them.
pub(super) fn are_events(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("text/event-stream")
}

/// Returns the type of a body without its parameters (RFC 9110 §8.3.1), else nothing.
pub(in crate::http) fn media_type(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim()
}

fn strip(headers: &mut HeaderMap) {
    for name in options(headers) {
        // What frames and addresses a message can't be disowned (RFC 9110 §7.6.1), nor
        // what the gateway itself says to an agent.
        let ours = name.as_str().starts_with("devgate-");
        if name != header::HOST && name != header::CONTENT_LENGTH && !ours {
            headers.remove(name);
        }
    }
    headers.remove(header::CONNECTION);
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Returns the names that `Connection` lists.
fn options(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        for option in value.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            let usual = option.is_empty()
                || option.eq_ignore_ascii_case(b"keep-alive")
                || option.eq_ignore_ascii_case(b"close")
                || option.eq_ignore_ascii_case(b"upgrade");
            if usual || names.len() >= MAX_CONNECTION_OPTIONS {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(option) {
                names.push(name);
            }
        }
    }
    names
}

/// Whether a header that lists tokens has this one.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        let mut tokens = value.as_bytes().split(|byte| *byte == b',');
        tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            request.headers_mut().append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::try_from(*value).unwrap(),
            );
        }
        request
    }

    #[test]
    fn what_concerns_one_hop_stays_there() {
        let mut request = request(&[
            ("host", "a"),
            ("connection", "close, X-One, host"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("connection", "devgate-confined-to"),
            ("devgate-confined-to", "work"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers, deflate"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
        ]);
        assert!(prepare(&mut request).unwrap().is_none());
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let ours = "devgate-confined-to";
        assert_eq!(names, ["connection", ours, "host", "te", "x-three"]);
        assert_eq!(request.headers()["te"], "trailers");
        assert_eq!(request.headers()["connection"], "te");
    }

    #[test]
    fn a_body_that_is_more_than_chunked_is_refused() {
        for (coding, refused) in [("Chunked", false), ("gzip, chunked", true), ("gzip", true)] {
            let prepared = prepare(&mut request(&[("transfer-encoding", coding)]));
            assert_eq!(matches!(prepared, Err(ProxyError::Coding)), refused);
        }
    }

    #[test]
    fn an_upgrade_is_asked_for_beside_other_options() {
        let mut request = request(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
        ]);
        let upgrade = prepare(&mut request).unwrap();
        assert_eq!(upgrade.unwrap(), "websocket");
        assert_eq!(request.headers()["connection"], "upgrade");
        assert_eq!(request.headers()["upgrade"], "websocket");
    }

    #[test]
    fn http_2_is_not_upgraded_to() {
        let mut request = request(&[
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
        ]);
        assert!(prepare(&mut request).unwrap().is_none());
        assert!(request.headers().is_empty());
    }

    #[test]
    fn a_request_that_was_here_is_known_again() {
        let id = HeaderValue::from_static("devgate-1");
        let mut passed = request(&[("cdn-loop", "devgate-10, other; v=\"devgate-1\"")]);
        mark(passed.headers_mut(), &id).unwrap();
        let again = mark(passed.headers_mut(), &id);
        assert!(matches!(again, Err(ProxyError::Loop)));
        let mut joined = request(&[("cdn-loop", "other,devgate-1;hops=2")]);
        let again = mark(joined.headers_mut(), &id);
        assert!(matches!(again, Err(ProxyError::Loop)));
    }
}
