//! Getting a repository's newest files with git, for reading alone.
//!
//! What the server's user has set up for git doesn't count, nothing of the repository runs
//! (no hooks, filters or submodules), and a credential is in git's environment alone:
//! neither in its arguments, where others see it, nor in a file.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use devgate_protocol::config::token_server;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::address::address;
use super::size::too_much;
use super::words::{last, told};
use super::{Credential, ReadError};
use crate::drivers::blocking;
use crate::files::remove_tree;
use crate::names::WorkspaceId;
use crate::workspaces::Repository;

/// How long all of it may take.
const TIME: Duration = Duration::from_mins(5);

/// Memory that one git may have: a small repository can unfold to one of any size.
const MEMORY: Rlimit = Rlimit {
    current: Some(1 << 30),
    maximum: Some(1 << 30),
};

/// What an unfinished checkout's folder is called, before something random.
const UNFINISHED: &str = "fetching-";

/// What git is given of the server's own environment.
const INHERITED: [&str; 11] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];

/// Variables that a credential is in, and the helper (gitcredentials(7)) that reads them.
const USER: &str = "DEVGATE_GIT_USER";
const TOKEN: &str = "DEVGATE_GIT_TOKEN";
const HELPER: &str = "!f() { test \"$1\" = get || exit 0; printf 'username=%s\\npassword=%s\\n' \
                      \"$DEVGATE_GIT_USER\" \"$DEVGATE_GIT_TOKEN\"; }; f";

/// What is wanted of which server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) repository: &'a Repository,
    pub(super) credential: Option<&'a Credential>,
    /// Where servers' host keys are remembered.
    pub(super) known_hosts: &'a Path,
}

/// A program, which ends with this and all that it started.
struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Until it was waited for its number is nobody else's.
        if let (Some(id), Ok(None)) = (self.id, self.child.try_wait()) {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// Gets the files into `folder/checkout`, in place of others, and returns the commit; an empty
/// repository has none.
/// Dropped in the middle, git ends, and what it leaves the next call removes.
pub(super) async fn fetch(folder: &Path, wanted: Wanted<'_>) -> Result<String, ReadError> {
    let made = timeout(TIME, clone(folder, wanted)).await;
    made.unwrap_or_else(|_| {
        let minutes = TIME.as_secs() / 60;
        let detail = format!("it takes longer than {minutes} minutes");
        Err(ReadError::unreachable(wanted.repository, detail))
    })
}

async fn clone(folder: &Path, wanted: Wanted<'_>) -> Result<String, ReadError> {
    let unfinished = folder.join(format!("{UNFINISHED}{}", WorkspaceId::random()));
    let (home, checkout) = (unfinished.join("home"), unfinished.join("checkout"));
    let (all, made) = (folder.to_owned(), [unfinished.clone(), home.clone()]);
    let prepared = blocking(move || {
        DirBuilder::new().recursive(true).mode(0o700).create(&all)?;
        clear(&all)?;
        made.iter()
            .try_for_each(|it| DirBuilder::new().mode(0o700).create(it))
    });
    prepared
        .await
        .map_err(|source| ReadError::folder(folder, source))?;
    let repository = wanted.repository;
    let mut arguments: Vec<OsString> = [
        "clone",
        "--quiet",
        "--depth=1",
        "--single-branch",
        "--no-tags",
        "--no-recurse-submodules",
        "--template=",
    ]
    .map(OsString::from)
    .into();
    let branch = repository.branch.as_ref();
    arguments.extend(branch.map(|branch| OsString::from(format!("--branch={branch}"))));
    let rest: [OsString; 3] = [
        "--".into(),
        repository.url.clone().into(),
        checkout.clone().into(),
    ];
    arguments.extend(rest);
    let work_in = (unfinished.as_path(), home.as_path());
    let cloned = run(&arguments, work_in, wanted).await;
    if let (Err(_), Some(branch)) = (&cloned, branch)
        && let Ok(None) = a_branch(work_in, wanted).await
    {
        let detail =
            format!("it is empty: push its branch {branch}, or take `branch` out of the template");
        return Err(ReadError::unreachable(repository, detail));
    }
    cloned?;
    let arguments: [OsString; 5] = [
        "-C".into(),
        checkout.clone().into(),
        "rev-parse".into(),
        "--verify".into(),
        "HEAD".into(),
    ];
    let commit = match run(&arguments, work_in, wanted).await {
        Ok(commit) => commit,
        Err(_) => match a_branch(work_in, wanted).await? {
            None => String::new(),
            Some(branch) => {
                let detail = format!(
                    "its default branch isn't there: name another one in the template, as in \
                     branch = {branch:?}"
                );
                return Err(ReadError::unreachable(repository, detail));
            }
        },
    };
    let all = folder.to_owned();
    let placed = blocking(move || {
        // What git keeps is different each time, and would make each image another one.
        remove_tree(&checkout.join(".git"))?;
        let place = all.join(super::CHECKOUT);
        remove_tree(&place)?;
        fs::rename(&checkout, &place)?;
        remove_tree(&unfinished)
    });
    placed
        .await
        .map_err(|source| ReadError::folder(folder, source))?;
    Ok(commit.trim().to_owned())
}

/// Returns the name of one of the repository's branches; `None` where it is empty.
async fn a_branch(
    work_in: (&Path, &Path),
    wanted: Wanted<'_>,
) -> Result<Option<String>, ReadError> {
    let arguments: [OsString; 4] = [
        "ls-remote".into(),
        "--heads".into(),
        "--".into(),
        wanted.repository.url.clone().into(),
    ];
    let listed = run(&arguments, work_in, wanted).await?;
    let branch = listed.lines().last().map(|line| {
        let name = line.split_once("refs/heads/").map(|(_, name)| name);
        name.unwrap_or(line).to_owned()
    });
    Ok(branch)
}

/// Removes what earlier calls have left.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // A git whose gateway was killed may still write there; it ends by itself.
            let _ = remove_tree(&entry.path());
        }
    }
    Ok(())
}

/// Runs git and returns its output, as long as what is in `watched` doesn't get too much.
async fn run(
    arguments: &[OsString],
    (watched, home): (&Path, &Path),
    wanted: Wanted<'_>,
) -> Result<String, ReadError> {
    let failed = |detail| ReadError::unreachable(wanted.repository, detail);
    let mut child = command(arguments, home, wanted).spawn().map_err(|error| {
        failed(match error.kind() {
            io::ErrorKind::NotFound => "git isn't installed on the server's host".to_owned(),
            _ => format!("git can't be started: {error}"),
        })
    })?;
    let (output, words) = (child.stdout.take(), child.stderr.take());
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let id = id.and_then(Pid::from_raw);
    if let Some(id) = id {
        // It fails where it has ended already.
        let _ = prlimit(Some(id), Resource::Data, MEMORY);
    }
    let mut group = Group { child, id };
    let ended = async {
        let (output, words) = tokio::join!(last(output), last(words));
        let status = group.child.wait().await;
        (status, output, words)
    };
    let (status, output, words) = tokio::select! {
        ended = ended => ended,
        detail = too_much(watched) => return Err(failed(detail)),
    };
    match status {
        Ok(status) if status.success() => Ok(output),
        Ok(status) => Err(failed(told(&words, status, wanted.credential))),
        Err(error) => Err(failed(format!("git can't be waited for: {error}"))),
    }
}

fn command(arguments: &[OsString], home: &Path, wanted: Wanted<'_>) -> Command {
    let url = &wanted.repository.url;
    // An address was checked when its template was read.
    let transports = address(url).unwrap_or_default();
    let ssh = format!(
        "ssh -F none -o BatchMode=yes -o IdentityFile=none -o IdentityAgent=none \
         -o StrictHostKeyChecking=accept-new -o ConnectTimeout=20 -o UserKnownHostsFile={}",
        quoted(wanted.known_hosts)
    );
    let mut settings = vec![
        "core.hooksPath=/dev/null".to_owned(),
        "core.fsmonitor=false".to_owned(),
        "advice.detachedHead=false".to_owned(),
        "gc.auto=0".to_owned(),
        "http.lowSpeedLimit=1000".to_owned(),
        "http.lowSpeedTime=60".to_owned(),
        "credential.helper=".to_owned(),
    ];
    let mut shown = Vec::new();
    if let Some(credential) = wanted.credential
        && let Some(server) = token_server(url)
    {
        // For this server alone, wherever it leads.
        settings.push(format!("credential.{server}.helper={HELPER}"));
        let token: &str = credential.token.expose();
        shown.extend([(USER, credential.user.as_str()), (TOKEN, token)]);
    }
    let mut command = Command::new("git");
    command
        .env_clear()
        .envs(
            INHERITED
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .envs(shown)
        .env("HOME", home)
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", transports)
        .env("GIT_SSH_COMMAND", ssh)
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .args(arguments)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Returns a path as a word of the shell's.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use devgate_protocol::Secret;

    use super::*;

    fn repository(url: &str) -> Repository {
        Repository {
            url: url.to_owned(),
            branch: Some("main".to_owned()),
            ..Repository::default()
        }
    }

    fn credential() -> Credential {
        Credential {
            user: "git".to_owned(),
            token: Secret::new("s3cret".to_owned()),
        }
    }

    #[test]
    fn a_token_is_in_the_environment_alone_and_for_its_server_alone() {
        let (credential, home) = (credential(), Path::new("/nowhere"));
        for (url, is_given) in [
            ("https://git.example:8443/team/api", true),
            ("http://git.example/team/api", false),
            ("git@git.example:api", false),
        ] {
            let repository = repository(url);
            let wanted = Wanted {
                repository: &repository,
                credential: Some(&credential),
                known_hosts: Path::new("/it's/known_hosts"),
            };
            let command = command(&["clone".into()], home, wanted);
            let command = command.as_std();
            let arguments: Vec<_> = command.get_args().map(|it| it.to_string_lossy()).collect();
            let shown = arguments.join(" ");
            assert!(!shown.contains("s3cret"), "{shown}");
            let scope = "credential.https://git.example:8443.helper=!f()";
            assert_eq!(shown.contains(scope), is_given, "{shown}");
            let has = command
                .get_envs()
                .any(|(name, value)| name == TOKEN && value.is_some_and(|value| value == "s3cret"));
            assert_eq!(has, is_given, "{url}");
            let mut names = command.get_envs().map(|(name, _)| name);
            assert!(names.all(|name| name != "SSH_AUTH_SOCK" && name != "GIT_ASKPASS"));
        }
    }
}
