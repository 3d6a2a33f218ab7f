//! What holds for every request to the API, whatever it asks for.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, header};

use super::{Api, ApiRefused};
use crate::http::serve::PeerInfo;
use crate::http::site::{RequestSite, Site};

/// Tells where a request comes from, and lets it through where the dashboard is meant.
pub(super) async fn gate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    match asked(&api.site, &request) {
        Ok(asked) => {
            request.extensions_mut().insert(asked);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    }
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
