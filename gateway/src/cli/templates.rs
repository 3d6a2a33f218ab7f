//! `devgate templates`: what workspaces can be made from.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::client::{Client, segment};
use super::confirm::confirm;
use super::failure::{Failure, Kind};
use super::output::{Format, printable, table};
use crate::http::admin::wire::{PutTemplate, TemplateView};
use crate::names::TemplateName;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the templates, and how many workspaces of each are ready of how many
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a template, as its file says it
    Show(Show),
    /// Add a template from a file, or replace one
    Add(Add),
    /// Tell whether a file can be a template, without adding it
    Check(Check),
    /// Remove templates; workspaces that were made from them go on
    #[command(visible_alias = "rm")]
    Remove(Remove),
}

/// `devgate templates list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    format: Format,
}

/// `devgate templates show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Name of the template
    name: TemplateName,
    #[command(flatten)]
    format: Format,
}

/// `devgate templates add`.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name of the template: a-z, 0-9 and hyphens, at most 40
    name: TemplateName,
    /// The file, TOML
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// `devgate templates check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The file, TOML
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// `devgate templates remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Names of templates
    #[arg(required = true, value_name = "TEMPLATE")]
    names: Vec<TemplateName>,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    format: Format,
}

/// Runs one of them.
pub(super) async fn run(client: &mut Client, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(command) => list(client, command).await,
        Command::Show(command) => show(client, command).await,
        Command::Add(command) => add(client, command).await,
        Command::Check(command) => check(client, command).await,
        Command::Remove(command) => remove(client, command).await,
    }
}

async fn list(client: &mut Client, command: List) -> Result<(), Failure> {
    let templates: Vec<TemplateView> = client.get("/templates").await?;
    command.format.print(&templates, |templates| {
        if templates.is_empty() {
            return "No templates. Add one with: devgate templates add NAME FILE\n".to_owned();
        }
        let rows: Vec<_> = templates
            .iter()
            .map(|it| {
                let (ready, problem) = pool(it);
                let about = match (&it.problem, problem) {
                    (Some(problem), _) => format!("! line {}: {}", problem.line, problem.detail),
                    (None, Some(problem)) => format!("! pool: {problem}"),
                    (None, None) => it.description.clone(),
                };
                let version = it.version.clone();
                [it.name.to_string(), version, ready, printable(&about)]
            })
            .collect();
        table(["NAME", "VERSION", "READY", "DESCRIPTION"], &rows)
    })
}

/// Tells how many workspaces are kept ready of how many, and what is wrong.
fn pool(template: &TemplateView) -> (String, Option<&str>) {
    match &template.pool {
        None => ("-".to_owned(), None),
        Some(pool) => {
            let ready = format!("{}/{}", pool.ready, pool.wanted);
            (ready, pool.problem.as_deref())
        }
    }
}

async fn show(client: &mut Client, command: Show) -> Result<(), Failure> {
    let path = format!("/templates/{}", segment(command.name.as_str()));
    let template: TemplateView = client.get(&path).await?;
    if let (Some(problem), Some("")) = (&template.problem, template.text.as_deref()) {
        let message = format!("the template {}: {}", template.name, problem.detail);
        return Err(Failure::new(Kind::Failed, message));
    }
    command.format.print(&template, |template| {
        let text = template.text.clone().unwrap_or_default();
        if text.ends_with('\n') {
            text
        } else {
            format!("{text}\n")
        }
    })
}

async fn add(client: &mut Client, command: Add) -> Result<(), Failure> {
    let text = read(&command.file)?;
    let path = format!("/templates/{}", segment(command.name.as_str()));
    let template: TemplateView = client.put(&path, &PutTemplate { text }).await?;
    command.format.print(&template, |template| {
        format!(
            "{} is there, version {}; make a workspace from it with: devgate create --template \
             {} NAME\n",
            template.name, template.version, template.name
        )
    })
}

async fn check(client: &mut Client, command: Check) -> Result<(), Failure> {
    let text = read(&command.file)?;
    let stem = command.file.file_stem().and_then(|stem| stem.to_str());
    let name = stem.and_then(|stem| stem.parse::<TemplateName>().ok());
    let name = name.map_or_else(|| "template".to_owned(), |name| name.to_string());
    let path = format!("/templates/{}?check=true", segment(&name));
    let template: TemplateView = client.put(&path, &PutTemplate { text }).await?;
    command.format.print(&template, |_| {
        format!("{} can be used\n", command.file.display())
    })
}

async fn remove(client: &mut Client, command: Remove) -> Result<(), Failure> {
    // Before anybody is asked, and before the first one is removed.
    for name in &command.names {
        let path = format!("/templates/{}", segment(name.as_str()));
        let _: TemplateView = client.get(&path).await?;
    }
    if !command.yes {
        let names: Vec<_> = command.names.iter().map(ToString::to_string).collect();
        let question = format!("Remove the templates {}?", names.join(", "));
        confirm(client, &question)?;
    }
    for name in &command.names {
        client
            .delete(&format!("/templates/{}", segment(name.as_str())))
            .await?;
        command.format.step(&format!("{name} is removed\n"))?;
    }
    command.format.done("removed", &command.names)
}

fn read(path: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("can't read {}: {error}", path.display());
        Failure::new(Kind::Usage, message)
    })
}
