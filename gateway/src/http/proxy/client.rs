//! What an application is told of who asks, in place of what they say of themselves.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

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

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::try_from(*value).unwrap(),
            );
        }
        map
    }

    #[test]
    fn what_a_client_claims_of_itself_is_replaced() {
        let mut headers = map(&[
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
        client.announce(&mut headers);
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
