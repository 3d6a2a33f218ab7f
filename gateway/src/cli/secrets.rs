//! `devgate secrets`: what workspaces' programs are to know.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use devgate_protocol::Secret;
use nix::sys::signal::Signal;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::client::{Client, segment};
use super::failure::{Failure, Kind};
use super::keys::default_user;
use super::output::{self, Format, table};
use crate::http::admin::wire::{SecretView, SetSecret};
use crate::names::UserName;
use crate::secrets::{MAX_VALUE, SecretName};

/// What Ctrl-C sends.
const ETX: u8 = 3;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Set a secret; its value is read from stdin
    ///
    /// A workspace gets it as a variable where the configuration names it in startup.secrets,
    /// at its next start at the latest. One newline at the value's end is left out.
    Set(Set),
    /// List the secrets: their names, never what they are
    #[command(visible_alias = "ls")]
    List(List),
    /// Remove secrets
    #[command(visible_alias = "rm")]
    Remove(Remove),
}

/// Whose secret.
#[derive(Debug, Args)]
struct Whose {
    /// Whose it is [default: the user named like you, else the only one]
    #[arg(long, value_name = "USER", conflicts_with = "installation")]
    user: Option<UserName>,
    /// The installation's, for the workspaces of all who have none of that name
    #[arg(long)]
    installation: bool,
}

/// `devgate secrets set`.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// Its name, and that of the variable
    #[arg(value_name = "NAME")]
    name: SecretName,
    /// File with the value, instead of stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    format: Format,
}

/// `devgate secrets list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    format: Format,
}

/// `devgate secrets remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Their names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<SecretName>,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    format: Format,
}

/// Runs one of them.
pub(super) async fn run(client: &mut Client, command: Command) -> Result<(), Failure> {
    match command {
        Command::Set(command) => set(client, command).await,
        Command::List(command) => list(client, command).await,
        Command::Remove(command) => remove(client, command).await,
    }
}

async fn set(client: &mut Client, command: Set) -> Result<(), Failure> {
    let path = path(client, &command.whose).await?;
    let value = value(&command.name, command.file.as_deref())?;
    let path = format!("{path}/{}", segment(command.name.as_str()));
    client.set(&path, &SetSecret { value }).await?;
    command.format.step(&format!("{} is set\n", command.name))?;
    command.format.done("set", &[command.name])
}

async fn list(client: &mut Client, command: List) -> Result<(), Failure> {
    let path = path(client, &command.whose).await?;
    let secrets: Vec<SecretView> = client.get(&path).await?;
    command.format.print(&secrets, |secrets| {
        if secrets.is_empty() {
            return "No secrets. Set one with: devgate secrets set NAME\n".to_owned();
        }
        let rows: Vec<_> = secrets
            .iter()
            .map(|secret| [secret.name.to_string(), output::time(secret.changed)])
            .collect();
        table(["NAME", "SET"], &rows)
    })
}

async fn remove(client: &mut Client, command: Remove) -> Result<(), Failure> {
    let path = path(client, &command.whose).await?;
    for name in &command.names {
        client
            .delete(&format!("{path}/{}", segment(name.as_str())))
            .await?;
        command.format.step(&format!("{name} is removed\n"))?;
    }
    command.format.done("removed", &command.names)
}

/// Returns where those secrets are.
async fn path(client: &mut Client, whose: &Whose) -> Result<String, Failure> {
    if whose.installation {
        return Ok("/secrets".to_owned());
    }
    let user = match &whose.user {
        Some(user) => user.clone(),
        None => default_user(client, "whose secrets?").await?,
    };
    Ok(format!("/users/{}/secrets", segment(user.as_str())))
}

/// Reads a value: from a file, from a terminal that doesn't show it, or from stdin.
fn value(name: &SecretName, file: Option<&Path>) -> Result<Secret<String>, Failure> {
    let source = file.map_or_else(|| "stdin".to_owned(), |file| file.display().to_string());
    let read = match file {
        Some(file) => File::open(file).and_then(bounded),
        None if io::stdin().is_terminal() => {
            hidden(&format!("Value of {name}, which isn't shown:"))
        }
        None => bounded(io::stdin().lock()),
    };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::Interrupted => Failure::signalled(Signal::SIGINT, "nothing was set"),
        _ => Failure::new(Kind::Usage, format!("cannot read {source}: {error}")),
    };
    let mut text = read.map_err(failed)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret::new(text))
}

fn bounded(source: impl Read) -> io::Result<String> {
    let most = u64::try_from(MAX_VALUE).unwrap_or(u64::MAX);
    let mut text = String::new();
    // With a newline of two bytes at its end.
    let read = source.take(most + 3).read_to_string(&mut text)?;
    if read <= MAX_VALUE + 2 {
        return Ok(text);
    }
    let message = format!("a secret has at most {MAX_VALUE} bytes");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
}

/// Asks on the terminal, and reads a line without showing it; `Interrupted` is Ctrl-C.
fn hidden(question: &str) -> io::Result<String> {
    let stdin = io::stdin();
    let before = tcgetattr(stdin.as_fd())?;
    let mut quiet = before.clone();
    // Ctrl-C is read as well, or the terminal would be left as it is; and it ends a line, as
    // nobody presses Enter after it.
    quiet
        .local_modes
        .remove(LocalModes::ECHO | LocalModes::ISIG);
    quiet.special_codes[SpecialCodeIndex::VEOL] = ETX;
    tcsetattr(stdin.as_fd(), OptionalActions::Flush, &quiet)?;
    let _shown_again = Shown(before);
    // Not before: what somebody types as soon as they are asked would be shown, and lost.
    output::note(question);
    let mut line = Vec::new();
    for byte in stdin.lock().bytes() {
        match byte? {
            ETX => return Err(io::ErrorKind::Interrupted.into()),
            b'\n' => break,
            other => line.push(other),
        }
    }
    String::from_utf8(line)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it isn't UTF-8"))
}

/// Puts the terminal back when it is dropped.
struct Shown(Termios);

impl Drop for Shown {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_loses_one_newline_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("value");
        let name = "TOKEN".parse().unwrap();
        for (written, read) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n")] {
            std::fs::write(&file, written).unwrap();
            let value = value(&name, Some(&file)).unwrap();
            assert_eq!(value.expose(), read);
        }
        std::fs::write(&file, "x".repeat(MAX_VALUE + 3)).unwrap();
        assert!(value(&name, Some(&file)).is_err());
    }
}
