use super::*;
use crate::config::Listen;

const PROXY: &str = "10.0.0.1";

fn site(change: impl FnOnce(&mut HttpConfig)) -> Site {
    let mut config = HttpConfig {
        listen: Listen::new("127.0.0.1", 0),
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..HttpConfig::default()
    };
    change(&mut config);
    Site::new(&config, 8443).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn asked(site: &Site, peer: &str, pairs: &[(&'static str, &str)]) -> (String, String) {
    let request = site.request(peer.parse().unwrap(), &headers(pairs));
    let request = request.unwrap();
    (request.origin().to_string(), request.client.to_string())
}

#[test]
fn the_dashboard_and_applications_have_origins_of_their_own() {
    let embedded = site(|_| {});
    assert_eq!(embedded.dashboard().to_string(), "https://localhost:8443");
    let application = embedded.application("3000--api--ada").unwrap();
    assert_eq!(
        application.to_string(),
        "https://3000--api--ada.localhost:8443"
    );
    assert_eq!(embedded.label(application.host()), Some("3000--api--ada"));
    assert_eq!(embedded.label("localhost"), None);
    assert_eq!(embedded.label("a.b.localhost"), None);
    assert_eq!(embedded.label("evillocalhost"), None);
    let behind = site(|config| {
        config.tls = TlsMode::Off;
        config.url = Some("https://dev.example.com".to_owned());
    });
    assert_eq!(behind.dashboard().to_string(), "https://dev.example.com");
    let application = behind.application("editor--api--ada").unwrap();
    assert_eq!(
        application.to_string(),
        "https://editor--api--ada.dev.example.com"
    );
    let by_path = site(|config| config.applications = Applications::Path);
    assert_eq!(by_path.application("3000--api--ada"), None);
}

#[test]
fn a_strangers_word_about_a_request_is_not_believed() {
    let forged = [
        ("host", "localhost:8443"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=127.0.0.1;proto=http;host=evil.example"),
    ];
    assert_eq!(
        asked(&site(|_| {}), "192.0.2.7", &forged),
        ("https://localhost:8443".to_owned(), "192.0.2.7".to_owned())
    );
}

#[test]
fn a_trusted_proxys_word_counts_from_the_end_of_the_list() {
    let site = site(|config| config.tls = TlsMode::Off);
    let pairs = [
        ("host", "127.0.0.1:8080"),
        ("x-forwarded-for", "127.0.0.1, 192.0.2.7, 10.0.0.9"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "dev.example.com"),
        // What a client adds to it passes through a proxy that doesn't know it.
        ("forwarded", "for=127.0.0.1;proto=http;host=evil.example"),
    ];
    assert_eq!(
        asked(&site, PROXY, &pairs),
        ("https://dev.example.com".to_owned(), "192.0.2.7".to_owned())
    );
    let only = [("host", "127.0.0.1:8080"), pairs[4]];
    let (origin, client) = asked(&site, PROXY, &only);
    assert_eq!(
        (origin.as_str(), client.as_str()),
        ("http://127.0.0.1:8080", PROXY)
    );
}

#[test]
fn a_trusted_proxy_that_writes_the_standard_header_is_believed_that_one() {
    let site = site(|config| {
        config.tls = TlsMode::Off;
        config.forwarded_headers = ForwardedHeaders::Forwarded;
    });
    let standard = [
        ("host", "127.0.0.1:8080"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=127.0.0.1;proto=http;host=evil.example"),
        (
            "forwarded",
            "For=\"[2001:db8::7]:4711\"; Proto=https; Host=\"dev.example.com:444\"",
        ),
    ];
    assert_eq!(
        asked(&site, PROXY, &standard),
        (
            "https://dev.example.com:444".to_owned(),
            "2001:db8::7".to_owned()
        )
    );
}

#[test]
fn a_host_that_can_not_be_read_is_nobodys() {
    let site = site(|_| {});
    let request = |pairs: &[(&'static str, &str)]| {
        let asked = site.request(PROXY.parse().unwrap(), &headers(pairs));
        asked.map(|asked| (asked.origin().to_string(), asked.client.to_string()))
    };
    for host in ["", "a b", "[::1", "x:99999", "x:-1", "ä", "a/b"] {
        assert_eq!(request(&[("host", host)]), Err(NoHost), "{host}");
        let forwarded = [("host", "localhost"), ("x-forwarded-host", host)];
        // What is no text counts as not said.
        if !host.is_empty() && host.is_ascii() {
            assert_eq!(request(&forwarded), Err(NoHost), "{host}");
        }
    }
    assert_eq!(request(&[]), Err(NoHost));
    assert_eq!(request(&[("host", "a"), ("host", "a")]), Err(NoHost));
    let pairs = [
        ("host", "[2001:DB8::0:1]:9"),
        // An address that can't be read counts as not said.
        ("x-forwarded-for", "unknown, nonsense"),
    ];
    let read = ("https://[2001:db8::1]:9".to_owned(), PROXY.to_owned());
    assert_eq!(request(&pairs), Ok(read));
}

#[test]
fn the_dashboard_answers_under_its_names_and_no_others() {
    let site = site(|config| config.names = vec!["Dev.Example".to_owned()]);
    for own in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "192.0.2.1",
        "dev.example",
    ] {
        assert!(site.is_dashboard(own), "{own}");
    }
    for other in [
        "evil.example",
        "x.localhost",
        "3000--api--ada.localhost",
        "xlocalhost",
        "",
    ] {
        assert!(!site.is_dashboard(other), "{other}");
    }
}

#[test]
fn an_origin_is_read_as_it_is_written() {
    for text in [
        "https://localhost:8443",
        "http://[::1]:80",
        "https://a.b",
        "HTTPS://A.B:443/",
    ] {
        let origin: Origin = text.parse().unwrap();
        assert_eq!(origin.to_string().parse(), Ok(origin));
    }
    for bad in [
        "",
        "null",
        "a.b",
        "ftp://a.b",
        "https://",
        "https://a.b/c",
        "https://u@a.b",
    ] {
        assert_eq!(bad.parse::<Origin>(), Err(InvalidOrigin), "{bad}");
    }
}

#[test]
fn plain_cookies_count_where_all_is_plain() {
    let cookies = |site: &Site, scheme: &str| {
        let headers = headers(&[("host", "localhost"), ("x-forwarded-proto", scheme)]);
        let asked = site.request(PROXY.parse().unwrap(), &headers);
        asked.unwrap().cookies
    };
    let plain = site(|config| config.tls = TlsMode::Off);
    assert_eq!(cookies(&plain, "http"), Cookies::Plain);
    assert_eq!(cookies(&plain, "https"), Cookies::Prefixed);
    let behind = site(|config| {
        config.tls = TlsMode::Off;
        config.url = Some("https://dev.example.com".to_owned());
    });
    for scheme in ["http", "https"] {
        assert_eq!(cookies(&behind, scheme), Cookies::Prefixed);
    }
}
