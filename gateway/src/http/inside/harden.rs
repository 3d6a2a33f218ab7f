//! What is handed on of what an agent answers.

use axum::response::Response;
use http::{HeaderName, HeaderValue, header};

use crate::http::proxy::media_type;

/// Headers of an agent's answer that are handed on. Whoever has a shell in the workspace
/// may write the others, which would count for the dashboard's origin.
const HANDED_ON: [HeaderName; 16] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::DATE,
    header::RETRY_AFTER,
    HeaderName::from_static("output-offset"),
    // Of an archive, of a file, and of an upload.
    HeaderName::from_static("left-out"),
    header::ACCEPT_RANGES,
    header::CONTENT_DISPOSITION,
    header::CONTENT_RANGE,
    header::ETAG,
    header::LAST_MODIFIED,
    HeaderName::from_static("upload-offset"),
    // Of an upgrade to a WebSocket.
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_PROTOCOL,
];

/// What an agent answers with.
const TYPES: [&str; 8] = [
    "application/gzip",
    "application/json",
    "application/problem+json",
    "application/x-ndjson",
    "application/x-tar",
    "application/zip",
    "text/event-stream",
    "text/plain",
];

/// What the agent says is data: no page, no word about the dashboard, and nothing to
/// keep.
pub(super) fn harden(response: &mut Response) {
    let all = std::mem::take(response.headers_mut());
    let headers = response.headers_mut();
    for name in HANDED_ON {
        if let Some(value) = all.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    // It is saved, and shown by nobody.
    let saved = |value: &HeaderValue| value.as_bytes().starts_with(b"attachment");
    if !headers.get(header::CONTENT_DISPOSITION).is_none_or(saved) {
        headers.remove(header::CONTENT_DISPOSITION);
    }
    let kind = media_type(headers);
    if matches!(kind, "text/event-stream" | "application/x-ndjson") {
        // nginx hands on what comes bit by bit only where it is told not to gather it.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    } else if headers.contains_key(header::CONTENT_TYPE) && !TYPES.contains(&kind) {
        let unknown = HeaderValue::from_static("application/octet-stream");
        headers.insert(header::CONTENT_TYPE, unknown);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn an_agent_says_nothing_about_the_dashboards_origin() {
        let mut response = Response::new(Body::empty());
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", "5"),
            ("set-cookie", "__Host-devgate=evil; Path=/; Secure"),
            ("location", "https://evil.example/"),
            ("refresh", "0; url=https://evil.example/"),
            ("clear-site-data", "\"*\""),
            ("content-security-policy", "script-src *"),
            ("access-control-allow-origin", "*"),
            ("service-worker-allowed", "/"),
            ("cache-control", "public"),
            ("content-disposition", "inline; filename=page.html"),
            ("etag", "\"1\""),
        ] {
            let headers = response.headers_mut();
            headers.append(name, HeaderValue::from_static(value));
        }
        harden(&mut response);
        let headers = response.headers();
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "cache-control",
                "content-length",
                "content-security-policy",
                "content-type",
                "etag"
            ]
        );
        assert_eq!(headers["content-type"], "application/octet-stream");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(
            !headers["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("script")
        );
    }
}
