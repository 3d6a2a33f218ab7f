//! `devgate cp`: files between this machine and workspaces, with a token alone.
//!
//! What was cut off goes on where it was, in the same command or in the next one: a large
//! file goes up as an upload that the workspace keeps, and comes down into a file beside its
//! place. Nothing has its name before it is whole.

mod down;
mod place;
mod progress;
mod resume;
mod up;
mod within;

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::client::{Client, Inside};
use super::failure::{Failure, Kind};
use super::output::{self, Format};
use super::ready::ready;
use crate::identity::Target;
use place::Place;
use progress::Progress;

/// `devgate cp`.
#[derive(Debug, Args)]
pub(super) struct Cp {
    /// Copy folders, with all that is in them
    #[arg(long, short)]
    recursive: bool,
    /// What to copy, and where to: paths here, or WORKSPACE:PATH, relative ones from the home
    #[arg(required = true, num_args = 2.., value_name = "SRC… DST")]
    places: Vec<Place>,
    #[command(flatten)]
    format: Format,
}

/// Whether folders are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folders {
    Copied,
    Refused,
}

/// What was copied.
#[derive(Debug, Default, Serialize)]
struct Copied {
    files: u64,
    folders: u64,
    links: u64,
    bytes: u64,
    /// What was left out, as it is neither file, folder nor link.
    skipped: Vec<String>,
}

/// Copies.
pub(super) async fn run(client: &mut Client, command: Cp) -> Result<(), Failure> {
    let mut places = command.places;
    let Some(to) = places.pop() else {
        return Err(Failure::new(Kind::Usage, "say what to copy, and where to"));
    };
    let folders = if command.recursive {
        Folders::Copied
    } else {
        Folders::Refused
    };
    let mut copied = Copied::default();
    let progress = Progress::start();
    let several = places.len() > 1;
    for from in &places {
        let job = (folders, &progress, &mut copied);
        match (from, &to) {
            (Place::Here(from), Place::There { workspace, path }) => {
                let inside = enter(client, workspace).await?;
                up::copy(inside, (from, path, several), job).await?;
            }
            (Place::There { workspace, path }, Place::Here(to)) => {
                let inside = enter(client, workspace).await?;
                down::copy(inside, (path, to, several), job).await?;
            }
            (
                Place::There { workspace, path },
                Place::There {
                    workspace: other,
                    path: to,
                },
            ) => {
                same(client, workspace, other).await?;
                let inside = enter(client, workspace).await?;
                within::copy(inside, (path, to, several), job).await?;
            }
            (Place::Here(from), Place::Here(_)) => {
                let message = format!(
                    "{} and its place are both on this machine: name a workspace, as in \
                     WORKSPACE:PATH, or use cp",
                    from.display()
                );
                return Err(Failure::new(Kind::Usage, message));
            }
        }
    }
    drop(progress);
    command.format.print(&copied, told)?;
    for skipped in &copied.skipped {
        output::note(&format!(
            "devgate: {skipped} is neither file, folder nor link, and was left out"
        ));
    }
    Ok(())
}

/// Returns the way into a workspace, which runs.
async fn enter(client: &mut Client, workspace: &Target) -> Result<Inside, Failure> {
    let inside = client.inside(&workspace.to_string(), "cp").await?;
    ready(client, workspace).await?;
    Ok(inside)
}

/// Sees that both sides are one workspace.
async fn same(client: &mut Client, one: &Target, other: &Target) -> Result<(), Failure> {
    let one = client.inside(&one.to_string(), "cp").await?;
    let other = client.inside(&other.to_string(), "cp").await?;
    if one.id() == other.id() {
        return Ok(());
    }
    let message = "these are two workspaces: copy it to this machine first, and from here to the \
                   other one";
    Err(Failure::new(Kind::Usage, message))
}

fn told(copied: &Copied) -> String {
    let count = |number: u64, one: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        number => Some(format!("{number} {one}s")),
    };
    let all = [
        count(copied.files, "file"),
        count(copied.folders, "folder"),
        count(copied.links, "link"),
    ];
    let all: Vec<_> = all.into_iter().flatten().collect();
    let what = match all.as_slice() {
        [] => "nothing".to_owned(),
        all => all.join(", "),
    };
    let bytes = indicatif::HumanBytes(copied.bytes);
    format!("{what} copied, {bytes}\n")
}

/// Says that a folder isn't copied as it is.
fn needs_recursive(what: &str) -> Failure {
    let message = format!("{what} is a folder: copy it with -r");
    Failure::new(Kind::Usage, message)
}

/// Says what went wrong with something on this machine.
fn here(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot {what} {}: {error}", path.display());
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::Failed,
    };
    Failure::new(kind, message)
}
