//! Programs that wait, and those who approve them.

use super::*;
use crate::identity::Role;
use crate::names::LoginId;

fn wish(address: &str) -> Wish {
    Wish {
        name: "ada@laptop".to_owned(),
        scope: Scope::Write,
        lasts: Duration::from_hours(1),
        address: address.parse().unwrap(),
    }
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
    let codes = approvals.begin(wish("192.0.2.1"));
    let (ada, bob) = (user("ada"), user("bob"));
    let shown = approvals.show(&ada, &codes.user.to_string()).unwrap();
    assert_eq!(shown.wish, wish("192.0.2.1"));
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
    let codes = approvals.begin(wish("192.0.2.1"));
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
    let codes = approvals.begin(wish("192.0.2.1"));
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
    let mine = approvals.begin(wish("192.0.2.1"));
    for _ in 0..2 * MAX_WAITING {
        approvals.begin(wish("198.51.100.7"));
    }
    assert_eq!(approvals.state().waiting.len(), 1 + MAX_OF_ADDRESS);
    for number in 0..MAX_WAITING {
        approvals.begin(wish(&format!("10.0.{}.{}", number / 200, number % 200)));
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
    let codes = approvals.begin(wish("192.0.2.1"));
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
