//! The editor's program, as the workspaces of the server's own machine find it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::finding::Findings;
use crate::config::{Config, DriverName};
use crate::http::admin::wire::ServerStatus;

const CHECK: &str = "code-server";

/// The program, where the configuration names none.
const PROGRAM: &str = "code-server";

/// PATH of a workspace where nobody sets one.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a program is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// There.
    At(PathBuf),
    /// Below the home of each workspace.
    InHomes,
    /// Nowhere.
    Nowhere,
}

/// Looks for it as an agent does that the server starts; or would, where none runs.
pub(super) fn look(config: &Config, status: Option<&ServerStatus>, findings: &mut Findings) {
    if config.workspaces.driver != DriverName::Process {
        return findings.skipped(CHECK, "each workspace has that of its image, or none");
    }
    let program = config.editor.program.as_deref();
    let program = program.unwrap_or(Path::new(PROGRAM));
    let shown = program.display();
    let configured = config.process.environment.get("PATH");
    let path = configured.map(OsString::from);
    let path = path.or_else(|| match status {
        Some(status) => path_of(status.pid),
        None => env::var_os("PATH"),
    });
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    match find(program, &path) {
        Place::At(file) => findings.ok(CHECK, format!("workspaces find it: {}", file.display())),
        Place::InHomes => {
            let detail = format!("{shown} is below the home of each workspace");
            findings.skipped(CHECK, detail);
        }
        Place::Nowhere => {
            let detail = format!("workspaces have no VS Code for the browser: there is no {shown}");
            let remedy = "install it (https://coder.com/docs/code-server/install), so that it is \
                          found on the server's PATH, or set editor.program in the configuration";
            findings.warning(CHECK, detail, remedy);
        }
    }
}

/// Returns the PATH that a process started with.
fn path_of(pid: u32) -> Option<OsString> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables = environment.split(|&byte| byte == 0);
    let mut path = variables.filter_map(|variable| variable.strip_prefix(b"PATH="));
    Some(OsString::from_vec(path.next()?.to_vec()))
}

/// Finds a program by its path, or its name on PATH.
fn find(program: &Path, path: &OsStr) -> Place {
    let is_name = program
        .to_str()
        .is_some_and(|program| !program.contains('/'));
    let found = if is_name {
        env::split_paths(path)
            .map(|folder| folder.join(program))
            .find(|file| is_executable(file))
    } else if program.is_relative() {
        return Place::InHomes;
    } else {
        Some(program.to_owned()).filter(|file| is_executable(file))
    };
    found.map_or(Place::Nowhere, Place::At)
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_is_a_path_or_the_first_executable_file_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, mode: u32| {
            let file = folder.path().join(name).join("editor");
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            file
        };
        let (text, one, other) = (make("a", 0o644), make("b", 0o755), make("c", 0o755));
        let folders = [&text, &one, &other].map(|file| file.parent().unwrap());
        let path = env::join_paths(folders).unwrap();
        let find = |program: &Path| find(program, &path);
        assert_eq!(find(Path::new("editor")), Place::At(one));
        assert_eq!(find(&other), Place::At(other.clone()));
        assert_eq!(find(&text), Place::Nowhere);
        assert_eq!(find(Path::new("another")), Place::Nowhere);
        assert_eq!(find(Path::new("bin/editor")), Place::InHomes);
    }
}
