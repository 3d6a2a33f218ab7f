//! Whether a page of the dashboard asks, or somebody else's.

use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::{Errand, RUN};
use crate::http::site::Origin;

/// Whether a request changes something.
pub(super) fn acts(head: &Parts) -> bool {
    // A WebSocket begins with a GET, knows no same-origin policy, and types.
    !matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS)
        || head.headers.contains_key(header::UPGRADE)
}

/// Whether somebody else's page may have sent what has an effect, with a cookie that it
/// doesn't know. What only reads has one, too, where it wakes the workspace: then it comes
/// from a page of the dashboard, or from a person who gave the address.
pub(super) fn is_foreign(own: &[Origin], head: &Parts, errand: Errand) -> bool {
    let headers = &head.headers;
    if own.iter().any(|own| own_page(own, headers)) {
        return false;
    }
    let wakes = errand == Errand::Work || head.uri.path().ends_with(RUN);
    let given = !headers.contains_key(header::ORIGIN)
        && headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "none");
    acts(head) || (wakes && !given)
}

fn own_page(own: &Origin, headers: &HeaderMap) -> bool {
    match headers.get(header::ORIGIN) {
        Some(origin) => origin
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .is_some_and(|origin: Origin| origin == *own),
        None => headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "same-origin"),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn what_wakes_a_workspace_comes_from_no_other_page() {
        let own: [Origin; 1] = ["https://dev.example".parse().unwrap()];
        let foreign = |method, path, headers: &[(&'static str, &'static str)], errand| {
            let mut request = Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            is_foreign(&own, &head, errand)
        };
        let grep = "/api/v1/workspaces/a/files/grep";
        let site = |site| [("sec-fetch-site", site)];
        for (headers, answer) in [
            (site("cross-site"), true),
            (site("same-site"), true),
            (site("same-origin"), false),
            (site("none"), false),
            ([("origin", "https://evil.example")], true),
            ([("origin", "https://dev.example")], false),
            ([("accept", "*/*")], true),
        ] {
            let get = |path, errand| foreign("GET", path, &headers, errand);
            assert_eq!(get(grep, Errand::Work), answer, "{headers:?}");
            let run = "/api/v1/workspaces/a/processes/run";
            assert_eq!(get(run, Errand::Look), answer, "{headers:?}");
            assert!(!get("/api/v1/workspaces/a/health", Errand::Look));
        }
        // What changes something a person doesn't ask for by an address.
        assert!(foreign("PUT", grep, &site("none"), Errand::Work));
        let upgrade = [("sec-fetch-site", "none"), ("upgrade", "websocket")];
        assert!(foreign("GET", grep, &upgrade, Errand::Look));
        assert!(!foreign("POST", grep, &site("same-origin"), Errand::Look));
    }
}
