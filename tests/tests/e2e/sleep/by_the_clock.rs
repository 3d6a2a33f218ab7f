//! Workspaces that wake and go to sleep when it is time.

use super::*;

#[test]
fn a_schedule_wakes_what_sleeps_and_lets_stops_be() {
    let target = sleepy(Reach::Unix, &[]);
    for wrong in [
        &["schedule", "default", "--stop", "at eight"][..],
        &[
            "schedule",
            "default",
            "--stop",
            "0 20 * * *",
            "--time-zone",
            "Berlin",
        ],
    ] {
        let refused = target.gateway().cli(wrong);
        assert_ne!(refused.code(), 0, "{refused:?}");
    }
    let args = ["schedule", "default", "--start", "*/2 * * * * *", "--json"];
    let set = json(&target, &args);
    assert_eq!(set["start"], "*/2 * * * * *", "{set}");
    let _ = target.gateway().cli(&["sleep", "default"]).ok();
    wakes(&target);
    let _ = target.gateway().cli(&["stop", "default"]).ok();
    std::thread::sleep(AFTER);
    assert_eq!(state(&target), "stopped");
    let gone = target.gateway().cli(&["schedule", "default", "--remove"]);
    assert!(gone.ok().out().contains("no schedule"));
}

#[test]
fn a_start_that_came_while_no_gateway_ran_wakes_what_sleeps() {
    let mut target = sleepy(Reach::Unix, &[]);
    let schedule = |target: &Target, start: &str| {
        let args = [
            "schedule",
            "default",
            "--time-zone",
            "UTC",
            "--start",
            start,
        ];
        let _ = target.gateway().cli(&args).ok();
    };
    // One that isn't soon.
    schedule(&target, "0 0 29 2 *");
    falls_asleep(&target);
    let date = |args: &[&str]| {
        let mut date = std::process::Command::new("date");
        run(date.arg("-u").args(args), b"", SOON).ok().out()
    };
    let start = date(&["-d", "3 seconds", "+%s %-S %-M %-H"]);
    let (at, pattern) = start.trim().split_once(' ').expect("both were asked for");
    schedule(&target, &format!("{pattern} * * *"));
    target.gateway_mut().kill();
    let at: u64 = at.parse().expect("it is a number");
    until(SOON, "the time of the start", || {
        let now: u64 = date(&["+%s"]).trim().parse().expect("it is a number");
        now > at
    });
    target.gateway_mut().start_again();
    wakes(&target);
}

#[test]
fn a_stop_to_come_is_told_where_nothing_else_puts_a_workspace_to_sleep() {
    let target = sleepy(Reach::Unix, &[("DEVGATE_SLEEP_AFTER", "0s")]);
    assert!(why(&target)["sleeps_at"].is_null());
    let args = ["schedule", "default", "--stop", "0 0 * * *", "--json"];
    let set = json(&target, &args);
    let why = why(&target);
    let (stop, sleeps) = (&set["next_stop"], &why["sleeps_at"]);
    assert!(
        sleeps.as_str() >= stop.as_str() && stop.is_string(),
        "{why}"
    );
    let reasons = why["reasons"].to_string();
    assert!(
        reasons.contains("before the next stop of its schedule"),
        "{why}"
    );
}
