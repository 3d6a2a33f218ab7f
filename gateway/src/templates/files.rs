//! The templates' files.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::content::{NoText, content};
use super::made::version;
use super::read::{TemplateError, read, refused};
use super::template::Template;
use super::{
    ENDING, Found, Inner, MAX_TEMPLATES, MAX_TEXT, REMEMBERED, TemplatesError, Versions, fresh,
};
use crate::files::replace;
use crate::names::TemplateName;
use crate::workspaces::Build;

impl Inner {
    pub(super) fn path(&self, name: &TemplateName) -> PathBuf {
        self.folder.join(format!("{name}.{ENDING}"))
    }

    pub(super) fn versions(&self) -> Result<Arc<Versions>, TemplatesError> {
        // Held while they are looked for: who comes meanwhile takes the same.
        let mut remembered = self.versions.lock();
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
        let mut remembered = self.versions.lock();
        *remembered = None;
    }

    pub(super) fn list(&self) -> Result<Vec<Found>, TemplatesError> {
        let found = self.names()?;
        let found = found.iter().map(|name| self.get(name));
        // One that goes at this moment isn't there.
        let there = found.filter(|it| !matches!(it, Err(TemplatesError::NoSuchTemplate(_))));
        there.collect()
    }

    pub(super) fn names(&self) -> Result<Vec<TemplateName>, TemplatesError> {
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

    pub(super) fn get(&self, name: &TemplateName) -> Result<Found, TemplatesError> {
        match self.text(name) {
            Ok(text) => Ok(self.found(name, text)),
            Err(TemplatesError::Invalid { name, error }) => Ok(Found {
                name,
                text: String::new(),
                template: Err(error),
                version: version("", None),
                build: None,
            }),
            Err(error) => Err(error),
        }
    }

    /// Returns what a template's file says: `Invalid` where it holds no text.
    pub(super) fn text(&self, name: &TemplateName) -> Result<String, TemplatesError> {
        content(&self.path(name)).map_err(|no_text| match no_text {
            NoText::Gone => TemplatesError::NoSuchTemplate(name.clone()),
            NoText::Unusable(error) => TemplatesError::Invalid {
                name: name.clone(),
                error,
            },
        })
    }

    /// Refuses a pool whose workspaces would miss something.
    fn check_pool(&self, text: &str, template: &Template) -> Result<(), TemplateError> {
        let secrets = self.at_start.secrets || !template.secrets.is_empty();
        let asks = template.readiness.as_ref();
        let asks = asks.is_some_and(|readiness| readiness.command.is_some());
        let runs = self.at_start.script || template.startup.is_some() || asks;
        if template.ready() == 0 || !secrets || !runs {
            return Ok(());
        }
        let problem = "what runs at a start (startup.script, readiness.command) gets its owner's \
                       secrets (secrets, startup.secrets), and workspaces that are kept ready \
                       have no owner yet: leave out the pool, the secrets, or what runs";
        let path = vec!["pool".to_owned(), "ready".to_owned()];
        Err(refused(text, (path, problem.to_owned())))
    }

    pub(super) fn found(&self, name: &TemplateName, text: String) -> Found {
        let (template, build) = match self.parsed(&text) {
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

    /// Returns what a text would be that is written now.
    pub(super) fn found_new(&self, name: &TemplateName, text: String) -> Found {
        let mut found = self.found(name, text);
        let checked = found.template.and_then(|template| {
            let checked = fresh::check(&template, &self.home);
            checked.map_err(|finding| refused(&found.text, finding))?;
            Ok(template)
        });
        found.template = checked;
        found
    }

    /// Reads a template, and what its image is built of.
    pub(super) fn parsed(&self, text: &str) -> Result<(Template, Option<Build>), TemplateError> {
        let template = read(text)?;
        self.check_pool(text, &template)?;
        // A folder that isn't there is found now, and not by the first build.
        let build = template.build.as_ref().map(|recipe| self.build(recipe));
        let build = build.transpose()?;
        Ok((template, build))
    }

    pub(super) fn put(&self, name: &TemplateName, text: &str) -> Result<Found, TemplatesError> {
        fits(text)?;
        let found = self.found_new(name, text.to_owned());
        if let Err(error) = found.template {
            let name = name.clone();
            return Err(TemplatesError::Invalid { name, error });
        }
        let path = self.path(name);
        let _turn = self.writing.lock();
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

    pub(super) fn remove(&self, name: &TemplateName) -> Result<(), TemplatesError> {
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
}

/// Refuses a text that is too long.
pub(super) fn fits(text: &str) -> Result<(), TemplatesError> {
    if text.chars().count() > MAX_TEXT {
        return Err(TemplatesError::TooLong);
    }
    Ok(())
}
