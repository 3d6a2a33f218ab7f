//! What others try, each refused.

use serde_json::json;

use crate::client::Site;
use crate::home::Home;

#[test]
fn a_page_of_another_origin_can_do_nothing_with_the_cookie() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let own = format!("Origin: {}", site.origin());
    let new = json!({ "name": "made", "start": false });
    for headers in [
        vec![],
        vec!["Origin: https://evil.example"],
        vec!["Origin: null"],
        vec!["Origin: http://evil.localhost"],
        vec!["Sec-Fetch-Site: cross-site"],
        vec!["Sec-Fetch-Site: same-site"],
        vec![own.as_str(), "Sec-Fetch-Site: same-site"],
    ] {
        let headers = [headers.as_slice(), &[cookie.as_str()]].concat();
        site.send("POST /workspaces", &headers, Some(&new))
            .refused(403, "foreign-origin");
    }
    // A form can't send JSON, and text isn't taken for it.
    let text = format!(
        "POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n{cookie}\r\n\
         {own}\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}",
        site.port
    );
    site.raw(text.as_bytes()).refused(415, "no-json");
    // Nobody is signed in as somebody else by a page of others, either.
    let link = json!({ "token": site.link });
    let evil = ["Origin: https://evil.example"];
    site.send("POST /login/link", &evil, Some(&link))
        .refused(403, "foreign-origin");
    let made = site.send("POST /workspaces", &[&cookie, &own], Some(&new));
    assert_eq!(made.status, 202, "{made:?}");
    let same = [cookie.as_str(), "Sec-Fetch-Site: same-origin"];
    assert_eq!(site.send("POST /logout", &same, None).status, 204);
}

#[test]
fn a_strangers_forwarded_headers_change_nothing() {
    let home = Home::new();
    let site = Site::up(&home);
    let forged = [
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "Forwarded: for=203.0.113.9;proto=https;host=evil.example",
    ];
    let link = json!({ "token": site.link });
    let signed = site.send("POST /login/link", &forged, Some(&link));
    let cookie = signed.cookie();
    assert!(!signed.head.contains("Secure"), "{}", signed.head);
    let logins = site.send("GET /me/logins", &[&cookie], None).json();
    assert_eq!(logins["items"][0]["address"], "127.0.0.1", "{logins}");
    let evil = [
        &forged[..],
        &[cookie.as_str(), "Origin: https://evil.example"],
    ]
    .concat();
    site.send("POST /logout", &evil, None)
        .refused(403, "foreign-origin");
}

#[test]
fn a_trusted_proxys_word_is_taken_for_cookies_and_addresses() {
    let home = Home::new();
    let more = "trusted-proxies = [\"127.0.0.1\"]\nurl = \"https://dev.example.com\"\n";
    let site = Site::up_with(&home, more);
    let forwarded = [
        "X-Forwarded-For: 192.0.2.1, 203.0.113.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: dev.example.com",
    ];
    let link = json!({ "token": site.link });
    let signed = site.send("POST /login/link", &forwarded, Some(&link));
    let set = signed.header("set-cookie").unwrap();
    assert!(
        set.starts_with("__Host-devgate=") && set.contains("; Secure"),
        "{set}"
    );
    assert!(
        signed.header("strict-transport-security").is_some(),
        "{signed:?}"
    );
    let cookie = signed.cookie();
    let headers = [&forwarded[..], &[cookie.as_str()]].concat();
    let logins = site.send("GET /me/logins", &headers, None).json();
    assert_eq!(logins["items"][0]["address"], "203.0.113.9", "{logins}");
    let own = [headers.as_slice(), &["Origin: https://dev.example.com"]].concat();
    assert_eq!(site.send("POST /logout", &own, None).status, 204);
}

#[test]
fn a_cookie_of_plain_http_and_one_of_https_are_never_taken_for_each_other() {
    let home = Home::new();
    let site = Site::up_with(&home, "trusted-proxies = [\"127.0.0.1\"]\n");
    let https = "X-Forwarded-Proto: https";
    let link = json!({ "token": site.link });
    let signed = site.send("POST /login/link", &[https], Some(&link));
    let set = signed.header("set-cookie").unwrap();
    assert!(
        set.starts_with("__Host-") && set.contains("; Secure"),
        "{set}"
    );
    let cookie = signed.cookie();
    let plain = cookie.replace("__Host-", "");
    for (cookie, headers, status) in [
        (&cookie, vec![https], 200),
        (&plain, vec![], 200),
        // Another host of the domain could have set it.
        (&plain, vec![https], 401),
        (&cookie, vec![], 401),
    ] {
        let headers = [headers.as_slice(), &[cookie.as_str()]].concat();
        let me = site.send("GET /me", &headers, None);
        assert_eq!(me.status, status, "{headers:?}");
    }
}

#[test]
fn a_name_that_somebody_points_here_is_not_the_dashboard() {
    let home = Home::new();
    let site = Site::up(&home);
    for (host, status) in [("evil.example", 421), ("localhost.evil.example", 421)] {
        let text = format!("GET /api/v1/me HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(site.raw(text.as_bytes()).status, status, "{host}");
    }
    let twice = "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\
                 Connection: close\r\n\r\n";
    site.raw(twice.as_bytes()).refused(400, "bad-host");
    for (line, status) in [
        ("GET /api/v1/me HTTP/1.1\r\nHost: a b", 400),
        ("GET / HTTP/1.1\r\nHost:", 400),
        ("GET / HTTP/1.1\r\nX: y", 400),
        ("GET / HTTP/1.0\r\nX: y", 400),
        ("GET /healthz HTTP/1.0\r\nX: y", 200),
    ] {
        let text = format!("{line}\r\nConnection: close\r\n\r\n");
        assert_eq!(site.raw(text.as_bytes()).status, status, "{line}");
    }
}

#[test]
fn a_request_is_never_smuggled_behind_another() {
    let home = Home::new();
    let site = Site::up(&home);
    let hidden = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let body = json!({ "token": site.link }).to_string();
    // It would sign in where only one of its lengths counted.
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let length = chunks.len() + hidden.len();
    for (headers, code) in [
        (
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
            Some("ambiguous-request"),
        ),
        (
            format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
            Some("ambiguous-request"),
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
            None,
        ),
        ("Content-Length: 5\r\nContent-Length: 6".to_owned(), None),
        ("Transfer-Encoding: xchunked".to_owned(), None),
        ("Content-Length: +5".to_owned(), None),
    ] {
        let text = format!(
            "POST /api/v1/login/link HTTP/1.1\r\nHost: localhost:{}\r\n\
             Content-Type: application/json\r\n{headers}\r\n\r\n{chunks}{hidden}",
            site.port
        );
        let answer = site.raw(text.as_bytes());
        assert_eq!(answer.status, 400, "{headers}: {answer:?}");
        if let Some(code) = code {
            answer.refused(400, code);
        }
        assert!(!answer.body.contains("\"openapi\""), "{headers}");
    }
    // Nobody was signed in: the link still counts.
    let _ = site.sign_in();
}

#[test]
fn what_is_somebody_elses_is_not_there() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin_cookie = site.sign_in();
    let admin = site.token(&admin_cookie, "admin");
    let eve = site.member(&admin, "eve");
    let theirs = site.send("GET /workspaces", &[&admin], None).json();
    let id = theirs["items"][0]["id"].as_str().unwrap().to_owned();
    let port = json!({ "visibility": "public" });
    for (line, body) in [
        (format!("GET /workspaces/{id}"), None),
        (format!("DELETE /workspaces/{id}"), None),
        (format!("POST /workspaces/{id}/start"), None),
        (format!("POST /workspaces/{id}/stop"), None),
        (format!("POST /workspaces/{id}/restart"), None),
        (format!("GET /workspaces/{id}/logs"), None),
        (format!("PUT /workspaces/{id}/ports/3000"), Some(&port)),
        (format!("DELETE /workspaces/{id}/ports/3000"), None),
    ] {
        let other = site.send(&line, &[&eve], body);
        other.refused(404, "no-such-workspace");
        let missing = site.send(&line.replace(&id, "0123456789abcdef"), &[&eve], body);
        assert_eq!(other.body, missing.body, "{line}");
    }
    let none = site.send("GET /workspaces", &[&eve], None).json();
    assert_eq!(none["items"], json!([]));
    let logins = site.send("GET /me/logins", &[&admin_cookie], None).json();
    let login = logins["items"][0]["id"].as_str().unwrap();
    site.send(&format!("DELETE /me/logins/{login}"), &[&eve], None)
        .refused(404, "no-such-login");
    let tokens = site.send("GET /me/tokens", &[&admin], None).json();
    let token = tokens["items"][0]["id"].as_str().unwrap();
    site.send(&format!("DELETE /me/tokens/{token}"), &[&eve], None)
        .refused(404, "no-such-token");
    let for_admin = json!({ "name": "x", "owner": home.json(&["users", "list"])[1]["name"] });
    site.send("POST /workspaces", &[&eve], Some(&for_admin))
        .refused(403, "not-an-administrator");
    for line in [
        "GET /users",
        "GET /users/eve",
        "GET /server",
        "DELETE /users/eve",
    ] {
        site.send(line, &[&eve], None)
            .refused(403, "not-an-administrator");
    }
    let events = site.send("GET /events", &[&eve], None).json();
    for event in events["items"].as_array().unwrap() {
        assert_eq!(event["user"], "eve", "{event}");
    }
    // An administrator sees and administers what is eve's, and doesn't open it.
    let new = json!({ "name": "hers", "start": false });
    let made = site.send("POST /workspaces", &[&eve], Some(&new));
    let hers = made.text("id");
    let shown = site.send(&format!("GET /workspaces/{hers}"), &[&admin], None);
    assert_eq!(shown.json()["may_enter"], false, "{shown:?}");
    site.send(
        &format!("PUT /workspaces/{hers}/ports/3000"),
        &[&admin],
        Some(&port),
    )
    .refused(404, "no-such-workspace");
    let gone = site.send(
        &format!("DELETE /workspaces/{hers}?purge=true&wait=30"),
        &[&admin],
        None,
    );
    assert_eq!(gone.status, 204, "{gone:?}");
}

#[test]
fn a_port_that_is_the_gateways_own_leads_nowhere() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let own = site.send("GET /workspaces", &[&admin], None).json();
    let text = |name: &str| own["items"][0][name].as_str().unwrap().to_owned();
    let (id, port) = (text("id"), site.port);
    let public = json!({ "visibility": "public" });
    let line = format!("PUT /workspaces/{id}/ports/{port}");
    let shared = site.send(&line, &[&admin], Some(&public));
    assert_eq!(shared.status, 200, "{shared:?}");
    let url = shared.text("url");
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let request = format!("GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    site.raw(request.as_bytes()).refused(508, "request-loop");
}

#[test]
fn every_answer_of_the_dashboards_origin_is_hardened() {
    let home = Home::new();
    let more = "trusted-proxies = [\"127.0.0.1\"]\nurl = \"https://dev.example.com\"\n";
    let site = Site::up_with(&home, more);
    for path in [
        "/",
        "/favicon.svg",
        "/nothing",
        "/healthz",
        "/api/v1/me",
        "/api/v1/docs",
        "/api/v1/applications/authorize?to=x&state=y",
        "/api/v1/workspaces/x/terminals",
        "/api/v1/workspaces/x/ports",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: dev.example.com\r\nX-Forwarded-Proto: https\r\n\
             Connection: close\r\n\r\n"
        );
        let answer = site.raw(request.as_bytes());
        for (name, part) in [
            ("strict-transport-security", "max-age="),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", ""),
            ("cache-control", "no-"),
        ] {
            let value = answer.header(name);
            let value = value.unwrap_or_else(|| panic!("{path} has no {name}: {answer:?}"));
            let own = path.contains("authorize") && name == "content-security-policy";
            assert!(value.contains(part) || own, "{path}: {name}: {value}");
        }
    }
}
