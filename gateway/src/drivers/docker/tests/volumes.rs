//! Volumes beside the home: those that an image declares, and those of a template.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::process::Command;

use super::installation::{Installation, real_containers};
use super::*;
use crate::drivers::Snapshots as _;
use crate::drivers::contract::{home, label, restored};
use crate::names::SnapshotId;

fn docker(it: &Installation, args: &[&str]) -> String {
    let socket = format!("unix://{}", it.options.engine);
    let mut command = Command::new("docker");
    let done = command.env("DOCKER_HOST", socket).args(args).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{args:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// Has an installation use an image that declares `/data` a volume, with a file in it.
fn declare(it: &mut Installation) {
    let folder = it.folder.path().join("build");
    std::fs::create_dir(&folder).unwrap();
    let dockerfile = "FROM devgate-test/busybox\n\
        COPY --chown=1000:1000 base /data/base\n\
        VOLUME /data\n";
    std::fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    std::fs::write(folder.join("base"), "base").unwrap();
    let driver = it.docker_driver();
    let installation = driver.containers.installation();
    let name = format!("devgate-{installation}:declares");
    let label = format!("devgate.installation={installation}");
    let folder = folder.display().to_string();
    docker(
        it,
        &["build", "-q", "--label", &label, "-t", &name, &folder],
    );
    it.options.image = name;
}

fn data(pid: u32, file: &str) -> String {
    format!("/proc/{pid}/root/data/{file}")
}

fn said(pid: u32) -> String {
    std::fs::read_to_string(data(pid, "db")).unwrap_or_default()
}

#[tokio::test]
async fn a_declared_volume_is_in_snapshots_and_in_what_is_made_of_them() {
    let mut it = real_containers();
    declare(&mut it);
    let (driver, first) = (it.docker_driver(), workspace());
    let pid = up(&driver, &first).await;
    assert_eq!(std::fs::read_to_string(data(pid, "base")).unwrap(), "base");
    std::fs::remove_file(data(pid, "base")).unwrap();
    std::fs::write(data(pid, "db"), "precious").unwrap();
    chown(data(pid, "db"), Some(1000), Some(7)).unwrap();
    let id = SnapshotId::random();
    driver.take(&first, &id, &label()).await.unwrap();
    std::fs::write(data(pid, "db"), "later").unwrap();
    // Another workspace, as a clone is.
    let clone = restored(&workspace(), &id);
    let clone_pid = up(&driver, &clone).await;
    assert_eq!(said(clone_pid), "precious");
    let facts = std::fs::metadata(data(clone_pid, "db")).unwrap();
    assert_eq!((facts.uid(), facts.gid()), (1000, 7));
    assert!(!Path::new(&data(clone_pid, "base")).exists());
    assert_eq!(said(pid), "later");

    driver.stop(&first.id, GRACE).await.unwrap();
    let back = restored(&first, &id);
    let pid = up(&driver, &back).await;
    assert_eq!(said(pid), "precious");
    // What was there before is gone, and a snapshot of what was restored has it all again.
    std::fs::write(data(pid, "db"), "again").unwrap();
    let volumes = docker(&it, &["volume", "ls", "-q"]);
    let own = volumes.lines().filter(|it| it.contains(back.id.as_str()));
    assert_eq!(own.count(), 2, "{volumes}");
    let second = SnapshotId::random();
    driver.take(&back, &second, &label()).await.unwrap();
    driver.stop(&back.id, GRACE).await.unwrap();
    let last = restored(&back, &second);
    let pid = up(&driver, &last).await;
    assert_eq!(said(pid), "again");
    for workspace in [last, clone] {
        driver.stop(&workspace.id, GRACE).await.unwrap();
        driver.remove(&workspace.id).await.unwrap();
        let volumes = docker(&it, &["volume", "ls", "-q"]);
        assert!(!volumes.contains(workspace.id.as_str()), "{volumes}");
    }
    for snapshot in [second, id] {
        driver.remove_snapshot(&snapshot).await.unwrap();
    }
}

#[tokio::test]
async fn a_declared_volume_stays_when_the_container_is_made_anew() {
    let mut it = real_containers();
    declare(&mut it);
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    std::fs::write(data(pid, "db"), "precious").unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    it.options.pids = 300;
    let driver = it.docker_driver();
    let pid = up(&driver, &workspace).await;
    assert_eq!(said(pid), "precious");
    // As a rebuild does.
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.release(&workspace.id).await.unwrap();
    let pid = up(&driver, &workspace).await;
    assert_eq!(said(pid), "precious");
    let sizes = driver.sizes().await.unwrap();
    assert!(sizes.contains_key(&workspace.id));
}

#[tokio::test]
async fn a_volume_that_would_go_with_its_container_becomes_the_workspaces_own() {
    let mut it = real_containers();
    declare(&mut it);
    let (driver, workspace) = (it.docker_driver(), workspace());
    driver.create(&workspace).await.unwrap();
    // As gateways made them that knew of no such volumes.
    let shared = driver.folder(&workspace.id).shared();
    let installation = driver.containers.installation();
    let mut wanted = spec::body(&it.options, installation, &workspace, &shared);
    let image = image::find(driver.containers.engine(), &it.options.image).await;
    let labels = wanted.labels.get_or_insert_default();
    labels.insert(spec::IMAGE.to_owned(), image.unwrap().unwrap());
    let client = driver.containers.engine().client().await.unwrap();
    let name = spec::container(&workspace.id);
    let options = bollard::query_parameters::CreateContainerOptionsBuilder::new()
        .name(&name)
        .build();
    client
        .create_container(Some(options), wanted)
        .await
        .unwrap();
    let pid = driver.start(&workspace).await.unwrap().pid();
    answers(&driver, &workspace).await;
    let mounts = inspect(&driver, &workspace).await.mounts.unwrap();
    let data_mount = mounts.into_iter().find(|mount| {
        let destination = mount.destination.as_deref();
        destination == Some("/data")
    });
    let nameless = data_mount.unwrap().name.unwrap();
    assert_eq!(nameless.len(), 64);
    std::fs::write(data(pid, "db"), "precious").unwrap();
    std::fs::remove_file(data(pid, "base")).unwrap();
    // A snapshot has it before, too.
    let id = SnapshotId::random();
    driver.take(&workspace, &id, &label()).await.unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.release(&workspace.id).await.unwrap();
    let pid = up(&driver, &workspace).await;
    assert_eq!(said(pid), "precious");
    assert!(!Path::new(&data(pid, "base")).exists());
    let volumes = docker(&it, &["volume", "ls", "-q"]);
    assert!(!volumes.contains(&nameless), "{volumes}");
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    let pid = up(&driver, &back).await;
    assert_eq!(said(pid), "precious");
}

#[tokio::test]
async fn a_file_with_two_links_that_runs_as_its_owner_comes_back_so() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let folder = home(&driver, &workspace, pid);
    let (one, other) = (folder.join("one"), folder.join("other"));
    std::fs::write(&one, "program").unwrap();
    chown(&one, Some(1000), Some(1000)).unwrap();
    std::fs::set_permissions(&one, PermissionsExt::from_mode(0o4755)).unwrap();
    std::fs::hard_link(&one, &other).unwrap();
    let id = SnapshotId::random();
    driver.take(&workspace, &id, &label()).await.unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    let pid = up(&driver, &back).await;
    for file in ["one", "other"] {
        let found = std::fs::metadata(home(&driver, &back, pid).join(file)).unwrap();
        let facts = (found.mode() & 0o7777, found.nlink(), found.uid());
        assert_eq!(facts, (0o4755, 2, 1000), "{file}");
    }
}

#[tokio::test]
async fn a_templates_new_volume_is_for_the_user_and_one_in_use_is_left_alone() {
    let mut it = real_containers();
    let label = format!(
        "devgate.installation={}",
        it.docker_driver().containers.installation()
    );
    let names: Vec<_> = ["fresh", "used", "theirs"]
        .iter()
        .map(|what| format!("devgate-test-{what}-{}", WorkspaceId::random()))
        .collect();
    for name in &names {
        docker(&it, &["volume", "create", "--label", &label, name]);
    }
    let [fresh, used, theirs] = names.as_slice() else {
        unreachable!();
    };
    let prepare = "echo text >/used/file && chown 7:7 /theirs";
    let (used_at, theirs_at) = (format!("{used}:/used"), format!("{theirs}:/theirs"));
    let run = [
        "run", "--rm", "--user", "0", "-v", &used_at, "-v", &theirs_at,
    ];
    let run = [
        &run[..],
        &["devgate-test/busybox", "/bin/sh", "-c", prepare],
    ]
    .concat();
    docker(&it, &run);
    it.options.mounts = [
        format!("{fresh}:/var/cache/fresh"),
        format!("{used}:/used"),
        format!("{theirs}:/theirs"),
        format!("{fresh}:/read-only:ro"),
    ]
    .map(|mount| mount.parse().unwrap())
    .to_vec();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    for (folder, owner) in [
        ("var/cache/fresh", (1000, 1000)),
        ("used", (0, 0)),
        ("theirs", (7, 7)),
    ] {
        let found = std::fs::metadata(format!("/proc/{pid}/root/{folder}")).unwrap();
        assert_eq!((found.uid(), found.gid()), owner, "{folder}");
    }
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
}
