//! Checks of a template that is written now. One that is there already is used as it is:
//! what it says was allowed, and its workspaces go on.

use std::path::Path;

use super::check::Finding;
use super::template::Template;
use crate::config::rules::{sleep_after, sleep_warn, startup_timeout};

/// Checks what wasn't always checked; `home` is where homes are mounted.
pub(super) fn check(template: &Template, home: &Path) -> Result<(), Finding> {
    let wrong = |table: &str, key: &str| {
        let path = vec![table.to_owned(), key.to_owned()];
        move |problem| (path, problem)
    };
    if let Some(startup) = &template.startup {
        startup_timeout(startup.timeout).map_err(wrong("startup", "timeout"))?;
    }
    if let Some(readiness) = &template.readiness {
        startup_timeout(readiness.timeout).map_err(wrong("readiness", "timeout"))?;
    }
    if let Some(sleep) = &template.sleep {
        sleep_after(sleep.after).map_err(wrong("sleep", "after"))?;
        sleep
            .warn
            .map_or(Ok(()), sleep_warn)
            .map_err(wrong("sleep", "warn"))?;
    }
    for (number, mount) in template.mounts.iter().enumerate() {
        let before = template.mounts.get(..number).unwrap_or_default();
        if let Some(problem) = mount.taken(before, home) {
            return Err((vec!["mounts".to_owned(), number.to_string()], problem));
        }
    }
    Ok(())
}
