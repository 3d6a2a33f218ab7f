//! Callers that may use one folder and nothing else.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode};

use super::problem::Problem;

/// Says which folder a caller may use; the gateway alone sends it.
const CONFINED_TO: HeaderName = HeaderName::from_static("devgate-confined-to");

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
