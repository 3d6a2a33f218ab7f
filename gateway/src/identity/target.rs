//! Where a person wants to go.

use std::fmt;
use std::str::FromStr;

use crate::names::{UserName, WorkspaceName};

/// Longest text that an error quotes, in characters.
const MAX_QUOTED: usize = 85;

/// A workspace as people write it: `WORKSPACE` for one of their own,
/// `WORKSPACE.OWNER` for anybody's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Its name.
    pub workspace: WorkspaceName,
    /// Its owner; the caller where absent.
    pub owner: Option<UserName>,
}

/// A text that names no workspace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} does not name a workspace: write WORKSPACE or WORKSPACE.OWNER, \
     each out of a-z, 0-9 and '-'"
)]
pub struct InvalidTarget(String);

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let (workspace, owner) = match text.split_once('.') {
            Some((workspace, owner)) => (workspace, Some(owner)),
            None => (text, None),
        };
        let invalid = || InvalidTarget(text.chars().take(MAX_QUOTED).collect());
        Ok(Self {
            workspace: workspace.parse().map_err(|_| invalid())?,
            owner: owner.map(str::parse).transpose().map_err(|_| invalid())?,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "{}.{owner}", self.workspace),
            None => write!(f, "{}", self.workspace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_workspace_with_or_without_its_owner() {
        let own: Target = "api".parse().unwrap();
        assert_eq!((own.workspace.as_str(), own.owner), ("api", None));
        let shared: Target = "api.ada".parse().unwrap();
        assert_eq!(shared.owner.as_ref().map(UserName::as_str), Some("ada"));
        assert_eq!(shared.to_string(), "api.ada");
    }

    #[test]
    fn what_is_no_target_is_refused_in_bounded_length() {
        let long = "a".repeat(300);
        for bad in [
            "", ".", "api.", ".ada", "a.b.c", "../etc", "a b", "Ä", "a\0b", "api.ADA", "-x", &long,
        ] {
            let error = bad.parse::<Target>().unwrap_err();
            assert!(error.to_string().len() < 300, "{bad:?}");
        }
    }
}
