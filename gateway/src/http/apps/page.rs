//! Pages that people see where an application can't be shown. They hold no script.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

/// Looks of the pages.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;\
place-items:center;background:light-dark(#f8f9fa,#16181c);color:light-dark(#212529,#dee2e6)}\
main{max-width:36rem;padding:2rem}\
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .75rem}\
p{margin:0 0 1rem}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:.75rem 1rem;border-radius:.5rem;\
background:light-dark(#e9ecef,#25282d)}\
a{color:light-dark(#1864ab,#74c0fc)}\
small{color:light-dark(#495057,#adb5bd)}";

/// An icon without anything in it: browsers ask for `/favicon.ico` where a page names none.
const ICON: &str = "<link rel=\"icon\" href=\"data:,\">";

/// Nothing but the page itself and its looks, and the icon that it brings with it.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'self'"
    );
    // Base64 and the above are all visible characters.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// One page.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    /// What happened, and what to do next.
    pub(super) text: String,
    /// What to type, or what a program said.
    pub(super) quote: Option<String>,
    /// Where to go on: what it says, and the address.
    pub(super) link: Option<(String, String)>,
    /// Whether the page looks again by itself.
    pub(super) again: Again,
}

/// Whether a page looks again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It stays.
    No,
    /// After that many seconds.
    After(u8),
}

impl Page {
    pub(super) fn render(self) -> Response {
        let mut html = String::with_capacity(STYLE.len() + 1024);
        let title = escape(&self.title);
        let _ = write!(
            html,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">{ICON}\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1><p>{}</p>",
            escape(&self.text)
        );
        if let Some(quote) = &self.quote {
            let _ = write!(html, "<pre>{}</pre>", escape(quote));
        }
        if let Some((text, address)) = &self.link {
            let (text, address) = (escape(text), escape(address));
            let _ = write!(html, "<p><a href=\"{address}\">{text}</a></p>");
        }
        if self.again != Again::No {
            html.push_str("<p role=\"status\"><small>This page looks again by itself.</small></p>");
        }
        html.push_str("</main></body></html>");

        let mut response = Response::new(Body::from(html));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
        if let Again::After(seconds) = self.again {
            let seconds = HeaderValue::from(u16::from(seconds));
            headers.insert(HeaderName::from_static("refresh"), seconds.clone());
            headers.insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_shows_text_as_text_and_runs_nothing() {
        let page = Page {
            status: StatusCode::BAD_GATEWAY,
            title: "<script>".to_owned(),
            text: "a & b".to_owned(),
            quote: Some("\"x\"".to_owned()),
            link: Some(("on".to_owned(), "https://a/?b='".to_owned())),
            again: Again::After(2),
        };
        let response = page.render();
        assert_eq!(response.headers()["refresh"], "2");
        let policy = response.headers()["content-security-policy"].clone();
        let policy = policy.to_str().unwrap();
        assert!(policy.contains("default-src 'none'"));
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert!(!html.contains("<script") && html.contains("a &amp; b"));
        // It names its icon, and may show it: nothing asks for what it mustn't load.
        assert!(html.contains("<link rel=\"icon\" href=\"data:,\">"));
        assert!(policy.contains("img-src data:;"));
    }
}
