//! `devgate doctor`: what keeps somebody from a server, each with its remedy.
//!
//! It looks at the real thing, in the order in which a connection is made, and goes on with
//! what the step before made possible.

mod editor;
mod finding;
mod here;
mod network;
mod ssh;
mod there;
mod wildcard;
mod workspace;

use clap::Args;

use super::args::Source;
use super::failure::{Failure, Kind};
use super::output::Format;
use super::which::{Which, which};
use crate::identity::Target;
use finding::{Findings, Verdict};

/// `devgate doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// WORKSPACE, or WORKSPACE.OWNER, to look at, too
    workspace: Option<Target>,
    #[command(flatten)]
    format: Format,
}

/// Looks, tells what it found, and fails where something did.
pub(super) async fn run(source: &Source, command: Doctor) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let workspace = command.workspace.as_ref();
    match which(source)? {
        Which::Here => here::look(source, workspace, &mut findings).await,
        Which::Named(name, context) => {
            there::look(name.as_str(), &context, workspace, &mut findings).await;
        }
        Which::Environment(context) => {
            there::look(&context.url, &context, workspace, &mut findings).await;
        }
    }
    command.format.print(&findings, Findings::text)?;
    match findings.count(Verdict::Failed) {
        0 => Ok(()),
        1 => Err(Failure::new(Kind::Failed, "one check failed")),
        many => Err(Failure::new(Kind::Failed, format!("{many} checks failed"))),
    }
}
