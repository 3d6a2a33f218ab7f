//! Which requests reach an application.

use axum::body::Body;
use http::{HeaderMap, HeaderName, Method, Request, header};

use super::lookup::{Opened, Visitor};
use super::{AppRefused, Place};
use crate::http::proxy::has_token;
use crate::http::site::{Origin, Site};
use crate::identity::{Inside, Pass};
use crate::workspaces::Workspace;

/// What browsers say of how a request comes about (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_USER: HeaderName = HeaderName::from_static("sec-fetch-user");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

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
        .enter(visitor.map(Visitor::at_the_door))
        .ok_or_else(unknown)?;
    let by_cookie = visitor.is_some_and(|visitor| visitor.cookie.is_some());
    let here = (door.workspace(), place.inside);
    let own = |origin: &Origin| is_of_the_workspace(site, here, origin);
    // What everybody may do anyway, no page can do in somebody's name.
    if by_cookie && door.enter(None).is_none() && is_of_strangers(request, own) {
        return Err(AppRefused::CrossOrigin);
    }
    Ok(Allowed { pass, ask: Ask::No })
}

/// Whether somebody else's page has a browser send a request; `own` tells which origins
/// aren't somebody else's.
///
/// A person may follow a link from anywhere, as long as nothing but a page comes of it.
/// A frame, an image, a script or a `fetch` is loaded for the page that it is in, and
/// that page learns of it: whether it is there, how large it is, what a script defines.
/// `Origin` says which page that is, else `Referer`, which a page can leave out but not
/// forge. A page that tells nobody its address (`Referrer-Policy: no-referrer`) has its own
/// forms sent with the origin `null`, as a page without an origin has; Fetch Metadata tells
/// the two apart. Over plain HTTP, other than on this machine, browsers say less, and only
/// what carries an `Origin` is told apart.
pub(super) fn is_of_strangers(request: &Request<Body>, own: impl Fn(&Origin) -> bool) -> bool {
    let headers = request.headers();
    let is = |name, wanted| headers.get(name).is_some_and(|value| value == wanted);
    let hidden = is(header::ORIGIN, "null") && is(SEC_FETCH_SITE, "same-origin");
    if !hidden && let Some(origin) = origin(headers) {
        return !origin.is_ok_and(|origin| own(&origin));
    }
    if no_foreign_site(headers) {
        return false;
    }
    if acts(request) {
        return true;
    }
    let followed = is(SEC_FETCH_MODE, "navigate") && is(SEC_FETCH_DEST, "document");
    !followed && !referer(headers).is_some_and(|origin| own(&origin))
}

/// Whether a request does something, or opens a channel both ways: those another site
/// must not cause. A WebSocket isn't bound by CORS, so its handshake is one of them.
fn acts(request: &Request<Body>) -> bool {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    );
    !safe || is_upgrade(request.headers())
}

/// Whether an origin is of the same workspace.
///
/// Other applications of the workspace count as its own: they are the same person's,
/// and a front end on one port talks to its back end on another. Those of other
/// workspaces are, for a browser, on the same site, so that `SameSite` doesn't hold
/// their requests back.
fn is_of_the_workspace(
    site: &Site,
    (workspace, inside): (&Workspace, Inside),
    origin: &Origin,
) -> bool {
    let Some(label) = site.label(origin.host()) else {
        return false;
    };
    let own = site.application(label).is_some_and(|own| own == *origin);
    let found = label.parse::<Place>();
    let beside = found.is_ok_and(|found| {
        // Whoever has the editor has a shell.
        let may_act = inside != Inside::Editor || found.inside == Inside::Editor;
        may_act && found.workspace.is(workspace)
    });
    own && beside
}

/// Returns the origin that a browser says the request comes from.
fn origin(headers: &HeaderMap) -> Option<Result<Origin, ()>> {
    let value = headers.get(header::ORIGIN)?;
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    Some(parsed.ok_or(()))
}

/// Returns the origin of the page that a browser says it was on.
fn referer(headers: &HeaderMap) -> Option<Origin> {
    let value = headers.get(header::REFERER)?.to_str().ok()?;
    let (scheme, rest) = value.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    format!("{scheme}://{authority}").parse().ok()
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

/// Whether somebody sits in front of it: they did something that made their browser
/// open a page (Fetch Metadata, `Sec-Fetch-User`), or change something. Where a browser
/// says nothing of it, every page counts.
pub(super) fn by_a_person<B>(request: &Request<B>, wants_page: bool) -> bool {
    let headers = request.headers();
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    );
    let silent = !headers.contains_key(SEC_FETCH_MODE);
    !safe || headers.contains_key(SEC_FETCH_USER) || (wants_page && silent)
}

/// Whether a person opens a page, which may as well be another one in between.
pub(super) fn wants_page<B>(request: &Request<B>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && takes_page(request)
}

/// Who looks at an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A program.
    Program,
    /// A person who opened a page.
    Opener,
    /// A person who sent a form (Fetch Metadata, `Sec-Fetch-Mode`): what was sent isn't sent
    /// again by itself.
    Sender,
}

impl Reader {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let mode = request.headers().get(SEC_FETCH_MODE);
        if wants_page(request) {
            Self::Opener
        } else if mode.is_some_and(|mode| mode == "navigate") && takes_page(request) {
            Self::Sender
        } else {
            Self::Program
        }
    }
}

fn takes_page<B>(request: &Request<B>) -> bool {
    let accepts = request.headers().get(header::ACCEPT);
    let html = accepts
        .and_then(|accepts| accepts.to_str().ok())
        .is_some_and(|accepts| accepts.contains("text/html"));
    html && !is_upgrade(request.headers())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(method: &Method, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let own: Origin = "https://own.example".parse().unwrap();
        is_of_strangers(&request.body(Body::empty()).unwrap(), |origin| {
            *origin == own
        })
    }

    #[test]
    fn only_links_lead_in_from_other_pages() {
        let site = |value| ("sec-fetch-site", value);
        let navigate = ("sec-fetch-mode", "navigate");
        let document = ("sec-fetch-dest", "document");
        for from in ["same-site", "cross-site"] {
            let followed = [site(from), navigate, document];
            assert!(!is_refused(&Method::GET, &followed));
            assert!(is_refused(&Method::POST, &followed));
            for (mode, dest) in [
                ("no-cors", "script"),
                ("no-cors", "image"),
                ("no-cors", "empty"),
                ("navigate", "iframe"),
                ("navigate", "object"),
                ("cors", "empty"),
            ] {
                let loaded = [
                    site(from),
                    ("sec-fetch-mode", mode),
                    ("sec-fetch-dest", dest),
                ];
                assert!(is_refused(&Method::GET, &loaded), "{mode} {dest}");
                let own = [&loaded[..], &[("referer", "https://own.example/a?b")]].concat();
                assert!(!is_refused(&Method::GET, &own), "{mode} {dest}");
                for other in ["https://evil.example/", "https://own.example.evil/", "own"] {
                    let other = [&loaded[..], &[("referer", other)]].concat();
                    assert!(is_refused(&Method::GET, &other), "{mode} {dest}");
                }
            }
        }
        for from in ["same-origin", "none"] {
            assert!(!is_refused(&Method::GET, &[site(from)]));
            assert!(!is_refused(&Method::POST, &[site(from)]));
        }
    }

    #[test]
    fn an_origin_says_who_asks_whatever_is_asked() {
        for method in [Method::GET, Method::POST] {
            let own = [("origin", "https://own.example")];
            assert!(!is_refused(&method, &own));
            for other in ["https://evil.example", "null", "nonsense"] {
                assert!(is_refused(&method, &[("origin", other)]), "{other}");
                let liar = [("origin", other), ("referer", "https://own.example/")];
                assert!(is_refused(&method, &liar), "{other}");
            }
        }
        // A program isn't led by any page.
        assert!(!is_refused(&Method::GET, &[]));
        assert!(!is_refused(&Method::POST, &[]));
    }

    #[test]
    fn a_page_of_ones_own_may_hide_its_address() {
        let form = |origin, site| {
            let sent = [("origin", origin), ("sec-fetch-site", site)];
            is_refused(&Method::POST, &sent)
        };
        assert!(!form("null", "same-origin"));
        for site in ["same-site", "cross-site", "none", ""] {
            assert!(form("null", site), "{site}");
        }
        assert!(form("https://evil.example", "same-origin"));
    }
}
