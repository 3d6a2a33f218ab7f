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

/// Has a connection join where there are several people.
fn join(approvals: &Approvals, login: &str, address: &str) -> Joined {
    let login = login.parse().unwrap();
    approvals.join(&login, ip(address), TIMES, People::Several)
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
    let first = join(&approvals, "api.ada", "192.0.2.1");
    let more: Vec<_> = (0..15)
        .map(|_| join(&approvals, "api.ada", "192.0.2.1"))
        .collect();
    assert!(first.is_first && more.iter().all(|it| !it.is_first && it.code == first.code));
    let others = [("web.ada", "192.0.2.1"), ("api.ada", "192.0.2.2")];
    let others = others.map(|(login, address)| join(&approvals, login, address));
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
fn a_name_with_an_owner_is_decided_by_nobody_else() {
    let approvals = Approvals::default();
    let waiting = join(&approvals, "api.ada", "192.0.2.1");
    let (code, bob) = (waiting.code.to_string(), user("bob"));
    let alone = NoDecision::OwnersAlone("ada".parse().unwrap());
    assert_eq!(approvals.show(&bob, &code), Err(alone.clone()));
    assert_eq!(approvals.approve(&bob, &via(), &code), Err(alone.clone()));
    assert_eq!(approvals.refuse(&bob, &code), Err(alone));
    assert!(matches!(waiting.decision(), Decision::Pending));
    approvals.approve(&user("ada"), &via(), &code).unwrap();
}

#[test]
fn a_name_without_an_owner_lets_nobody_else_in_where_there_are_several_people() {
    let approvals = Approvals::default();
    let (ada, bob) = (user("ada"), user("bob"));
    let of_bob = join(&approvals, "web", "192.0.2.1");
    let of_ada = join(&approvals, "web", "192.0.2.1");
    assert!(of_ada.is_first && of_ada.code != of_bob.code);
    assert_eq!(of_ada.sharing, Sharing::Unnamed);
    let code = of_bob.code.to_string();
    let shown = approvals.show(&bob, &code).unwrap();
    let What::Connections { window, .. } = shown.wish.what else {
        panic!("it is of connections");
    };
    assert_eq!((window, shown.connections), (Duration::ZERO, 1));
    approvals.approve(&bob, &via(), &code).unwrap();
    assert_eq!((approved(&of_bob), approved(&of_ada)), (Some(bob), None));
    assert!(approved(&join(&approvals, "web", "192.0.2.1")).is_none());

    // One person alone is told from nobody.
    let web = "web".parse().unwrap();
    let alone = || approvals.join(&web, ip("127.0.0.1"), TIMES, People::One);
    let (first, second) = (alone(), alone());
    assert_eq!(first.code, second.code);
    let code = first.code.to_string();
    approvals.approve(&ada, &via(), &code).unwrap();
    assert_eq!(approved(&alone()), Some(ada));
    // A second one who comes isn't let in as the first.
    let late = approvals.join(&web, ip("127.0.0.1"), TIMES, People::Several);
    assert!(approved(&late).is_none());
}

#[test]
fn without_a_window_and_from_this_machine_each_connection_asks_for_itself() {
    let approvals = Approvals::default();
    let login = "web.ada".parse().unwrap();
    let window = Duration::ZERO;
    let none = Times { window, ..TIMES };
    for (address, times, people) in [
        ("192.0.2.1", none, People::Several),
        ("192.0.2.1", none, People::One),
        ("127.0.0.1", TIMES, People::Several),
        ("::ffff:127.0.0.1", TIMES, People::Several),
        ("::1", TIMES, People::Several),
    ] {
        let join = || approvals.join(&login, ip(address), times, people);
        let (stranger, own) = (join(), join());
        assert!(stranger.is_first && own.is_first && stranger.code != own.code);
        assert_eq!(own.sharing, Sharing::None);
        let ada = user("ada");
        approvals
            .approve(&ada, &via(), &own.code.to_string())
            .unwrap();
        assert!(approved(&own).is_some() && approved(&stranger).is_none());
        assert!(approved(&join()).is_none());
    }
}

#[test]
fn an_approval_lets_further_connections_in_until_it_is_over_or_ended() {
    let approvals = Approvals::default();
    let join = || join(&approvals, "api.ada", "192.0.2.1");
    let approve =
        |joined: &Joined, by: &User| approvals.approve(by, &via(), &joined.code.to_string());
    let (ada, bob) = (user("ada"), user("bob"));
    let first = join();
    approve(&first, &ada).unwrap();
    drop(first);
    let later = join();
    assert_eq!(approved(&later), Some(ada.clone()));
    // Whose code was used can't be approved by somebody else.
    assert_eq!(approve(&later, &bob), Err(NoDecision::NoSuchCode));

    let [window] = approvals.windows(&ada).try_into().unwrap();
    assert_eq!(
        (window.login.to_string().as_str(), window.address),
        ("api.ada", ip("192.0.2.1"))
    );
    assert_eq!(approvals.windows(&bob), []);
    assert_eq!(approvals.end(&bob, &window.id), None);
    let Decision::Approved(let_in) = later.decision() else {
        panic!("it was let in");
    };
    assert!(!let_in.hold.over().is_cancelled());
    assert_eq!(approvals.end(&ada, &window.id), Some(window));
    assert!(let_in.hold.over().is_cancelled());
    assert!(approved(&join()).is_none());
}

#[test]
fn an_approval_can_be_ended_as_long_as_a_connection_goes_on_that_it_let_in() {
    let approvals = Approvals::default();
    let ada = user("ada");
    let hold_of = |joined: Joined| match joined.decision() {
        Decision::Approved(let_in) => let_in.hold,
        Decision::Pending | Decision::Refused => panic!("it was let in"),
    };
    // Its window is over at once.
    let [first, second] = [(); 2].map(|()| {
        let joined = join(&approvals, "api", "192.0.2.1");
        let code = joined.code.to_string();
        approvals.approve(&ada, &via(), &code).unwrap();
        hold_of(joined)
    });
    assert_eq!(approvals.windows(&ada).len(), 2);
    drop(first);
    let [window] = approvals.windows(&ada).try_into().unwrap();
    assert!(!second.over().is_cancelled());
    assert_eq!(approvals.end(&ada, &window.id), Some(window));
    assert!(second.over().is_cancelled());
    assert_eq!(approvals.windows(&ada), []);
}

#[test]
fn a_code_ends_with_the_last_connection_that_waits_for_it() {
    let approvals = Approvals::default();
    let first = join(&approvals, "api.ada", "192.0.2.1");
    let second = join(&approvals, "api.ada", "192.0.2.1");
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
    let mut refused = join(&approvals, "api", "192.0.2.1");
    let pending = refused.decided_within(Duration::from_millis(1)).await;
    assert!(matches!(pending, Ok(Decision::Pending)));
    let code = refused.code.to_string();
    approvals.refuse(&user("ada"), &code).unwrap();
    let told = refused.decided_within(LIFE).await;
    assert!(matches!(told, Ok(Decision::Refused)));

    let wait = Duration::from_millis(20);
    let (web, times) = ("web".parse().unwrap(), Times { wait, ..TIMES });
    let mut late = approvals.join(&web, ip("192.0.2.1"), times, People::Several);
    assert_eq!(late.decided_within(LIFE).await.err(), Some(Undecided::Late));

    let mut displaced = join(&approvals, "api", "192.0.2.1");
    let others: Vec<_> = (0..MAX_OF_ADDRESS)
        .map(|_| join(&approvals, "api", "192.0.2.1"))
        .collect();
    let told = displaced.decided_within(LIFE).await.err();
    assert_eq!(told, Some(Undecided::Displaced));
    drop(others);
}
