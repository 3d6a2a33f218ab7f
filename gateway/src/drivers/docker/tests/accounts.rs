//! Users of images and of homes.

use std::fs;
use std::process::Command;

use super::installation::{Installation, real_containers};
use super::*;

/// Builds an image with these files, links and nothing else beside the shell's.
fn image_with(it: &Installation, files: &[(&str, &str)], links: &[(&str, &str)]) -> String {
    let mut root = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len().try_into().unwrap());
        root.append_data(&mut header, path, text.as_bytes())
            .unwrap();
    }
    for (path, to) in links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        root.append_link(&mut header, path, to).unwrap();
    }
    let folder = it.folder.path().join("build");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("root.tar"), root.into_inner().unwrap()).unwrap();
    let dockerfile = "FROM devgate-test/busybox\nADD root.tar /\n";
    fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    let installation = it.docker_driver().containers.installation().clone();
    let name = format!("devgate-{installation}:accounts");
    let label = format!("devgate.installation={installation}");
    let built = Command::new("docker")
        .env("DOCKER_HOST", format!("unix://{}", it.options.engine))
        .args(["build", "-q", "--label", &label, "-t", &name])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    name
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nana:x:1234:1000:,,,:/home/dev:/bin/sh\n";

#[tokio::test]
async fn an_image_whose_accounts_are_behind_links_gives_its_user_and_keeps_them() {
    let mut it = real_containers();
    let files = [
        ("store/passwd", PASSWD),
        ("store/group", "root:x:0:\nstaff:x:50:\n"),
    ];
    let links = [
        ("etc/passwd", "static/passwd"),
        ("etc/static", "../store"),
        ("etc/group", "/store/group"),
    ];
    it.options.image = image_with(&it, &files, &links);
    it.options.user = "ana:staff".to_owned();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let found = status(pid);
    assert!(found["Uid"].starts_with("1234\t") && found["Gid"].starts_with("50\t"));
    // One that it doesn't list is added to those.
    it.options.user = "1500:50".to_owned();
    let (driver, other) = (it.docker_driver(), super::workspace());
    let pid = up(&driver, &other).await;
    let passwd = fs::read_to_string(format!("/proc/{pid}/root/etc/passwd")).unwrap();
    assert_eq!(
        passwd,
        format!("{PASSWD}dev:x:1500:50::/home/dev:/bin/sh\n")
    );
}

#[tokio::test]
async fn a_home_that_is_a_link_in_the_image_is_its_users() {
    let mut it = real_containers();
    let links = [("home/dev", "../store/link"), ("store/link", "/homes/dev")];
    it.options.image = image_with(&it, &[("homes/dev/note", "kept")], &links);
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let home = fs::metadata(format!("/proc/{pid}/root/homes/dev")).unwrap();
    assert_eq!((home.uid(), home.gid()), (1000, 1000));
    let note = fs::read_to_string(format!("/proc/{pid}/root/homes/dev/note"));
    assert_eq!(note.unwrap(), "kept");
    let link = fs::read_link(format!("/proc/{pid}/root/home/dev")).unwrap();
    assert_eq!(link, Path::new("../store/link"));
}

#[tokio::test]
async fn accounts_that_cant_be_read_as_a_whole_are_not_replaced() {
    let mut it = real_containers();
    let long = PASSWD.repeat(1 + (1 << 20) / PASSWD.len());
    it.options.image = image_with(&it, &[("etc/passwd", &long)], &[]);
    let (driver, workspace) = (it.docker_driver(), workspace());
    driver.create(&workspace).await.unwrap();
    let error = driver.start(&workspace).await.unwrap_err().to_string();
    assert!(error.contains("/etc/passwd is longer than"), "{error}");
    it.options.image = image_with(&it, &[], &[("etc/passwd", "passwd")]);
    let error = it.docker_driver().start(&workspace).await.unwrap_err();
    assert!(error.to_string().contains("link"), "{error}");
}

#[tokio::test]
async fn a_home_that_is_another_users_is_told_of_and_left() {
    let mut it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    fs::write(format!("/proc/{pid}/root/home/dev/note"), "kept").unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    it.options.user = "1001:1001".to_owned();
    let other = it.docker_driver();
    other.create(&workspace).await.unwrap();
    let error = other.start(&workspace).await.unwrap_err();
    let DriverError::HomeUnwritable { path, source } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(path, Path::new("/home/dev"));
    let text = source.to_string();
    let volume = spec::volume(&workspace);
    for part in ["1000:1000", "chown -R 1001:1001", &volume] {
        assert!(text.contains(part), "{text}");
    }
    // As it was, it goes on; and so it does where others may write to the home.
    let pid = up(&driver, &workspace).await;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(format!("/proc/{pid}/root/home/dev"), mode).unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    other.start(&workspace).await.unwrap();
}
