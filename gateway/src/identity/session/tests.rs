use std::net::Ipv4Addr;

use http::HeaderValue;

use super::*;
use crate::identity::{Role, testing};
use crate::store::{Method, NewLogin};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Ground {
    _folder: tempfile::TempDir,
    store: Store,
    user: User,
}

async fn ground() -> Ground {
    let (folder, store) = testing::store().await;
    let user = testing::user(&store, "ada", Role::Admin).await;
    Ground {
        _folder: folder,
        store,
        user,
    }
}

impl Ground {
    async fn token(&self, expires: Option<OffsetDateTime>) -> (HeaderMap, Via) {
        let (secret, token) = testing::token(&self.store, &self.user, Scope::Read, expires).await;
        (
            headers("authorization", &format!("Bearer {}", secret.expose())),
            Via::Token(token),
        )
    }

    async fn login(&self, cookie: &str) -> (HeaderMap, LoginId) {
        let secret = Secret::random("");
        let new = NewLogin {
            user: &self.user,
            secret: &secret.hash(),
            method: Method::Link,
            address: HERE,
            user_agent: "",
        };
        let login = self.store.add_login(new).await.unwrap();
        (
            headers("cookie", &format!("a=b; {cookie}={}", secret.expose())),
            login.id,
        )
    }
}

/// Who calls over HTTPS.
async fn secure(sessions: &Sessions, headers: &HeaderMap) -> Option<Caller> {
    let caller = sessions.caller(headers, Cookies::Prefixed, HERE).await;
    caller.unwrap()
}

fn headers(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, value.parse().unwrap());
    headers
}

#[tokio::test]
async fn a_caller_is_known_by_token_and_by_cookie() {
    let ground = ground().await;
    let sessions = Sessions::new(ground.store.clone());
    let (token, via) = ground.token(None).await;
    let caller = secure(&sessions, &token).await.unwrap();
    assert_eq!(
        (caller.user, caller.via, caller.scope),
        (ground.user.clone(), via, Scope::Read)
    );
    let (cookie, id) = ground.login(COOKIE).await;
    let caller = secure(&sessions, &cookie).await.unwrap();
    assert_eq!((caller.via, caller.scope), (Via::Login(id), Scope::Admin));
    // Over HTTPS any application of the same domain could have set the other one.
    let (plain, _) = ground.login(PLAIN_COOKIE).await;
    assert_eq!(secure(&sessions, &plain).await, None);
    let by_http = async |headers: &HeaderMap| {
        let caller = sessions.caller(headers, Cookies::Plain, HERE).await;
        caller.unwrap().is_some()
    };
    assert!(by_http(&plain).await);
    assert!(!by_http(&cookie).await);
    assert!(!by_http(&HeaderMap::new()).await);
}

#[tokio::test]
async fn what_is_deleted_counts_no_longer_and_cuts_what_is_open() {
    let ground = ground().await;
    let sessions = Sessions::new(ground.store.clone());
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(sessions.clone().run(stop.clone()));
    let (token, via) = ground.token(None).await;
    let (other, other_via) = ground.token(None).await;
    assert!(secure(&sessions, &token).await.is_some());
    let (ended, stays) = (sessions.revoked(&via), sessions.revoked(&other_via));
    let Via::Token(id) = &via else { unreachable!() };
    ground.store.remove_token(&ground.user, id).await.unwrap();
    sessions.recheck();
    assert_eq!(secure(&sessions, &token).await, None);
    tokio::time::timeout(Duration::from_secs(1), ended.cancelled())
        .await
        .unwrap();
    assert!(!sessions.live(&via).await);
    assert!(!stays.is_cancelled());
    assert!(secure(&sessions, &other).await.is_some());
    // Whoever comes too late to watch it learns it, too.
    tokio::time::timeout(Duration::from_secs(1), sessions.revoked(&via).cancelled())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_expires_cuts_what_is_open() {
    let ground = ground().await;
    let sessions = Sessions::new(ground.store.clone());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(sessions.clone().run(CancellationToken::new()));
    let soon = OffsetDateTime::now_utc() + Duration::from_millis(300);
    let (token, via) = ground.token(Some(soon)).await;
    assert!(secure(&sessions, &token).await.is_some());
    let ended = sessions.revoked(&via);
    tokio::time::timeout(Duration::from_secs(2), ended.cancelled())
        .await
        .unwrap();
    assert_eq!(secure(&sessions, &token).await, None);
}

#[tokio::test]
async fn another_role_cuts_what_was_opened_with_the_old_one() {
    let ground = ground().await;
    let sessions = Sessions::new(ground.store.clone());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(sessions.clone().run(CancellationToken::new()));
    ground
        .store
        .add_user(&"bob".parse().unwrap(), Role::Admin)
        .await
        .unwrap();
    let (token, via) = ground.token(None).await;
    let caller = secure(&sessions, &token).await.unwrap();
    let (ended, changed) = (sessions.revoked(&via), sessions.changed(&caller));
    let name = &ground.user.name;
    ground.store.set_role(name, Role::Member).await.unwrap();
    sessions.recheck();
    let second = Duration::from_secs(1);
    tokio::time::timeout(second, changed.cancelled())
        .await
        .unwrap();
    assert!(!ended.is_cancelled());
    // Whoever was looked up just before learns it, too.
    tokio::time::timeout(second, sessions.changed(&caller).cancelled())
        .await
        .unwrap();
    let now = secure(&sessions, &token).await.unwrap();
    assert_eq!(now.user.role, Role::Member);
}

#[test]
fn a_cookie_is_found_by_its_whole_name() {
    let headers = headers("cookie", "xdevgate=1; devgatex=2;devgate=3; devgate=4");
    assert_eq!(cookie(&headers, PLAIN_COOKIE), Some("3"));
    assert_eq!(cookie(&headers, COOKIE), None);
}

#[test]
fn a_cookie_is_found_among_those_that_are_no_text() {
    let mut headers = HeaderMap::new();
    let latin = b"x=\xe4; devgate=1; y=\xff";
    headers.insert("cookie", HeaderValue::from_bytes(latin).unwrap());
    assert_eq!(cookie(&headers, PLAIN_COOKIE), Some("1"));
    assert_eq!(cookie(&headers, "x"), None);
    let utf8 = HeaderValue::from_bytes("x=\u{e4}; devgate=2".as_bytes());
    headers.insert("cookie", utf8.unwrap());
    assert_eq!(cookie(&headers, PLAIN_COOKIE), Some("2"));
    assert_eq!(cookie(&headers, "x"), Some("\u{e4}"));
}
