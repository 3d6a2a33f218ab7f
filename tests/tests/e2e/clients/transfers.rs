//! Programs that transfer files: lftp with its own SFTP, curl with libssh2's.

use std::fs;
use std::time::Duration;

use e2e::clients::large;
use e2e::keys;
use e2e::process::run;
use e2e::reach::{self, Reach};
use e2e::ssh::plain;

const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn lftp_carries_files_and_trees_there_and_back() {
    reach::run(Reach::Unix, |target| {
        let file = large(target);
        let here = target.make_folder("here");
        let tree = target.make_folder("tree/deep/er");
        for number in 0..50 {
            fs::write(tree.join(format!("small {number}")), number.to_string()).unwrap();
        }
        let script = format!(
            "set sftp:connect-program '{ssh} -a -x'\nset net:max-retries 1\n\
             set cmd:fail-exit true\nset sftp:auto-confirm false\n\
             open -u {user}, sftp://ws\nmkdir lftp\ncd lftp\nput -O . {file}\nmv large renamed\n\
             cls -l renamed\nget renamed -o {here}/back\npget -n 4 renamed -o {here}/parts\n\
             chmod 600 renamed\nmirror -R {tree} tree\nmirror tree {here}/tree\n\
             rm renamed\nrm -r tree\ncd ..\nrmdir lftp\ncls -a\nbye\n",
            ssh = target.ssh_command_line(),
            user = target.access().user,
            file = file.display(),
            here = here.display(),
            tree = target.path("tree").display(),
        );
        let commands = target.path("lftp");
        fs::write(&commands, script).unwrap();
        let mut lftp = plain("lftp");
        lftp.env("HOME", target.make_folder("nothing"))
            .args(["--norc", "-f"])
            .arg(&commands);
        let done = run(&mut lftp, b"", LIMIT).ok();
        assert!(done.out().contains("5000000"), "{done:?}");
        assert!(!done.out().contains("lftp"), "{done:?}");
        let content = fs::read(&file).unwrap();
        for copy in ["back", "parts"] {
            assert!(fs::read(here.join(copy)).unwrap() == content, "{copy}");
        }
        let last = fs::read_to_string(here.join("tree/deep/er/small 49"));
        assert_eq!(last.unwrap(), "49");
    });
}

#[test]
fn curl_carries_files_there_and_back_by_sftp_and_by_scp() {
    reach::run(Reach::Unix, |target| {
        let access = target.access();
        let known = target.path("curl_known_hosts");
        let host = format!("[{}]:{}", access.address.ip(), access.address.port());
        let lines = access.host_keys.iter().map(|key| format!("{host} {key}\n"));
        fs::write(&known, lines.collect::<String>()).unwrap();
        let home = target.ssh().run("pwd").ok().out();
        let file = large(target);
        let content = fs::read(&file).unwrap();
        let curl = |args: &[&str]| {
            let mut curl = plain("curl");
            // It looks for known hosts in the home, and nowhere else.
            curl.env("HOME", target.path("curl"))
                .args(["-sS", "--disable", "--user", &format!("{}:", access.user)])
                .arg("--key")
                .arg(&access.identity)
                .arg("--pubkey")
                .arg(keys::public(&access.identity))
                .args(args);
            run(&mut curl, b"", LIMIT)
        };
        fs::rename(known, target.make_folder("curl/.ssh").join("known_hosts")).unwrap();
        for protocol in ["sftp", "scp"] {
            let url = format!("{protocol}://{}{}/by-curl", access.address, home.trim());
            let back = target.path(protocol);
            let _ = curl(&["-T", &file.display().to_string(), &url]).ok();
            let _ = curl(&["-o", &back.display().to_string(), &url]).ok();
            assert!(fs::read(back).unwrap() == content, "{protocol}");
        }
        // A part of it, a list, and commands.
        let url = format!("sftp://{}{}/", access.address, home.trim());
        let part = curl(&["-r", "1000000-1000999", &format!("{url}by-curl")]).ok();
        assert!(part.stdout == content[1_000_000..1_001_000]);
        let moved = curl(&["-Q", "rename by-curl moved", &url]).ok();
        assert!(moved.out().contains("moved"), "{moved:?}");
        let removed = curl(&["-Q", "rm moved", &url]).ok();
        assert!(!removed.out().contains("moved"), "{removed:?}");
        let missing = curl(&[&format!("{url}moved")]);
        assert_eq!(missing.code(), 78, "no such file: {missing:?}");
    });
}
