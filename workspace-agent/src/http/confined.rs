//! Callers that may use one folder and nothing else.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, StatusCode};
use percent_encoding::percent_decode;

use super::problem::Problem;

/// Says which folder a caller may use; the gateway alone sends it.
const CONFINED_TO: HeaderName = HeaderName::from_static("devgate-confined-to");

/// Returns the folder that the caller is confined to.
pub(super) fn folder(headers: &HeaderMap) -> Option<Vec<u8>> {
    let folder = headers.get(CONFINED_TO)?;
    Some(percent_decode(folder.as_bytes()).collect())
}

/// Refuses callers that are confined to a folder: what they would get here doesn't stay
/// in it.
pub(super) async fn refuse(request: Request, next: Next) -> Response {
    if request.headers().contains_key(CONFINED_TO) {
        let detail = "the token is confined to a folder, and this isn't: use one that may use \
                      the whole workspace";
        return Problem::new(StatusCode::FORBIDDEN, "outside", detail).into_response();
    }
    next.run(request).await
}
