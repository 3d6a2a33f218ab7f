//! Who comes, and by which scheme and name: what the proxy says, and nobody else.

use std::fs;

use e2e::process::run;
use e2e::reverse_proxy::{DOMAIN, Kind};
use serde_json::Value;

use super::{Behind, CLIENT, Form, LIMIT, to};

/// An address that clients pretend to have.
const FORGED: &str = "203.0.113.66";

/// All that a client may claim of itself.
fn claims() -> impl Iterator<Item = String> {
    [
        "X-Forwarded-For: 203.0.113.66",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "X-Real-IP: 203.0.113.66",
        "Forwarded: for=203.0.113.66;proto=https;host=evil.example",
    ]
    .into_iter()
    .flat_map(|claim| ["--header".to_owned(), claim.to_owned()])
}

#[track_caller]
fn the_client_is_told_truly(kind: Kind, form: Form) {
    let behind = Behind::start(kind, form);

    // The application hears of the client, whatever it claims.
    let mut asking = behind.ask("/headers");
    let heard = run(asking.args(claims()), b"", LIMIT).ok().out();
    let heard: Value = serde_json::from_str(&heard).unwrap();
    let host = behind.application("").replace("https://", "");
    let host = host.split('/').next().unwrap();
    for (name, value) in [
        ("x-forwarded-for", CLIENT),
        ("x-real-ip", CLIENT),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", host),
        ("host", host),
    ] {
        assert_eq!(heard[name], value, "{name} in {heard}");
    }
    assert!(!heard.to_string().contains(FORGED), "{heard}");
    assert!(heard["authorization"].is_null(), "{heard}");

    // So do the records.
    let mut listing = behind.curl(CLIENT);
    listing.arg("--header").arg(behind.bearer());
    listing.arg(format!("https://{DOMAIN}/api/v1/me/logins"));
    let logins: Value = serde_json::from_str(&run(&mut listing, b"", LIMIT).ok().out()).unwrap();
    assert_eq!(logins["items"][0]["address"], CLIENT, "{logins}");

    // Who comes around the proxy is believed nothing.
    let mut asking = to(behind.target.gateway().ready().http, "127.0.0.3");
    asking
        .arg("--header")
        .arg(behind.bearer())
        .args(claims())
        .arg(
            behind
                .application("/headers")
                .replace("https://", "http://"),
        );
    let heard = run(&mut asking, b"", LIMIT).ok().out();
    let heard: Value = serde_json::from_str(&heard).unwrap_or_else(|_| panic!("{heard}"));
    assert_eq!(heard["x-forwarded-for"], "127.0.0.3", "{heard}");
    assert_eq!(heard["x-forwarded-proto"], "http", "{heard}");
    assert_eq!(heard["x-forwarded-host"], host, "{heard}");

    the_one_who_guesses_is_locked_out(&behind);
}

/// By their own address, for all that they claim; another client of the same proxy
/// isn't.
#[track_caller]
fn the_one_who_guesses_is_locked_out(behind: &Behind) {
    let guess = |from: &str, name: &str| {
        let mut curl = behind.curl(from);
        curl.args(["--output", "/dev/null", "--write-out", "%{http_code}"])
            .args(claims())
            .args(["--header", "Content-Type: application/json"])
            .args(["--header", &format!("Origin: https://{DOMAIN}")])
            .arg("--data")
            .arg(format!(
                "{{\"user\":\"{name}\",\"password\":\"wrong password\"}}"
            ))
            .arg(format!("https://{DOMAIN}/api/v1/login"));
        run(&mut curl, b"", LIMIT).ok().out()
    };
    let guesses = ["ann", "ben", "cleo", "dan", "eve"].map(|name| guess("127.0.0.4", name));
    assert_eq!(guesses, ["401", "401", "401", "401", "429"]);
    assert_eq!(guess("127.0.0.5", "fay"), "401");
    let log = behind.target.gateway().log();
    let locked = log.lines().find(|line| line.contains("address locked out"));
    let locked = locked.unwrap_or_else(|| panic!("nobody is locked out:\n{log}"));
    assert!(locked.contains("127.0.0.4"), "{locked}");
    assert!(!log.contains(FORGED), "{log}");
}

#[track_caller]
fn addresses_are_those_that_people_use(kind: Kind, form: Form) {
    let behind = Behind::start(kind, form);
    let head = fs::read_to_string(behind.folder.path().join("signed-in")).unwrap();
    assert!(head.starts_with("HTTP/2 "), "{head}");
    let cookie = head.lines().find(|line| line.starts_with("set-cookie: "));
    let cookie = cookie.unwrap_or_else(|| panic!("no cookie in {head}"));
    assert!(
        cookie.starts_with("set-cookie: __Host-devgate="),
        "{cookie}"
    );
    assert!(
        cookie.contains("; Secure") && cookie.contains("; Path=/;"),
        "{cookie}"
    );
    assert!(head.contains("strict-transport-security: "), "{head}");

    // Plain HTTP leads to the same place by HTTPS.
    let head = |curl: &mut std::process::Command| run(curl, b"", LIMIT).ok().out();
    let mut plain = to(behind.proxy.http(), CLIENT);
    plain.args(["--head", &format!("http://{DOMAIN}/workspaces?a=b")]);
    let moved = head(&mut plain).to_lowercase();
    let to_https = format!("location: https://{DOMAIN}/workspaces?a=b\r\n");
    assert!(moved.contains(&to_https), "{moved}");

    // A signed-out browser is sent to sign in, and knows the way back.
    let mut signed_out = behind.curl(CLIENT);
    signed_out
        .args(["--dump-header", "-", "--output", "/dev/null"])
        .args(["--header", "Accept: text/html"])
        .arg(behind.application("/headers?x=1"));
    let sent = head(&mut signed_out);
    let expected = match form {
        Form::Subdomain => format!(
            "location: https://{DOMAIN}/api/v1/applications/authorize?to=https%3A%2F%2F{}%2D%2D",
            behind.port
        ),
        Form::Path => "location: /sign-in?next=%2F%40".to_owned(),
    };
    assert!(
        sent.starts_with("HTTP/2 302") && sent.contains(&expected),
        "{sent}"
    );
    if form == Form::Subdomain {
        let cookie = "set-cookie: __Host-devgate-app-state=";
        assert!(sent.contains(cookie) && sent.contains("; Secure"), "{sent}");
    }

    // What an application says of its own addresses and cookies stays right.
    let mut entering = behind.ask("/enter");
    entering.args(["--dump-header", "-"]);
    let entered = head(&mut entering);
    let prefix = behind.prefix();
    assert!(
        entered.contains(&format!("location: {prefix}/headers\r\n")),
        "{entered}"
    );
    let cookie = entered.lines().find(|line| line.contains("seen=1"));
    let cookie = cookie.unwrap_or_else(|| panic!("no cookie in {entered}"));
    let path = format!("Path={prefix}/");
    assert!(cookie.split("; ").any(|part| part == path), "{cookie}");
}

#[test]
fn behind_nginx_the_client_is_told_truly() {
    the_client_is_told_truly(Kind::Nginx, Form::Subdomain);
}

#[test]
fn behind_caddy_the_client_is_told_truly() {
    the_client_is_told_truly(Kind::Caddy, Form::Path);
}

#[test]
fn behind_nginx_addresses_are_right_by_subdomain() {
    addresses_are_those_that_people_use(Kind::Nginx, Form::Subdomain);
}

#[test]
fn behind_nginx_addresses_are_right_by_path() {
    addresses_are_those_that_people_use(Kind::Nginx, Form::Path);
}

#[test]
fn behind_caddy_addresses_are_right_by_subdomain() {
    addresses_are_those_that_people_use(Kind::Caddy, Form::Subdomain);
}

#[test]
fn behind_caddy_addresses_are_right_by_path() {
    addresses_are_those_that_people_use(Kind::Caddy, Form::Path);
}
