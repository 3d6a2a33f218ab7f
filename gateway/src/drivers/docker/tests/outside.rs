//! What others do to containers, or an engine does late.

use super::installation::real_containers;
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
async fn what_an_engine_makes_of_a_workspace_that_is_no_more_goes_with_its_home() {
    let it = real_containers();
    let (driver, gone, other) = (it.docker_driver(), workspace(), workspace());
    let made = async |workspace: &Workspace| {
        let shared = driver.folder(&workspace.id).shared();
        std::fs::create_dir_all(&shared).unwrap();
        let installation = driver.containers.installation();
        let wanted = spec::body(&it.options, installation, workspace, &shared);
        let prepared = driver.containers.prepare(&workspace.id, &wanted, None);
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
