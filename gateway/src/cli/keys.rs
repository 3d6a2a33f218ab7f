//! `devgate keys`: the public keys that people connect with.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::client::{Client, segment};
use super::failure::{Failure, Kind};
use super::output::{Format, printable, table};
use crate::http::admin::wire::{KeyView, NewKey, UserView};
use crate::identity::{AuthorizedKey, KeyRefused};
use crate::names::UserName;
use crate::person;

/// Largest file of public keys, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add public keys to a user
    Add(Add),
    /// List the public keys
    #[command(visible_alias = "ls")]
    List(List),
    /// Remove public keys; connections that are open stay open
    #[command(visible_alias = "rm")]
    Remove(Remove),
}

/// `devgate keys add`.
#[derive(Debug, Args)]
pub(super) struct Add {
    #[arg(
        required = true,
        value_name = "FILE",
        help = "Files with public keys, as in ~/.ssh/id_ed25519.pub; - is stdin"
    )]
    files: Vec<PathBuf>,
    /// Whose they are [default: the user named like you, else the only one]
    #[arg(long, value_name = "USER")]
    user: Option<UserName>,
    #[command(flatten)]
    format: Format,
}

/// `devgate keys list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only this user's
    #[arg(long, value_name = "USER")]
    user: Option<UserName>,
    #[command(flatten)]
    format: Format,
}

/// `devgate keys remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Fingerprints, as `devgate keys list` shows them
    #[arg(required = true, value_name = "FINGERPRINT")]
    fingerprints: Vec<String>,
    #[command(flatten)]
    format: Format,
}

/// Runs one of them.
pub(super) async fn run(client: &mut Client, command: Command) -> Result<(), Failure> {
    match command {
        Command::Add(command) => add(client, command).await,
        Command::List(command) => list(client, command).await,
        Command::Remove(command) => remove(client, command).await,
    }
}

async fn add(client: &mut Client, command: Add) -> Result<(), Failure> {
    let mut keys = Vec::new();
    for file in &command.files {
        keys.extend(read(file)?);
    }
    let user = match command.user {
        Some(user) => user,
        None => default_user(client, "whose key is it?").await?,
    };
    let mut added = Vec::new();
    for key in keys {
        let path = format!("/users/{}/keys", segment(user.as_str()));
        let request = NewKey { key: line(&key) };
        added.push(client.post::<KeyView>(&path, &request).await?);
    }
    command.format.print(&added, |added| {
        let lines: Vec<_> = added
            .iter()
            .map(|key| {
                format!(
                    "{} may connect with {}\n",
                    key.user,
                    printable(&key.fingerprint)
                )
            })
            .collect();
        lines.concat()
    })
}

async fn list(client: &mut Client, command: List) -> Result<(), Failure> {
    let path = match &command.user {
        Some(user) => format!("/users/{}/keys", segment(user.as_str())),
        None => "/keys".to_owned(),
    };
    let keys: Vec<KeyView> = client.get(&path).await?;
    command.format.print(&keys, |keys| {
        if keys.is_empty() {
            return "No keys. Add one with: devgate keys add FILE\n".to_owned();
        }
        let rows: Vec<_> = keys
            .iter()
            .map(|key| {
                [
                    key.user.to_string(),
                    key.algorithm.clone(),
                    key.fingerprint.clone(),
                    key.comment.clone(),
                ]
            })
            .collect();
        table(["USER", "ALGORITHM", "FINGERPRINT", "COMMENT"], &rows)
    })
}

async fn remove(client: &mut Client, command: Remove) -> Result<(), Failure> {
    for fingerprint in &command.fingerprints {
        client
            .delete(&format!("/keys/{}", segment(fingerprint)))
            .await?;
        let said = format!("{} is removed\n", printable(fingerprint));
        command.format.step(&said)?;
    }
    command.format.done("removed", &command.fingerprints)
}

/// Returns the user that is meant where none is named.
pub(super) async fn default_user(client: &mut Client, whose: &str) -> Result<UserName, Failure> {
    if let Some(own) = client.person().await? {
        return Ok(own);
    }
    let users: Vec<UserView> = client.get("/users").await?;
    let own = person::user_name();
    match users.as_slice() {
        [only] => Ok(only.name.clone()),
        all => all
            .iter()
            .find(|user| user.name == own)
            .map(|user| user.name.clone())
            .ok_or_else(|| Failure::new(Kind::Usage, format!("{whose} Say --user NAME"))),
    }
}

/// Returns the public keys of a file, one a line; `-` is stdin.
///
/// # Errors
/// For a file that can't be read, has no key, or has a line that is none.
pub(super) fn read(file: &Path) -> Result<Vec<AuthorizedKey>, Failure> {
    let name = file.display();
    let text = if file == Path::new("-") {
        bounded(io::stdin().lock())
    } else {
        File::open(file).and_then(bounded)
    }
    .map_err(|error| Failure::new(Kind::Usage, format!("cannot read {name}: {error}")))?;
    parse(&text).map_err(|problem| Failure::new(Kind::Usage, format!("{name}: {problem}")))
}

/// Returns the line of a `.pub` file for a key.
pub(super) fn line(key: &AuthorizedKey) -> String {
    format!("{} {}", key.as_openssh(), key.comment())
}

fn bounded(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    let read = source.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_FILE) {
        return Ok(text);
    }
    let message = "it is too large for a file of public keys";
    Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
}

fn parse(text: &str) -> Result<Vec<AuthorizedKey>, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err(KeyRefused::Private.to_string());
    }
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = AuthorizedKey::parse(line).map_err(|why| format!("line {number}: {why}"))?;
        // Options restrict a key; one that lost them would open more than it did.
        if !line.starts_with(key.as_openssh()) {
            return Err(format!(
                "line {number}: options before a key are not honoured; remove them to add it"
            ));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err("no public key in it".to_owned());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

    #[test]
    fn a_file_of_keys_may_have_comments_and_empty_lines() {
        let keys = parse(&format!("# mine\n\n{KEY}\r\n  {KEY}\n")).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(line(&keys[0]), KEY);
    }

    #[test]
    fn what_is_no_plain_public_key_is_refused_with_its_line_and_reason() {
        for (text, expected) in [
            (format!("{KEY}\nrubbish\n"), "line 2: not an SSH public key"),
            (format!("command=\"x\" {KEY}\n"), "line 1: options"),
            ("# nothing\n".to_owned(), "no public key"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\n".to_owned(),
                "private key",
            ),
            (
                "ssh-ed25519-cert-v01@openssh.com AAAA x\n".to_owned(),
                "line 1: certificates",
            ),
        ] {
            let problem = parse(&text).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
