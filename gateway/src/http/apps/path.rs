//! Applications below the dashboard, where they have no hosts of their own:
//! `/@OWNER/WORKSPACE/apps/PORT/…` and `/@OWNER/WORKSPACE/editor/…`.
//!
//! There a browser takes them for the dashboard itself. Who opens one's own
//! applications trusts them with that; those of others are shown in a sandbox, without
//! an origin.

use axum::body::Body;
use axum::response::Response;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, StatusCode, Uri, header};

use super::access::{self, Ask, Reader};
use super::carry::{Errand, Way};
use super::host::port_of;
use super::{AppRefused, Apps, Place, client, lookup::Visitor};
use crate::config::Applications;
use crate::http::site::RequestSite;
use crate::identity::{Inside, Scope, Via, WorkspaceRef};

/// What all of these paths begin with.
pub(super) const START: &str = "/@";

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
struct Below<'a> {
    place: Place,
    /// What of the path is the gateway's.
    prefix: &'a str,
    /// What is the application's; empty, or begins with a slash.
    rest: &'a str,
}

impl Apps {
    /// Answers a request below the dashboard.
    pub(super) async fn at_path(&self, asked: &RequestSite, request: Request<Body>) -> Response {
        let (wants_page, reader) = (access::wants_page(&request), Reader::of(&request));
        match self.below(asked, request, wants_page).await {
            Ok(response) => response,
            Err((refused, place)) => {
                let workspace = place.as_ref().map(|place| &place.workspace);
                self.refused(&refused, reader, workspace)
            }
        }
    }

    async fn below(
        &self,
        asked: &RequestSite,
        mut request: Request<Body>,
        wants_page: bool,
    ) -> Result<Response, (AppRefused, Option<Place>)> {
        let path = request.uri().path().to_owned();
        let Some(Below {
            place,
            prefix,
            rest,
        }) = parse(&path)
        else {
            return Err((AppRefused::NoApplication, None));
        };
        let query = request.uri().query().map(str::to_owned);
        let target = target(rest, query.as_deref());
        let has_host = self.0.site.applications() == Applications::Subdomain;
        if place.fits()
            && let Some(origin) = self.0.site.application(&place.to_string())
        {
            return Ok(moved(&format!("{origin}{target}")));
        }
        if rest.is_empty() && !has_host {
            // Relative links of the application start from its folder.
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            return Ok(moved(&format!("{prefix}/{query}")));
        }
        let place_of = |refused| (refused, Some(place.clone()));
        let caller = self
            .0
            .sessions
            .caller(request.headers(), asked.cookies, asked.client)
            .await
            .map_err(|error| place_of(AppRefused::Session(error)))?;
        let visitor = caller.map(|caller| {
            let ended = self.0.sessions.revoked(&caller.via);
            let by_cookie = matches!(caller.via, Via::Login(_));
            let cookie = by_cookie.then(time::OffsetDateTime::now_utc);
            let scope = caller.scope;
            (
                Visitor {
                    user: caller.user.id,
                    via: caller.via,
                    narrowed_to: caller.narrowed_to,
                    ended,
                    cookie,
                },
                scope,
            )
        });
        let visitor = match visitor {
            Some((_, scope)) if scope < Scope::Write => {
                return Err(place_of(AppRefused::ScopeTooSmall));
            }
            other => other.map(|(visitor, _)| visitor),
        };
        let opened = self.0.doors.find(&self.0, &place).await.map_err(place_of)?;
        let user = visitor.as_ref().map(|visitor| &visitor.user);
        let pass = opened
            .as_ref()
            .and_then(|opened| {
                opened
                    .door
                    .enter(visitor.as_ref().map(Visitor::at_the_door))
            })
            .filter(|_| opened.is_some());
        let (Some(opened), Some(pass)) = (&opened, pass) else {
            if user.is_some() {
                return Err((AppRefused::NoApplication, None));
            }
            if wants_page {
                return Ok(Self::sign_in(&request));
            }
            return Err(place_of(AppRefused::SignInNeeded));
        };
        // By its id, which only those learn who may open it.
        let short = Place::of(pass.workspace(), place.inside);
        if let Some(origin) = self.0.site.application(&short.to_string()) {
            return Ok(moved(&format!("{origin}{target}")));
        }
        let by_cookie = visitor
            .as_ref()
            .is_some_and(|visitor| visitor.cookie.is_some());
        // All that lies below paths has one origin: within it nothing is told apart.
        let own = asked.origin();
        if by_cookie && access::is_of_strangers(&request, |origin| *origin == own) {
            return Err(place_of(AppRefused::CrossOrigin));
        }
        let target = Uri::try_from(&target).map_err(|_| place_of(AppRefused::NoApplication))?;
        *request.uri_mut() = target;
        let cut = self.cut(&place, &pass, visitor.as_ref());
        let shown = HeaderValue::try_from(prefix).ok();
        let errand = Errand {
            place: &place,
            opened,
            pass,
            cut,
            client: client(asked, shown),
            way: Way::Path {
                prefix: prefix.to_owned(),
                own,
            },
            ask: Ask::No,
            wants_page,
        };
        self.carry(errand, request).await.map_err(place_of)
    }

    fn sign_in(request: &Request<Body>) -> Response {
        let own = request
            .uri()
            .path_and_query()
            .map_or("/", PathAndQuery::as_str);
        let next = percent_encoding::utf8_percent_encode(own, percent_encoding::NON_ALPHANUMERIC);
        let mut response = moved(&format!("/sign-in?next={next}"));
        *response.status_mut() = StatusCode::FOUND;
        response
    }
}

fn parse(path: &str) -> Option<Below<'_>> {
    let mut parts = path.strip_prefix(START)?.splitn(4, '/');
    let owner = parts.next()?.parse().ok()?;
    let workspace = parts.next()?.parse().ok()?;
    let kind = parts.next()?;
    let rest = parts.next();
    let (inside, rest) = match kind {
        "editor" => (Inside::Editor, rest.map_or(0, |rest| rest.len() + 1)),
        "apps" => {
            let rest = rest?;
            let port = rest.split('/').next()?;
            (Inside::Port(port_of(port)?), rest.len() - port.len())
        }
        _ => return None,
    };
    let (prefix, rest) = path.split_at_checked(path.len() - rest)?;
    let place = Place {
        inside,
        workspace: WorkspaceRef::Named { workspace, owner },
    };
    Some(Below {
        place,
        prefix,
        rest,
    })
}

fn target(rest: &str, query: Option<&str>) -> String {
    let path = if rest.is_empty() { "/" } else { rest };
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// Keeps method and body: 307.
fn moved(address: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    match HeaderValue::try_from(address) {
        Ok(address) => {
            response.headers_mut().insert(header::LOCATION, address);
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_into_the_gateways_part_and_the_applications() {
        for (path, label, prefix, rest) in [
            (
                "/@ada/api/apps/3000/a/b",
                "3000--api--ada",
                "/@ada/api/apps/3000",
                "/a/b",
            ),
            (
                "/@ada/api/apps/3000",
                "3000--api--ada",
                "/@ada/api/apps/3000",
                "",
            ),
            (
                "/@ada/api/apps/3000//x",
                "3000--api--ada",
                "/@ada/api/apps/3000",
                "//x",
            ),
            (
                "/@ada/api/editor",
                "editor--api--ada",
                "/@ada/api/editor",
                "",
            ),
            (
                "/@ada/api/editor/",
                "editor--api--ada",
                "/@ada/api/editor",
                "/",
            ),
            (
                "/@ada/api/editor/../../x",
                "editor--api--ada",
                "/@ada/api/editor",
                "/../../x",
            ),
        ] {
            let place: Place = label.parse().unwrap();
            let below = Below {
                place,
                prefix,
                rest,
            };
            assert_eq!(parse(path), Some(below), "{path}");
        }
        for bad in [
            "/@",
            "/@ada",
            "/@ada/api",
            "/@ada/api/apps",
            "/@ada/api/apps/",
            "/@ada/api/apps/x/",
            "/@ada/../apps/1/",
            "/@ada/%61pi/apps/1/",
            "/@ada/api/editors/",
            "/@/api/editor/",
            "/@ada/api/apps/1%2f/",
            "/@ada//editor/",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
