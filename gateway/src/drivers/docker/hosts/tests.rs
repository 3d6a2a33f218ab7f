//! Several hosts, of which one is the tests' own engine and others don't answer.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::drivers::Snapshots as _;
use crate::drivers::contract::{label, restored, within, workspace};
use crate::drivers::docker::Endpoint;
use crate::drivers::docker::folder::Folder;
use crate::drivers::docker::tests::installation::{Installation, real_containers};
use crate::names::SnapshotId;

/// The index of the host that doesn't answer.
const AWAY: usize = 0;

/// The index of the host that does.
const HERE: usize = 1;

/// An engine that takes connections and never answers.
struct Silent {
    folder: TempDir,
    _listener: UnixListener,
}

impl Silent {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        Self {
            folder,
            _listener: listener,
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Socket(self.folder.path().join("docker.sock"))
    }
}

/// Returns two hosts of an installation: one that doesn't answer, and its own engine.
fn hosts(it: &Installation, away: Endpoint) -> DockerHosts {
    let host = |name: &str, engine| DockerHost {
        name: name.to_owned(),
        labels: Vec::new(),
        options: DockerOptions {
            engine,
            ..it.options.clone()
        },
    };
    let here = it.options.engine.clone();
    let hosts = vec![host("away", away), host("here", here)];
    DockerHosts::open(it.options.folder.clone(), hosts).unwrap()
}

fn nowhere() -> Endpoint {
    Endpoint::Socket("/nowhere/docker.sock".into())
}

fn is_away(error: &DriverError) -> bool {
    matches!(error, DriverError::EngineUnreachable { .. })
}

#[tokio::test]
async fn a_host_that_never_answers_holds_up_no_start_on_another() {
    let (it, silent) = (real_containers(), Silent::new());
    let hosts = hosts(&it, silent.endpoint());
    let (known, lost) = (workspace(), workspace());
    hosts.write(&known.id, HERE).await.unwrap();
    hosts.write(&lost.id, AWAY).await.unwrap();
    {
        let _chosen_elsewhere = hosts.choosing.lock().await;
        within(hosts.create(&known)).await.unwrap();
    }
    let error = within(hosts.create(&lost)).await.unwrap_err();
    assert!(is_away(&error), "{error:?}");
    // A new one goes where a host answers.
    let new = workspace();
    within(hosts.create(&new)).await.unwrap();
    assert_eq!(hosts.written(&new.id).unwrap(), Some(HERE));
    let found = within(hosts.inspect(&new.id)).await.unwrap();
    assert_eq!(found, Presence::Stopped);
}

#[tokio::test]
async fn what_nothing_needs_is_found_while_another_host_is_away_or_gone() {
    let it = real_containers();
    let hosts = hosts(&it, nowhere());
    let here = workspace();
    hosts.write(&here.id, HERE).await.unwrap();
    hosts.create(&here).await.unwrap();
    let id = SnapshotId::random();
    hosts.take(&here, &id, &label()).await.unwrap();
    let kept = hosts.kept_snapshots().await.unwrap();
    assert_eq!(kept, std::slice::from_ref(&id));
    let removed = hosts.remove_builds(&[]).await.unwrap();
    assert_eq!(removed, [""; 0]);
    let kept = hosts.kept().await.unwrap();
    assert_eq!(kept.workspaces, std::slice::from_ref(&here.id));
    assert!(kept.unknown.is_some_and(|error| is_away(&error)));
    hosts.can_restore(&here.id, &id).await.unwrap();
    let other = SnapshotId::random();
    let missing = hosts.can_restore(&here.id, &other).await.unwrap_err();
    assert!(missing.to_string().contains("host here"), "{missing}");
    // What a workspace is made from is needed wherever that is.
    for host in ["away", "taken out of the configuration"] {
        let there = restored(&workspace(), &id);
        let folder = it.options.folder.join(there.id.as_str());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("host"), host).unwrap();
        let needed = hosts.needed_by(&there).await.unwrap();
        assert!(needed.contains(&id), "{host}");
    }
    hosts.remove_snapshot(&id).await.unwrap();
    assert_eq!(hosts.kept_snapshots().await.unwrap(), []);
}

#[tokio::test]
async fn nothing_is_told_where_no_host_answers() {
    let it = real_containers();
    let mut hosts = hosts(&it, nowhere());
    hosts.hosts.truncate(1);
    assert!(hosts.kept().await.is_err_and(|error| is_away(&error)));
    let kept = hosts.kept_snapshots().await;
    assert!(kept.is_err_and(|error| is_away(&error)));
}

#[tokio::test]
async fn what_has_a_home_on_a_host_that_is_away_waits_for_it_and_is_placed_nowhere_else() {
    let it = real_containers();
    let old = workspace();
    // It began without several hosts.
    let folder = Folder::new(&it.options.folder, &old.id);
    folder.create().unwrap();
    folder.note_home().unwrap();
    let some = hosts(&it, nowhere());
    let error = some.create(&old).await.unwrap_err();
    assert!(is_away(&error), "{error:?}");
    let new = workspace();
    some.create(&new).await.unwrap();
    assert_eq!(some.written(&new.id).unwrap(), Some(HERE));
    // Where all answer and none has its home, it isn't made anew elsewhere.
    let all = hosts(&it, it.options.engine.clone());
    let error = all.create(&old).await.unwrap_err();
    assert!(
        matches!(error, DriverError::HomeMissing { .. }),
        "{error:?}"
    );
    assert_eq!(all.written(&old.id).unwrap(), None);
    let containers = &it.docker_driver().containers;
    containers.make_home(&old).await.unwrap();
    all.create(&old).await.unwrap();
    assert!(all.written(&old.id).unwrap().is_some());
}

#[tokio::test]
async fn what_no_host_takes_that_answers_waits_for_one_that_could() {
    let it = real_containers();
    let mut hosts = hosts(&it, nowhere());
    for (host, label) in hosts.hosts.iter_mut().zip(["gpu", "small"]) {
        host.labels = vec![label.to_owned()];
    }
    let mut new = workspace();
    Arc::make_mut(&mut new.blueprint).host_labels = vec!["gpu".to_owned()];
    let error = hosts.create(&new).await.unwrap_err();
    assert!(is_away(&error), "{error:?}");
    // The one that answers doesn't fit.
    let error = hosts.inspect(&new.id).await.unwrap_err();
    assert!(is_away(&error), "{error:?}");
    let driver = DockerDriver::open(it.options.clone()).unwrap();
    hosts.hosts[AWAY].driver = driver;
    let found = hosts.inspect(&new.id).await.unwrap();
    assert_eq!(found, Presence::Absent);
    hosts.create(&new).await.unwrap();
    assert_eq!(hosts.written(&new.id).unwrap(), Some(AWAY));
    let found = hosts.inspect(&new.id).await.unwrap();
    assert_eq!(found, Presence::Stopped);
    let mut nobodys = workspace();
    Arc::make_mut(&mut nobodys.blueprint).host_labels = vec!["none".to_owned()];
    let error = hosts.create(&nobodys).await.unwrap_err();
    assert!(matches!(error, DriverError::NoHost { .. }), "{error:?}");
}
