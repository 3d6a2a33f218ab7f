//! What a server says once it accepts connections.

use std::env;
use std::ffi::OsStr;
use std::path::Path;

use super::output::printable;
use crate::config::Config;
use crate::http::admin::Server;
use crate::server::{Ground, Running, public_host};

/// Says how to connect.
pub(super) fn up(running: &Running, config: &Config) -> String {
    let server = running.server();
    match running.ground() {
        Some(ground) => text(server, ground, &public_host(server.ssh, config), &called()),
        None => serve(running),
    }
}

/// Says where it listens.
pub(super) fn serve(running: &Running) -> String {
    let server = running.server();
    let mut lines = vec![format!(
        "devgate {} serves SSH on {} and HTTPS on {}.\n",
        env!("CARGO_PKG_VERSION"),
        server.ssh,
        server.http
    )];
    for key in &server.host_keys {
        lines.push(format!(
            "Host key {} ({})\n",
            key.fingerprint, key.algorithm
        ));
    }
    lines.concat()
}

/// Returns how this program is called from where people type.
fn called() -> String {
    let search = env::var_os("PATH").unwrap_or_default();
    match env::current_exe() {
        Ok(own) => name_of(&own, &search),
        Err(_) => "devgate".to_owned(),
    }
}

/// Returns the program's name where a shell finds it by that, else its path.
fn name_of(own: &Path, search: &OsStr) -> String {
    let is_own = |found: &Path| found.canonicalize().is_ok_and(|found| found == own);
    let name = own.file_name().unwrap_or(own.as_os_str());
    let first = env::split_paths(search)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file());
    if first.is_some_and(|first| is_own(&first)) {
        printable(&name.display().to_string())
    } else {
        format!("'{}'", printable(&own.display().to_string()))
    }
}

fn text(server: &Server, ground: &Ground, host: &str, called: &str) -> String {
    let port = server.ssh.port();
    let workspace = &ground.workspace;
    let data = printable(&server.data_dir.display().to_string());
    let (flag, known, url) = if port == 22 {
        (String::new(), host.to_owned(), host.to_owned())
    } else {
        let bracketed = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        (
            format!("-p {port} "),
            format!("[{host}]:{port}"),
            format!("{bracketed}:{port}"),
        )
    };
    let mut lines = vec![format!("devgate {} runs.\n\n", env!("CARGO_PKG_VERSION"))];
    let mut line = |name: &str, value: &str| lines.push(format!("  {name:<10}{value}\n"));
    line("connect", &format!("ssh {flag}{workspace}@{host}"));
    line(
        "VS Code",
        &format!("code --remote ssh-remote+{workspace}@{url}"),
    );
    for key in &server.host_keys {
        line(
            "host key",
            &format!("{} ({})", key.fingerprint, key.algorithm),
        );
    }
    line(
        "trust it",
        &format!(
            "echo \"{known} $(cat '{data}/certs/ssh_host_ed25519_key.pub')\" >> ~/.ssh/known_hosts"
        ),
    );
    match &ground.link {
        // It is a secret; whoever reads this terminal may have it.
        Some(once) => {
            let once = once.expose();
            line("browser", &format!("{once} (signs in once, within a day)"));
        }
        None => line("browser", &server.url),
    }
    if let Some(fingerprint) = &server.ca_fingerprint {
        line("authority", fingerprint);
    }
    line("data", &data);
    for note in &ground.notes {
        line("note", &printable(note));
    }
    if ground.keys == 0 {
        lines.push(format!(
            "\nNo key may connect yet. Make one, if you have none, and add it:\n\
             \n  ssh-keygen -t ed25519\n  {called} --data-dir '{data}' keys add ~/.ssh/id_ed25519.pub\n"
        ));
    }
    lines.push("\nCtrl-C ends the server; the workspaces go on and are found again.\n".to_owned());
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DriverName;
    use crate::http::admin::wire::HostKey;
    use crate::identity::{Role, User};
    use crate::names::UserId;

    fn server(ssh: &str) -> Server {
        Server {
            started: time::OffsetDateTime::UNIX_EPOCH,
            data_dir: "/d".into(),
            driver: DriverName::Process,
            ssh: ssh.parse().unwrap(),
            http: "127.0.0.1:8443".parse().unwrap(),
            url: "https://localhost:8443".to_owned(),
            ca_fingerprint: Some("SHA256:def".to_owned()),
            host_keys: vec![HostKey {
                algorithm: "ssh-ed25519".to_owned(),
                fingerprint: "SHA256:abc".to_owned(),
            }],
            public_keys: Vec::new(),
            host_authority: String::new(),
        }
    }

    fn ground(keys: usize) -> Ground {
        Ground {
            user: User {
                id: UserId::random(),
                name: "anna".parse().unwrap(),
                role: Role::Admin,
            },
            keys,
            workspace: "api".parse().unwrap(),
            link: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn the_commands_can_be_copied() {
        let said = text(
            &server("127.0.0.1:2222"),
            &ground(1),
            "127.0.0.1",
            "devgate",
        );
        assert!(said.contains("ssh -p 2222 api@127.0.0.1\n"), "{said}");
        assert!(said.contains("\"[127.0.0.1]:2222 $(cat"), "{said}");
        assert!(said.contains("SHA256:abc (ssh-ed25519)"), "{said}");
        assert!(said.contains("authority SHA256:def"), "{said}");
        assert!(!said.contains("ssh-keygen"), "{said}");
    }

    #[test]
    fn the_usual_port_is_left_out() {
        let said = text(
            &server("192.0.2.1:22"),
            &ground(1),
            "dev.example",
            "devgate",
        );
        assert!(said.contains("ssh api@dev.example\n"), "{said}");
    }

    #[test]
    fn without_a_key_it_says_how_to_add_one() {
        let said = text(&server("[::1]:2222"), &ground(0), "::1", "'/b/devgate'");
        assert!(said.contains("ssh-keygen -t ed25519"), "{said}");
        assert!(
            said.contains("'/b/devgate' --data-dir '/d' keys add"),
            "{said}"
        );
        assert!(said.contains("ssh-remote+api@[::1]:2222"), "{said}");
    }

    #[test]
    fn a_program_that_no_shell_finds_is_called_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (own, other) = (root.join("own"), root.join("other"));
        for folder in [&own, &other] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("devgate"), "").unwrap();
        }
        let program = own.join("devgate");
        let search = |folders: &[&Path]| env::join_paths(folders).unwrap();
        assert_eq!(name_of(&program, &search(&[&own, &other])), "devgate");
        let path = format!("'{}'", program.display());
        assert_eq!(name_of(&program, &search(&[&other, &own])), path);
        assert_eq!(name_of(&program, &search(&[&root])), path);
    }
}
