//! Headers that concern one hop only, and those that tell an application who asks.

use std::borrow::Cow;
use std::net::IpAddr;

use axum::body::Body;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use hyper::body::Body as _;

use super::ProxyError;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Headers of one hop (RFC 9110 §7.6.1), whether `Connection` names them or not.
const HOP_BY_HOP: [HeaderName; 5] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers by which a proxy speaks for a client: where it came from, and who it is.
/// A client's own are not believed.
const CLAIMS: [&str; 15] = [
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "proxy",
    "remote-addr",
    "remote-user",
    "true-client-ip",
    "x-authenticated-user",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-real-ip",
    "x-remote-user",
    "x-rewrite-url",
    "x-webauth-user",
    "x-forwarded",
];

/// What others of them begin with.
const CLAIM_STARTS: [&str; 3] = ["x-forwarded-", "x-auth-request-", "x-original-"];

/// Names the gateways that a request went through (RFC 8586).
pub(super) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Longest `Connection` header that is looked at, in names.
const MAX_CONNECTION_OPTIONS: usize = 32;

/// Who asks, and by which address: what an application is told.
///
/// `Host` is the one that the client sent, so that an application makes links and
/// compares origins as if no gateway was there.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client's address.
    pub address: IpAddr,
    /// `https`, or `http`.
    pub scheme: &'static str,
    /// The host, with its port where it isn't the scheme's own.
    pub host: HeaderValue,
    /// What stands before the application's own paths.
    pub prefix: Option<HeaderValue>,
}

impl Client {
    /// Tells an application who asks, in place of what the client claimed.
    pub(super) fn announce(&self, headers: &mut HeaderMap) {
        let claims: Vec<_> = headers
            .keys()
            .filter(|name| is_claim(name))
            .cloned()
            .collect();
        for name in claims {
            headers.remove(name);
        }
        let address = self.address.to_canonical().to_string();
        if let Ok(address) = HeaderValue::try_from(address) {
            headers.insert(X_REAL_IP, address.clone());
            headers.insert(X_FORWARDED_FOR, address);
        }
        let scheme = HeaderValue::from_static(self.scheme);
        headers.insert(X_FORWARDED_PROTO, scheme);
        headers.insert(X_FORWARDED_HOST, self.host.clone());
        headers.insert(header::HOST, self.host.clone());
        if let Some(prefix) = &self.prefix {
            headers.insert(X_FORWARDED_PREFIX, prefix.clone());
        }
        // No `Forwarded`: applications that read it, code-server for one, don't know the
        // quotes that a port asks for (RFC 7239 §4), and refuse their own pages.
    }
}

/// Whether an application might take a header for the word of a proxy. Many read
/// underscores and hyphens as one (RFC 3875 §4.1.18).
fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    let spelt = if name.contains('_') {
        Cow::Owned(name.replace('_', "-"))
    } else {
        Cow::Borrowed(name)
    };
    CLAIMS.contains(&&*spelt) || CLAIM_STARTS.iter().any(|start| spelt.starts_with(start))
}

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
    let headers = request.headers_mut();
    strip(headers);
    // hyper answers it itself, once the application's side takes the body.
    headers.remove(header::EXPECT);
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
    strip(headers);
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

    #[test]
    fn what_a_client_claims_of_itself_is_replaced() {
        let mut request = request(&[
            ("host", "x"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-prefix", "/evil"),
            ("x-forwarded-user", "admin"),
            ("forwarded", "for=6.6.6.6"),
            ("x_forwarded_for", "6.6.6.6"),
            ("X-Forwarded_Proto", "http"),
            ("remote_user", "admin"),
            ("x-auth-request-email", "admin@a.example"),
            ("x-original-url", "/admin"),
            ("api_key", "mine"),
            ("x-forward", "mine"),
        ]);
        let client = Client {
            address: "::ffff:10.0.0.7".parse().unwrap(),
            scheme: "https",
            host: HeaderValue::from_static("a.example:8443"),
            prefix: None,
        };
        client.announce(request.headers_mut());
        let headers = request.headers();
        assert_eq!(headers["x-forwarded-for"], "10.0.0.7");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "a.example:8443");
        assert_eq!(headers["host"], "a.example:8443");
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let ours = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        let all = [&["api_key", "host", "x-forward"][..], &ours, &["x-real-ip"]].concat();
        assert_eq!(names, all);
    }
}
