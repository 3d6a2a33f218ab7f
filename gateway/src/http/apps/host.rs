//! The hosts of applications: `PORT--WORKSPACE--OWNER` or `editor--WORKSPACE--OWNER`,
//! before the domain.

use std::fmt;
use std::str::FromStr;

use crate::identity::Inside;
use crate::names::{UserName, WorkspaceName};

/// First part of the editor's host.
const EDITOR: &str = "editor";

/// Longest label of a host name (RFC 1035 §2.3.4), in bytes.
const MAX_LABEL: usize = 63;

/// An application's place: what, in which workspace, of whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// What is opened.
    pub inside: Inside,
    /// The workspace.
    pub workspace: WorkspaceName,
    /// Whose it is.
    pub owner: UserName,
}

/// A label that names no application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an application's host begins with PORT--WORKSPACE--OWNER or editor--WORKSPACE--OWNER, \
     of at most {MAX_LABEL} characters"
)]
pub struct InvalidPlace;

impl Place {
    /// Whether both are in one workspace.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.workspace == other.workspace && self.owner == other.owner
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(label: &str) -> Result<Self, InvalidPlace> {
        if label.len() > MAX_LABEL {
            return Err(InvalidPlace);
        }
        let mut parts = label.split("--");
        let (Some(inside), Some(workspace), Some(owner), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidPlace);
        };
        Ok(Self {
            inside: inside_of(inside)?,
            workspace: workspace.parse().map_err(|_| InvalidPlace)?,
            owner: owner.parse().map_err(|_| InvalidPlace)?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            inside,
            workspace,
            owner,
        } = self;
        match inside {
            Inside::Port(port) => write!(f, "{port}--{workspace}--{owner}"),
            Inside::Editor => write!(f, "{EDITOR}--{workspace}--{owner}"),
        }
    }
}

/// Reads a port as it is written canonically, or the editor.
fn inside_of(text: &str) -> Result<Inside, InvalidPlace> {
    if text == EDITOR {
        return Ok(Inside::Editor);
    }
    port_of(text).map(Inside::Port).ok_or(InvalidPlace)
}

/// Reads a port, 1 to 65535, without a sign or leading zeros: one address each.
pub(super) fn port_of(text: &str) -> Option<u16> {
    let canonical = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_names_an_application_in_one_way() {
        for label in ["3000--api--ada", "editor--my-api--ada", "1--a--b"] {
            let place: Place = label.parse().unwrap();
            assert_eq!(place.to_string(), label);
        }
        for bad in [
            "",
            "3000",
            "api--ada",
            "0--api--ada",
            "03000--api--ada",
            "+3000--api--ada",
            "65536--api--ada",
            "3000--api--ada--x",
            "3000---api--ada",
            "3000--API--ada",
            "Editor--api--ada",
            "3000--api--",
            &format!("3000--{}--{}", "a".repeat(40), "b".repeat(20)),
        ] {
            assert_eq!(bad.parse::<Place>(), Err(InvalidPlace), "{bad}");
        }
    }
}
