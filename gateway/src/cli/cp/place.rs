//! Where something is: here, or in a workspace.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::identity::Target;

/// A path, here or in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Here(PathBuf),
    There {
        workspace: Target,
        /// A relative one begins at the home, an empty one is the home.
        path: String,
    },
}

impl FromStr for Place {
    type Err = Infallible;

    /// `./a:b` is a file here, as its colon comes after a slash.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Some((workspace, path)) = text.split_once(':')
            && let Ok(workspace) = workspace.parse()
        {
            let path = path.strip_prefix("~/").unwrap_or(path);
            let path = if path == "~" { "" } else { path };
            let path = path.to_owned();
            return Ok(Self::There { workspace, path });
        }
        Ok(Self::Here(text.into()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(path) => path.display().fmt(f),
            Self::There { workspace, path } => write!(f, "{workspace}:{path}"),
        }
    }
}

/// Returns the last part of a path in a workspace.
pub(super) fn name(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next();
    name.filter(|name| !matches!(*name, "" | "." | ".."))
}

/// Returns a path of something in a folder of a workspace.
pub(super) fn below(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{}/{name}", folder.trim_end_matches('/')),
    }
}

/// Returns a path of something in a folder of a workspace, whatever their names are.
pub(super) fn below_bytes(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        b"" => name.to_vec(),
        [before @ .., b'/'] => [before, b"/", name].concat(),
        folder => [folder, b"/", name].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_after_a_name_means_a_workspace() {
        let there = |workspace: &str, path: &str| Place::There {
            workspace: workspace.parse().unwrap(),
            path: path.to_owned(),
        };
        for (text, place) in [
            ("api:src/main.rs", there("api", "src/main.rs")),
            ("api.ada:/etc/hosts", there("api.ada", "/etc/hosts")),
            ("api:", there("api", "")),
            ("api:~/a", there("api", "a")),
            ("api:a:b", there("api", "a:b")),
            ("./a:b", Place::Here("./a:b".into())),
            ("A B:c", Place::Here("A B:c".into())),
            ("plain", Place::Here("plain".into())),
        ] {
            assert_eq!(text.parse::<Place>().unwrap(), place, "{text}");
        }
        assert_eq!(name("/a/b/"), Some("b"));
        assert_eq!((name("."), name("/"), name("a/..")), (None, None, None));
        assert_eq!(below("", "a"), "a");
        assert_eq!(below("/", "a"), "/a");
        assert_eq!(below("b/", "a"), "b/a");
        for folder in ["", "/", "b", "b/"] {
            let bytes = below_bytes(folder.as_bytes(), b"a");
            assert_eq!(bytes, below(folder, "a").into_bytes());
        }
    }
}
