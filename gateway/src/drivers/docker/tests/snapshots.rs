//! What is special to snapshots of containers.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

use devgate_certs::Authority;

use super::installation::{Installation, real_containers};
use super::*;
use crate::drivers::contract::{home, label, restored};
use crate::drivers::{AgentCredentials, Issue, Snapshots as _};
use crate::names::SnapshotId;
use crate::workspaces::{OwnMount, OwnMountKind};

fn docker(it: &Installation, args: &[&str]) -> Output {
    let socket = format!("unix://{}", it.options.engine);
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", socket).args(args);
    command.output().unwrap()
}

fn image(driver: &DockerDriver, id: &SnapshotId) -> String {
    spec::snapshot(driver.containers.installation(), id)
}

#[tokio::test]
async fn a_snapshot_has_what_the_container_changed_and_nothing_of_ours() {
    let mut it = real_containers();
    let secret = "a-secret-that-no-image-has";
    let environment = &mut it.options.environment;
    environment.insert("TOKEN".to_owned(), secret.to_owned());
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let file = home(&driver, &workspace, pid).join("file");
    std::fs::write(&file, "text").unwrap();
    std::os::unix::fs::chown(&file, Some(1000), Some(1000)).unwrap();
    std::fs::write(format!("/proc/{pid}/root/installed"), "a program").unwrap();
    let id = SnapshotId::random();
    let taken = driver.take(&workspace, &id, &label()).await.unwrap();
    // The agent alone would be more.
    let agent = std::fs::metadata(&it.options.agent).unwrap().len();
    assert!(taken.size > 0 && taken.size < agent / 4, "{taken:?}");
    let saved = docker(&it, &["save", &image(&driver, &id)]);
    assert!(saved.status.success());
    let has = |text: &str| {
        let mut parts = saved.stdout.windows(text.len());
        parts.any(|part| part == text.as_bytes())
    };
    assert!(has("a program"));
    assert!(!has(secret), "a secret is in the image");
    let config = std::fs::read(format!("/proc/{pid}/root{}", spec::CONFIG)).unwrap();
    assert!(
        !config.is_empty(),
        "the agent's configuration isn't put back"
    );

    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    let pid = up(&driver, &back).await;
    let read = std::fs::read_to_string(format!("/proc/{pid}/root/installed"));
    assert_eq!(read.unwrap(), "a program");
    let file = std::fs::metadata(home(&driver, &back, pid).join("file")).unwrap();
    assert_eq!((file.uid(), file.gid()), (1000, 1000));
    // The home before is gone, and nothing but the new one is there.
    let homes = driver.containers.homes(&back.id).await.unwrap();
    assert_eq!(homes, [spec::volume(&back)]);
    let labels = image::labels(driver.containers.engine(), &image(&driver, &id)).await;
    let labels = labels.unwrap();
    assert_eq!(labels[spec::SNAPSHOT_DESCRIPTION], label().description);
    assert_eq!(labels[spec::WORKSPACE], "");
}

#[tokio::test]
async fn a_snapshot_of_a_workspace_that_dials_in_has_no_key_of_it() {
    let mut it = real_containers();
    let authority = Authority::open(&it.folder.path().join("certs")).unwrap();
    let issue: Issue = Arc::new(move |id| {
        Ok(AgentCredentials {
            identity: authority.issue_agent(id.as_str())?,
            ca_pem: authority.ca_pem().to_owned(),
        })
    });
    // Nobody is there; it goes on trying.
    let gateways = vec!["192.0.2.1:443".to_owned()];
    it.options.reach = DockerReach::Dial { gateways, issue };
    let (driver, workspace) = (it.docker_driver(), workspace());
    driver.create(&workspace).await.unwrap();
    let pid = driver.start(&workspace).await.unwrap().pid();
    let key = format!("/proc/{pid}/root{}/agent.key", spec::IDENTITY);
    let before = std::fs::read_to_string(&key).unwrap();
    let about = std::fs::metadata(&key).unwrap();
    let id = SnapshotId::random();
    driver.take(&workspace, &id, &label()).await.unwrap();
    let saved = docker(&it, &["save", &image(&driver, &id)]);
    assert!(saved.status.success());
    let mark = b"PRIVATE KEY";
    let mut parts = saved.stdout.windows(mark.len());
    assert!(!parts.any(|part| part == mark), "a key is in the image");
    // The agent has one again, and it is its own.
    let after = std::fs::read_to_string(&key).unwrap();
    assert!(after.contains("PRIVATE KEY") && after != before);
    let put_back = std::fs::metadata(&key).unwrap();
    assert_eq!(
        (put_back.uid(), put_back.mode()),
        (about.uid(), about.mode())
    );
    // A gateway that ended before it put that back.
    let nothing = bare::pack_nothing(&it.options, false).unwrap();
    let engine = driver.containers.engine();
    let name = spec::container(&workspace.id);
    nothing.upload(engine, &name).await.unwrap();
    assert_eq!(std::fs::read_to_string(&key).unwrap(), "");
    let found = it.docker_driver().start(&workspace).await.unwrap();
    assert_eq!(found, Started::Found(pid));
    let after = std::fs::read_to_string(&key).unwrap();
    assert!(after.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_home_below_a_volume_of_the_image_is_kept_as_it_was() {
    let mut it = real_containers();
    let folder = it.folder.path().join("build");
    std::fs::create_dir(&folder).unwrap();
    let dockerfile = "FROM devgate-test/busybox\nVOLUME /home\nVOLUME /home/dev/cache\n";
    std::fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    let driver = it.docker_driver();
    let installation = driver.containers.installation().clone();
    let name = format!("devgate-{installation}:volumes");
    let label = format!("devgate.installation={installation}");
    let folder = folder.display().to_string();
    let args = ["build", "-q", "--label", &label, "-t", &name, &folder];
    assert!(docker(&it, &args).status.success());
    it.options.image = name;
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let home_of = |workspace: &Workspace, pid| home(&driver, workspace, pid);
    let first = home_of(&workspace, pid);
    std::fs::create_dir(first.join("folder")).unwrap();
    for file in ["file", "folder/other"] {
        std::fs::write(first.join(file), "text").unwrap();
    }
    let id = SnapshotId::random();
    driver
        .take(&workspace, &id, &crate::drivers::contract::label())
        .await
        .unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    let pid = up(&driver, &back).await;
    let second = home_of(&back, pid);
    for file in ["file", "folder/other"] {
        let read = std::fs::read_to_string(second.join(file));
        assert_eq!(read.unwrap(), "text", "{file}");
    }
    let facts = std::fs::metadata(&second).unwrap();
    assert_eq!((facts.uid(), facts.gid()), (1000, 1000));
    // What is removed then isn't there again with the next one.
    std::fs::remove_dir_all(second.join("folder")).unwrap();
    let next = SnapshotId::random();
    driver
        .take(&back, &next, &crate::drivers::contract::label())
        .await
        .unwrap();
    driver.stop(&back.id, GRACE).await.unwrap();
    let last = restored(&back, &next);
    let pid = up(&driver, &last).await;
    let third = home_of(&last, pid);
    assert!(third.join("file").exists() && !third.join("folder").exists());
    driver.stop(&last.id, GRACE).await.unwrap();
    driver.remove(&last.id).await.unwrap();
    for snapshot in [next, id] {
        driver.remove_snapshot(&snapshot).await.unwrap();
    }
}

#[tokio::test]
async fn an_empty_home_is_restored_for_its_user() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let folder = home(&driver, &workspace, pid);
    for entry in std::fs::read_dir(&folder).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    let id = SnapshotId::random();
    driver.take(&workspace, &id, &label()).await.unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    let pid = up(&driver, &back).await;
    let found = std::fs::metadata(home(&driver, &back, pid)).unwrap();
    assert_eq!((found.uid(), found.gid()), (1000, 1000));
}

#[tokio::test]
async fn a_home_that_is_written_to_all_the_time_is_kept_and_goes_on() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let file = home(&driver, &workspace, pid).join("note");
    std::fs::write(&file, "kept").unwrap();
    let name = spec::container(&workspace.id);
    let write = "while :; do dd if=/dev/zero of=/home/dev/big bs=1M count=40; done";
    let exec = ["exec", "-d", "-u", "1000", &name, "/bin/sh", "-c", write];
    assert!(docker(&it, &exec).status.success());
    let id = SnapshotId::random();
    driver.take(&workspace, &id, &label()).await.unwrap();
    let state = inspect(&driver, &workspace).await.state.unwrap();
    assert_eq!((state.running, state.paused), (Some(true), Some(false)));
    assert_eq!(driver.doing(&workspace.id), None);
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    let pid = up(&driver, &back).await;
    let read = std::fs::read_to_string(home(&driver, &back, pid).join("note"));
    assert_eq!(read.unwrap(), "kept");
}

#[tokio::test]
async fn people_are_told_while_a_workspace_stands_still_for_its_snapshot() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let large = vec![7; 32 << 20];
    std::fs::write(format!("/proc/{pid}/root/installed"), large).unwrap();
    let id = SnapshotId::random();
    let label = label();
    let mut taking = std::pin::pin!(driver.take(&workspace, &id, &label));
    // The engine is asked for all of that after it is told.
    let told = loop {
        tokio::select! {
            taken = &mut taking => panic!("nothing was told: {taken:?}"),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
        if let Some(told) = driver.doing(&workspace.id) {
            break told;
        }
    };
    assert!(told.contains("stands still"), "{told}");
    let far = driver.snapshot_progress(&id).unwrap();
    assert!(far.contains("stands still"), "{far}");
    taking.await.unwrap();
    assert_eq!(driver.doing(&workspace.id), None);
    // Nothing stands still in what doesn't run.
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let mut taking = std::pin::pin!(driver.take(&workspace, &id, &label));
    while futures_util::poll!(&mut taking).is_pending() {
        assert_eq!(driver.doing(&workspace.id), None);
        let far = driver.snapshot_progress(&id).unwrap_or_default();
        assert!(!far.contains("stands still"), "{far}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_restored_workspace_keeps_its_own_volumes_from_start_to_start() {
    let it = real_containers();
    let (driver, mut workspace) = (it.docker_driver(), workspace());
    let blueprint = Arc::make_mut(&mut workspace.blueprint);
    blueprint.own_mounts = vec![OwnMount {
        kind: OwnMountKind::Volume {
            name: "modules".to_owned(),
        },
        target: "/opt/modules".into(),
        read_only: false,
    }];
    up(&driver, &workspace).await;
    let id = SnapshotId::random();
    driver.take(&workspace, &id, &label()).await.unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    let pid = up(&driver, &back).await;
    let (volume, layer) = ("opt/modules/file", "installed");
    for place in [volume, layer] {
        std::fs::write(format!("/proc/{pid}/root/{place}"), "text").unwrap();
    }
    driver.stop(&back.id, GRACE).await.unwrap();
    let pid = up(&driver, &back).await;
    for place in [volume, layer] {
        let kept = std::fs::read_to_string(format!("/proc/{pid}/root/{place}"));
        assert_eq!(kept.unwrap(), "text", "{place}");
    }
}

#[tokio::test]
async fn layers_that_pile_up_are_made_one_and_the_rest_is_kept() {
    let mut it = real_containers();
    let folder = it.folder.path().join("build");
    std::fs::create_dir(&folder).unwrap();
    let mut dockerfile = "FROM devgate-test/busybox\nENV KEPT=\"a b\"\nLABEL kept=yes\n".to_owned();
    for number in 0..40 {
        std::fs::write(folder.join(number.to_string()), number.to_string()).unwrap();
        writeln!(dockerfile, "COPY {number} /file-{number}").unwrap();
    }
    std::fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    let driver = it.docker_driver();
    let tag = format!("devgate-test/layers-{}", WorkspaceId::random());
    let folder = folder.display().to_string();
    let built = docker(&it, &["build", "-q", "-t", &tag, &folder]);
    assert!(built.status.success(), "{built:?}");
    drop(driver);
    it.options.image.clone_from(&tag);
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    std::fs::write(home(&driver, &workspace, pid).join("file"), "text").unwrap();
    let id = SnapshotId::random();
    driver.take(&workspace, &id, &label()).await.unwrap();
    let found = driver.image(&image(&driver, &id)).await.unwrap();
    assert!(flatten::layers(&found) < 5, "{found:?}");
    let config = found.config.unwrap();
    assert!(config.env.unwrap().contains(&"KEPT=a b".to_owned()));
    assert_eq!(config.user.as_deref(), Some("1000:1000"));
    assert_eq!(config.labels.unwrap()["kept"], "yes");
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    let pid = up(&driver, &back).await;
    let read = std::fs::read_to_string(format!("/proc/{pid}/root/file-39"));
    assert_eq!(read.unwrap(), "39");
    let read = std::fs::read_to_string(home(&driver, &back, pid).join("file"));
    assert_eq!(read.unwrap(), "text");
    // Nothing of the making is left.
    let name = spec::snapshots(driver.containers.installation());
    let left = docker(&it, &["image", "ls", "-q", &name]).stdout;
    assert_eq!(String::from_utf8(left).unwrap().lines().count(), 1);
    driver.stop(&back.id, GRACE).await.unwrap();
    driver.remove(&back.id).await.unwrap();
    docker(&it, &["image", "rm", "-f", &tag]);
}

#[tokio::test]
async fn images_of_others_are_left_alone() {
    let (it, other) = (real_containers(), real_containers());
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    let id = SnapshotId::random();
    driver.take(&workspace, &id, &label()).await.unwrap();
    let other = other.docker_driver();
    assert_eq!(other.kept_snapshots().await.unwrap(), []);
    other.remove_snapshot(&id).await.unwrap();
    other.remove_builds(&[]).await.unwrap();
    assert_eq!(
        driver.kept_snapshots().await.unwrap(),
        std::slice::from_ref(&id)
    );
    driver.stop(&workspace.id, GRACE).await.unwrap();
    up(&driver, &restored(&workspace, &id)).await;
}

#[tokio::test]
async fn an_image_that_was_built_goes_once_nothing_needs_it() {
    let it = real_containers();
    let driver = it.docker_driver();
    let installation = driver.containers.installation().clone();
    let label = format!("devgate.installation={installation}");
    let folder = it.folder.path().join("build");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("Dockerfile"), "FROM devgate-test/busybox\n").unwrap();
    let folder = folder.display().to_string();
    for digest in ["old", "used"] {
        let name = format!("devgate-{installation}:{digest}");
        let args = ["build", "-q", "--label", &label, "-t", &name, &folder];
        assert!(docker(&it, &args).status.success());
    }
    let removed = driver.remove_builds(&["used".to_owned()]).await.unwrap();
    assert_eq!(removed, [format!("devgate-{installation}:old")]);
    assert_eq!(
        driver.remove_builds(&["used".to_owned()]).await.unwrap(),
        [""; 0]
    );
}
