//! What others do to containers, or an engine does late.

use bollard::models::{ContainerCreateBody, Mount, MountType};

use super::installation::{Installation, real_containers};
use super::*;

#[tokio::test]
async fn a_container_that_somebody_paused_is_told_of_and_goes_on_with_a_start() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let client = driver.containers.engine().client().await.unwrap();
    let name = spec::container(&workspace.id);
    client.pause_container(&name).await.unwrap();
    let told = async {
        while driver.doing(&workspace.id).is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        exit = driver.exited(&workspace.id) => panic!("it runs: {exit:?}"),
        () = within(told) => {}
    }
    let text = driver.doing(&workspace.id).unwrap();
    assert!(text.contains(&format!("docker unpause {name}")), "{text}");
    assert_eq!(
        driver.inspect(&workspace.id).await.unwrap(),
        Presence::Running { pid }
    );
    // As a gateway does that starts anew.
    let found = it.docker_driver().start(&workspace).await.unwrap();
    assert_eq!(found, Started::Found(pid));
    answers(&driver, &workspace).await;
    driver.start(&workspace).await.unwrap();
    assert_eq!(driver.doing(&workspace.id), None);
}

#[tokio::test]
async fn the_engine_tells_when_others_pause_a_container_and_whoever_asks_lets_it_go_on() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let (pid, id) = (up(&driver, &workspace).await, &workspace.id);
    let client = driver.containers.engine().client().await.unwrap();
    let name = spec::container(id);
    let is_told = async |expected: bool| {
        while driver.doing(id).is_some() != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let is_paused = async || driver.containers.state(id).await.unwrap().unwrap().paused;
    let done = async {
        client.pause_container(&name).await.unwrap();
        is_told(true).await;
        client.unpause_container(&name).await.unwrap();
        is_told(false).await;
        client.pause_container(&name).await.unwrap();
        is_told(true).await;
        driver.go_on(id).await.unwrap();
        assert_eq!((is_paused().await, driver.doing(id)), (Some(false), None));
        // What a snapshot holds up isn't anybody else's to let go on.
        let ours = driver.containers.pauses.copying(id);
        client.pause_container(&name).await.unwrap();
        driver.go_on(id).await.unwrap();
        assert_eq!((is_paused().await, driver.doing(id)), (Some(true), None));
        client.unpause_container(&name).await.unwrap();
        drop(ours);
    };
    // Nobody looks by themselves, as who waits for the container's end does at times.
    tokio::select! {
        never = driver.containers.keep_alone(id) => match never {},
        () = within(done) => {}
    }
    assert_eq!(driver.inspect(id).await.unwrap(), Presence::Running { pid });
    driver.stop(id, GRACE).await.unwrap();
    driver.go_on(id).await.unwrap();
}

/// Makes a workspace's container with something wrong, has it started, and tells whether it is
/// another one then.
async fn is_made_anew(wrong: impl FnOnce(&Installation, &mut ContainerCreateBody)) -> bool {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    driver.create(&workspace).await.unwrap();
    let shared = driver.folder(&workspace.id).shared();
    std::fs::create_dir_all(&shared).unwrap();
    let installation = driver.containers.installation();
    let options = it.options.of(&workspace.blueprint, installation);
    let mut wanted = spec::body(&options, installation, &workspace, &shared);
    wrong(&it, &mut wanted);
    let prepared = driver.containers.prepare(&workspace, &wanted, None);
    assert!(matches!(prepared.await.unwrap(), Prepared::Fresh(_)));
    let first = inspect(&driver, &workspace).await.id;
    // What it needs isn't there, as where the engine was killed while it made it.
    let _ = std::fs::remove_dir(lost(&it));
    up(&driver, &workspace).await;
    inspect(&driver, &workspace).await.id != first
}

fn lost(it: &Installation) -> std::path::PathBuf {
    it.folder.path().join("lost")
}

#[tokio::test]
async fn a_container_that_was_half_made_is_made_anew() {
    let not_filled = is_made_anew(|it, wanted| {
        std::fs::create_dir(lost(it)).unwrap();
        let host = wanted.host_config.get_or_insert_default();
        let mounts = host.mounts.get_or_insert_default();
        mounts.push(Mount {
            typ: Some(MountType::BIND),
            source: Some(lost(it).display().to_string()),
            target: Some("/lost".to_owned()),
            ..Mount::default()
        });
    });
    assert!(not_filled.await);
    let not_started = is_made_anew(|_, wanted| {
        // No program: a folder.
        wanted.entrypoint = Some(vec!["/bin".to_owned()]);
    });
    assert!(not_started.await);
}

#[tokio::test]
async fn what_an_engine_makes_of_a_workspace_that_is_no_more_goes_with_its_home() {
    let it = real_containers();
    let (driver, gone, other) = (it.docker_driver(), workspace(), workspace());
    let made = async |workspace: &Workspace| {
        let shared = driver.folder(&workspace.id).shared();
        std::fs::create_dir_all(&shared).unwrap();
        let installation = driver.containers.installation();
        let wanted = spec::body(&it.options, installation, workspace, &shared);
        let prepared = driver.containers.prepare(workspace, &wanted, None);
        prepared.await.unwrap();
    };
    // The engine makes the home by itself.
    made(&gone).await;
    assert!(driver.containers.has_home(&gone).await.is_err());
    assert_eq!(
        driver.kept().await.unwrap().workspaces,
        std::slice::from_ref(&gone.id)
    );
    driver.release(&gone.id).await.unwrap();
    assert!(!driver.containers.has_home(&gone).await.unwrap());
    assert_eq!(driver.kept().await.unwrap().workspaces, []);
    // A workspace's own stays.
    driver.create(&other).await.unwrap();
    made(&other).await;
    driver.release(&other.id).await.unwrap();
    assert!(driver.containers.has_home(&other).await.unwrap());
}

#[tokio::test]
async fn a_container_that_was_renamed_gets_its_name_back_and_goes_on() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let first = inspect(&driver, &workspace).await.id;
    let client = driver.containers.engine().client().await.unwrap();
    let name = spec::container(&workspace.id);
    let rename = async || {
        let other = format!("renamed-{}", workspace.id);
        let options = bollard::query_parameters::RenameContainerOptions { name: other };
        client.rename_container(&name, options).await.unwrap();
    };
    rename().await;
    assert_eq!(
        driver.inspect(&workspace.id).await.unwrap(),
        Presence::Running { pid }
    );
    assert_eq!(inspect(&driver, &workspace).await.id, first);
    rename().await;
    let found = it.docker_driver().start(&workspace).await.unwrap();
    assert_eq!(found, Started::Found(pid));
    rename().await;
    driver.stop(&workspace.id, GRACE).await.unwrap();
    rename().await;
    driver.remove(&workspace.id).await.unwrap();
    assert_eq!(
        driver.inspect(&workspace.id).await.unwrap(),
        Presence::Absent
    );
}

/// Starts a second container of a workspace's. Returns its name.
async fn second(it: &Installation, driver: &DockerDriver, workspace: &Workspace) -> String {
    let client = driver.containers.engine().client().await.unwrap();
    // As gateways made them that looked for names alone.
    let other = format!("renamed-{}", workspace.id);
    let options = bollard::query_parameters::CreateContainerOptionsBuilder::new()
        .name(&other)
        .build();
    let shared = driver.folder(&workspace.id).shared();
    let installation = driver.containers.installation();
    let mut wanted = spec::body(&it.options, installation, workspace, &shared);
    let wait = "trap 'exit 0' TERM; while :; do sleep 1; done";
    wanted.entrypoint = Some(["/bin/sh", "-c", wait].map(str::to_owned).to_vec());
    wanted.cmd = None;
    client
        .create_container(Some(options), wanted)
        .await
        .unwrap();
    let options = None::<bollard::query_parameters::StartContainerOptions>;
    client.start_container(&other, options).await.unwrap();
    other
}

async fn runs(driver: &DockerDriver, name: &str) -> Option<bool> {
    let client = driver.containers.engine().client().await.unwrap();
    let found = client.inspect_container(name, None::<InspectContainerOptions>);
    found.await.unwrap().state.unwrap().running
}

#[tokio::test]
async fn a_second_container_of_a_workspace_is_ended_by_a_start_and_goes_with_it() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    let name = spec::container(&workspace.id);
    let other = second(&it, &driver, &workspace).await;
    driver.start(&workspace).await.unwrap();
    assert_eq!(runs(&driver, &name).await, Some(true));
    assert_eq!(runs(&driver, &other).await, Some(false));
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
    let client = driver.containers.engine().client().await.unwrap();
    let gone = client.inspect_container(&other, None::<InspectContainerOptions>);
    gone.await.unwrap_err();
}

#[tokio::test]
async fn a_second_container_of_a_workspace_that_runs_is_ended_as_soon_as_it_is_started() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    let ended = async {
        let other = second(&it, &driver, &workspace).await;
        while runs(&driver, &other).await == Some(true) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        exit = driver.exited(&workspace.id) => panic!("it runs: {exit:?}"),
        () = within(ended) => {}
    }
    assert_eq!(
        runs(&driver, &spec::container(&workspace.id)).await,
        Some(true)
    );
    answers(&driver, &workspace).await;
}

#[tokio::test]
async fn a_container_that_was_taken_out_of_its_network_is_in_it_after_a_start() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    let client = driver.containers.engine().client().await.unwrap();
    let network = spec::network(driver.containers.installation());
    let networks = async || {
        let found = inspect(&driver, &workspace).await;
        let networks = found.network_settings.unwrap().networks.unwrap();
        networks.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(networks().await, std::slice::from_ref(&network));
    let first = inspect(&driver, &workspace).await.id;
    let request = bollard::models::NetworkDisconnectRequest {
        container: spec::container(&workspace.id),
        force: Some(true),
    };
    client.disconnect_network(&network, request).await.unwrap();
    client.remove_network(&network).await.unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    up(&driver, &workspace).await;
    assert_eq!(networks().await, [network]);
    // What was changed in it is kept.
    assert_eq!(inspect(&driver, &workspace).await.id, first);
}
