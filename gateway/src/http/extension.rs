//! The VS Code extension, for people to install: a part of the binary where it was built.

use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};
use rust_embed::RustEmbed;

use super::dashboard::sent;
use super::problem::RequestRefused;

/// Where it is.
pub(super) const PATH: &str = "/extension/devgate.vsix";

/// Its file's name.
const NAME: &str = "devgate.vsix";

#[derive(RustEmbed)]
#[folder = "../ide-extension/package/"]
struct Package;

/// Answers with the extension.
///
/// # Errors
///
/// [`RequestRefused::NoExtension`] where it isn't part of this build.
pub(super) async fn serve(headers: HeaderMap) -> Result<Response, RequestRefused> {
    let file = Package::get(NAME).ok_or(RequestRefused::NoExtension)?;
    let mut response = sent(file, &headers);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/vsix"),
        (header::CACHE_CONTROL, "no-cache"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"devgate.vsix\"",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_extension_is_a_zip_that_is_sent_once() {
        // `make web` builds it.
        let first = serve(HeaderMap::new()).await.unwrap();
        assert_eq!(first.headers()[header::CONTENT_TYPE], "application/vsix");
        let mut known = HeaderMap::new();
        known.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        let body = first.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"PK\x03\x04"));
        let again = serve(known).await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }
}
