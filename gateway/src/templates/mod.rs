//! Templates: what workspaces are made from.
//!
//! A template is a TOML file in the templates' folder, named like the template, whoever
//! put it there: a person, a checkout, or the API, which writes the same files. Each call
//! reads what is there now. A workspace keeps what its template said when it was made
//! ([`Blueprint`]); the template's version, a digest, tells when that is behind.

mod read;
mod template;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use crate::build_context::Sources;
use crate::config::DriverName;
use crate::files::replace;
use crate::names::TemplateName;
use crate::workspaces::{Blueprint, Build, Choices, Image, TemplateUse, WantedPool};

use read::{pool_refused, without_pool};

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
    poolable: Poolable,
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

/// Which templates may keep workspaces ready: before these are anybody's, scripts would
/// run in them without their owners' secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Poolable {
    /// Any: workspaces get no secrets.
    #[default]
    Any,
    /// Those that have no start-up script: workspaces get secrets.
    WithoutScript,
    /// None: workspaces get secrets, and all run a script.
    None,
}

/// A template as it is now.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name.
    pub name: TemplateName,
    /// Its text.
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
    /// driver.
    pub fn new(folder: PathBuf, driver: DriverName, poolable: Poolable) -> Self {
        Self {
            inner: Arc::new(Inner {
                folder,
                driver,
                poolable,
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
            Ok(inner.found(&name, text))
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

impl Inner {
    fn path(&self, name: &TemplateName) -> PathBuf {
        self.folder.join(format!("{name}.{ENDING}"))
    }

    fn versions(&self) -> Result<Arc<Versions>, TemplatesError> {
        // Held while they are looked for: who comes meanwhile takes the same.
        let mut remembered = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, versions)) = &*remembered
            && at.elapsed() < REMEMBERED
        {
            return Ok(Arc::clone(versions));
        }
        let usable = self.list()?.into_iter().filter(|it| it.template.is_ok());
        let versions = Arc::new(usable.map(|it| (it.name, it.version)).collect());
        *remembered = Some((Instant::now(), Arc::clone(&versions)));
        Ok(versions)
    }

    fn forget_versions(&self) {
        let mut remembered = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        *remembered = None;
    }

    fn pools(&self) -> Result<Vec<WantedPool>, TemplatesError> {
        let mut pools = Vec::new();
        for name in self.names()? {
            let text = match self.text(&name) {
                Ok(text) => text,
                Err(TemplatesError::NoSuchTemplate(_)) => continue,
                Err(error) => return Err(error),
            };
            let ready = read(&text).map(|template| template.ready());
            let of = match ready {
                Ok(0) => continue,
                Ok(ready) => {
                    let blueprint = self.blueprint(&name, Choices::default(), 0);
                    let ready = usize::try_from(ready).unwrap_or(usize::MAX);
                    blueprint.ok().map(|blueprint| (ready, blueprint))
                }
                // Not worth ending what is ready.
                Err(_) => None,
            };
            pools.push(WantedPool { template: name, of });
        }
        Ok(pools)
    }

    fn list(&self) -> Result<Vec<Found>, TemplatesError> {
        let found = self.names()?;
        let found = found.iter().map(|name| self.get(name));
        // One that goes at this moment isn't there.
        let there = found.filter(|it| !matches!(it, Err(TemplatesError::NoSuchTemplate(_))));
        there.collect()
    }

    fn names(&self) -> Result<Vec<TemplateName>, TemplatesError> {
        let failed = |source| TemplatesError::File {
            action: "read",
            path: self.folder.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let is_template = path.extension().is_some_and(|ending| ending == ENDING);
            if let (true, Some(Ok(name))) = (is_template, stem.map(str::parse)) {
                names.push(name);
            }
        }
        names.sort();
        names.truncate(MAX_TEMPLATES);
        Ok(names)
    }

    fn get(&self, name: &TemplateName) -> Result<Found, TemplatesError> {
        let text = self.text(name)?;
        Ok(self.found(name, text))
    }

    fn text(&self, name: &TemplateName) -> Result<String, TemplatesError> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(TemplatesError::NoSuchTemplate(name.clone()))
            }
            Err(source) => Err(TemplatesError::File {
                action: "read",
                path,
                source,
            }),
        }
    }

    /// Refuses a pool whose workspaces would miss something.
    fn check_pool(&self, text: &str, template: &Template) -> Result<(), TemplateError> {
        let problem = match (self.poolable, &template.startup) {
            (Poolable::None, _) if template.ready() > 0 => {
                "the start-up script of all workspaces (startup.script) gets their owners' \
                 secrets (startup.secrets), and those that are kept ready have no owner yet: \
                 leave the pool out"
            }
            (Poolable::WithoutScript, Some(_)) if template.ready() > 0 => {
                "the start-up script gets its owner's secrets (startup.secrets), and workspaces \
                 that are kept ready have no owner yet: leave out one of the two"
            }
            _ => return Ok(()),
        };
        Err(pool_refused(text, problem))
    }

    fn found(&self, name: &TemplateName, text: String) -> Found {
        let template = read(&text).and_then(|template| {
            self.check_pool(&text, &template)?;
            // A folder that isn't there is found now, and not by the first build.
            match &template.build {
                Some(recipe) => self.build(recipe).map(|build| (template, Some(build))),
                None => Ok((template, None)),
            }
        });
        let (template, build) = match template {
            Ok((template, build)) => (Ok(template), build),
            Err(error) => (Err(error), None),
        };
        let version = version(&text, build.as_ref());
        Found {
            name: name.clone(),
            text,
            template,
            version,
            build: build.map(|build| build.digest),
        }
    }

    fn put(&self, name: &TemplateName, text: &str) -> Result<Found, TemplatesError> {
        fits(text)?;
        let found = self.found(name, text.to_owned());
        if let Err(error) = found.template {
            let name = name.clone();
            return Err(TemplatesError::Invalid { name, error });
        }
        let path = self.path(name);
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written =
            fs::create_dir_all(&self.folder).and_then(|()| replace(&path, text.as_bytes()));
        written.map_err(|source| TemplatesError::File {
            action: "write",
            path,
            source,
        })?;
        self.forget_versions();
        Ok(found)
    }

    fn remove(&self, name: &TemplateName) -> Result<(), TemplatesError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => {
                self.forget_versions();
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(TemplatesError::NoSuchTemplate(name.clone()))
            }
            Err(source) => Err(TemplatesError::File {
                action: "remove",
                path,
                source,
            }),
        }
    }

    fn build(&self, recipe: &BuildRecipe) -> Result<Build, TemplateError> {
        let context = recipe.context.as_ref().map(|path| self.folder.join(path));
        let sources = Sources {
            dockerfile: &recipe.dockerfile,
            context: context.as_deref(),
            folders: &BTreeMap::new(),
            arguments: &recipe.arguments,
            target: recipe.target.as_deref(),
        };
        let digest = sources.digest().map_err(|error| TemplateError {
            line: 1,
            problem: format!("build.context: can't read the files there: {error}"),
        })?;
        Ok(Build {
            digest,
            dockerfile: recipe.dockerfile.clone(),
            context,
            folders: BTreeMap::new(),
            arguments: recipe.arguments.clone(),
            target: recipe.target.clone(),
        })
    }

    fn blueprint(
        &self,
        name: &TemplateName,
        choices: Choices,
        rebuilds: u32,
    ) -> Result<Blueprint, TemplatesError> {
        let found = self.get(name)?;
        let invalid = |error| TemplatesError::Invalid {
            name: name.clone(),
            error,
        };
        let template = found.template.map_err(invalid)?;
        if self.driver == DriverName::Process
            && let Some(key) = template.needs_containers()
        {
            let name = name.clone();
            return Err(TemplatesError::NeedsContainers { name, key });
        }
        let resources = &template.resources;
        allowed(name, "cpus", choices.cpus, resources.max_cpus)?;
        allowed(name, "memory", choices.memory, resources.max_memory)?;
        let built = template.build.as_ref().map(|recipe| self.build(recipe));
        let built = built.transpose().map_err(invalid)?;
        let image = template.image.map(Image::Named);
        Ok(Blueprint {
            template: Some(TemplateUse {
                name: name.clone(),
                version: found.version,
            }),
            choices,
            rebuilds,
            image: image.or(built.map(Image::Built)),
            startup: template.startup,
            readiness: template.readiness,
            secrets: template.secrets,
            sleep: template.sleep,
            host_labels: template.host_labels,
            home: None,
            user: template.user,
            shell: template.shell,
            cpus: choices.cpus.or(resources.cpus),
            memory: choices.memory.or(resources.memory),
            pids: resources.pids,
            tmp_size: resources.tmp_size,
            gpus: resources.gpus,
            mounts: template.mounts,
            extra_hosts: template.extra_hosts,
            environment: template.environment,
            extensions: template.extensions.into_values().flatten().collect(),
            ports: template.ports,
            repository: template.repository,
            ..Blueprint::default()
        })
    }
}

/// Refuses a text that is too long.
fn fits(text: &str) -> Result<(), TemplatesError> {
    if text.chars().count() > MAX_TEXT {
        return Err(TemplatesError::TooLong);
    }
    Ok(())
}

/// Refuses what is more than a template allows.
fn allowed<T: Copy + PartialOrd + std::fmt::Display>(
    name: &TemplateName,
    what: &'static str,
    chosen: Option<T>,
    most: Option<T>,
) -> Result<(), TemplatesError> {
    let name = name.clone();
    match (chosen, most) {
        (Some(_), None) => Err(TemplatesError::NoChoice { name, what }),
        (Some(chosen), Some(most)) if chosen > most => Err(TemplatesError::TooMuch {
            name,
            what,
            most: most.to_string(),
        }),
        _ => Ok(()),
    }
}

fn version(text: &str, build: Option<&Build>) -> String {
    let mut hash = Sha256::new();
    // How many are kept ready is no reason to rebuild any.
    hash.update(without_pool(text));
    if let Some(build) = build {
        hash.update([0]);
        hash.update(&build.digest);
    }
    let digest = hash.finalize();
    digest.iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
