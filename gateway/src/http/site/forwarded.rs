//! What proxies add to a request: `X-Forwarded-*` and `Forwarded` (RFC 7239).

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

use super::Scheme;

/// What most proxies set.
pub(super) const FORWARDED_HEADERS: [&str; 3] =
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];

/// What a request is said to be.
pub(super) struct Forwarded {
    pub(super) client: IpAddr,
    pub(super) scheme: Option<Scheme>,
    pub(super) host: Option<String>,
}

/// Returns the entries of a header that is a list, in order.
pub(super) fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value: &HeaderValue| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|entry| entry.trim().to_owned())
        .filter(|entry| !entry.is_empty())
        .collect()
}

/// Returns a parameter of an element of `Forwarded` (RFC 7239 §4).
pub(super) fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim();
        let bare = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        key.trim()
            .eq_ignore_ascii_case(name)
            .then_some(bare.unwrap_or(value))
    })
}

/// Reads an address as forwarders write it: with or without a port.
pub(super) fn address_of(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    if let Some(rest) = node.strip_prefix('[') {
        return rest.split_once(']')?.0.parse().ok();
    }
    if let Ok(address) = node.parse() {
        return Some(address);
    }
    node.rsplit_once(':')?.0.parse().ok()
}
