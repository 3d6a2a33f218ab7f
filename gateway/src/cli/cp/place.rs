//! Where something is: here, or in a workspace.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::identity::Target;

/// A path, here or in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Here(PathBuf),
    There {
        workspace: Target,
        /// Bytes, as names are. A relative one begins at the home, an empty one is the home.
        path: Vec<u8>,
    },
}

impl From<OsString> for Place {
    /// `./a:b` is a file here, as its colon comes after a slash.
    fn from(text: OsString) -> Self {
        let bytes = text.into_vec();
        let mut parts = bytes.splitn(2, |byte| *byte == b':');
        if let (Some(workspace), Some(path)) = (parts.next(), parts.next())
            && let Ok(workspace) = std::str::from_utf8(workspace)
            && let Ok(workspace) = workspace.parse()
        {
            let path = path.strip_prefix(b"~/").unwrap_or(path);
            let path: &[u8] = if path == b"~" { b"" } else { path };
            let path = path.to_owned();
            return Self::There { workspace, path };
        }
        Self::Here(OsString::from_vec(bytes).into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(path) => path.display().fmt(f),
            Self::There { workspace, path } => write!(f, "{workspace}:{}", shown(path)),
        }
    }
}

/// Returns the last part of a path in a workspace.
pub(super) fn name(path: &[u8]) -> Option<&[u8]> {
    let name = without_slashes(path).rsplit(|byte| *byte == b'/').next();
    name.filter(|name| !matches!(*name, b"" | b"." | b".."))
}

/// Returns a path of something in a folder of a workspace.
pub(super) fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        b"" => name.to_vec(),
        folder => [without_slashes(folder), b"/", name].concat(),
    }
}

/// Returns a path without slashes at its end.
pub(super) fn without_slashes(mut path: &[u8]) -> &[u8] {
    while let [before @ .., b'/'] = path {
        path = before;
    }
    path
}

/// Returns a path as a text.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_after_a_name_means_a_workspace() {
        let there = |workspace: &str, path: &str| Place::There {
            workspace: workspace.parse().unwrap(),
            path: path.as_bytes().to_owned(),
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
            assert_eq!(Place::from(OsString::from(text)), place, "{text}");
        }
        let odd = Place::There {
            workspace: "api".parse().unwrap(),
            path: b"a\xff".to_vec(),
        };
        assert_eq!(Place::from(OsString::from_vec(b"api:a\xff".to_vec())), odd);
        assert_eq!(name(b"/a/b/"), Some(&b"b"[..]));
        assert_eq!((name(b"."), name(b"/"), name(b"a/..")), (None, None, None));
        assert_eq!(below(b"", b"a"), b"a");
        assert_eq!(below(b"/", b"a"), b"/a");
        assert_eq!(below(b"b/", b"a"), b"b/a");
    }
}
