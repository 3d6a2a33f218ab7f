mod full_disk;

use std::os::unix::fs::PermissionsExt as _;

use sqlx::{AssertSqlSafe, Executor as _};

use super::*;
use crate::identity::{AuthorizedKey, Role, User};
use crate::workspaces::{Blueprint, FailureReason, Intent, State};

const KEY: &str = "ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

async fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("devgate.db"))
        .await
        .unwrap();
    (folder, store)
}

async fn add(store: &Store, name: &str, role: Role) -> User {
    store.add_user(&name.parse().unwrap(), role).await.unwrap()
}

#[tokio::test]
async fn records_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    // Whatever is special in a URL may be in a path.
    let deep = folder.path().join("a b?c#d%20ä");
    std::fs::create_dir(&deep).unwrap();
    let path = deep.join("devgate.db");
    let store = Store::open(&path).await.unwrap();
    let ada = add(&store, "ada", Role::Admin).await;
    let key = AuthorizedKey::parse(&format!("{KEY} laptop")).unwrap();
    assert_eq!(store.add_key(&ada, &key).await.unwrap(), NewKey::Added);
    let api = store
        .add_workspace(
            &ada,
            &"api".parse().unwrap(),
            Blueprint::default(),
            Intent::Run,
        )
        .await
        .unwrap();
    let failed = State::Failed(FailureReason::AgentTimeout { seconds: 30 });
    store.set_state(&api.workspace.id, &failed).await.unwrap();
    drop(store);

    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.users().await.unwrap(), std::slice::from_ref(&ada));
    let keys = store.keys_of(&ada).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].comment, "laptop");
    assert_eq!(keys[0].public_key, KEY);
    let found = store.user_of_fingerprint(key.fingerprint()).await.unwrap();
    assert_eq!(found.as_ref(), Some(&ada));
    let records = store.workspaces().await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].workspace, api.workspace);
    assert_eq!(
        (records[0].intent, &records[0].state),
        (Intent::Run, &failed)
    );
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_key_signs_in_one_person() {
    let (_folder, store) = open().await;
    let ada = add(&store, "ada", Role::Admin).await;
    let bob = add(&store, "bob", Role::Member).await;
    let key = AuthorizedKey::parse(KEY).unwrap();
    assert_eq!(store.add_key(&ada, &key).await.unwrap(), NewKey::Added);
    assert_eq!(store.add_key(&ada, &key).await.unwrap(), NewKey::Known);
    let taken = store.add_key(&bob, &key).await.unwrap_err();
    assert!(matches!(taken, StoreError::KeyOfAnother { .. }));
    assert!(!store.remove_key(&bob, key.fingerprint()).await.unwrap());
    assert!(store.remove_key(&ada, key.fingerprint()).await.unwrap());
    assert_eq!(store.add_key(&bob, &key).await.unwrap(), NewKey::Added);
    store.remove_user(&bob.name).await.unwrap();
    assert_eq!(
        store.user_of_fingerprint(key.fingerprint()).await.unwrap(),
        None
    );
    let gone = store.add_key(&bob, &key).await.unwrap_err();
    assert!(matches!(gone, StoreError::NoSuchUser(_)));
}

#[tokio::test]
async fn names_are_taken_once_even_at_the_same_moment() {
    let (_folder, store) = open().await;
    let ada = add(&store, "ada", Role::Admin).await;
    let bob = add(&store, "bob", Role::Member).await;
    let taken = store.add_user(&ada.name, Role::Member).await.unwrap_err();
    assert!(matches!(taken, StoreError::UserExists(_)));
    let name = "api".parse().unwrap();
    let (one, two, other) = tokio::join!(
        store.add_workspace(&ada, &name, Blueprint::default(), Intent::Run),
        store.add_workspace(&ada, &name, Blueprint::default(), Intent::Run),
        store.add_workspace(&bob, &name, Blueprint::default(), Intent::Run),
    );
    other.unwrap();
    let refused = [one, two].into_iter().filter_map(Result::err);
    let refused: Vec<_> = refused.collect();
    assert!(
        matches!(refused.as_slice(), [StoreError::WorkspaceExists(taken)] if *taken == name),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_last_admin_and_an_owner_of_workspaces_stay() {
    let (_folder, store) = open().await;
    let ada = add(&store, "ada", Role::Admin).await;
    let bob = add(&store, "bob", Role::Member).await;
    let api = store
        .add_workspace(
            &bob,
            &"api".parse().unwrap(),
            Blueprint::default(),
            Intent::Stop,
        )
        .await
        .unwrap();
    let last = store.remove_user(&ada.name).await.unwrap_err();
    assert!(matches!(last, StoreError::LastAdmin(_)));
    let owner = store.remove_user(&bob.name).await.unwrap_err();
    assert!(matches!(owner, StoreError::UserHasWorkspaces(_)));
    let nobody = store
        .remove_user(&"eve".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(nobody, StoreError::NoSuchUser(_)));
    store.remove_workspace(&api.workspace.id).await.unwrap();
    store.remove_user(&bob.name).await.unwrap();
    add(&store, "eve", Role::Admin).await;
    store.remove_user(&ada.name).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devgate.db");
    let content = b"this is not a database, but it is long enough to look".repeat(100);
    std::fs::write(&path, &content).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), content);
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
    let (folder, store) = open().await;
    for index in 0..200 {
        add(&store, &format!("user{index}"), Role::Member).await;
    }
    store.close().await;
    let path = folder.path().join("devgate.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn the_database_of_a_newer_version_is_refused() {
    let (folder, store) = open().await;
    store
        .writer
        .execute("UPDATE _sqlx_migrations SET version = 99 WHERE version = 1")
        .await
        .unwrap();
    store.close().await;
    let error = Store::open(&folder.path().join("devgate.db"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Newer { step: 99, .. }));
}

#[tokio::test]
async fn a_database_that_can_not_be_made_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("devgate.db");
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(&error, StoreError::Open { .. }));
    assert!(error.to_string().contains("missing"));
}

#[tokio::test]
async fn many_writers_and_readers_get_along() {
    let (_folder, store) = open().await;
    let ada = add(&store, "ada", Role::Admin).await;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..64 {
        let (store, ada) = (store.clone(), ada.clone());
        tasks.spawn(async move {
            let name = format!("w{index}").parse().unwrap();
            let record = store
                .add_workspace(&ada, &name, Blueprint::default(), Intent::Run)
                .await
                .unwrap();
            // What was written is read, whichever connection reads it.
            let found = store.workspace_named(&ada.name, &name).await.unwrap();
            assert_eq!(found.unwrap().workspace, record.workspace);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.workspaces().await.unwrap().len(), 64);
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_brought_up_to_date_with_all_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devgate.db");
    std::fs::File::create(&path).unwrap();
    let url = format!("sqlite:{}", path.display());
    sqlx::any::install_default_drivers();
    let old = AnyPool::connect(&url).await.unwrap();
    let steps = migrations::all().iter().take(2).cloned().collect();
    sqlx::migrate::Migrator::with_migrations(steps)
        .run(&old)
        .await
        .unwrap();
    let (user, api, web) = ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc");
    for statement in [
        format!("INSERT INTO users (id, name, role, created) VALUES ('{user}', 'ada', 'admin', 1)"),
        format!(
            "INSERT INTO workspaces VALUES ('{api}', '{user}', 'api', 1, 'run', 'running', NULL, 2)"
        ),
        format!(
            "INSERT INTO workspaces VALUES ('{web}', '{user}', 'web', 1, 'delete', 'stopping', NULL, 3)"
        ),
        format!("INSERT INTO ports VALUES ('{api}', 3000, 'public', NULL, 4)"),
    ] {
        old.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    old.close().await;

    let store = Store::open(&path).await.unwrap();
    let living = store.workspaces().await.unwrap();
    assert_eq!(living.len(), 1);
    assert_eq!(living[0].workspace.id.as_str(), api);
    assert_eq!((living[0].intent, living[0].deleted), (Intent::Run, None));
    let ports = store.open_ports(&living[0].workspace.id).await.unwrap();
    assert_eq!(ports.len(), 1);
    // What was said to go for good does.
    let deleted = store.deleted_workspaces().await.unwrap();
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0].workspace.name.as_str(), "web");
    assert_eq!(deleted[0].intent, Intent::Purge);
    let ada = store.users().await.unwrap().remove(0);
    let name = "web".parse().unwrap();
    let blueprint = Blueprint::default();
    store
        .add_workspace(&ada, &name, blueprint, Intent::Run)
        .await
        .unwrap();
}
