//! Which requests reach an application.

use axum::body::Body;
use http::{HeaderMap, HeaderName, Method, Request, header};

use super::lookup::{Opened, Visitor};
use super::{AppRefused, Place};
use crate::http::proxy::has_token;
use crate::http::site::{Origin, Site};
use crate::identity::{Inside, Pass};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request that may pass.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) pass: Pass,
    pub(super) ask: Ask,
}

/// Whether a request is a browser's own question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A CORS preflight, which carries nobody's rights.
    Preflight,
    /// Anything else.
    No,
}

/// Decides on a request to an application's host. Where a visitor isn't signed in,
/// a place that isn't there looks like one that is.
///
/// A CORS preflight passes without anybody's rights: browsers send none with it, it
/// changes nothing, and only the application knows which origins it lets in. It doesn't
/// start a workspace, and nothing of it but the question is handed on.
pub(super) fn allow(
    site: &Site,
    place: &Place,
    opened: Option<&Opened>,
    visitor: Option<&Visitor>,
    request: &Request<Body>,
) -> Result<Allowed, AppRefused> {
    let unknown = || match visitor {
        Some(_) => AppRefused::NoApplication,
        None => AppRefused::SignInNeeded,
    };
    let door = &opened.ok_or_else(unknown)?.door;
    if is_preflight(request) && matches!(place.inside, Inside::Port(_)) {
        return Ok(Allowed {
            pass: door.ask(),
            ask: Ask::Preflight,
        });
    }
    let pass = door
        .enter(visitor.map(|visitor| &visitor.user))
        .ok_or_else(unknown)?;
    let by_cookie = visitor.is_some_and(|visitor| visitor.cookie.is_some());
    // What everybody may do anyway, no page can do in somebody's name.
    if by_cookie
        && door.enter(None).is_none()
        && acts(request)
        && !is_of_the_workspace(site, place, request.headers())
    {
        return Err(AppRefused::CrossOrigin);
    }
    Ok(Allowed { pass, ask: Ask::No })
}

/// Whether a request does something, or opens a channel both ways: those another site
/// must not cause. A WebSocket isn't bound by CORS, so its handshake is one of them.
pub(super) fn acts(request: &Request<Body>) -> bool {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    );
    !safe || is_upgrade(request.headers())
}

/// Whether a request comes from a page of the same workspace, or of no page at all.
///
/// Other applications of the workspace count as its own: they are the same person's,
/// and a front end on one port talks to its back end on another. Those of other
/// workspaces are, for a browser, on the same site, so that `SameSite` doesn't hold
/// their requests back.
fn is_of_the_workspace(site: &Site, place: &Place, headers: &HeaderMap) -> bool {
    match origin(headers) {
        Some(Ok(origin)) => {
            let Some(label) = site.label(origin.host()) else {
                return false;
            };
            let own = site.application(label).is_some_and(|own| own == origin);
            let found = label.parse::<Place>();
            own && found.is_ok_and(|found| match place.inside {
                // Whoever has the editor has a shell.
                Inside::Editor => found == *place,
                Inside::Port(_) => found.is_beside(place),
            })
        }
        Some(Err(())) => false,
        None => no_foreign_site(headers),
    }
}

/// Whether a request comes from a page of exactly that origin, or of no page at all.
pub(super) fn is_of_origin(own: &Origin, headers: &HeaderMap) -> bool {
    match origin(headers) {
        Some(Ok(origin)) => origin == *own,
        Some(Err(())) => false,
        None => no_foreign_site(headers),
    }
}

/// Returns the origin that a browser says the request comes from.
fn origin(headers: &HeaderMap) -> Option<Result<Origin, ()>> {
    let value = headers.get(header::ORIGIN)?;
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    Some(parsed.ok_or(()))
}

/// Browsers that send no `Origin` with a request say at least how far it comes from;
/// what isn't a browser says neither, and holds no cookie that it didn't mean to send.
fn no_foreign_site(headers: &HeaderMap) -> bool {
    headers
        .get(SEC_FETCH_SITE)
        .is_none_or(|site| site == "same-origin" || site == "none")
}

fn is_preflight(request: &Request<Body>) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Leaves of the answer to a preflight what a browser asked for.
pub(super) fn only_the_answer(headers: &mut HeaderMap) {
    let others: Vec<_> = headers
        .keys()
        .filter(|name| !name.as_str().starts_with("access-control-"))
        .filter(|name| ![header::ALLOW, header::DATE, header::VARY].contains(*name))
        .cloned()
        .collect();
    for name in others {
        headers.remove(name);
    }
}

/// Leaves of a preflight what a browser sends with one.
pub(super) fn only_the_question(request: &mut Request<Body>) {
    let kept = [
        header::HOST,
        header::ORIGIN,
        header::ACCESS_CONTROL_REQUEST_METHOD,
        header::ACCESS_CONTROL_REQUEST_HEADERS,
        HeaderName::from_static("access-control-request-private-network"),
        header::ACCEPT,
        header::USER_AGENT,
    ];
    let headers = std::mem::take(request.headers_mut());
    for name in kept {
        if let Some(value) = headers.get(&name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    *request.body_mut() = Body::empty();
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE) && has_token(headers, &header::CONNECTION, "upgrade")
}

/// Whether a person looks at the answer.
pub(super) fn wants_page<B>(request: &Request<B>) -> bool {
    let read = matches!(*request.method(), Method::GET | Method::HEAD);
    let accepts = request.headers().get(header::ACCEPT);
    let html = accepts
        .and_then(|accepts| accepts.to_str().ok())
        .is_some_and(|accepts| accepts.contains("text/html"));
    read && html && !is_upgrade(request.headers())
}
