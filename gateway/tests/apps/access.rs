//! Who reaches an application, and what attacks come to.

use axum::body::Body;
use http::Request;

use crate::application::Application;
use crate::client::path_of;
use crate::gateway::Gateway;
use devgate::config::Applications;
use devgate::identity::Scope;
use devgate::store::Visibility;

const PAGE: (&str, &str) = ("accept", "text/html,*/*");

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_enters_by_way_of_the_dashboard_and_others_see_nothing() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let host = gateway.host(application.port);
    let (ada, _) = gateway.sign_in(&gateway.ada).await;
    let (bob, _) = gateway.sign_in(&gateway.bob).await;
    let cookie = gateway.enter(application.port, &ada).await;
    let text = gateway.get(&host, "/request", &[("cookie", &cookie)]).await;
    assert!(!text.text().await.contains("cookie"));

    // Signed out, what is there and what isn't look alike.
    let nowhere = format!("3000--nil--ada.localhost:{}", gateway.address.port());
    for host in [&host, &nowhere] {
        let away = gateway.get(host, "/", &[PAGE]).await;
        assert_eq!(away.status, 302);
        let authorize = path_of(away.header("location"), &gateway.dashboard());
        let out = gateway.get(&gateway.dashboard(), &authorize, &[]).await;
        let sign_in = format!("https://{}/sign-in?next=%2Fapi%2Fv1", gateway.dashboard());
        assert!(out.header("location").starts_with(&sign_in));
        let of_bob = gateway
            .get(&gateway.dashboard(), &authorize, &[("cookie", &bob), PAGE])
            .await;
        assert_eq!(of_bob.status, 404);
        assert_eq!(gateway.get(host, "/", &[]).await.status, 401);
    }
    for label in ["3000", "0--api--ada", "x--api--ada", "3000--api--ada--x"] {
        let host = format!("{label}.localhost");
        let request = Request::get("/").header("host", host);
        let request = request.body(Body::empty()).unwrap();
        let answer = gateway.ask(&gateway.dashboard(), request).await;
        assert_eq!(answer.status, 404, "{label}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_form_signed_out_reads_a_page() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let host = gateway.host(application.port);
    let send = |headers: &[(&str, &str)]| {
        let mut request = Request::post("/form").header("host", &host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from("a=b")).unwrap()
    };
    let navigates = [
        PAGE,
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
    ];
    let page = gateway.ask(&host, send(&navigates)).await;
    assert_eq!(page.status, 401);
    assert!(page.header("content-type").starts_with("text/html"));
    // It would come back without the form.
    assert!(!page.headers.contains_key("refresh"));
    // A script reads what went wrong.
    let problem = gateway
        .ask(&host, send(&[PAGE, ("sec-fetch-mode", "cors")]))
        .await;
    assert_eq!(problem.header("content-type"), "application/problem+json");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_names_a_workspace_by_its_id_lets_in_the_same() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let (port, domain) = (application.port, gateway.dashboard());
    let host = format!("{port}--{}.{domain}", gateway.workspace);
    let nowhere = format!("{port}--aaaaaaaaaaaaaaaa.{domain}");
    let ada = gateway.token(&gateway.ada, Scope::Write).await;
    let bob = gateway.token(&gateway.bob, Scope::Write).await;
    let answer = gateway.get(&host, "/", &[("authorization", &ada)]).await;
    assert_eq!(answer.text().await, "hello");
    for host in [&host, &nowhere] {
        let answer = gateway.get(host, "/", &[("authorization", &bob)]).await;
        assert_eq!(answer.status, 404);
        assert_eq!(gateway.get(host, "/", &[]).await.status, 401);
    }
    // However it is named, it is one workspace, and another's pages are strangers to it.
    let (login, _) = gateway.sign_in(&gateway.ada).await;
    let cookie = gateway.enter(port, &login).await;
    for (origin, status) in [(&host, 200), (&nowhere, 403)] {
        let origin = format!("https://{origin}");
        let headers = [("cookie", cookie.as_str()), ("origin", &origin)];
        let answer = gateway.get(&gateway.host(port), "/", &headers).await;
        assert_eq!(answer.status, status, "{origin}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_lets_in_whom_it_names() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let host = gateway.host(application.port);
    gateway.share(application.port, Visibility::Members).await;
    let (bob, _) = gateway.sign_in(&gateway.bob).await;
    let cookie = gateway.enter(application.port, &bob).await;
    let with_cookie = [("cookie", cookie.as_str())];
    assert_eq!(
        gateway.get(&host, "/", &with_cookie).await.text().await,
        "hello"
    );
    assert_eq!(gateway.get(&host, "/", &[]).await.status, 401);
    gateway.share(application.port, Visibility::Private).await;
    while gateway.get(&host, "/", &with_cookie).await.status != 404 {}
    gateway.share(application.port, Visibility::Public).await;
    while gateway.get(&host, "/", &[]).await.status != 200 {}
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_applications_where_it_may_change_things() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let host = gateway.host(application.port);
    let write = gateway.token(&gateway.ada, Scope::Write).await;
    let read = gateway.token(&gateway.ada, Scope::Read).await;
    let other = gateway.token(&gateway.bob, Scope::Admin).await;
    let answer = gateway
        .get(&host, "/request", &[("authorization", &write)])
        .await;
    assert!(!answer.text().await.contains("authorization"));
    for (token, status) in [(read, 403), (other, 404), ("Bearer dgt_x".to_owned(), 401)] {
        let answer = gateway.get(&host, "/", &[("authorization", &token)]).await;
        assert_eq!(answer.status, status);
    }
    // An application's own credentials are its own.
    gateway.share(application.port, Visibility::Public).await;
    let own = [("authorization", "Bearer mine")];
    loop {
        let answer = gateway.get(&host, "/request", &own).await;
        if answer.status == 200 {
            assert!(answer.text().await.contains("authorization: Bearer mine"));
            break;
        }
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_counts_on_its_own_host_alone() {
    let (one, two) = (Application::start().await, Application::start().await);
    let gateway = Gateway::start().await;
    let (ada, login) = gateway.sign_in(&gateway.ada).await;
    let cookie = gateway.enter(one.port, &ada).await;
    let value = cookie.split_once('=').unwrap().1;
    let dashboard = ada.split_once('=').unwrap().1;
    for (host, cookie) in [
        (gateway.host(two.port), cookie.clone()),
        (gateway.host(one.port), ada.clone()),
        (
            gateway.host(one.port),
            format!("__Host-devgate-app={dashboard}"),
        ),
        (
            gateway.host(one.port),
            format!("__Host-devgate-app={value}x"),
        ),
        (gateway.host(one.port), format!("devgate-app={value}")),
    ] {
        let answer = gateway.get(&host, "/", &[("cookie", &cookie)]).await;
        assert_eq!(answer.status, 401, "{cookie}");
    }
    // Nor does it open the dashboard.
    let ports = format!("/api/v1/workspaces/{}/ports", gateway.workspace);
    for cookie in [cookie.clone(), format!("__Host-devgate={value}")] {
        let answer = gateway
            .get(&gateway.dashboard(), &ports, &[("cookie", &cookie)])
            .await;
        assert_eq!(answer.status, 401);
    }
    gateway.sign_out(&gateway.ada, &login).await;
    let host = gateway.host(one.port);
    while gateway.get(&host, "/", &[("cookie", &cookie)]).await.status != 401 {}
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_can_not_set_cookies_for_others() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    gateway.share(application.port, Visibility::Public).await;
    let host = gateway.host(application.port);
    let answer = gateway.get(&host, "/set-cookie", &[]).await;
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2"]);
    assert!(!answer.headers.contains_key("clear-site-data"));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_counts_once_in_the_browser_that_asked_for_it() {
    let (one, two) = (Application::start().await, Application::start().await);
    let gateway = Gateway::start().await;
    let (ada, _) = gateway.sign_in(&gateway.ada).await;
    let host = gateway.host(one.port);
    let away = gateway.get(&host, "/", &[PAGE]).await;
    let state = away.cookie("__Host-devgate-app-state").unwrap();
    let authorize = path_of(away.header("location"), &gateway.dashboard());
    let code = async || {
        let back = gateway
            .get(&gateway.dashboard(), &authorize, &[("cookie", &ada)])
            .await;
        path_of(back.header("location"), &host)
    };
    let with_state = [("cookie", state.as_str())];
    let session = code().await;
    assert_eq!(gateway.get(&host, &session, &with_state).await.status, 302);
    assert_eq!(gateway.get(&host, &session, &with_state).await.status, 400);
    let session = code().await;
    assert_eq!(
        gateway.get(&host, &session, &[]).await.status,
        400,
        "no state"
    );
    let session = code().await;
    let elsewhere = gateway.host(two.port);
    let answer = gateway.get(&elsewhere, &session, &with_state).await;
    assert_eq!(answer.status, 400, "another host");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_sent_to_applications_alone() {
    let gateway = Gateway::start().await;
    let (ada, _) = gateway.sign_in(&gateway.ada).await;
    let port = gateway.address.port();
    for to in [
        "https://evil.example/".to_owned(),
        "//evil.example/".to_owned(),
        "/local".to_owned(),
        "javascript:alert(1)".to_owned(),
        format!("https://localhost:{port}/"),
        format!("http://3000--api--ada.localhost:{port}/"),
        "https://3000--api--ada.localhost:1/".to_owned(),
        format!("https://3000--api--ada.localhost:{port}@evil.example/"),
        format!("https://evil@3000--api--ada.localhost:{port}/"),
        format!("https://3000--api--ada.localhost.evil.example:{port}/"),
        format!("https://x.3000--api--ada.localhost:{port}/"),
    ] {
        let encoded =
            percent_encoding::utf8_percent_encode(&to, percent_encoding::NON_ALPHANUMERIC);
        let path = format!("/api/v1/applications/authorize?to={encoded}&state=x");
        let answer = gateway
            .get(&gateway.dashboard(), &path, &[("cookie", &ada)])
            .await;
        assert_eq!(answer.status, 400, "{to}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_another_page_makes_is_refused_and_a_preflight_is_not() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let host = gateway.host(application.port);
    let (ada, _) = gateway.sign_in(&gateway.ada).await;
    let cookie = gateway.enter(application.port, &ada).await;
    let own = format!("https://{host}");
    let post = async |name: &str, value: &str| {
        let request = Request::post("/echo")
            .header("cookie", &cookie)
            .header(name, value)
            .body(Body::from("x"))
            .unwrap();
        gateway.ask(&host, request).await.status.as_u16()
    };
    assert_eq!(post("origin", &own).await, 200);
    assert_eq!(post("origin", "https://evil.example").await, 403);
    assert_eq!(post("sec-fetch-site", "same-site").await, 403);
    assert_eq!(post("sec-fetch-site", "same-origin").await, 200);

    let preflight = || {
        Request::options("/request")
            .header("origin", "https://any.example")
            .header("access-control-request-method", "PUT")
            .header("x-else", "1")
            .header("cookie", "a=1")
            .body(Body::empty())
            .unwrap()
    };
    let answer = gateway.ask(&host, preflight()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text().await, "");
    let shared = Application::start().await;
    gateway.share(shared.port, Visibility::Public).await;
    let shared_host = gateway.host(shared.port);
    let answer = gateway.ask(&shared_host, preflight()).await;
    assert_eq!(answer.status, 200);
    let text = answer.text().await;
    assert!(text.contains("origin: https://any.example"), "{text}");
    assert!(
        !text.contains("x-else") && !text.contains("cookie"),
        "{text}"
    );
    let options = Request::options("/request").body(Body::empty()).unwrap();
    assert_eq!(gateway.ask(&host, options).await.status, 401);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspaces_page_loads_nothing_private_in_somebodys_name() {
    let application = Application::start().await;
    let gateway = Gateway::start().await;
    let host = gateway.host(application.port);
    let (ada, _) = gateway.sign_in(&gateway.ada).await;
    let cookie = gateway.enter(application.port, &ada).await;
    let port = gateway.address.port();
    let beside = format!("https://3001--api--ada.localhost:{port}");
    let other = format!("https://3000--evil--bob.localhost:{port}");
    let get = async |headers: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie.as_str())], headers].concat();
        gateway.get(&host, "/x", &headers).await.status.as_u16()
    };
    let script = [
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "script"),
    ];
    let frame = [
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
    ];
    for loaded in [script, frame] {
        assert_eq!(get(&loaded).await, 403);
        let referer = format!("{other}/page");
        assert_eq!(
            get(&[&loaded[..], &[("referer", &referer)]].concat()).await,
            403
        );
        let referer = format!("{beside}/page");
        assert_eq!(
            get(&[&loaded[..], &[("referer", &referer)]].concat()).await,
            200
        );
    }
    let cors = [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")];
    assert_eq!(get(&[&cors[..], &[("origin", &other)]].concat()).await, 403);
    assert_eq!(
        get(&[&cors[..], &[("origin", &beside)]].concat()).await,
        200
    );
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    assert_eq!(get(&link).await, 200);
    // What everybody may open, everybody may show.
    gateway.share(application.port, Visibility::Public).await;
    while get(&script).await != 200 {}
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_dashboard_an_application_is_found_by_its_path() {
    let application = Application::start().await;
    let gateway = Gateway::start_with(Applications::Path).await;
    let dashboard = gateway.dashboard();
    let (ada, _) = gateway.sign_in(&gateway.ada).await;
    let (bob, _) = gateway.sign_in(&gateway.bob).await;
    let own = [("cookie", ada.as_str())];
    let base = format!("/@ada/api/apps/{}", application.port);
    let at = |path: &str| format!("{base}{path}");

    let folder = gateway.get(&dashboard, &at("?a=1"), &own).await;
    assert_eq!(folder.header("location"), at("/?a=1"));
    assert_eq!(
        gateway.get(&dashboard, &at("/"), &own).await.text().await,
        "hello"
    );
    let text = gateway
        .get(&dashboard, &at("/request?q=1"), &own)
        .await
        .text()
        .await;
    assert!(text.starts_with("GET /request?q=1\n"), "{text}");
    assert!(
        text.contains(&format!("x-forwarded-prefix: {base}")),
        "{text}"
    );
    assert!(!text.contains("cookie"), "{text}");
    let moved = gateway.get(&dashboard, &at("/redirect"), &own).await;
    assert_eq!(moved.header("location"), at("/x"));
    let set = gateway.get(&dashboard, &at("/set-cookie"), &own).await;
    let cookies = set.headers.get_all("set-cookie").iter();
    let cookies: Vec<_> = cookies.map(|cookie| cookie.to_str().unwrap()).collect();
    assert_eq!(
        cookies,
        [format!("a=1; Path={base}/"), format!("b=2; Path={base}/")]
    );

    assert_eq!(gateway.get(&dashboard, &at("/"), &[]).await.status, 401);
    let out = gateway.get(&dashboard, &at("/"), &[PAGE]).await;
    assert!(out.header("location").starts_with("/sign-in?next="));
    let of_bob = gateway.get(&dashboard, &at("/"), &[("cookie", &bob)]).await;
    assert_eq!(of_bob.status, 404);
    for path in [
        "/@ada/../api/apps/1/",
        "/@ada/api%2fapps/1/",
        "/@ada/api/apps/1e3/",
    ] {
        assert_eq!(
            gateway.get(&dashboard, path, &own).await.status,
            404,
            "{path}"
        );
    }
    let foreign = [own[0], ("origin", "https://evil.example")];
    let mut request = Request::post(at("/echo"));
    for (name, value) in foreign {
        request = request.header(name, value);
    }
    let answer = gateway
        .ask(&dashboard, request.body(Body::from("x")).unwrap())
        .await;
    assert_eq!(answer.status, 403);

    // A guest's browser must not take it for the dashboard.
    gateway.share(application.port, Visibility::Members).await;
    loop {
        let answer = gateway.get(&dashboard, &at("/"), &[("cookie", &bob)]).await;
        if answer.status == 200 {
            assert!(answer.header("content-security-policy").contains("sandbox"));
            break;
        }
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_hosts_of_their_own_a_path_leads_to_the_host() {
    let gateway = Gateway::start().await;
    let path = "/@ada/api/apps/3000/a?b=1";
    let answer = gateway.get(&gateway.dashboard(), path, &[]).await;
    assert_eq!(answer.status, 307);
    let expected = format!("https://{}/a?b=1", gateway.host(3000));
    assert_eq!(answer.header("location"), expected);
    gateway.end().await;
}
