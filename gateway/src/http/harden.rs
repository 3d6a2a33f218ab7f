//! Headers of every answer on the dashboard's origin, whichever part gives it.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::site::{RequestSite, Scheme, Site};

/// Headers of an answer that has none of its own of that name.
const HARDENING: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Two years, as the lists that browsers are built with ask for.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Hardens an answer; `strict` is what [`strict_transport`] said of the request.
pub(super) fn harden(headers: &mut HeaderMap, strict: Option<HeaderValue>) {
    for (name, value) in HARDENING {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if let Some(strict) = strict {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, strict);
    }
}

/// Returns the header that has browsers come by HTTPS alone. A name of this machine
/// gets none: it would count for other servers on it, too.
pub(super) fn strict_transport(site: &Site, asked: &RequestSite) -> Option<HeaderValue> {
    let public = asked.host == site.dashboard().host()
        && asked.host.contains('.')
        && !asked.host.ends_with(".localhost")
        && asked.host.parse::<IpAddr>().is_err();
    (public && asked.scheme == Scheme::Https).then_some(STRICT_TRANSPORT)
}
