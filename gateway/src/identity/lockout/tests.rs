use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A lock-out whose clock stands until it is moved, in seconds.
fn lockout(options: LockoutOptions) -> (Lockout, impl Fn(u64)) {
    let start = Instant::now();
    let seconds = Arc::new(AtomicU64::new(0));
    let moved = Arc::clone(&seconds);
    let lockout = Lockout::with_clock(options, move || {
        start + Duration::from_secs(seconds.load(Ordering::Relaxed))
    });
    (lockout, move |by| {
        moved.fetch_add(by, Ordering::Relaxed);
    })
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn failures_past_the_limit_lock_the_address_out_for_a_while() {
    let (lockout, wait) = lockout(LockoutOptions::default());
    let bad = address("192.0.2.1");
    for attempt in 0..19 {
        lockout.failed(bad, &format!("name{attempt}"));
        assert!(lockout.check_address(bad).is_ok());
    }
    lockout.failed(bad, "last");
    let locked = lockout.check_address(bad).unwrap_err();
    assert_eq!(locked.subject, Subject::Address);
    assert_eq!(locked.left, Duration::from_mins(15));
    assert!(lockout.check(bad, "new").is_err());
    assert!(lockout.check_address(address("192.0.2.2")).is_ok());
    wait(899);
    assert!(lockout.check_address(bad).is_err());
    wait(2);
    assert!(lockout.check_address(bad).is_ok());
}

#[test]
fn failures_that_lie_far_apart_never_lock_out() {
    let (lockout, wait) = lockout(LockoutOptions::default());
    let slow = address("192.0.2.1");
    for _ in 0..100 {
        lockout.failed(slow, "api");
        wait(40);
        assert!(lockout.check(slow, "api").is_ok());
    }
}

#[test]
fn delays_grow_and_stay_bounded() {
    let (lockout, _) = lockout(LockoutOptions::default());
    let bad = address("192.0.2.1");
    let delays: Vec<_> = (0..20).map(|_| lockout.failed(bad, "api")).collect();
    assert_eq!(delays[FREE - 1], Duration::ZERO);
    assert_eq!(delays[FREE], FIRST_DELAY);
    assert_eq!(delays[FREE + 1], FIRST_DELAY * 2);
    assert_eq!(delays[19], LAST_DELAY);
    assert!(delays.is_sorted());
}

#[test]
fn a_success_clears_what_was_counted() {
    let (lockout, _) = lockout(LockoutOptions::default());
    let person = address("192.0.2.1");
    for _ in 0..19 {
        lockout.failed(person, "api");
    }
    lockout.succeeded(person, "api");
    assert_eq!(lockout.failed(person, "api"), Duration::ZERO);
    assert!(lockout.check(person, "api").is_ok());
}

#[test]
fn a_success_excuses_no_failures_with_another_name() {
    let (lockout, _) = lockout(LockoutOptions::default());
    let guesser = address("192.0.2.1");
    for _ in 0..19 {
        lockout.failed(guesser, Tried::Account("victim"));
        lockout.succeeded(guesser, Tried::Account("own"));
        // Whoever has a key may log in by SSH to any name.
        lockout.succeeded(guesser, "victim");
        assert!(lockout.check_address(guesser).is_ok());
    }
    lockout.failed(guesser, Tried::Account("victim"));
    assert!(lockout.check_address(guesser).is_err());
    let neighbour = address("192.0.2.2");
    lockout.succeeded(neighbour, "victim");
    let locked = lockout.check(neighbour, Tried::Account("victim"));
    assert_eq!(locked.unwrap_err().subject, Subject::Name);
    assert!(lockout.check(neighbour, "victim").is_ok());
}

#[test]
fn others_failures_lock_a_name_but_not_for_who_signed_in_lately() {
    let (lockout, wait) = lockout(LockoutOptions::default());
    let person = address("192.0.2.1");
    lockout.succeeded(person, "api");
    for host in 0..20 {
        lockout.failed(address(&format!("198.51.100.{host}")), "api");
    }
    let stranger = address("203.0.113.9");
    let locked = lockout.check(stranger, "api").unwrap_err();
    assert_eq!(locked.subject, Subject::Name);
    assert!(lockout.check(stranger, "other").is_ok());
    assert!(lockout.check(person, "api").is_ok());
    wait(24 * 60 * 60);
    for host in 0..20 {
        lockout.failed(address(&format!("198.51.101.{host}")), "api");
    }
    assert!(lockout.check(person, "api").is_err());
}

#[test]
fn a_locked_name_slows_strangers_and_locks_their_addresses_sooner() {
    let (lockout, wait) = lockout(LockoutOptions::default());
    let (person, stranger) = (address("192.0.2.1"), address("203.0.113.9"));
    lockout.succeeded(person, "api");
    for host in 0..20 {
        lockout.failed(address(&format!("198.51.100.{host}")), "api");
    }
    assert_eq!(lockout.delay(stranger, "api"), LAST_DELAY);
    assert_eq!(lockout.delay(person, "api"), Duration::ZERO);
    for _ in 0..FREE {
        assert!(lockout.check_address(stranger).is_ok());
        lockout.failed(stranger, "api");
        lockout.failed(person, "api");
    }
    assert!(lockout.check_address(stranger).is_err());
    assert!(lockout.check_address(person).is_ok());
    // Somebody's success is no excuse for the others.
    lockout.succeeded(person, "api");
    assert!(lockout.check(address("203.0.113.10"), "api").is_err());
    wait(16 * 60);
    assert!(lockout.check_address(stranger).is_ok());
    assert!(lockout.check(stranger, "api").is_ok());
}

#[test]
fn an_ipv6_network_counts_as_one_and_a_mapped_address_as_its_own() {
    let (lockout, _) = lockout(LockoutOptions::default());
    for host in 0..20 {
        lockout.failed(address(&format!("2001:db8::{host:x}")), &format!("n{host}"));
    }
    assert!(lockout.check_address(address("2001:db8::ffff:1")).is_err());
    assert!(lockout.check_address(address("2001:db8:0:1::1")).is_ok());
    for host in 0..20 {
        lockout.failed(address("::ffff:192.0.2.7"), &format!("m{host}"));
    }
    assert!(lockout.check_address(address("192.0.2.7")).is_err());
    assert!(lockout.check_address(address("192.0.2.8")).is_ok());
}

#[test]
fn memory_is_bounded_and_the_least_recent_is_forgotten() {
    let options = LockoutOptions {
        remembered: 100,
        ..LockoutOptions::default()
    };
    let (lockout, _) = lockout(options);
    let kept = address("192.0.2.1");
    for index in 0..10_000_u32 {
        if index % 50 == 0 {
            lockout.failed(kept, &format!("k{index}"));
        }
        let other = IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + index));
        lockout.failed(other, &format!("{index}{}", "x".repeat(10_000)));
        lockout.succeeded(
            IpAddr::from(std::net::Ipv4Addr::from(0x0b00_0000 + index)),
            "y",
        );
    }
    let counts = lockout.counts();
    for (entries, order) in [
        (counts.addresses.entries.len(), counts.addresses.order.len()),
        (counts.names.entries.len(), counts.names.order.len()),
        (counts.trusted.entries.len(), counts.trusted.order.len()),
    ] {
        assert!(entries <= 100 && entries == order, "{entries} {order}");
    }
    let bounded = |name: &Name| matches!(name, Name::Login(name) if name.len() <= 100);
    assert!(counts.names.entries.keys().all(bounded));
    drop(counts);
    assert!(lockout.check_address(kept).is_err());
}
