//! What is watched goes, and comes again.

use super::*;

/// Takes events until `last` was made anywhere, and returns those before it.
async fn told(follower: &mut Follower, above: &Path, last: &str) -> Vec<String> {
    until_made(follower, above, last).await
}

#[tokio::test]
async fn what_takes_the_place_of_a_watched_folder_is_watched_and_what_left_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let above = folder.path();
    let at = |name: &str| above.join(name);
    fs::create_dir_all(at("w1/below")).unwrap();
    let watches = set();
    let watch = watches.start(wanted(&at("w1"))).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    fs::rename(at("w1"), at("w2")).unwrap();
    assert_eq!(told(&mut follower, above, "w1").await, [""; 0]);
    fs::write(at("w2/ghost"), "").unwrap();
    fs::write(at("w2/below/ghost"), "").unwrap();
    fs::create_dir(at("w1")).unwrap();
    assert_eq!(next(&mut follower).await.kind, Kind::Created);
    fs::write(at("w1/real"), "").unwrap();
    assert!(next(&mut follower).await.path.ends_with("w1/real"));
    // And again, by being deleted.
    fs::remove_dir_all(at("w1")).unwrap();
    fs::create_dir_all(at("w1/deep")).unwrap();
    fs::write(at("w1/deep/file"), "").unwrap();
    let said = told(&mut follower, above, "w1/deep/file").await;
    let said: Vec<_> = said.iter().filter(|said| *said != "-w1/real").collect();
    assert_eq!(said, ["-w1/", "+w1/", "+w1/deep/"]);
}

#[tokio::test]
async fn a_watched_folder_goes_with_one_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let above = folder.path();
    let at = |name: &str| above.join(name);
    fs::create_dir_all(at("pa/q")).unwrap();
    let watches = set();
    let watch = watches.start(wanted(&at("pa/q"))).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    fs::rename(at("pa"), at("pb")).unwrap();
    let gone = next(&mut follower).await;
    assert!(gone.kind == Kind::Removed && gone.path.ends_with("pa/q"));
    fs::write(at("pb/q/ghost"), "").unwrap();
    fs::create_dir(at("pa")).unwrap();
    fs::rename(at("pb/q"), at("pa/q")).unwrap();
    let said = told(&mut follower, above, "pa/q/ghost").await;
    assert_eq!(said, ["+pa/q/"]);
    fs::write(at("pa/q/file"), "").unwrap();
    assert!(next(&mut follower).await.path.ends_with("pa/q/file"));
}

#[tokio::test]
async fn a_watched_file_is_found_again_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let above = folder.path();
    let at = |name: &str| above.join(name);
    fs::create_dir(at("etc")).unwrap();
    fs::write(at("etc/config"), "").unwrap();
    let watches = set();
    let watch = watches.start(wanted(&at("etc/config"))).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    fs::rename(at("etc"), at("old")).unwrap();
    let gone = next(&mut follower).await;
    assert!(gone.kind == Kind::Removed && gone.path.ends_with("etc/config"));
    fs::write(at("old/config"), "x").unwrap();
    fs::create_dir(at("etc")).unwrap();
    fs::write(at("etc/other"), "").unwrap();
    fs::write(at("etc/config"), "").unwrap();
    let come = next(&mut follower).await;
    assert!(come.kind == Kind::Created && come.path.ends_with("etc/config"));
}

#[tokio::test]
async fn who_is_confined_to_a_folder_is_told_of_the_one_that_came_in_its_place() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("in")).unwrap();
    let confined = Wanted {
        within: Some(Within {
            folder: b"in".to_vec(),
            root: Arc::new(Root::of(home.path(), Some(b"in")).unwrap()),
        }),
        ..wanted(&at("in"))
    };
    let watches = set();
    let watch = watches.start(confined).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    fs::rename(at("in"), at("out")).unwrap();
    let gone = next(&mut follower).await;
    assert!(gone.kind == Kind::Removed && gone.path.ends_with("/in"));
    fs::write(at("out/ghost"), "").unwrap();
    fs::rename(at("out"), at("in")).unwrap();
    let said = told(&mut follower, home.path(), "in/ghost").await;
    assert_eq!(said, ["+in/"]);
}

#[tokio::test]
async fn a_link_that_is_made_anew_leads_to_what_is_watched() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let above = folder.path();
    let at = |name: &str| above.join(name);
    for release in ["one", "two"] {
        fs::create_dir(at(release)).unwrap();
    }
    symlink("one", at("current")).unwrap();
    let watches = set();
    let watch = watches.start(wanted(&at("current"))).await.unwrap();
    let mut follower = watch.follow(0).unwrap();
    symlink("two", at("new")).unwrap();
    fs::rename(at("new"), at("current")).unwrap();
    for kind in [Kind::Removed, Kind::Created] {
        assert_eq!(next(&mut follower).await.kind, kind);
    }
    fs::write(at("one/ghost"), "").unwrap();
    fs::write(at("two/file"), "").unwrap();
    assert!(next(&mut follower).await.path.ends_with("current/file"));
}
