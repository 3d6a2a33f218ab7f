//! What copies files: scp, sftp, rsync, sshfs, git.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::component::program;
use e2e::everywhere;
use e2e::process::{Finished, Running, run};
use e2e::ssh::plain;
use e2e::target::Target;
use e2e::wait::{SOON, until};

const LIMIT: Duration = Duration::from_mins(1);

fn finish(command: &mut Command) -> Finished {
    run(command, b"", LIMIT)
}

/// Makes a tree with everything that is easily lost: an empty file, a large one,
/// odd names, a symbolic link, modes, old times, a deep folder.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("deep/er/and/deeper")).unwrap();
    fs::write(root.join("empty"), b"").unwrap();
    let large: Vec<u8> = (0..3_000_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(8_000_000)
        .collect();
    fs::write(root.join("large"), large).unwrap();
    fs::write(root.join("with space and ü"), b"odd name").unwrap();
    fs::write(root.join("deep/er/and/deeper/file"), b"deep").unwrap();
    fs::write(root.join("script"), b"#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("script"), fs::Permissions::from_mode(0o751)).unwrap();
    symlink("deep/er", root.join("link")).unwrap();
    for number in 0..200 {
        fs::write(
            root.join(format!("deep/er/small-{number}")),
            number.to_string(),
        )
        .unwrap();
    }
    let old = fs::File::options()
        .append(true)
        .open(root.join("empty"))
        .unwrap();
    old.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
        .unwrap();
}

#[track_caller]
fn assert_same_tree(one: &Path, other: &Path) {
    let mut command = Command::new("diff");
    let done = finish(
        command
            .arg("-r")
            .arg("--no-dereference")
            .arg(one)
            .arg(other),
    );
    assert!(done.status.success(), "{done:?}");
}

everywhere! {
    fn scp_copies_a_tree_there_and_back_over_sftp(target: &Target) {
        copy_with_scp(target, &["-s"]);
    }

    fn scp_copies_a_tree_there_and_back_by_its_old_protocol(target: &Target) {
        copy_with_scp(target, &["-O"]);
    }

    fn an_sftp_batch_does_everything_and_starts_at_home(target: &Target) {
        make_tree(&target.make_folder("local"));
        let home = target.ssh().run("pwd").ok().out();
        let remote = target.path("remote");
        let batch = format!(
            "pwd\nmkdir {r}\nput -p {l}/large {r}/large\nput {l}/empty {r}/empty\nrename {r}/large {r}/renamed\n\
             ln {r}/renamed {r}/hard\nln -s renamed {r}/soft\nchmod 640 {r}/renamed\nls -l {r}\ndf {r}\n\
             get {r}/renamed {l}/back\nrm {r}/empty\nmkdir {r}/sub\nrmdir {r}/sub\n\
             -rm {r}/missing\n",
            r = remote.display(), l = target.path("local").display(),
        );
        let mut sftp = target.client("sftp");
        let done = run(sftp.args(["-b", "-", "ws"]), batch.as_bytes(), LIMIT).ok();
        assert!(done.out().contains(&format!("Remote working directory: {}", home.trim())), "{done:?}");
        assert!(done.out().contains("hard") && done.out().contains("soft"), "{done:?}");
        let file = |name: &str| fs::read(target.path(name)).unwrap();
        assert!(file("local/large") == file("local/back"));
        assert_eq!(fs::metadata(remote.join("renamed")).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::metadata(remote.join("renamed")).unwrap().nlink(), 2);
        assert_eq!(fs::read_link(remote.join("soft")).unwrap(), Path::new("renamed"));
        assert!(!remote.join("empty").exists());
    }

    fn sftp_carries_a_hundred_megabytes_there_and_back(target: &Target) {
        // No two megabytes are the same, so that a lost or doubled one is noticed.
        let content: Vec<u8> = (0..25_000_000u32)
            .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let (here, there, back) = (target.path("here"), target.path("there"), target.path("back"));
        fs::write(&here, &content).unwrap();
        let batch = format!("put {} {}\nget {1} {}\n", here.display(), there.display(), back.display());
        let mut sftp = target.client("sftp");
        let _ = run(sftp.args(["-b", "-", "ws"]), batch.as_bytes(), 2 * LIMIT).ok();
        assert!(fs::read(&there).unwrap() == content);
        assert!(fs::read(&back).unwrap() == content);
    }

    fn an_sftp_session_ends_with_its_input_and_with_status_0(target: &Target) {
        let mut ssh = target.ssh().args(["-s"]).start("sftp");
        // SSH_FXP_INIT, of version 3, and the answer to it.
        ssh.write(&[0, 0, 0, 5, 1, 0, 0, 0, 3]);
        ssh.wait_for("posix-rename@openssh.com", SOON);
        ssh.end_input();
        assert_eq!(ssh.finish(SOON).code(), 0);
    }

    fn an_sftp_error_is_told_and_makes_a_batch_fail(target: &Target) {
        let mut sftp = target.client("sftp");
        let done = run(sftp.args(["-b", "-", "ws"]), b"get /no/such/file /dev/null\n", LIMIT);
        assert_eq!(done.code(), 1, "{done:?}");
        assert!(done.err().contains("not found"), "{done:?}");
        let mut sftp = target.client("sftp");
        let done = run(sftp.args(["-b", "-", "ws"]), b"ls /\nbye\n", LIMIT).ok();
        assert!(done.out().contains("/etc"), "{done:?}");
    }

    fn rsync_carries_a_tree_there_and_back_and_then_only_changes(target: &Target) {
        let (here, there, back) = (target.make_folder("here"), target.path("there"), target.path("back"));
        make_tree(&here);
        let rsync = |from: &str, to: &str| {
            let mut rsync = plain("rsync");
            finish(rsync.args(["-a", "--delete", "--stats", "-e", &target.ssh_command_line(), from, to])).ok().out()
        };
        rsync(&format!("{}/", here.display()), &format!("ws:{}/", there.display()));
        rsync(&format!("ws:{}/", there.display()), &format!("{}/", back.display()));
        assert_same_tree(&here, &back);
        assert_eq!(fs::metadata(back.join("empty")).unwrap().mtime(), 1_000_000_000);
        assert_eq!(fs::metadata(back.join("script")).unwrap().mode() & 0o777, 0o751);

        fs::write(here.join("added"), b"new").unwrap();
        fs::remove_file(here.join("deep/er/small-7")).unwrap();
        let stats = rsync(&format!("{}/", here.display()), &format!("ws:{}/", there.display()));
        assert!(stats.contains("Number of regular files transferred: 1\n"), "{stats}");
        assert_same_tree(&here, &there);
    }

    fn sshfs_mounts_the_workspace(target: &Target) {
        let (there, mount) = (target.make_folder("there"), target.make_folder("mount"));
        fs::write(there.join("old"), b"before").unwrap();
        let (_sshfs, _mounted) = mount_with_sshfs(target, &there, &mount);
        assert_eq!(fs::read(mount.join("old")).unwrap(), b"before");
        make_tree(&mount.join("tree"));
        assert_same_tree(&mount.join("tree"), &there.join("tree"));
        fs::rename(mount.join("tree/large"), mount.join("old")).unwrap(); // replaces: posix-rename
        assert_eq!(fs::metadata(there.join("old")).unwrap().len(), 8_000_000);
        fs::hard_link(mount.join("old"), mount.join("hard")).unwrap();
        let file = fs::File::options().write(true).open(mount.join("old")).unwrap();
        file.set_len(1000).unwrap();
        file.sync_all().unwrap();
        assert_eq!(fs::metadata(there.join("hard")).unwrap().len(), 1000);
        assert_eq!(fs::remove_file(mount.join("missing")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
        fs::remove_dir_all(mount.join("tree")).unwrap();
        assert!(!there.join("tree").exists());
    }

    fn git_clones_and_pushes(target: &Target) {
        let (origin, clone, again) = (target.path("origin.git"), target.path("clone"), target.path("again"));
        let git = |folder: &Path, args: &[&str]| {
            let mut git = plain("git");
            for (name, value) in [("user.name", "Test"), ("user.email", "test@example.org"), ("init.defaultBranch", "main"), ("protocol.version", "2")] {
                git.arg("-c").arg(format!("{name}={value}"));
            }
            git.env("GIT_SSH_COMMAND", target.ssh_command_line())
                .env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0")
                .current_dir(folder).args(args);
            finish(&mut git).ok()
        };
        let _ = target.ssh().run(format!("git init -q --bare -b main {}", origin.display())).ok();
        let url = format!("ws:{}", origin.display());
        git(target.folder(), &["clone", "-q", &url, "clone"]);
        let bytes: Vec<u8> = (0..2_000_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        fs::write(clone.join("file"), &bytes).unwrap();
        git(&clone, &["add", "."]);
        git(&clone, &["commit", "-q", "-m", "Add a file"]);
        git(&clone, &["push", "-q", "origin", "main"]);
        git(target.folder(), &["clone", "-q", &url, "again"]);
        assert!(fs::read(again.join("file")).unwrap() == bytes);
        let tip = git(&clone, &["rev-parse", "HEAD"]).out();
        assert_eq!(git(&again, &["rev-parse", "HEAD"]).out(), tip);
    }
}

fn copy_with_scp(target: &Target, mode: &[&str]) {
    let (here, there, back) = (
        target.make_folder("here"),
        target.path("there"),
        target.path("back"),
    );
    make_tree(&here);
    // scp follows links; a copy of one isn't the same tree.
    fs::remove_file(here.join("link")).unwrap();
    let scp = |from: &str, to: &str| {
        let mut scp = target.client("scp");
        let _ = finish(scp.args(mode).args(["-rp", from, to])).ok();
    };
    scp(
        &here.display().to_string(),
        &format!("ws:{}", there.display()),
    );
    assert_same_tree(&here, &there);
    scp(
        &format!("ws:{}", there.display()),
        &back.display().to_string(),
    );
    assert_same_tree(&here, &back);
    assert_eq!(
        fs::metadata(back.join("empty")).unwrap().mtime(),
        1_000_000_000
    );
    assert_eq!(
        fs::metadata(back.join("script")).unwrap().mode() & 0o777,
        0o751
    );
    // A relative path starts at the home directory.
    let name = format!("{}.copied", target.folder().file_name().unwrap().display());
    scp(
        &here.join("script").display().to_string(),
        &format!("ws:{name}"),
    );
    let done = target.ssh().run(format!("cat {name}; rm {name}")).ok();
    assert_eq!(done.out(), "#!/bin/sh\n");
}

/// Unmounts when dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let mut command = Command::new(program("fusermount3"));
        command.args(["-u", "-z"]).arg(self.0).status().ok();
    }
}

fn mount_with_sshfs<'a>(target: &Target, there: &Path, mount: &'a Path) -> (Running, Mounted<'a>) {
    assert!(
        Path::new("/dev/fuse").exists(),
        "/dev/fuse is missing: modprobe fuse (in a container: --device /dev/fuse --cap-add SYS_ADMIN)"
    );
    let mut command = plain("sshfs");
    command
        .arg("-f")
        .arg("-F")
        .arg(target.config())
        .args(["-o", "cache=no"])
        .arg(format!("ws:{}", there.display()))
        .arg(mount);
    let mut sshfs = Running::start(&mut command);
    let outside = fs::metadata(target.folder()).unwrap().dev();
    until(SOON, "the mount", || {
        assert!(sshfs.ended().is_none(), "sshfs ended: {}", sshfs.errors());
        fs::metadata(mount).is_ok_and(|there| there.dev() != outside)
    });
    (sshfs, Mounted(mount))
}
