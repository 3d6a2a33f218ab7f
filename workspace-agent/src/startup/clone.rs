//! Clones the repository where its folder isn't there.
//!
//! It is cloned under another name beside it and renamed, so that a folder that is
//! there is whole. A token is given to git by a helper that reads it from the
//! environment: it is in no argument, no address, no file.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devgate_protocol::SessionOpen;
use devgate_protocol::config::{Credentials, Repository, Single, token_server};
use tokio::task::spawn_blocking;

use super::command::{self, Failed, Place};
use super::{CLONE, Startup};
use crate::agent::Agent;
use crate::git::SSH;
use crate::process::Environment;

/// Variables that the helper reads.
const USER: &str = "DEVGATE_GIT_USER";
const TOKEN: &str = "DEVGATE_GIT_TOKEN";

/// The helper: a shell function, as git runs those (gitcredentials(7)).
const HELPER: &str = r#"!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$DEVGATE_GIT_USER" "$DEVGATE_GIT_TOKEN"; }; f"#;

/// What is told while nobody has forwarded an authentication agent.
const WAITING: &str = "waiting for an ssh connection with agent forwarding (ssh -A)";

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cloned {
    /// It is there now.
    Now,
    /// It was there.
    Before,
}

/// Clones a repository.
pub(super) async fn run(agent: &Agent, repository: &Repository) -> Result<Cloned, Failed> {
    let folder = folder(agent, repository)?;
    if folder.exists() {
        return Ok(Cloned::Before);
    }
    let environment = Environment::new(agent, &SessionOpen::default(), Vec::new());
    if environment.find_program("git").is_none() {
        let detail = "git is not in the workspace: put it into the image";
        return Err(Failed::before(detail));
    }
    let shown = credentials(agent, repository)?;
    loop {
        let mut environment = shown.environment.clone();
        let socket = if repository.credentials == Credentials::Agent {
            let socket = auth_agent(agent.startup()).await;
            let text = socket.to_string_lossy().into_owned();
            environment.insert("SSH_AUTH_SOCK".to_owned(), text);
            Some(socket)
        } else {
            None
        };
        match attempt(agent, repository, &folder, &shown.options, &environment).await {
            // Whoever forwarded it has gone: the next one will do.
            Err(failed)
                if socket.is_some_and(|socket| !agent.startup().auth_agents.has(&socket)) =>
            {
                let log = agent.startup().log();
                log.note(format!(
                    "the connection went while the repository was cloned: {failed}"
                ));
            }
            ended => return ended.map(|()| Cloned::Now),
        }
    }
}

/// Waits for somebody's authentication agent.
async fn auth_agent(startup: &Startup) -> PathBuf {
    if !startup.auth_agents.has_any() {
        startup.log().note(WAITING);
        startup.change(|status| {
            status.needs_connection = true;
            WAITING.clone_into(&mut status.detail);
        });
    }
    let socket = startup.auth_agents.any().await;
    startup.change(|status| {
        status.needs_connection = false;
        "cloning the repository".clone_into(&mut status.detail);
    });
    socket
}

/// Clones it once, and leaves nothing half-made.
async fn attempt(
    agent: &Agent,
    repository: &Repository,
    folder: &Path,
    options: &[String],
    environment: &BTreeMap<String, String>,
) -> Result<(), Failed> {
    let making = beside(folder)?;
    clear(&making).await?;
    let mut words = vec!["git".to_owned()];
    words.extend_from_slice(options);
    words.push("clone".to_owned());
    if let Some(branch) = &repository.branch {
        words.extend(["--branch".to_owned(), branch.clone()]);
    }
    if let Some(depth) = repository.depth {
        words.extend(["--depth".to_owned(), depth.to_string()]);
    }
    let target = making.to_string_lossy().into_owned();
    words.extend(["--".to_owned(), repository.url.clone(), target]);
    let place = Place {
        label: CLONE,
        directory: agent.home().to_owned(),
        environment,
        timeout: Duration::ZERO,
    };
    let cloned = command::one(agent, &Single::Argv(words), &place).await;
    let renamed = cloned.and_then(|()| {
        let renamed = fs::rename(&making, folder);
        renamed.map_err(|error| cannot("give its name to", folder, &error))
    });
    if renamed.is_err() {
        clear(&making).await?;
    }
    renamed
}

/// What git is told of the credentials.
#[derive(Debug, Default)]
struct Shown {
    options: Vec<String>,
    environment: BTreeMap<String, String>,
}

fn credentials(agent: &Agent, repository: &Repository) -> Result<Shown, Failed> {
    let mut shown = Shown::default();
    let mut say = |name: &str, value: &str| {
        shown.environment.insert(name.to_owned(), value.to_owned());
    };
    say("GIT_TERMINAL_PROMPT", "0");
    if !agent.config().environment.contains_key("GIT_SSH_COMMAND") {
        say("GIT_SSH_COMMAND", SSH);
    }
    let url = &repository.url;
    if has_password(url) {
        let detail = "the repository's URL has a password in it, which git would write down: \
                      take it out and name a secret as the repository's token";
        return Err(Failed::before(detail));
    }
    if let Credentials::Token { secret, user } = &repository.credentials {
        let host = token_server(url).ok_or_else(|| {
            Failed::before("a token is shown over HTTPS alone: give an https:// URL")
        })?;
        let value = agent.secrets().value(secret).ok_or_else(|| {
            Failed::before(format!(
                "the repository's token is missing: `devgate secrets set {secret}`"
            ))
        })?;
        say(USER, user);
        say(TOKEN, value.expose());
        // An empty one forgets the home's own, which could write the token down.
        let helpers = ["credential.helper=".to_owned(), {
            format!("credential.{host}.helper={HELPER}")
        }];
        shown.options = helpers
            .into_iter()
            .flat_map(|option| ["-c".to_owned(), option])
            .collect();
    }
    // A host that falls silent isn't waited for: 1 byte/s over 2 minutes is silence.
    for option in ["http.lowSpeedLimit=1", "http.lowSpeedTime=120"] {
        shown.options.extend(["-c".to_owned(), option.to_owned()]);
    }
    Ok(shown)
}

fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':'))
}

/// Returns where the repository is to be.
fn folder(agent: &Agent, repository: &Repository) -> Result<PathBuf, Failed> {
    if let Some(folder) = &repository.folder {
        return Ok(agent.home().join(folder));
    }
    let url = repository.url.trim_end_matches('/');
    let name = url.rsplit(['/', ':']).next().unwrap_or_default();
    let name = name.strip_suffix(".git").unwrap_or(name);
    if matches!(name, "" | "." | "..") {
        let detail = "the repository's URL has no name in it: say its folder";
        return Err(Failed::before(detail));
    }
    Ok(agent.home().join(name))
}

/// Returns the name under which a folder is made, in a folder that is there.
fn beside(folder: &Path) -> Result<PathBuf, Failed> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Err(Failed::before("the repository's folder has no name"));
    };
    let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
    made.map_err(|error| cannot("make", parent, &error))?;
    Ok(parent.join(format!(".{}.devgate-clone", name.to_string_lossy())))
}

/// Removes what a clone that was cut short has left.
async fn clear(folder: &Path) -> Result<(), Failed> {
    let path = folder.to_owned();
    let removed = spawn_blocking(move || match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    });
    let removed = removed.await.map_err(io::Error::other).flatten();
    removed.map_err(|error| cannot("remove", folder, &error))
}

fn cannot(action: &str, path: &Path, error: &io::Error) -> Failed {
    Failed::before(format!("can't {action} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_noticed() {
        assert!(has_password("https://me:pass@git.example/a"));
        assert!(!has_password("https://git.example/a:b@c"));
        assert!(!has_password("git@git.example:a"));
    }
}
