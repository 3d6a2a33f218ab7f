//! Templates.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::VisibilityName;
use crate::config::{Cpus, Size};
use crate::names::TemplateName;
use crate::templates;
use crate::workspaces::PoolStanding;

/// What workspaces can be made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Its name.
    pub name: TemplateName,
    /// What it is for.
    pub description: String,
    /// Stands for all that it says: it changes when that does.
    pub version: String,
    /// What is wrong with it, where it can't be used.
    #[schema(required = true)]
    pub problem: Option<TemplateProblem>,
    /// The image; null where it is built, or the server's own.
    #[schema(required = true)]
    pub image: Option<String>,
    /// Processors that a workspace gets; null: as the server has it.
    #[schema(required = true, value_type = Option<String>, example = "2")]
    pub cpus: Option<Cpus>,
    /// Most that may be chosen; null: there is no choice.
    #[schema(required = true, value_type = Option<String>, example = "4")]
    pub max_cpus: Option<Cpus>,
    /// Memory that a workspace gets; null: as the server has it.
    #[schema(required = true, value_type = Option<String>, example = "4GiB")]
    pub memory: Option<Size>,
    /// Most that may be chosen; null: there is no choice.
    #[schema(required = true, value_type = Option<String>, example = "8GiB")]
    pub max_memory: Option<Size>,
    /// Ports that its applications listen on.
    pub ports: Vec<TemplatePort>,
    /// What of it is kept ready; for administrators, null: nothing.
    #[schema(required = true)]
    pub pool: Option<TemplatePool>,
    /// Its text, TOML; for administrators, of a single template.
    #[schema(required = true)]
    pub text: Option<String>,
}

/// Workspaces that are kept ready for whoever makes one from a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TemplatePool {
    /// How many there are to be.
    pub wanted: u32,
    /// How many there are.
    pub ready: usize,
    /// Why there aren't more, where something is wrong.
    #[schema(required = true)]
    pub problem: Option<String>,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TemplateProblem {
    /// In which line of its text, from 1 on.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub detail: String,
}

/// A port that an application listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TemplatePort {
    /// The port.
    pub port: u16,
    /// What it is.
    pub name: String,
    /// Who may open it at first.
    pub visibility: VisibilityName,
}

/// A template's text.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutTemplate {
    /// TOML.
    #[schema(max_length = 32_768)]
    pub text: String,
}

/// The template that a workspace was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceTemplate {
    /// Its name.
    pub name: TemplateName,
    /// Its version then.
    pub version: String,
    /// Whether it says something else now, which a rebuild takes up; null: it is gone, or
    /// can't be used.
    #[schema(required = true)]
    pub behind: Option<bool>,
}

/// What a workspace is made of when it is made anew.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RebuildWorkspace {
    /// The template; default: the one that it was made from.
    #[serde(default)]
    pub template: Option<TemplateName>,
    /// Processors; default: what was chosen before.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2")]
    pub cpus: Option<Cpus>,
    /// Memory; default: what was chosen before.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "4GiB")]
    pub memory: Option<Size>,
}

impl Template {
    /// Shows a template, with its text or without.
    pub fn of(found: templates::Found, text: Option<String>) -> Self {
        let problem = found.template.as_ref().err().map(|error| TemplateProblem {
            line: error.line,
            detail: error.problem.clone(),
        });
        let said = found.template.unwrap_or_default();
        let ports = said.ports.into_iter().map(|rule| TemplatePort {
            port: rule.port,
            name: rule.name,
            visibility: rule.visibility.into(),
        });
        Self {
            name: found.name,
            description: said.description,
            version: found.version,
            problem,
            image: said.image,
            cpus: said.resources.cpus,
            max_cpus: said.resources.max_cpus,
            memory: said.resources.memory,
            max_memory: said.resources.max_memory,
            ports: ports.collect(),
            pool: None,
            text,
        }
    }

    /// Shows a template as administrators see it, with what of it is kept ready.
    pub fn whole(found: templates::Found, text: Option<String>, pool: PoolStanding) -> Self {
        let wanted = found
            .template
            .as_ref()
            .map_or(0, templates::Template::ready);
        let pool = (wanted > 0).then_some(TemplatePool {
            wanted,
            ready: pool.ready,
            problem: pool.problem,
        });
        Self {
            pool,
            ..Self::of(found, text)
        }
    }
}
