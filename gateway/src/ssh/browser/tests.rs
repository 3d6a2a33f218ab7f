//! What one connection may ask of a browser, and how often.

use std::net::Ipv4Addr;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::identity::{LockoutOptions, Role, Scope, Via, testing};
use crate::store::Store;

struct Ground {
    _folder: tempfile::TempDir,
    store: Store,
    sign_in: BrowserSignIn,
    user: User,
    via: Via,
    login: Login,
    lockout: Lockout,
    identity: Identity,
    events: Events,
    span: Span,
}

async fn ground() -> Ground {
    let (folder, store) = testing::store().await;
    let user = testing::user(&store, "ada", Role::Member).await;
    let (_, token) = testing::token(&store, &user, Scope::Write, None).await;
    Ground {
        _folder: folder,
        sign_in: BrowserSignIn {
            approvals: Approvals::default(),
            sessions: Sessions::new(store.clone()),
            page: "https://dev.example.com/device".to_owned(),
            times: Times {
                wait: Duration::from_mins(3),
                window: Duration::from_mins(5),
            },
        },
        user,
        via: Via::Token(token),
        login: Login::default(),
        lockout: Lockout::new(LockoutOptions::default()),
        identity: Identity::new(store.clone()),
        events: Events::new(store.clone()),
        store,
        span: Span::none(),
    }
}

impl Ground {
    fn asker<'a>(&'a self, name: &'a str) -> Asker<'a> {
        Asker {
            client: Ipv4Addr::LOCALHOST.into(),
            name,
            login: &self.login,
            lockout: &self.lockout,
            identity: &self.identity,
            events: &self.events,
            refusal: None,
            span: &self.span,
        }
    }

    async fn begin(&self, asking: &mut Asking, name: &str) -> Option<String> {
        said(asking.begin(&self.sign_in, &self.asker(name)).await)
    }

    async fn go_on(&self, asking: &mut Asking, name: &str) -> Option<String> {
        said(asking.go_on(&self.sign_in, &self.asker(name)).await)
    }

    fn approve(&self, said: &str) {
        let (_, code) = said.split_once("#code=").unwrap();
        let code: String = code.chars().take(9).collect();
        let approvals = &self.sign_in.approvals;
        approvals.approve(&self.user, &self.via, &code).unwrap();
    }
}

/// Returns what the client is told; `None` where it is refused.
fn said(step: Step) -> Option<String> {
    match step {
        Step::Answer(Auth::Partial { instructions, .. }) => Some(instructions.into_owned()),
        Step::Answer(_) => None,
        Step::In(_) => panic!("it was let in"),
    }
}

#[tokio::test]
async fn a_client_is_told_whom_it_is_signed_in_as_and_then_is() {
    let (it, mut asking) = (ground().await, Asking::default());
    let asked = it.begin(&mut asking, "web.ada").await.unwrap();
    assert!(asked.contains("approve it there as ada"), "{asked}");
    assert!(asked.is_ascii() && asked.len() < 1024, "{asked}");
    it.approve(&asked);
    let told = it.go_on(&mut asking, "web.ada").await.unwrap();
    assert_eq!(told, "devgate: signed in as ada");
    let step = asking.go_on(&it.sign_in, &it.asker("web.ada")).await;
    let Step::In(proof) = step else {
        panic!("it was approved");
    };
    assert_eq!(proof.user, it.user);
    // It is listed, and can be ended, as long as it goes on.
    let approvals = &it.sign_in.approvals;
    let [window] = approvals.windows(&it.user).try_into().unwrap();
    assert!(approvals.end(&it.user, &window.id).is_some());
    assert!(proof.ends.iter().any(CancellationToken::is_cancelled));
}

#[tokio::test]
async fn what_is_approved_for_a_name_lets_none_in_with_another() {
    let it = ground().await;
    let mut asking = Asking::default();
    let asked = it.begin(&mut asking, "web").await.unwrap();
    it.approve(&asked);
    assert_eq!(it.go_on(&mut asking, "api").await, None);
    assert_eq!(it.go_on(&mut asking, "web").await, None);

    let mut asking = Asking::default();
    let told = it.begin(&mut asking, "web").await.unwrap();
    assert_eq!(told, "devgate: signed in as ada");
    assert_eq!(it.go_on(&mut asking, "api").await, None);
}

#[tokio::test]
async fn a_connection_begins_a_few_times_and_waits_from_the_first() {
    let (it, mut asking) = (ground().await, Asking::default());
    assert!(it.begin(&mut asking, "web").await.is_some());
    let until = asking.until;
    for name in ["api", "web"] {
        assert!(it.begin(&mut asking, name).await.is_some(), "{name}");
    }
    assert_eq!(asking.until, until);
    for name in ["api", "web", "api"] {
        assert_eq!(it.begin(&mut asking, name).await, None);
        assert_eq!(it.go_on(&mut asking, name).await, None);
    }
    // Nobody is asked to approve what was given up.
    assert!(it.begin(&mut Asking::default(), "a--b").await.is_some());
}

#[tokio::test]
async fn where_there_are_several_people_a_name_without_an_owner_says_how_to_ask_once() {
    let it = ground().await;
    let asker = Asker {
        client: Ipv4Addr::new(192, 0, 2, 1).into(),
        refusal: Some("devgate refused your certificate: it was revoked."),
        ..it.asker("web")
    };
    let mut asking = Asking::default();
    let alone = said(asking.begin(&it.sign_in, &asker).await).unwrap();
    assert!(!alone.contains("OWNER"), "{alone}");
    assert!(alone.starts_with("devgate refused your certificate: it was revoked."));
    drop(asking);

    it.store
        .add_user(&"bob".parse().unwrap(), Role::Member)
        .await
        .unwrap();
    let mut asking = Asking::default();
    let several = said(asking.begin(&it.sign_in, &asker).await).unwrap();
    assert!(several.contains("log in as web.OWNER"), "{several}");
}
