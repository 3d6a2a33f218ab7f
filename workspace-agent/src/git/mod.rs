//! Repositories in the workspace: how they are, and how they come there.
//!
//! git itself is asked. What a repository's configuration has it run for a mere look (a
//! monitor of the file system, hooks) isn't run.

mod status;

use std::path::{Path, PathBuf};
use std::time::Duration;

use devgate_protocol::SessionOpen;
use tokio::time::timeout;

use crate::agent::Agent;
use crate::process::Environment;
use crate::runs::{Listed, Reader, Request, RunError, Stream};

pub(crate) use status::Status;

/// How long a look may take, in seconds.
const LIMIT: u64 = 60;

/// How long its end is waited for beside.
const GRACE: Duration = Duration::from_secs(10);

/// Most of what git says, in bytes: some hundred thousand files.
const MOST: u32 = 16 * 1024 * 1024;

/// Longest address and name, in bytes.
const MAX_URL: usize = 4096;
const MAX_NAME: usize = 255;

/// Most commits that are asked for by number.
const MAX_DEPTH: u32 = 1_000_000;

/// What git uses for SSH: it asks nobody, and trusts a host that it meets first.
pub(crate) const SSH: &str = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new \
                              -o ConnectTimeout=30 -o ServerAliveInterval=15";

/// Variables of a mere look. It takes no lock, which would be in the way of whoever works
/// there, and its errors are in the language in which they are known here.
const LOOK: [(&str, &str); 2] = [("GIT_OPTIONAL_LOCKS", "0"), ("LC_ALL", "C")];

/// Schemes that git speaks by itself. Others have it run a program.
const SCHEMES: [&str; 5] = ["https", "http", "ssh", "git", "file"];

/// Why a repository can't be asked, or cloned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// git isn't there.
    #[error("git is not in the workspace: put it into the image, or install it")]
    NoGit,
    /// The folder isn't in one.
    #[error("{} is in no repository that git takes: {why}", folder.display())]
    NoRepository {
        /// The folder.
        folder: PathBuf,
        /// What git says.
        why: String,
    },
    /// What is to be cloned makes no sense.
    #[error("{0}")]
    BadClone(&'static str),
    /// git failed.
    #[error("git failed: {0}")]
    Failed(String),
    /// Its process couldn't be started.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl GitError {
    fn none(folder: &Path, why: String) -> Self {
        let folder = folder.to_owned();
        Self::NoRepository { folder, why }
    }
}

/// What is to be cloned.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) url: String,
    pub(crate) path: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) depth: Option<u32>,
}

/// Returns how the repository is that a folder is in.
pub(crate) async fn status(agent: &Agent, folder: &Path) -> Result<Status, GitError> {
    if !folder.is_dir() {
        let why = "there is no such folder".to_owned();
        return Err(GitError::none(folder, why));
    }
    check_git(agent)?;
    let root = ask(agent, folder, &["rev-parse", "--show-toplevel"]).await?;
    let root = root.strip_suffix(b"\n").unwrap_or(&root);
    let args = [
        "status",
        "--porcelain=v2",
        "-z",
        "--branch",
        "--untracked-files=all",
    ];
    let said = ask(agent, folder, &args).await?;
    Ok(status::read(&said, &String::from_utf8_lossy(root)))
}

/// Has git say something.
async fn ask(agent: &Agent, folder: &Path, args: &[&str]) -> Result<Vec<u8>, GitError> {
    let own = [
        "git",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
    ];
    let command = own.into_iter().chain(args.iter().copied());
    let request = Request {
        command: Some(command.map(str::to_owned).collect()),
        cwd: Some(folder.to_string_lossy().into_owned()),
        env: Some(
            LOOK.map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        ),
        timeout_seconds: Some(LIMIT),
        keep_bytes: Some(MOST),
        ..Request::default()
    };
    let (run, _) = agent
        .runs()
        .start(agent, request, Reader::Looks, Listed::No)
        .await?;
    let ended = timeout(Duration::from_secs(LIMIT) + GRACE, run.ended()).await;
    let mut said = Vec::new();
    let first = run.read(Stream::Stdout, 0, usize::MAX, &mut said);
    if ended.is_ok() && run.view().exit_code == Some(0) {
        if first > 0 {
            let detail = "it has more to say than 16 MiB: ask for a smaller repository";
            return Err(GitError::Failed(detail.to_owned()));
        }
        return Ok(said);
    }
    let mut why = Vec::new();
    run.read(Stream::Stderr, 0, usize::MAX, &mut why);
    let why = String::from_utf8_lossy(&why).trim().to_owned();
    let is_none = [
        "not a git repository",
        "dubious ownership",
        "must be run in a work tree",
    ];
    if is_none.iter().any(|sign| why.contains(sign)) {
        return Err(GitError::none(folder, why));
    }
    Err(GitError::Failed(if why.is_empty() {
        format!("it took longer than {LIMIT} s, or was ended")
    } else {
        why
    }))
}

/// Returns what clones a repository.
pub(crate) async fn clone(agent: &Agent, wanted: Wanted) -> Result<Request, GitError> {
    check_git(agent)?;
    let url = wanted.url;
    check_url(&url)?;
    let mut command: Vec<String> = [
        "git",
        "-c",
        "protocol.ext.allow=never",
        "clone",
        "--progress",
    ]
    .map(str::to_owned)
    .into();
    if let Some(branch) = wanted.branch {
        if branch.is_empty() || branch.len() > MAX_NAME || has_control(&branch) {
            return Err(GitError::BadClone("`branch` has 1 to 255 bytes"));
        }
        // One word, so that it is no option whatever it begins with.
        command.push(format!("--branch={branch}"));
    }
    if let Some(depth) = wanted.depth {
        if !(1..=MAX_DEPTH).contains(&depth) {
            return Err(GitError::BadClone("`depth` is 1 to 1000000"));
        }
        command.push(format!("--depth={depth}"));
    }
    let mut shown = command.clone();
    shown.extend(["--".to_owned(), without_password(&url)]);
    command.extend(["--".to_owned(), url]);
    if let Some(path) = wanted.path {
        if path.is_empty() || path.len() > MAX_URL || path.contains('\0') {
            return Err(GitError::BadClone("`path` has 1 to 4096 bytes, and no NUL"));
        }
        let path = agent.path(&path).to_string_lossy().into_owned();
        shown.push(path.clone());
        command.push(path);
    }
    let mut env = vec![("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned())];
    let names_ssh = agent.config().environment.contains_key("GIT_SSH_COMMAND");
    // The variable would come before what the user's configuration says.
    if !names_ssh && !configures_ssh(agent).await {
        env.push(("GIT_SSH_COMMAND".to_owned(), SSH.to_owned()));
    }
    Ok(Request {
        command: Some(command),
        shown: Some(shown),
        env: Some(env.into_iter().collect()),
        label: Some("git clone".to_owned()),
        ..Request::default()
    })
}

/// Whether the user's configuration, or the system's, says what git uses for SSH.
async fn configures_ssh(agent: &Agent) -> bool {
    let args = ["config", "--get", "core.sshCommand"];
    // No repository's.
    ask(agent, Path::new("/"), &args).await.is_ok()
}

/// Returns an address as it may be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    match authority.rsplit_once('@') {
        // A name alone may be a token as well; SSH's is none.
        Some((who, host)) if scheme != "ssh" || who.contains(':') => {
            format!("{scheme}://***@{host}{path}")
        }
        _ => url.to_owned(),
    }
}

/// Sees that git is there.
fn check_git(agent: &Agent) -> Result<(), GitError> {
    let environment = Environment::new(agent, &SessionOpen::default(), Vec::new());
    environment
        .find_program("git")
        .map(drop)
        .ok_or(GitError::NoGit)
}

/// Sees that an address has git run nothing.
fn check_url(url: &str) -> Result<(), GitError> {
    if url.is_empty() || url.len() > MAX_URL || has_control(url) {
        return Err(GitError::BadClone(
            "`url` has 1 to 4096 bytes, and no control characters",
        ));
    }
    let forms = "`url` begins with https://, http://, ssh://, git:// or file://, or is HOST:PATH";
    if url.starts_with('-') || has_helper(url) {
        return Err(GitError::BadClone(forms));
    }
    let fits = match url.split_once("://") {
        Some((scheme, rest)) => {
            SCHEMES.contains(&scheme) && !rest.is_empty() && !rest.starts_with('-')
        }
        // As scp has it: a host, and behind the colon its path.
        None => url.split_once(':').is_some_and(|(host, path)| {
            !host.is_empty() && !host.contains('/') && !path.is_empty()
        }),
    };
    if fits {
        Ok(())
    } else {
        Err(GitError::BadClone(forms))
    }
}

/// Whether git would have a program of its own for an address: `NAME::` is before it.
fn has_helper(url: &str) -> bool {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    url.trim_start_matches(is_of_name).starts_with("::")
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_have_git_run_something_are_refused() {
        for url in [
            "https://git.example/a.git",
            "http://git.example/a",
            "ssh://git@git.example:22/a",
            "ssh://git@[2001:db8::1]/a",
            "git@[2001:db8::1]:a",
            "https://git.example/a::b",
            "git://git.example/a",
            "file:///srv/a",
            "git@git.example:a/b.git",
            "host:a",
        ] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "-uevil",
            "--upload-pack=x",
            "ext::sh -c x",
            "https::ext::x",
            "git-remote.x+1::y:z",
            "::a",
            "ftp://x/y",
            "ssh://-oProxyCommand=x/y",
            "/srv/a",
            "./a",
            "../a:b",
            "a\nb:c",
            "https://",
            ":a",
            "a:",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("https://u:p@git.example/a@b", "https://***@git.example/a@b"),
            ("https://token@git.example/a", "https://***@git.example/a"),
            ("https://u:p@q@git.example", "https://***@git.example"),
            ("ssh://git@git.example/a", "ssh://git@git.example/a"),
            ("https://git.example/@a", "https://git.example/@a"),
            ("git@git.example:a", "git@git.example:a"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
