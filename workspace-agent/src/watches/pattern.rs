//! Which paths a watch tells of.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Most patterns of a kind, and longest one, in bytes.
const MAX_PATTERNS: usize = 100;
const MAX_PATTERN: usize = 1024;

/// What is told of, and what isn't.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    /// `None`: everything.
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Patterns {
    /// Reads patterns. One without a slash means a name in any folder.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, String> {
        let include = match include {
            [] => None,
            some => Some(set(some)?),
        };
        let exclude = set(exclude)?;
        Ok(Self { include, exclude })
    }

    /// Whether what is there is told of; the path begins at the watched folder.
    pub(super) fn tell(&self, path: &Path) -> bool {
        let included = self.include.as_ref();
        included.is_none_or(|include| include.is_match(path)) && !self.exclude.is_match(path)
    }

    /// Whether a folder is looked into.
    pub(super) fn look_into(&self, folder: &Path) -> bool {
        !self.exclude.is_match(folder)
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, String> {
    if patterns.len() > MAX_PATTERNS {
        return Err(format!("there are at most {MAX_PATTERNS} patterns"));
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        if pattern.is_empty() || pattern.len() > MAX_PATTERN {
            return Err(format!("a pattern has 1 to {MAX_PATTERN} bytes"));
        }
        let anywhere = match pattern.strip_prefix('/') {
            Some(from_root) => from_root.to_owned(),
            None if pattern.trim_end_matches('/').contains('/') => pattern.clone(),
            None => format!("**/{pattern}"),
        };
        let glob = GlobBuilder::new(anywhere.trim_end_matches('/'))
            .literal_separator(true)
            .build();
        set.add(glob.map_err(|error| format!("the pattern {pattern:?} can't be read: {error}"))?);
    }
    set.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_names_anywhere_or_paths_from_the_folder() {
        let owned =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(|&text| text.to_owned()).collect() };
        let patterns = Patterns::new(
            &owned(&["*.rs", "docs/**/*.md", "/top"]),
            &owned(&["target/", "docs/private/**"]),
        )
        .unwrap();
        for (path, told) in [
            ("a.rs", true),
            ("src/deep/a.rs", true),
            ("a.md", false),
            ("docs/a.md", true),
            ("docs/x/y/a.md", true),
            ("docs/private/a.md", false),
            ("top", true),
            ("x/top", false),
        ] {
            assert_eq!(patterns.tell(Path::new(path)), told, "{path}");
        }
        assert!(!patterns.look_into(Path::new("x/target")));
        assert!(patterns.look_into(Path::new("docs")));
        assert!(Patterns::new(&owned(&["[a"]), &[]).is_err());
        assert!(Patterns::new(&owned(&[""]), &[]).is_err());
    }
}
