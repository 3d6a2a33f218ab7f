//! What workspaces are made of that are made from a template.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::check::{MIN_CPUS, MIN_MEMORY};
use super::read::{TemplateError, read, without_pool};
use super::template::BuildRecipe;
use super::{Inner, TemplatesError};
use crate::build_context::Sources;
use crate::config::DriverName;
use crate::fingerprint::beginning;
use crate::names::TemplateName;
use crate::workspaces::{Blueprint, Build, Choices, Image, TemplateUse, WantedPool};

impl Inner {
    pub(super) fn pools(&self) -> Result<Vec<WantedPool>, TemplatesError> {
        let mut pools = Vec::new();
        for name in self.names()? {
            let text = match self.text(&name) {
                Ok(text) => text,
                Err(TemplatesError::NoSuchTemplate(_)) => continue,
                Err(_) => {
                    pools.push(WantedPool {
                        template: name,
                        of: None,
                    });
                    continue;
                }
            };
            let ready = read(&text).map(|template| template.ready());
            let of = match ready {
                Ok(0) => continue,
                Ok(ready) => {
                    let blueprint = self.blueprint_of((&name, &text), Choices::default(), 0);
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

    pub(super) fn build(&self, recipe: &BuildRecipe) -> Result<Build, TemplateError> {
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

    pub(super) fn blueprint(
        &self,
        name: &TemplateName,
        choices: Choices,
        rebuilds: u32,
    ) -> Result<Blueprint, TemplatesError> {
        let text = self.text(name)?;
        self.blueprint_of((name, &text), choices, rebuilds)
    }

    /// Returns what workspaces are made of by a template's text.
    fn blueprint_of(
        &self,
        (name, text): (&TemplateName, &str),
        choices: Choices,
        rebuilds: u32,
    ) -> Result<Blueprint, TemplatesError> {
        let invalid = |error| TemplatesError::Invalid {
            name: name.clone(),
            error,
        };
        let (template, built) = self.parsed(text).map_err(invalid)?;
        if self.driver == DriverName::Process
            && let Some(key) = template.needs_containers()
        {
            let name = name.clone();
            return Err(TemplatesError::NeedsContainers { name, key });
        }
        let resources = &template.resources;
        allowed(name, "cpus", choices.cpus, (MIN_CPUS, resources.max_cpus))?;
        let memory = (MIN_MEMORY, resources.max_memory);
        allowed(name, "memory", choices.memory, memory)?;
        let version = version(text, built.as_ref());
        let image = template.image.map(Image::Named);
        Ok(Blueprint {
            template: Some(TemplateUse {
                name: name.clone(),
                version,
            }),
            choices,
            rebuilds,
            image: image.or(built.map(Image::Built)),
            startup: template.startup,
            readiness: template.readiness,
            secrets: template.secrets,
            sleep: template.sleep,
            time_to_live: template.time_to_live,
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

/// Refuses what is more than a template allows, and what is less than a workspace takes: to an
/// engine nothing means no limit.
fn allowed<T: Copy + PartialOrd + std::fmt::Display>(
    name: &TemplateName,
    what: &'static str,
    chosen: Option<T>,
    (least, most): (T, Option<T>),
) -> Result<(), TemplatesError> {
    let name = name.clone();
    match (chosen, most) {
        (Some(_), None) => Err(TemplatesError::NoChoice { name, what }),
        (Some(chosen), _) if chosen < least => Err(TemplatesError::TooLittle {
            what,
            least: least.to_string(),
        }),
        (Some(chosen), Some(most)) if chosen > most => Err(TemplatesError::TooMuch {
            name,
            what,
            most: most.to_string(),
        }),
        _ => Ok(()),
    }
}

pub(super) fn version(text: &str, build: Option<&Build>) -> String {
    let mut hash = Sha256::new();
    // How many are kept ready is no reason to rebuild any.
    hash.update(without_pool(text));
    if let Some(build) = build {
        hash.update([0]);
        hash.update(&build.digest);
    }
    beginning(&hash.finalize(), 6)
}
