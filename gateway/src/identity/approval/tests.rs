//! Programs that wait, and those who approve them.

use super::*;
use crate::identity::Role;
use crate::names::LoginId;

const TIMES: Times = Times {
    wait: Duration::from_mins(3),
    window: Duration::from_mins(5),
};

fn wish() -> ProgramWish {
    ProgramWish {
        name: "ada@laptop".to_owned(),
        scope: Scope::Write,
        lasts: Duration::from_hours(1),
    }
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn user(name: &str) -> User {
    User {
        id: UserId::random(),
        name: name.parse().unwrap(),
        role: Role::Member,
    }
}

fn via() -> Via {
    Via::Login(LoginId::random())
}

#[test]
fn a_code_is_read_as_people_write_it() {
    let code: UserCode = "wdjb mjht".parse().unwrap();
    assert_eq!(code.to_string(), "WDJB-MJHT");
    assert_eq!(code, "WDJBMJHT".parse().unwrap());
    assert_eq!(format!("{code:?}"), "***");
    for bad in ["", "WDJB-MJH", "WDJB-MJHTX", "ADJB-MJHT", "WDJB-MJH\u{e9}"] {
        assert!(bad.parse::<UserCode>().is_err(), "{bad}");
    }
}

#[test]
fn what_is_approved_is_had_once_and_stands_for_who_approved_it() {
    let approvals = Approvals::default();
    let codes = approvals.begin(wish(), ip("192.0.2.1"));
    let (ada, bob) = (user("ada"), user("bob"));
    let shown = approvals.show(&ada, &codes.user.to_string()).unwrap();
    assert_eq!(shown.wish.what, What::Token(wish()));
    assert_eq!(shown.wish.address, ip("192.0.2.1"));
    let text = codes.user.to_string();
    approvals.approve(&ada, &via(), &text).unwrap();
    let again = approvals.approve(&bob, &via(), &text);
    assert_eq!(again, Err(NoDecision::NoSuchCode));
    let approved = approvals.poll(&codes.device.hash()).unwrap();
    assert_eq!(approved.user, ada);
    let spent = approvals.poll(&codes.device.hash()).unwrap_err();
    assert_eq!(spent, NotApproved::Ended);
}

#[test]
fn a_refusal_is_told_once_and_polling_too_soon_slows_down() {
    let approvals = Approvals::default();
    let codes = approvals.begin(wish(), ip("192.0.2.1"));
    let device = codes.device.hash();
    assert_eq!(approvals.poll(&device).unwrap_err(), NotApproved::Pending);
    assert_eq!(approvals.poll(&device).unwrap_err(), NotApproved::TooSoon);
    let mut state = approvals.state();
    let entry = state.waiting.get_mut(&device).unwrap();
    assert_eq!(entry.interval, INTERVAL + SLOWER);
    entry.polled = None;
    drop(state);
    let text = codes.user.to_string();
    approvals.refuse(&user("ada"), &text).unwrap();
    assert_eq!(approvals.poll(&device).unwrap_err(), NotApproved::Refused);
    assert_eq!(approvals.poll(&device).unwrap_err(), NotApproved::Ended);
}

#[test]
fn an_old_code_is_none() {
    let approvals = Approvals::default();
    let codes = approvals.begin(wish(), ip("192.0.2.1"));
    for entry in approvals.state().waiting.values_mut() {
        entry.since = Instant::now().checked_sub(LIFE).unwrap();
    }
    let shown = approvals.show(&user("ada"), &codes.user.to_string());
    assert_eq!(shown.unwrap_err(), NoDecision::NoSuchCode);
    let polled = approvals.poll(&codes.device.hash());
    assert_eq!(polled.unwrap_err(), NotApproved::Ended);
}

#[test]
fn one_address_can_not_take_all_the_room_and_keeps_nobody_out() {
    let approvals = Approvals::default();
    let mine = approvals.begin(wish(), ip("192.0.2.1"));
    for _ in 0..2 * MAX_WAITING {
        approvals.begin(wish(), ip("198.51.100.7"));
    }
    assert_eq!(approvals.state().waiting.len(), 1 + MAX_OF_ADDRESS);
    for number in 0..MAX_WAITING {
        approvals.begin(
            wish(),
            ip(&format!("10.0.{}.{}", number / 200, number % 200)),
        );
    }
    assert_eq!(approvals.state().waiting.len(), MAX_WAITING);
    let polled = approvals.poll(&mine.device.hash());
    assert!(matches!(
        polled.unwrap_err(),
        NotApproved::Pending | NotApproved::Ended
    ));
}

#[test]
fn whoever_guesses_is_stopped_and_others_are_not() {
    let approvals = Approvals::default();
    let codes = approvals.begin(wish(), ip("192.0.2.1"));
    let (ada, bob) = (user("ada"), user("bob"));
    for _ in 0..MAX_TRIES {
        let guess = approvals.show(&ada, "BBBB-BBBB");
        assert_eq!(guess.unwrap_err(), NoDecision::NoSuchCode);
    }
    let text = codes.user.to_string();
    let late = approvals.show(&ada, &text);
    assert_eq!(late.unwrap_err(), NoDecision::TooManyTries);
    assert!(approvals.show(&bob, &text).is_ok());
}

fn approved(joined: &Joined) -> Option<User> {
    match joined.decision() {
        Decision::Approved(let_in) => Some(let_in.user),
        Decision::Pending | Decision::Refused => None,
    }
}

#[test]
fn connections_of_one_address_and_name_wait_for_one_decision() {
    let approvals = Approvals::default();
    let first = approvals.join("api", ip("192.0.2.1"), TIMES);
    let more: Vec<_> = (0..15)
        .map(|_| approvals.join("api", ip("192.0.2.1"), TIMES))
        .collect();
    assert!(first.is_first && more.iter().all(|it| !it.is_first && it.code == first.code));
    let others = [("web", "192.0.2.1"), ("api", "192.0.2.2")];
    let others = others.map(|(login, address)| approvals.join(login, ip(address), TIMES));
    let ada = user("ada");
    let code = first.code.to_string();
    assert_eq!(approvals.show(&ada, &code).unwrap().connections, 16);
    approvals.approve(&ada, &via(), &code).unwrap();
    assert!(more.iter().all(|it| approved(it) == Some(ada.clone())));
    assert!(
        others
            .iter()
            .all(|it| it.is_first && approved(it).is_none())
    );
}

#[test]
fn an_approval_lets_further_connections_in_until_it_is_over_or_ended() {
    let approvals = Approvals::default();
    let join = |times| approvals.join("api", ip("192.0.2.1"), times);
    let approve =
        |joined: &Joined, by: &User| approvals.approve(by, &via(), &joined.code.to_string());
    let (ada, bob) = (user("ada"), user("bob"));
    let first = join(TIMES);
    approve(&first, &ada).unwrap();
    drop(first);
    let later = join(TIMES);
    assert_eq!(approved(&later), Some(ada.clone()));
    // Whose code was used can't be approved by somebody else.
    assert_eq!(approve(&later, &bob), Err(NoDecision::NoSuchCode));

    let [window] = approvals.windows(&ada).try_into().unwrap();
    assert_eq!(
        (window.login.as_str(), window.address),
        ("api", ip("192.0.2.1"))
    );
    assert_eq!(approvals.windows(&bob), []);
    assert_eq!(approvals.end(&bob, &window.id), None);
    let Decision::Approved(let_in) = later.decision() else {
        panic!("it was let in");
    };
    assert!(!let_in.over.is_cancelled());
    assert_eq!(approvals.end(&ada, &window.id), Some(window));
    assert!(let_in.over.is_cancelled());
    assert!(approved(&join(TIMES)).is_none());

    let window = Duration::ZERO;
    let only = join(Times { window, ..TIMES });
    approve(&only, &ada).unwrap();
    assert_eq!(approved(&only), Some(ada.clone()));
    assert!(approved(&join(TIMES)).is_none() && approvals.windows(&ada).is_empty());
}

#[test]
fn a_code_ends_with_the_last_connection_that_waits_for_it() {
    let approvals = Approvals::default();
    let first = approvals.join("api", ip("192.0.2.1"), TIMES);
    let second = approvals.join("api", ip("192.0.2.1"), TIMES);
    let code = first.code.to_string();
    drop(first);
    assert!(approvals.show(&user("ada"), &code).is_ok());
    drop(second);
    let shown = approvals.show(&user("ada"), &code);
    assert_eq!(shown.unwrap_err(), NoDecision::NoSuchCode);
}

#[tokio::test]
async fn a_connection_learns_at_once_and_doesn_t_wait_beyond_its_time() {
    let approvals = Approvals::default();
    let mut refused = approvals.join("api", ip("192.0.2.1"), TIMES);
    let pending = refused.decided_within(Duration::from_millis(1)).await;
    assert!(matches!(pending, Some(Decision::Pending)));
    let code = refused.code.to_string();
    approvals.refuse(&user("ada"), &code).unwrap();
    let told = refused.decided_within(LIFE).await;
    assert!(matches!(told, Some(Decision::Refused)));

    let wait = Duration::from_millis(20);
    let mut late = approvals.join("web", ip("192.0.2.1"), Times { wait, ..TIMES });
    assert!(late.decided_within(LIFE).await.is_none());
}
