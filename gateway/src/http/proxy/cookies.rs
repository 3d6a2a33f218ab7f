//! Cookies that pass through, in both directions.

use http::header;
use http::{HeaderMap, HeaderValue};

/// Takes the cookies that are not the application's out of a request. Its own may hold any
/// bytes.
pub(crate) fn strip_cookies(headers: &mut HeaderMap, ours: impl Fn(&str) -> bool) {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut found = false;
    for value in headers.get_all(header::COOKIE) {
        for pair in value.as_bytes().split(|byte| *byte == b';') {
            if ours(name_of(&String::from_utf8_lossy(pair))) {
                found = true;
            } else if !pair.trim_ascii().is_empty() {
                kept.push(pair.trim_ascii());
            }
        }
    }
    if !found {
        return;
    }
    let kept = HeaderValue::from_bytes(&kept.join(&b"; "[..]));
    match kept {
        Ok(kept) if !kept.is_empty() => {
            headers.insert(header::COOKIE, kept);
        }
        _ => {
            headers.remove(header::COOKIE);
        }
    }
}

/// Keeps an application's cookies to its own host: `Domain` would show them to others,
/// and let it set theirs. Those named like ours are dropped.
pub(crate) fn keep_to_host(headers: &mut HeaderMap, ours: impl Fn(&str) -> bool) {
    rewrite_set_cookies(headers, |cookie| {
        let mut parts = cookie.split(';');
        let pair = parts.next()?;
        if ours(name_of(pair)) {
            return None;
        }
        let rest = parts.filter(|part| !is_attribute(part, "domain"));
        Some(
            std::iter::once(pair)
                .chain(rest)
                .collect::<Vec<_>>()
                .join(";"),
        )
    });
}

/// Keeps an application's cookies below its own path, where several share a host.
pub(crate) fn keep_to_path(headers: &mut HeaderMap, prefix: &str, ours: impl Fn(&str) -> bool) {
    rewrite_set_cookies(headers, |cookie| {
        let mut parts = cookie.split(';');
        let pair = parts.next()?;
        let name = name_of(pair);
        // Such a cookie is for the whole host, and can't be for less.
        let whole_host = name
            .get(..7)
            .is_some_and(|start| start.eq_ignore_ascii_case("__Host-"));
        if whole_host || ours(name) {
            return None;
        }
        let parts: Vec<_> = parts.collect();
        let path = parts.iter().find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("path")
                .then(|| value.trim_ascii())
        });
        let path = path.filter(|path| path.starts_with('/')).unwrap_or("/");
        // An application that knows where it is has said it itself.
        let prefix = if is_below(path, prefix) { "" } else { prefix };
        let rest = parts
            .iter()
            .filter(|part| !is_attribute(part, "domain") && !is_attribute(part, "path"));
        let mut text = pair.to_owned();
        for part in rest {
            text.push(';');
            text.push_str(part);
        }
        text.push_str("; Path=");
        text.push_str(prefix);
        text.push_str(path);
        Some(text)
    });
}

/// Whether a path is an application's own as a browser sees it: it begins with the prefix that
/// the application is at.
pub(crate) fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

/// Returns the name that a cookie may be taken to have. One without a name is sent back
/// as its value alone, which then looks like a pair of its own (RFC 6265bis §5.7.3): of
/// `=a=b` that is `a`.
fn name_of(pair: &str) -> &str {
    let named = pair.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
    named.split('=').next().unwrap_or_default().trim()
}

fn is_attribute(part: &str, wanted: &str) -> bool {
    let name = part.split('=').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case(wanted)
}

/// Rewrites each cookie that is set. What isn't text is handed on as it is, a character a byte.
fn rewrite_set_cookies(headers: &mut HeaderMap, rewrite: impl Fn(&str) -> Option<String>) {
    if !headers.contains_key(header::SET_COOKIE) {
        return;
    }
    let mut kept = Vec::new();
    for value in headers.get_all(header::SET_COOKIE) {
        let text: String = value.as_bytes().iter().map(|b| char::from(*b)).collect();
        let bytes = rewrite(&text).map(|text| text.chars().flat_map(u8::try_from).collect());
        kept.extend(bytes.and_then(|bytes: Vec<u8>| HeaderValue::from_bytes(&bytes).ok()));
    }
    headers.remove(header::SET_COOKIE);
    for value in kept {
        headers.append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(name: &str) -> bool {
        name == "__Host-devgate"
    }

    #[test]
    fn the_gateways_cookies_are_not_shown_to_an_application() {
        let mut headers = HeaderMap::new();
        let shown = HeaderValue::from_static("a=1; __Host-devgate=s3cret; b=2");
        headers.insert("cookie", shown);
        strip_cookies(&mut headers, ours);
        assert_eq!(headers["cookie"], "a=1; b=2");
        for alone in [
            "__Host-devgate=s3cret",
            "__Host-devgate",
            "=__Host-devgate=s3cret",
            " = =__Host-devgate =s3cret",
        ] {
            headers.insert("cookie", HeaderValue::from_static(alone));
            strip_cookies(&mut headers, ours);
            assert!(!headers.contains_key("cookie"), "{alone}");
        }
        let nameless = HeaderValue::from_static("a; =b; __Host-devgate; =c=d");
        headers.insert("cookie", nameless);
        strip_cookies(&mut headers, ours);
        assert_eq!(headers["cookie"], "a; =b; =c=d");
    }

    #[test]
    fn cookies_that_are_no_text_pass_both_ways_beside_the_gateways() {
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap();
        let mut headers = HeaderMap::new();
        let received = value(b"x=\xe4; __Host-devgate=s3cret; y=\xc3\xa0; \xff");
        headers.insert("cookie", received);
        strip_cookies(&mut headers, ours);
        assert_eq!(headers["cookie"], value(b"x=\xe4; y=\xc3\xa0; \xff"));
        let set: &[&[u8]] = &[
            b"x=\xe4; Domain=example.com; Path=/\xc3\xa0",
            b"__Host-devgate=\xe4; Path=/",
        ];
        for (path, rewritten) in [
            (None, &b"x=\xe4; Path=/\xc3\xa0"[..]),
            (Some("/@a/w/apps/1"), b"x=\xe4; Path=/@a/w/apps/1/\xc3\xa0"),
        ] {
            for cookie in set {
                headers.append("set-cookie", value(cookie));
            }
            match path {
                None => keep_to_host(&mut headers, ours),
                Some(prefix) => keep_to_path(&mut headers, prefix, ours),
            }
            let left: Vec<_> = headers.get_all("set-cookie").iter().cloned().collect();
            assert_eq!(left, [value(rewritten)]);
            headers.clear();
        }
    }

    #[test]
    fn an_application_sets_cookies_for_its_own_host_alone() {
        let mut headers = HeaderMap::new();
        for cookie in [
            "a=1; Path=/; Domain=example.com; HttpOnly",
            "__Host-devgate=evil; Path=/; Secure",
            "=__Host-devgate=evil; Path=/",
            "__Host-devgate; Path=/",
            "b=2; domain = .example.com",
            "=c",
        ] {
            headers.append("set-cookie", HeaderValue::from_static(cookie));
        }
        keep_to_host(&mut headers, ours);
        let left: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(left, ["a=1; Path=/; HttpOnly", "b=2", "=c"]);
    }

    #[test]
    fn an_application_below_a_path_sets_cookies_below_it() {
        let mut headers = HeaderMap::new();
        for cookie in [
            "a=1; Path=/; Domain=example.com; HttpOnly",
            "__host-x=evil; Path=/; Secure",
            "=__Host-x=evil; Path=/; Secure",
            "b=2",
            "c=3; path=/sub",
            "d=4; Path=/@a/w/apps/1",
            "e=5; Path=/@a/w/apps/1/sub",
            "f=6; Path=/@a/w/apps/12",
        ] {
            headers.append("set-cookie", HeaderValue::from_static(cookie));
        }
        keep_to_path(&mut headers, "/@a/w/apps/1", ours);
        let left: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(
            left,
            [
                "a=1; HttpOnly; Path=/@a/w/apps/1/",
                "b=2; Path=/@a/w/apps/1/",
                "c=3; Path=/@a/w/apps/1/sub",
                "d=4; Path=/@a/w/apps/1",
                "e=5; Path=/@a/w/apps/1/sub",
                "f=6; Path=/@a/w/apps/1/@a/w/apps/12",
            ]
        );
    }
}
