//! `devgate config-ssh`: what ssh, and every program that reads its configuration, has to
//! know to reach one's workspaces at a server elsewhere.
//!
//! Each context has a file of its own, which is written anew as a whole; the person's own
//! configuration only gets a line that includes them.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use devgate_certs::{Access, write_file};
use serde::Serialize;

use super::args::Source;
use super::certificate::Kept;
use super::client::Client;
use super::contexts;
use super::failure::{Failure, Kind};
use super::output::Format;
use super::ssh::{known, own_command, proxy_command, quoted, slug};
use super::which::{Which, client, which};
use crate::http::admin::wire::WorkspaceView;

/// What stands above the line that includes the files.
const MARK: &str = "# Added by `devgate config-ssh`; `devgate config-ssh --remove` takes it out.";

/// `devgate config-ssh`.
#[derive(Debug, Args)]
pub(super) struct ConfigSsh {
    /// Print what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Take out what was written for this server
    #[arg(long)]
    remove: bool,
    /// The configuration that includes it
    #[arg(long, value_name = "FILE", default_value = "~/.ssh/config")]
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Files that were changed, or would be.
#[derive(Debug, Serialize)]
struct Files {
    dry_run: bool,
    written: Vec<String>,
    removed: Vec<String>,
}

/// Writes it, or takes it out.
pub(super) async fn run(source: &Source, command: ConfigSsh) -> Result<(), Failure> {
    let Which::Named(name, _) = which(source)? else {
        let message = "this is for servers elsewhere: sign in with `devgate login URL`, or say \
                       which one with --context NAME";
        return Err(Failure::new(Kind::Usage, message));
    };
    let folder = contexts::folder_made()?.join("ssh");
    let own = folder.join(format!("{}.conf", slug(name.as_str())));
    let person = of_person(&command.file)?;
    let include = format!("Include {}", quoted(&folder.join("*.conf"))?);
    let before = read(&person)?;
    let (text, after) = if command.remove {
        let others = others(&folder, &own)?;
        let kept = if others {
            before.clone()
        } else {
            without(&before, &include)
        };
        (None, kept)
    } else {
        let text = text(&mut client(source)?).await?;
        (Some(text.into_bytes()), with(&before, &include))
    };
    let changes = [(own, text), (person, Some(after))];
    let changes: Vec<_> = changes
        .into_iter()
        .filter(|(path, text)| !is_so(path, text.as_deref()))
        .collect();
    let format = command.format;
    if changes.is_empty() {
        format.step("nothing changes\n")?;
    }
    for (path, text) in &changes {
        if !command.dry_run {
            apply(path, text.as_deref())?;
        }
        format.step(&said(path, text.as_deref(), command.dry_run))?;
    }
    if !(changes.is_empty() || command.remove || command.dry_run) {
        let host = slug(name.as_str());
        format.step(&format!("ssh WORKSPACE.{host}.devgate reaches yours now\n"))?;
    }
    if !format.is_json() {
        return Ok(());
    }
    let (written, removed): (Vec<_>, Vec<_>) = changes.iter().partition(|(_, text)| text.is_some());
    let paths = |of: Vec<&(PathBuf, _)>| {
        let paths = of.into_iter().map(|(path, _)| path.display().to_string());
        paths.collect()
    };
    let files = Files {
        dry_run: command.dry_run,
        written: paths(written),
        removed: paths(removed),
    };
    format.print(&files, |_| String::new())
}

/// Returns what ssh has to know of one's own workspaces.
async fn text(client: &mut Client) -> Result<String, Failure> {
    let own = client.person().await?;
    let workspaces: Vec<WorkspaceView> = client.get("/workspaces").await?;
    let Some(rest) = client.there() else {
        return Ok(String::new());
    };
    let server = slug(rest.name());
    let mut text = "# Made by `devgate config-ssh`, which writes it anew.\n".to_owned();
    for view in workspaces
        .iter()
        .filter(|view| Some(&view.owner) == own.as_ref())
    {
        let proxy = proxy_command(rest, view.id.as_str())?;
        // Writing to a string can't fail.
        let _ = write!(
            text,
            "\nHost {}.{server}.devgate\n    User {}.{}\n    ProxyCommand {proxy}\n",
            view.name, view.name, view.owner
        );
    }
    let kept = Kept::of(rest.name())?;
    if kept.is_there() {
        // ssh reads it with each connection: what is about to end is renewed first.
        let renews = own_command(rest, "ssh-certificate renew")?.replace('"', "\\\"");
        let _ = writeln!(text, "\nMatch host *.{server}.devgate exec \"{renews}\"");
        for (option, value) in kept.options()? {
            let _ = writeln!(text, "    {option} {value}");
        }
    }
    let _ = write!(text, "\nHost *.{server}.devgate\n");
    for (option, value) in known(rest).await?.1 {
        let _ = writeln!(text, "    {option} {value}");
    }
    Ok(text)
}

/// Returns the person's own configuration, where it really is.
fn of_person(path: &Path) -> Result<PathBuf, Failure> {
    let path = match path.strip_prefix("~") {
        Ok(below) => {
            let home = std::env::var_os("HOME");
            let home =
                home.ok_or_else(|| Failure::new(Kind::Usage, "HOME isn't set: say --file FILE"))?;
            PathBuf::from(home).join(below)
        }
        Err(_) => path.to_owned(),
    };
    // Who keeps it elsewhere has a link here, which stays.
    Ok(path.canonicalize().unwrap_or(path))
}

/// Reads a configuration. What the person wrote may be in any encoding.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    match fs::read(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            Err(Failure::new(Kind::Failed, message))
        }
    }
}

/// Tells whether other servers' files are there.
fn others(folder: &Path, own: &Path) -> Result<bool, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.any(|path| path != own && path.extension().is_some_and(|it| it == "conf")))
}

/// Returns a configuration with the line, above everything: below a `Host` it would count
/// for that alone.
fn with(text: &[u8], include: &str) -> Vec<u8> {
    let mut lines = text.split(|byte| *byte == b'\n');
    if lines.any(|line| line.trim_ascii_end() == include.as_bytes()) {
        return text.to_owned();
    }
    let gap = if text.is_empty() { "" } else { "\n" };
    let added = format!("{MARK}\n{include}\n{gap}");
    [added.as_bytes(), text].concat()
}

fn without(text: &[u8], include: &str) -> Vec<u8> {
    let added = format!("{MARK}\n{include}\n");
    for added in [format!("{added}\n"), added] {
        let mut places = text.windows(added.len());
        let place = places.position(|place| place == added.as_bytes());
        if let Some((before, rest)) = place.and_then(|place| text.split_at_checked(place)) {
            return [before, rest.get(added.len()..).unwrap_or_default()].concat();
        }
    }
    text.to_owned()
}

/// Tells whether a file has that text already; what is to be gone or empty may be missing.
fn is_so(path: &Path, text: Option<&[u8]>) -> bool {
    match (fs::read(path), text) {
        (Ok(found), Some(text)) => found == text,
        (Ok(_), None) => false,
        (Err(_), text) => text.is_none_or(<[u8]>::is_empty),
    }
}

/// Says what was done to a file, or would be.
fn said(path: &Path, text: Option<&[u8]>, dry_run: bool) -> String {
    let place = path.display();
    match (text, dry_run) {
        (None, true) => format!("would remove {place}\n"),
        (None, false) => format!("{place} is removed\n"),
        (Some(text), true) => {
            let text = String::from_utf8_lossy(text);
            format!("would write {place}:\n{text}\n")
        }
        (Some(_), false) => format!("{place} is written\n"),
    }
}

/// Writes a file, or removes it.
fn apply(path: &Path, text: Option<&[u8]>) -> Result<(), Failure> {
    let Some(text) = text else {
        return Ok(fs::remove_file(path)?);
    };
    let mode = path.metadata().map(|found| found.permissions().mode());
    if let Some(folder) = path.parent() {
        contexts::make(folder)?;
    }
    write_file(path, Access::Private, text)
        .map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
    if let Ok(mode) = mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_added_once_and_taken_out_without_a_trace() {
        let include = "Include \"/c/*.conf\"";
        let others: [&[u8]; 4] = [
            b"",
            b"Host a\n    User b\n",
            b"\n\nHost a\n",
            b"# Caf\xe9, in Latin-1\r\nHost a\n",
        ];
        for before in others {
            let added = with(before, include);
            assert!(added.starts_with(MARK.as_bytes()), "{added:?}");
            assert_eq!(with(&added, include), added);
            assert_eq!(without(&added, include), before);
        }
    }
}
