//! Templates: what workspaces are made from.
//!
//! A template is a TOML file in the templates' folder, named like the template, whoever
//! put it there: a person, a checkout, or the API, which writes the same files. Each call
//! reads what is there now. A workspace keeps what its template said when it was made
//! ([`Blueprint`]); the template's version, a digest, tells when that is behind.

mod check;
mod content;
mod files;
mod fresh;
mod made;
mod read;
mod template;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use crate::config::DriverName;
use crate::names::TemplateName;
use crate::workspaces::{Blueprint, Choices, WantedPool};

use files::fits;

pub use read::{TemplateError, read};
pub use template::{BuildRecipe, Pool, Resources, Template};

/// Ending of a template's file.
const ENDING: &str = "toml";

/// Longest template, in characters.
pub const MAX_TEXT: usize = 32 * 1024;

/// Most templates of an installation.
const MAX_TEMPLATES: usize = 1000;

/// The templates of an installation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Templates {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    driver: DriverName,
    at_start: AtStart,
    /// Where containers' homes are.
    home: PathBuf,
    /// Held while a file is written.
    writing: Mutex<()>,
    /// The versions of a moment ago.
    versions: Mutex<Option<(Instant, Arc<Versions>)>>,
}

/// What version each template has that can be used.
pub type Versions = BTreeMap<TemplateName, String>;

/// How long it is remembered which versions there are: lists of workspaces tell which are
/// behind, and files of builds are read for that.
const REMEMBERED: Duration = Duration::from_secs(2);

/// What all workspaces get and run when they start, whatever their template says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtStart {
    /// Whether they get secrets.
    pub secrets: bool,
    /// Whether a script runs in them.
    pub script: bool,
}

/// A template as it is now.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name.
    pub name: TemplateName,
    /// Its text; empty where its file holds none.
    pub text: String,
    /// What it says, or what is wrong with it.
    pub template: Result<Template, TemplateError>,
    /// Digest of all that it says, and of the files that its image is built from: 12
    /// hexadecimal digits.
    pub version: String,
    /// Digest of the image that is built for it.
    pub build: Option<String>,
}

/// What can't be done with templates.
#[derive(Debug, thiserror::Error)]
pub enum TemplatesError {
    /// There is none of that name.
    #[error("there is no template named {0}: `devgate templates list` shows all")]
    NoSuchTemplate(TemplateName),
    /// It isn't usable.
    #[error("the template {name} can't be used: {error}")]
    Invalid {
        /// Its name.
        name: TemplateName,
        /// What is wrong.
        error: TemplateError,
    },
    /// Its text is too long.
    #[error("a template has at most {MAX_TEXT} characters")]
    TooLong,
    /// It needs what this installation's workspaces aren't.
    #[error(
        "the template {name} says {key:?}, which takes workspaces in containers: set \
         workspaces.driver = \"docker\", or leave it out"
    )]
    NeedsContainers {
        /// Its name.
        name: TemplateName,
        /// What it says.
        key: &'static str,
    },
    /// More was chosen than it allows.
    #[error("the template {name} allows at most {most} {what}: choose no more")]
    TooMuch {
        /// Its name.
        name: TemplateName,
        /// Of what.
        what: &'static str,
        /// How much it allows.
        most: String,
    },
    /// Less was chosen than a workspace can run with.
    #[error("a workspace takes at least {least} {what}: choose no less")]
    TooLittle {
        /// Of what.
        what: &'static str,
        /// How much it takes.
        least: String,
    },
    /// Something was chosen that it leaves no choice of.
    #[error("the template {name} leaves no choice of {what}: it has no resources.max-{what}")]
    NoChoice {
        /// Its name.
        name: TemplateName,
        /// Of what.
        what: &'static str,
    },
    /// Something was chosen without a template.
    #[error("without a template there is no choice of {0}: name one")]
    NoTemplate(&'static str),
    /// A file can't be handled.
    #[error("can't {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Templates {
    /// Takes templates from a folder, which needn't be there, for workspaces of that
    /// driver; `home` is where their homes are mounted, where they are containers.
    pub fn new(folder: PathBuf, driver: DriverName, at_start: AtStart, home: PathBuf) -> Self {
        Self {
            inner: Arc::new(Inner {
                folder,
                driver,
                at_start,
                home,
                writing: Mutex::default(),
                versions: Mutex::default(),
            }),
        }
    }

    /// Returns all templates, by name; those that can't be used with what is wrong.
    pub async fn list(&self) -> Result<Vec<Found>, TemplatesError> {
        self.blocking(Inner::list).await
    }

    /// Tells what versions there are, or were a moment ago.
    pub async fn versions(&self) -> Result<Arc<Versions>, TemplatesError> {
        self.blocking(Inner::versions).await
    }

    /// Returns what templates want to be kept ready, by name.
    pub async fn pools(&self) -> Result<Vec<WantedPool>, TemplatesError> {
        self.blocking(Inner::pools).await
    }

    /// Returns a template.
    ///
    /// # Errors
    /// `NoSuchTemplate`
    pub async fn get(&self, name: &TemplateName) -> Result<Found, TemplatesError> {
        let name = name.clone();
        self.blocking(move |inner| inner.get(&name)).await
    }

    /// Writes a template, in place of one of its name. Workspaces that were made from
    /// that stay as they are, and are behind.
    ///
    /// # Errors
    /// `Invalid` and `TooLong`, with nothing written.
    pub async fn put(&self, name: &TemplateName, text: String) -> Result<Found, TemplatesError> {
        let name = name.clone();
        self.blocking(move |inner| inner.put(&name, &text)).await
    }

    /// Tells what a text would be as a template, without writing it.
    pub async fn check(&self, name: &TemplateName, text: String) -> Result<Found, TemplatesError> {
        let name = name.clone();
        self.blocking(move |inner| {
            fits(&text)?;
            Ok(inner.found_new(&name, text))
        })
        .await
    }

    /// Removes a template. Workspaces that were made from it go on.
    ///
    /// # Errors
    /// `NoSuchTemplate`
    pub async fn remove(&self, name: &TemplateName) -> Result<(), TemplatesError> {
        let name = name.clone();
        self.blocking(move |inner| inner.remove(&name)).await
    }

    /// Returns the digests of the images that are built for templates; `None` where one of
    /// them can't be read now, and may need any.
    pub async fn builds(&self) -> Result<Option<Vec<String>>, TemplatesError> {
        let found = self.list().await?;
        if found.iter().any(|it| it.template.is_err()) {
            return Ok(None);
        }
        Ok(Some(found.into_iter().filter_map(|it| it.build).collect()))
    }

    /// Returns what a workspace is made of: from a template or without one. `before` is
    /// what it is made of now, where it is rebuilt.
    ///
    /// # Errors
    /// Where the template can't be used, or more is chosen than it allows.
    pub async fn blueprint(
        &self,
        name: Option<&TemplateName>,
        choices: Choices,
        before: Option<&Blueprint>,
    ) -> Result<Blueprint, TemplatesError> {
        let rebuilds = before.map_or(0, |before| before.rebuilds.saturating_add(1));
        let Some(name) = name.cloned() else {
            for (is_chosen, what) in [
                (choices.cpus.is_some(), "cpus"),
                (choices.memory.is_some(), "memory"),
            ] {
                if is_chosen {
                    return Err(TemplatesError::NoTemplate(what));
                }
            }
            return Ok(Blueprint {
                rebuilds,
                ..Blueprint::default()
            });
        };
        let work = move |inner: &Inner| inner.blueprint(&name, choices, rebuilds);
        self.blocking(work).await
    }

    /// Returns what a workspace is made of once it is rebuilt: from its template as it is
    /// now, or from another one; what isn't chosen now is as it was chosen before.
    ///
    /// # Errors
    /// As for [`Self::blueprint`].
    pub async fn anew(
        &self,
        before: &Blueprint,
        name: Option<&TemplateName>,
        choices: Choices,
    ) -> Result<Blueprint, TemplatesError> {
        let own = before.template.as_ref().map(|used| &used.name);
        let name = name.or(own);
        let same = own == name;
        let kept = if same {
            before.choices
        } else {
            Choices::default()
        };
        let choices = Choices {
            cpus: choices.cpus.or(kept.cpus),
            memory: choices.memory.or(kept.memory),
        };
        self.blueprint(name, choices, Some(before)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, TemplatesError> + Send + 'static,
    ) -> Result<T, TemplatesError> {
        let inner = Arc::clone(&self.inner);
        match spawn_blocking(move || work(&inner)).await {
            Ok(done) => done,
            Err(failure) => Err(inner_failed(&self.inner.folder, &failure)),
        }
    }
}

fn inner_failed(folder: &Path, failure: &tokio::task::JoinError) -> TemplatesError {
    TemplatesError::File {
        action: "read",
        path: folder.to_owned(),
        source: io::Error::other(failure.to_string()),
    }
}

#[cfg(test)]
mod tests;
