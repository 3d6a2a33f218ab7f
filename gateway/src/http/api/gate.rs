//! What holds for every request to the API, whatever it asks for.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Api, ApiRefused};
use crate::http::serve::PeerInfo;
use crate::http::site::{RequestSite, Scheme, Site};

/// Headers of every answer, unless it has its own.
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

/// Tells where a request comes from, lets it through where the dashboard is meant,
/// and hardens the answer.
pub(super) async fn gate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let site = &api.site;
    let asked = match asked(site, &request) {
        Ok(asked) => asked,
        Err(refused) => return harden(refused.into_response(), None),
    };
    let strict = strict_transport(site, &asked);
    request.extensions_mut().insert(asked);
    harden(next.run(request).await, strict)
}

fn asked(site: &Site, request: &Request) -> Result<RequestSite, ApiRefused> {
    let peer = request.extensions().get::<PeerInfo>();
    let peer = peer.ok_or(ApiRefused::NoConnection)?.address.ip();
    let headers = request.headers();
    let asked = site.request(peer, headers)?;
    if !site.is_dashboard(&asked.host) {
        return Err(ApiRefused::WrongHost {
            host: asked.host.as_str().into(),
            own: site.dashboard().to_string(),
        });
    }
    Ok(asked)
}

/// Returns the header that has browsers come by HTTPS alone. A name of this machine
/// gets none: it would count for other servers on it, too.
fn strict_transport(site: &Site, asked: &RequestSite) -> Option<HeaderValue> {
    let public = asked.host == site.dashboard().host()
        && asked.host.contains('.')
        && !asked.host.ends_with(".localhost")
        && asked.host.parse::<std::net::IpAddr>().is_err();
    (public && asked.scheme == Scheme::Https).then_some(STRICT_TRANSPORT)
}

fn harden(mut response: Response, strict: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HARDENING {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if let Some(strict) = strict {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, strict);
    }
    response
}

/// Tells whether a request that a browser sends with the dashboard's cookie comes
/// from a page of the dashboard itself.
pub fn from_dashboard(site: &Site, asked: &RequestSite, headers: &HeaderMap) -> bool {
    let fetch_site = headers.get("sec-fetch-site");
    let same_site = fetch_site.map(|value| value == "same-origin");
    let Some(origin) = headers.get(header::ORIGIN) else {
        // Browsers that leave it out of a same-origin request say so in the other one.
        return same_site == Some(true);
    };
    let Some(origin) = origin.to_str().ok().and_then(|text| text.parse().ok()) else {
        return false;
    };
    let own = *site.dashboard() == origin || asked.origin() == origin;
    own && same_site.unwrap_or(true)
}
