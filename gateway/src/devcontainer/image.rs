//! The image: a name, a Dockerfile, and features on top, which are installed by a
//! Dockerfile that is written here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::features::Feature;
use super::files::{Checkout, beside};
use super::read::{Build as Asked, Said};
use super::{DevcontainerError, Notes, dockerfile};
use crate::build_context::Sources;
use crate::workspaces::{Blueprint, Build, Image};

/// Where features' folders are in what the image is built from.
const FEATURES: &str = ".devgate-features";

/// Where they are while they are installed.
const PLACE: &str = "/tmp/devgate-features";

/// Runs a feature's script as the specification says: with its options, and with the name
/// and the home of the user that everything will run as. Expects `u` and `h`, the user
/// and where its home is if nobody knows it.
const INSTALL: &str = r#"_REMOTE_USER=$u; _REMOTE_USER_HOME=$h
if [ -r /etc/passwd ]; then
while IFS=: read -r n p i g c d s; do
if [ "$n" = "$u" ] || [ "$i" = "$u" ]; then _REMOTE_USER=$n; _REMOTE_USER_HOME=$d; break; fi
done < /etc/passwd; fi
_CONTAINER_USER=$_REMOTE_USER; _CONTAINER_USER_HOME=$_REMOTE_USER_HOME
export _REMOTE_USER _REMOTE_USER_HOME _CONTAINER_USER _CONTAINER_USER_HOME
chmod +x install.sh && ./install.sh && cd / && rm -rf "$w""#;

/// What an image is made of where the repository doesn't say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base<'a> {
    pub(super) blueprint: &'a Blueprint,
    /// The installation's.
    pub(super) image: &'a str,
    /// The user that everything runs as, `USER[:GROUP]`.
    pub(super) user: &'a str,
    pub(super) home: &'a Path,
}

/// What is built, before its features.
#[derive(Debug, Default)]
struct Recipe {
    dockerfile: String,
    context: Option<PathBuf>,
    arguments: BTreeMap<String, String>,
    target: Option<String>,
}

/// Returns the image, where it isn't the template's.
pub(super) fn image(
    checkout: &Checkout,
    file: &str,
    (said, features): (&Said, &[Feature]),
    base: Base<'_>,
    notes: &mut Notes,
) -> Result<Option<Image>, DevcontainerError> {
    let mut recipe = match (&said.image, &said.build) {
        (Some((_, image)), _) if features.is_empty() => {
            return Ok(Some(Image::Named(image.clone())));
        }
        (None, None) if features.is_empty() => return Ok(None),
        (Some((_, image)), _) => from(image),
        (None, Some(build)) => recipe(checkout, file, build, notes)?,
        (None, None) => match &base.blueprint.image {
            // What is made from a snapshot has read its repository before.
            None | Some(Image::Snapshot(_)) => from(base.image),
            Some(Image::Named(image)) => from(image),
            Some(Image::Built(build)) => Recipe {
                dockerfile: build.dockerfile.clone(),
                context: build.context.clone(),
                arguments: build.arguments.clone(),
                target: build.target.clone(),
            },
        },
    };
    let mut folders = BTreeMap::new();
    if !features.is_empty() {
        let target = recipe.target.take();
        let (mut text, stage) = dockerfile::stage(&recipe.dockerfile, target.as_deref())
            .map_err(|problem| notes.wrong(0, "features", &problem))?;
        let _ = write!(text, "\nFROM {stage}\nUSER root\n");
        for (number, feature) in features.iter().enumerate() {
            let place = format!("{FEATURES}/{number}");
            folders.insert(place.clone(), checkout.folder(&feature.folder)?);
            install(&mut text, (&place, feature), base, notes)?;
        }
        recipe.dockerfile = text;
    }
    let sources = Sources {
        dockerfile: &recipe.dockerfile,
        context: recipe.context.as_deref(),
        folders: &folders,
        arguments: &recipe.arguments,
        target: recipe.target.as_deref(),
    };
    let digest = sources.digest().map_err(|error| {
        let problem = format!("what it is built from can't be read: {error}");
        notes.wrong(0, "build", &problem)
    })?;
    Ok(Some(Image::Built(Build {
        digest,
        dockerfile: recipe.dockerfile,
        context: recipe.context,
        folders,
        arguments: recipe.arguments,
        target: recipe.target,
    })))
}

fn from(image: &str) -> Recipe {
    Recipe {
        dockerfile: format!("FROM {image}\n"),
        ..Recipe::default()
    }
}

/// Reads the repository's Dockerfile.
fn recipe(
    checkout: &Checkout,
    file: &str,
    build: &Asked,
    notes: &mut Notes,
) -> Result<Recipe, DevcontainerError> {
    let path = |said: &Option<(usize, String)>, default: &str, key: &str| {
        let (line, path) = said
            .as_ref()
            .map_or((build.line, default), |(line, path)| (*line, path.as_str()));
        beside(file, path).map_err(|problem| notes.wrong(line, key, problem))
    };
    let dockerfile = path(&build.dockerfile, "Dockerfile", "build.dockerfile")?;
    let context = path(&build.context, ".", "build.context")?;
    let text = checkout.read(&dockerfile)?;
    if text.trim().is_empty() {
        return Err(notes.wrong(build.line, "build.dockerfile", "the Dockerfile is empty"));
    }
    let ignored = if context.is_empty() {
        ".dockerignore".to_owned()
    } else {
        format!("{context}/.dockerignore")
    };
    if checkout.kind(&ignored)?.is_some() {
        notes.add(&format!(
            "{ignored}: it isn't used: what is built may copy all files"
        ));
    }
    Ok(Recipe {
        dockerfile: text,
        context: Some(checkout.folder(&context)?),
        arguments: build.arguments.clone(),
        target: build.target.as_ref().map(|(_, target)| target.clone()),
    })
}

/// Adds what installs a feature. Its variables are set first, for it and for all that runs
/// in the container ("Implementation notes").
fn install(
    text: &mut String,
    (place, feature): (&str, &Feature),
    base: Base<'_>,
    notes: &Notes,
) -> Result<(), DevcontainerError> {
    for (name, value) in &feature.common.environment {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.chars().all(is_name) || value.contains(['\n', '\r']) {
            let problem = format!("{name}: this can't be written into a Dockerfile");
            let file = format!("{}/devcontainer-feature.json", feature.folder);
            return Err(DevcontainerError {
                place: file,
                problem: super::printable(&problem),
            });
        }
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(text, "ENV {name}=\"{value}\"");
    }
    let (user, _) = base.user.split_once(':').unwrap_or((base.user, ""));
    let folder = format!("{PLACE}/{}", place.rsplit('/').next().unwrap_or_default());
    let mut script = format!("set -e; w={folder}; cd $w\n");
    for (name, value) in &feature.options {
        let _ = writeln!(script, "export {name}={}", quoted(value));
    }
    let home = base.home.to_string_lossy();
    let _ = writeln!(script, "u={}; h={}", quoted(user), quoted(&home));
    script.push_str(INSTALL);
    // The form of a list: the engine hands it to the shell as it is.
    let command = serde_json::to_string(&["/bin/sh", "-c", &script])
        .map_err(|_| notes.wrong(0, "features", "an option can't be written down"))?;
    let _ = writeln!(text, "COPY {place}/ {folder}/\nRUN {command}");
    Ok(())
}

/// Returns a text as a word of the shell's.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
