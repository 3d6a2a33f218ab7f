//! Errors as `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Returns an error as problem+json; `detail` says what to do next.
pub fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
    });
    let content_type = HeaderValue::from_static("application/problem+json");
    let headers = [(header::CONTENT_TYPE, content_type)];
    (status, headers, body.to_string()).into_response()
}

pub(super) async fn not_found() -> Response {
    let detail = "There is nothing at this address; check the path.";
    problem(StatusCode::NOT_FOUND, detail)
}

pub(super) async fn wrong_method() -> Response {
    let detail = "This address doesn't take this method; the Allow header names those it takes.";
    problem(StatusCode::METHOD_NOT_ALLOWED, detail)
}
