//! What is mounted into workspaces beside what is their own.

use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::docker::{DockerValueError, is_name};
use super::units::{by_text, quoted};

/// Where every workspace has something of its own, beside its home.
const TMP: &str = "/tmp";

/// Where nothing can be mounted: the system's, and devgate's own folders.
const RESERVED: [&str; 5] = ["/proc", "/sys", "/dev", "/.devgate", "/.devgate-kept"];

/// Something that is mounted into every workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BindMount {
    source: String,
    target: String,
    read_only: bool,
}

by_text!(DockerValueError; BindMount);

impl BindMount {
    /// Returns the folder on the host, or the volume's name.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns where it is in a workspace.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Tells whether workspaces can't change it.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Tells what is there already where this is to be mounted: the home, or what workspaces
    /// have of their own, or one of those `before` it.
    pub(crate) fn taken(&self, before: &[Self], home: &Path) -> Option<String> {
        // Compared by their parts: a slash at the end makes no difference.
        let target = Path::new(self.target());
        if target == home {
            return Some(format!(
                "the workspace's home is at {}: mount at another place, such as a folder in it",
                home.display()
            ));
        }
        if target == Path::new(TMP) {
            return Some(format!(
                "each workspace has a {TMP} of its own, in memory: mount at another place"
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
}

impl FromStr for BindMount {
    type Err = DockerValueError;

    fn from_str(text: &str) -> Result<Self, DockerValueError> {
        mount(text).ok_or_else(|| DockerValueError::Mount(quoted(text)))
    }
}

impl fmt::Display for BindMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.read_only { ":ro" } else { "" };
        write!(f, "{}:{}{end}", self.source, self.target)
    }
}

fn mount(text: &str) -> Option<BindMount> {
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, read_only) = match parts.as_slice() {
        [source, target] | [source, target, "rw"] => (*source, *target, false),
        [source, target, "ro"] => (*source, *target, true),
        _ => return None,
    };
    let is_folder = source.starts_with('/');
    if !(is_folder || is_name(source)) || !is_mount_point(Path::new(target)) {
        return None;
    }
    Some(BindMount {
        source: source.to_owned(),
        target: target.to_owned(),
        read_only,
    })
}

/// Tells whether something can be mounted at a path of a workspace.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    let mut parts = path.components();
    let rest_is_plain = parts.next() == Some(Component::RootDir)
        && parts.all(|part| matches!(part, Component::Normal(_)));
    rest_is_plain
        && path != Path::new("/")
        && path
            .to_str()
            .is_some_and(|text| !text.contains(char::is_control))
        && !RESERVED.iter().any(|taken| path.starts_with(taken))
}

/// Tells whether a home can be mounted at a path of a workspace.
pub(crate) fn is_home(path: &Path) -> bool {
    is_mount_point(path) && path != Path::new(TMP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_has_a_source_and_an_absolute_target() {
        let mount: BindMount = "/srv/data:/data:ro".parse().unwrap();
        assert_eq!((mount.source(), mount.target()), ("/srv/data", "/data"));
        assert!(mount.is_read_only());
        assert_eq!(mount.to_string(), "/srv/data:/data:ro");
        assert!(
            !"cache:/var/cache"
                .parse::<BindMount>()
                .unwrap()
                .is_read_only()
        );
        for bad in [
            "",
            "/data",
            "/a:b",
            "../a:/b",
            "/a:/",
            "/a:/b:x",
            "/a:/proc/x",
            "/a:/b/../c",
            "/a:/.devgate/run",
            "/a:/.devgate-kept",
        ] {
            assert!(bad.parse::<BindMount>().is_err(), "{bad}");
        }
    }
}
