//! Programs and folders of this machine that the configuration names: whether they are there.
//!
//! They are looked at where the configuration is checked and where they are used, and not when it
//! is loaded: commands of other accounts load it, too.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::check::Finding;
use super::{Config, DriverName};

/// Tells whether a file is there that can be run.
pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Checks that what is named is there, and returns what is worth telling all the same.
///
/// # Errors
/// The key, and what is wrong with its value.
pub fn named(config: &Config) -> Result<Option<String>, Finding> {
    let process = &config.process;
    if let Some(agent) = &process.agent {
        program(agent).map_err(|problem| ("process.agent", problem))?;
    }
    if let Some(shell) = &process.shell
        && config.workspaces.driver == DriverName::Process
    {
        program(shell).map_err(|problem| ("process.shell", problem))?;
    }
    let Some(templates) = &config.workspaces.templates else {
        return Ok(None);
    };
    match templates.metadata() {
        Ok(found) if found.is_dir() => Ok(None),
        Ok(_) => Err((
            "workspaces.templates",
            format!("{} is a file: name a folder", templates.display()),
        )),
        // The first template that is added makes it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(format!(
            "workspaces.templates: the folder {} isn't there, so there are no templates",
            templates.display()
        ))),
        Err(error) => Err((
            "workspaces.templates",
            format!("{} can't be read ({error})", templates.display()),
        )),
    }
}

fn program(path: &Path) -> Result<(), String> {
    if is_program(path) {
        return Ok(());
    }
    let place = path.display();
    Err(match path.metadata() {
        Ok(_) => format!("{place} is not a program: name one that can be run"),
        Err(error) => format!("{place} can't be run ({error}): name a program that is there"),
    })
}
