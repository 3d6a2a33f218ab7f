use std::sync::Arc;

use super::*;
use crate::identity::{Role, User};
use crate::workspaces::Blueprint;

fn user(name: &str) -> User {
    User {
        id: UserId::random(),
        name: name.parse().unwrap(),
        role: Role::Member,
    }
}

fn ledger(user: Allowance, total: Allowance) -> Arc<Ledger> {
    let each = Demand {
        nano_cpus: 1_500_000_000,
        memory: 1 << 30,
    };
    Arc::new(Ledger::new(Limits { user, total, each }))
}

fn make(ledger: &Arc<Ledger>, owner: &User, name: &str) -> Result<Workspace, LimitReached> {
    let name = name.parse().unwrap();
    let place = ledger
        .admit(owner, &name, (&Blueprint::default(), Intent::Run), 0)
        .map_err(|reached| *reached)?;
    let workspace = Workspace {
        id: WorkspaceId::random(),
        name,
        owner: owner.id.clone(),
        owner_name: owner.name.clone(),
        created: OffsetDateTime::now_utc(),
        expires: None,
        blueprint: Arc::default(),
    };
    place.taken_by(&workspace);
    Ok(workspace)
}

#[test]
fn each_limit_names_itself_what_is_used_and_the_next_step() {
    let none = Allowance::default();
    let cases = [
        (
            Allowance {
                workspaces: Some(1),
                ..none
            },
            ["ada has 1 of 1 workspaces (api)", "delete one"],
        ),
        (
            Allowance {
                running: Some(1),
                ..none
            },
            [
                "ada has 1 of 1 workspaces that run at once (api)",
                "stop one",
            ],
        ),
        (
            Allowance {
                nano_cpus: Some(2_000_000_000),
                ..none
            },
            [
                "use 1.5 of 2 processors (api), and this one takes 1.5",
                "stop one",
            ],
        ),
        (
            Allowance {
                memory: Some(3 << 29),
                ..none
            },
            [
                "use 1GiB of 1536MiB memory (api), and this one takes 1GiB",
                "stop one",
            ],
        ),
    ];
    for (allowed, said) in cases {
        let (ledger, ada) = (ledger(allowed, none), user("ada"));
        make(&ledger, &ada, "api").unwrap();
        let text = make(&ledger, &ada, "web").unwrap_err().to_string();
        assert!(said.iter().all(|part| text.contains(part)), "{text}");
        // Others have their own.
        make(&ledger, &user("bob"), "api").unwrap();
    }
}

#[test]
fn the_limit_of_all_together_names_nobody() {
    let total = Allowance {
        running: Some(1),
        ..Allowance::default()
    };
    let ledger = ledger(Allowance::default(), total);
    make(&ledger, &user("ada"), "secret").unwrap();
    let text = make(&ledger, &user("bob"), "api").unwrap_err().to_string();
    assert!(!text.contains("secret") && !text.contains("ada"), "{text}");
    assert!(text.contains("1 of 1"), "{text}");
}

#[test]
fn what_stops_or_goes_makes_room() {
    let user_limits = Allowance {
        workspaces: Some(2),
        running: Some(1),
        ..Allowance::default()
    };
    let (ledger, ada) = (ledger(user_limits, Allowance::default()), user("ada"));
    let api = make(&ledger, &ada, "api").unwrap();
    assert!(make(&ledger, &ada, "web").is_err());
    ledger.seen(&api.id, &State::Stopping);
    assert!(make(&ledger, &ada, "web").is_err());
    ledger.seen(&api.id, &State::Stopped);
    let web = make(&ledger, &ada, "web").unwrap();
    assert!(ledger.start(&api).is_err());
    assert!(!ledger.start(&web).unwrap());
    ledger.deleted(&web.id);
    ledger.seen(&web.id, &State::Deleted);
    assert!(ledger.start(&api).unwrap());
    ledger.restore(&web).unwrap();
    ledger.gone(&web.id);
    assert_eq!(ledger.usage(Some(&ada.id)).workspaces, 1);
}

#[test]
fn a_place_that_nothing_was_made_for_is_free_again() {
    let allowed = Allowance {
        workspaces: Some(1),
        ..Allowance::default()
    };
    let (ledger, ada) = (ledger(allowed, Allowance::default()), user("ada"));
    let place = ledger.admit(
        &ada,
        &"api".parse().unwrap(),
        (&Blueprint::default(), Intent::Stop),
        0,
    );
    assert!(make(&ledger, &ada, "web").is_err());
    drop(place);
    make(&ledger, &ada, "web").unwrap();
}

#[test]
fn homes_beyond_the_limit_keep_from_making_and_starting_more_and_are_told_once() {
    let allowed = Allowance {
        disk: Some(1000),
        ..Allowance::default()
    };
    let (ledger, ada) = (ledger(allowed, Allowance::default()), user("ada"));
    let api = make(&ledger, &ada, "api").unwrap();
    let size = |bytes| HomeSize {
        bytes,
        at: OffsetDateTime::now_utc(),
    };
    ledger.measured(&api.id, size(2000));
    assert_eq!(ledger.newly_over().len(), 1);
    assert_eq!(ledger.newly_over().len(), 0);
    let text = make(&ledger, &ada, "web").unwrap_err().to_string();
    assert!(text.contains("2000B of 1000B disk (api)"), "{text}");
    // What runs may be started again.
    assert!(!ledger.start(&api).unwrap());
    ledger.measured(&api.id, size(900));
    make(&ledger, &ada, "web").unwrap();
    assert_eq!(ledger.newly_over().len(), 0);
    ledger.measured(&api.id, size(2000));
    assert_eq!(ledger.newly_over().len(), 1);
}

#[test]
fn fifty_at_once_get_no_more_than_there_is() {
    let total = Allowance {
        running: Some(7),
        ..Allowance::default()
    };
    let ledger = ledger(Allowance::default(), total);
    let made: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..50)
            .map(|index| {
                let ledger = &ledger;
                scope.spawn(move || {
                    let owner = user(&format!("u{index}"));
                    usize::from(make(ledger, &owner, "api").is_ok())
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(made, 7);
    assert_eq!(ledger.usage(None).running, 7);
}

#[test]
fn what_is_copied_or_given_counts_before_it_is_measured() {
    let allowed = Allowance {
        disk: Some(2000),
        ..Allowance::default()
    };
    let ledger = ledger(allowed, Allowance::default());
    let (ada, bob) = (user("ada"), user("bob"));
    let measured = |id: &WorkspaceId, bytes| {
        let at = OffsetDateTime::now_utc();
        ledger.measured(id, HomeSize { bytes, at });
    };
    let api = make(&ledger, &ada, "api").unwrap();
    measured(&api.id, 800);
    let copy = |name: &str| {
        let blueprint = Blueprint::default();
        let made = (&blueprint, Intent::Run);
        ledger.admit(&ada, &name.parse().unwrap(), made, ledger.home_of(&api.id))
    };
    let first = copy("api-1").unwrap();
    let text = copy("api-2").unwrap_err().to_string();
    assert!(text.contains("likely to take 800B"), "{text}");
    drop(first);
    copy("api-2").unwrap();
    // Somebody else must have room for it, too.
    let theirs = make(&ledger, &bob, "theirs").unwrap();
    measured(&theirs.id, 1300);
    let mut given = api.clone();
    (given.owner, given.owner_name) = (bob.id.clone(), bob.name.clone());
    let text = ledger.change(&given).unwrap_err().to_string();
    assert!(text.contains("likely to take 800B"), "{text}");
    measured(&theirs.id, 1200);
    ledger.change(&given).unwrap();
}
