//! The dashboard: its pages and files, which are part of the binary.
//!
//! What is sent allows no script or style but its own: pages carry a
//! `Content-Security-Policy` without `unsafe-inline`, and a nonce, fresh for each
//! answer, for the styles that the page's own scripts make.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use rand::RngExt;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::problem::RequestRefused;
use crate::fingerprint::beginning;

/// Stands in the page wherever the nonce belongs; `gateway/web/vite.config.ts`
/// knows it too.
const NONCE_MARK: &str = "__CSP_NONCE__";

/// The page that every address of the dashboard shows.
const PAGE: &str = "index.html";

/// Files below it have a hash of their content in their name.
const HASHED: &str = "assets/";

/// Addresses that the dashboard has pages for, and everything below them.
const PAGES: &[&str] = &["sign-in", "workspaces", "account", "admin", "device"];

/// Sent with every answer. No page of ours is framed, and none tells other
/// origins where somebody came from.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct Files;

/// Answers a request that no other route of the dashboard's origin takes: with a
/// file, with the page, or with a refusal.
///
/// # Errors
///
/// [`RequestRefused`] for what neither a file nor a page is, and for methods other
/// than GET and HEAD.
pub async fn serve(
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, RequestRefused> {
    let path = uri.path().trim_start_matches('/');
    if path != PAGE
        && let Some(name) = file_name(path)
    {
        return match method {
            Method::GET | Method::HEAD => file(name, &headers),
            _ => Err(RequestRefused::NoMethod),
        };
    }
    let status = if is_page(path) {
        StatusCode::OK
    } else if wants_html(&headers) {
        // A person reads it: the page says that there is nothing, and leads on.
        StatusCode::NOT_FOUND
    } else {
        return Err(RequestRefused::NoRoute);
    };
    match method {
        Method::GET | Method::HEAD => page_with(status),
        _ if status == StatusCode::OK => Err(RequestRefused::NoMethod),
        _ => Err(RequestRefused::NoRoute),
    }
}

/// Answers with the page, for addresses of the dashboard among other parts' ones,
/// such as the API's description.
///
/// # Errors
///
/// None, as the page is part of the binary.
pub async fn page() -> Result<Response, RequestRefused> {
    page_with(StatusCode::OK)
}

/// Returns a path's file if there is one: not a compressed form, which goes out under the plain
/// one's name.
fn file_name(path: &str) -> Option<&str> {
    let extension = Path::new(path).extension().and_then(OsStr::to_str);
    let compressed = matches!(extension, Some("br" | "gz"));
    (!compressed && Files::get(path).is_some()).then_some(path)
}

fn is_page(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    path.is_empty() || PAGES.contains(&first)
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("text/html"))
}

fn page_with(status: StatusCode) -> Result<Response, RequestRefused> {
    let page = Files::get(PAGE).ok_or(RequestRefused::NoRoute)?;
    let nonce = format!("{:032x}", rand::rng().random::<u128>());
    let html = String::from_utf8_lossy(&page.data).replace(NONCE_MARK, &nonce);
    let policy = format!(
        "default-src 'self'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    put(headers, header::CONTENT_TYPE, "text/html; charset=utf-8");
    // A kept page would keep its nonce.
    put(headers, header::CACHE_CONTROL, "no-cache");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    harden(headers);
    Ok(response)
}

fn file(name: &str, request: &HeaderMap) -> Result<Response, RequestRefused> {
    let (found, encoding) = choose(name, request).ok_or(RequestRefused::NoRoute)?;
    let mut response = sent(found, request);
    let headers = response.headers_mut();
    put(headers, header::CONTENT_TYPE, media_type(name));
    put(headers, header::VARY, "accept-encoding");
    let keep = if name.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    put(headers, header::CACHE_CONTROL, keep);
    if let Some(encoding) = encoding {
        put(headers, header::CONTENT_ENCODING, encoding);
    }
    Ok(response)
}

/// Answers with a file, hardened, unless the client has it.
pub(super) fn sent(file: EmbeddedFile, request: &HeaderMap) -> Response {
    let etag = etag(&file);
    let known = request
        .get(header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.to_str().is_ok_and(|tags| tags.contains(&etag)));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        match file.data {
            Cow::Borrowed(bytes) => bytes.into_response(),
            Cow::Owned(bytes) => bytes.into_response(),
        }
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    harden(headers);
    response
}

/// Returns a file in the smallest form that the client takes.
fn choose(name: &str, request: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let accepted: Vec<&str> = request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|coding| !coding.replace(' ', "").ends_with(";q=0"))
        .filter_map(|coding| coding.split(';').next())
        .map(str::trim)
        .collect();
    [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(coding, _)| accepted.contains(coding))
        .find_map(|(coding, ending)| {
            let file = Files::get(&format!("{name}.{ending}"))?;
            Some((file, Some(coding)))
        })
        .or_else(|| Some((Files::get(name)?, None)))
}

/// Each form of a file has its own.
fn etag(file: &EmbeddedFile) -> String {
    format!("\"{}\"", beginning(&file.metadata.sha256_hash(), 16))
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn harden(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        put(headers, name, value);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn get(path: &str, headers: &[(HeaderName, &str)]) -> Result<Response, RequestRefused> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        serve(Method::GET, path.parse().unwrap(), map).await
    }

    fn header_of(response: &Response, name: HeaderName) -> &str {
        let value = response.headers().get(name).unwrap();
        value.to_str().unwrap()
    }

    async fn text(response: Response) -> String {
        let body = response.into_body().collect().await.unwrap();
        String::from_utf8_lossy(&body.to_bytes()).into_owned()
    }

    fn some_script() -> String {
        Files::iter()
            .find(|name| name.starts_with("assets/index-") && name.ends_with(".js"))
            .unwrap()
            .into_owned()
    }

    #[tokio::test]
    async fn a_page_carries_the_nonce_of_its_policy_and_another_one_each_time() {
        let first = get("/workspaces/ada/api", &[]).await.unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        let policy = header_of(&first, header::CONTENT_SECURITY_POLICY).to_owned();
        assert!(!policy.contains("unsafe"), "{policy}");
        let nonce = policy.split("'nonce-").nth(1).unwrap();
        let nonce = nonce.split('\'').next().unwrap();
        let html = text(first).await;
        assert!(html.contains(nonce) && !html.contains(NONCE_MARK), "{html}");
        let second = get("/", &[]).await.unwrap();
        assert_ne!(policy, header_of(&second, header::CONTENT_SECURITY_POLICY));
    }

    #[tokio::test]
    async fn hashed_files_are_kept_for_good_and_go_out_compressed() {
        let path = format!("/{}", some_script());
        let plain = get(&path, &[]).await.unwrap();
        assert!(header_of(&plain, header::CACHE_CONTROL).contains("immutable"));
        assert_eq!(plain.headers().get(header::CONTENT_ENCODING), None);
        let accepts = [(header::ACCEPT_ENCODING, "gzip, deflate, br;q=0.9")];
        let packed = get(&path, &accepts).await.unwrap();
        assert_eq!(header_of(&packed, header::CONTENT_ENCODING), "br");
        assert_eq!(header_of(&packed, header::VARY), "accept-encoding");
        let refuses = [(header::ACCEPT_ENCODING, "br;q=0, gzip")];
        let other = get(&path, &refuses).await.unwrap();
        assert_eq!(header_of(&other, header::CONTENT_ENCODING), "gzip");
    }

    #[tokio::test]
    async fn a_file_that_the_browser_has_is_not_sent_again() {
        let first = get("/favicon.svg", &[]).await.unwrap();
        assert_eq!(header_of(&first, header::CACHE_CONTROL), "no-cache");
        let tag = header_of(&first, header::ETAG).to_owned();
        let again = get("/favicon.svg", &[(header::IF_NONE_MATCH, &tag)])
            .await
            .unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(text(again).await, "");
    }

    /// Returns the addresses that the page has something to show at, with names in place of
    /// what varies.
    fn shown() -> Vec<String> {
        let source = include_str!("../../web/src/app.tsx");
        let (_, routes) = source.split_once("const routes").unwrap();
        let (routes, _) = routes.split_once("\n];").unwrap();
        let mut found = Vec::new();
        // The paths of the routes that a line is within.
        let mut within: Vec<String> = Vec::new();
        for line in routes.lines().skip(1) {
            let (opened, closed) = (line.matches('{').count(), line.matches('}').count());
            if let Some((_, rest)) = line.split_once("path: \"") {
                let path = rest.split('"').next().unwrap();
                if opened == 0 {
                    *within.last_mut().unwrap() = path.to_owned();
                }
                let above = if opened == 0 {
                    within.len() - 1
                } else {
                    within.len()
                };
                let whole = [&within[..above], &[path.to_owned()]].concat().join("/");
                let parts = whole.split('/').filter(|part| !part.is_empty());
                let parts = parts.map(|part| if part.starts_with(':') { "name" } else { part });
                found.push(format!("/{}", parts.collect::<Vec<_>>().join("/")));
            }
            if opened > closed {
                within.push(String::new());
            } else if closed > opened {
                within.pop();
            }
        }
        found
    }

    #[tokio::test]
    async fn every_address_that_the_page_knows_is_one_of_its_own() {
        let shown = shown();
        for some in [
            "/",
            "/device",
            "/account/keys",
            "/workspaces/name/name/logs",
        ] {
            assert!(shown.iter().any(|path| path == some), "{some}: {shown:?}");
        }
        // Another part's, and what there is nothing at.
        let elsewhere = |path: &&String| path.starts_with("/api/") || path.ends_with('*');
        for path in shown.iter().filter(|path| !elsewhere(path)) {
            let answer = get(path, &[(header::ACCEPT, "*/*")]).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_a_page_for_people_and_a_problem_for_programs() {
        let person = get("/nothing", &[(header::ACCEPT, "text/html,*/*")])
            .await
            .unwrap();
        assert_eq!(person.status(), StatusCode::NOT_FOUND);
        for path in ["/nothing", "/assets/nothing.js", "/favicon.svg.br"] {
            let refused = get(path, &[(header::ACCEPT, "*/*")]).await;
            assert!(matches!(refused, Err(RequestRefused::NoRoute)), "{path}");
        }
    }

    #[tokio::test]
    async fn pages_and_files_are_only_read() {
        for path in ["/", "/favicon.svg"] {
            let refused = serve(Method::POST, path.parse().unwrap(), HeaderMap::new()).await;
            assert!(matches!(refused, Err(RequestRefused::NoMethod)), "{path}");
        }
    }

    #[tokio::test]
    async fn every_answer_is_hardened() {
        for path in ["/", "/favicon.svg", &format!("/{}", some_script())] {
            let response = get(path, &[]).await.unwrap();
            for (name, value) in HEADERS {
                assert_eq!(header_of(&response, name), value, "{path}");
            }
        }
    }
}
