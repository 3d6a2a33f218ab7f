//! Checks of a template that is written now. One that is there already is used as it is:
//! what it says was allowed, and its workspaces go on.

use std::path::Path;

use super::check::Finding;
use super::template::Template;
use crate::config::BindMount;
use crate::config::rules::{sleep_after, sleep_warn, startup_timeout};

/// Where every workspace has something of its own, beside its home.
const TMP: &str = "/tmp";

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
        if let Some(problem) = taken(mount, before, home) {
            return Err((vec!["mounts".to_owned(), number.to_string()], problem));
        }
    }
    Ok(())
}

/// Tells what is there already where something is to be mounted.
fn taken(mount: &BindMount, before: &[BindMount], home: &Path) -> Option<String> {
    let target = Path::new(mount.target());
    // Compared by their parts: a slash at the end makes no difference.
    if target == home {
        return Some(format!(
            "the workspace's home is at {}: mount at another place, such as a folder in it",
            home.display()
        ));
    }
    if target == Path::new(TMP) {
        return Some(format!(
            "each workspace has a {TMP} of its own (resources.tmp-size says how large): mount at \
             another place"
        ));
    }
    let twice = before
        .iter()
        .any(|other| Path::new(other.target()) == target);
    twice.then(|| {
        format!(
            "another one is mounted at {} already: leave one out",
            target.display()
        )
    })
}
