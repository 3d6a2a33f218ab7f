//! `devgate cp`: files between this machine and workspaces, with a token alone.
//!
//! What was cut off goes on where it was, in the same command or in the next one: a large
//! file goes up as an upload that the workspace keeps, and comes down into a file beside its
//! place. Nothing has its name before it is whole.

mod down;
mod interrupted;
mod local;
mod outcome;
mod part;
mod place;
mod progress;
mod resume;
#[cfg(test)]
mod tests;
mod up;
mod within;

use std::path::Path;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::client::{Client, Inside};
use super::failure::{Failure, Kind};
use super::output::{self, Format};
use super::ready::ready;
use crate::identity::Target;
use interrupted::interrupted;
use outcome::{Copied, Trouble};
use place::Place;
use progress::Progress;

/// What is to be done, and what comes of it.
type Job<'a> = (Folders, &'a Progress, &'a mut Copied);

/// `devgate cp`.
#[derive(Debug, Args)]
pub(super) struct Cp {
    /// Copy folders, with all that is in them
    #[arg(long, short)]
    recursive: bool,
    /// What to copy: paths here, or WORKSPACE:PATH, relative ones from the home
    #[arg(required = true, value_name = "SRC", value_parser = place())]
    places: Vec<Place>,
    /// Where to: a path of the other kind
    #[arg(value_name = "DST", value_parser = place())]
    place: Place,
    #[command(flatten)]
    format: Format,
}

/// Takes a place whatever bytes its name has.
fn place() -> impl TypedValueParser<Value = Place> {
    OsStringValueParser::new().map(Place::from)
}

/// Whether folders are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folders {
    Copied,
    Refused,
}

/// Copies.
pub(super) async fn run(client: &mut Client, command: Cp) -> Result<(), Failure> {
    let (places, to) = (command.places, command.place);
    let folders = if command.recursive {
        Folders::Copied
    } else {
        Folders::Refused
    };
    let mut copied = Copied::default();
    let progress = Progress::start();
    let all = copy_all(client, (&places, &to), (folders, &progress, &mut copied));
    let ended = tokio::select! {
        ended = all => ended,
        failure = interrupted() => Err((to.to_string(), failure)),
    };
    drop(progress);
    for skipped in &copied.skipped {
        output::note(&format!(
            "devgate: {skipped} is neither file, folder nor link, and was left out"
        ));
    }
    let missed = copied.failed.len();
    for missed in &copied.failed {
        output::note(&format!("devgate: {}", missed.told()));
    }
    let ended = ended.map_err(|(path, failure)| {
        copied.miss(path, &failure);
        failure
    });
    if !is_output(&to) && (ended.is_ok() || command.format.is_json()) {
        command.format.print(&copied, Copied::told)?;
    }
    ended?;
    if missed == 0 {
        return Ok(());
    }
    let message = format!("{missed} of what was to be copied couldn't be, as said above");
    Err(Failure::new(Kind::Failed, message))
}

/// Copies one after another. Where there are several, one that can't be copied keeps none of
/// the others from it; what does is returned with the failure.
async fn copy_all(
    client: &mut Client,
    (places, to): (&[Place], &Place),
    (folders, progress, copied): Job<'_>,
) -> Result<(), (String, Failure)> {
    let several = places.len() > 1;
    for from in places {
        let job = (folders, progress, &mut *copied);
        match copy(client, (from, to, several), job).await {
            Err(Trouble::One(failure)) if several => copied.miss(from.to_string(), &failure),
            ended => ended.map_err(|trouble| (from.to_string(), trouble.into()))?,
        }
    }
    Ok(())
}

/// Copies one file or folder; `several` go into a folder.
async fn copy(
    client: &mut Client,
    (from, to, several): (&Place, &Place, bool),
    job: Job<'_>,
) -> Result<(), Trouble> {
    match (from, to) {
        (Place::Here(from), Place::There { workspace, path }) => {
            let inside = enter(client, workspace).await?;
            up::copy(inside, (from, path, several), job).await
        }
        (Place::There { workspace, path }, Place::Here(to)) => {
            let inside = enter(client, workspace).await?;
            down::copy(inside, (path, to, several), job).await
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
            within::copy(inside, (path, to, several), job).await
        }
        (Place::Here(from), Place::Here(_)) => {
            let message = format!(
                "{} and its place are both on this machine: name a workspace, as in \
                 WORKSPACE:PATH, or use cp",
                from.display()
            );
            Err(Failure::new(Kind::Usage, message).into())
        }
    }
}

/// Tells whether what is copied goes where the command says what it did.
fn is_output(place: &Place) -> bool {
    let output = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    matches!(place, Place::Here(path) if output.iter().any(|output| path == Path::new(output)))
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

/// Says that what was named has no content that could be copied.
fn no_file(what: &str) -> Failure {
    let message = format!(
        "{what} is a device, a pipe or a socket, and no file: `devgate exec` reads what comes \
         from it"
    );
    Failure::new(Kind::Failed, message)
}

/// Says that a folder isn't copied as it is.
fn needs_recursive(what: &str) -> Failure {
    let message = format!("{what} is a folder: copy it with -r");
    Failure::new(Kind::Usage, message)
}
