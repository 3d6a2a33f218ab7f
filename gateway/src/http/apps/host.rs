//! Where applications are found: `PORT--WORKSPACE--OWNER` or `editor--WORKSPACE--OWNER`
//! before the domain. Where those names make too long a label for DNS, the workspace's id
//! stands in their place: `PORT--ID` or `editor--ID`.
//!
//! Invariant: all links to applications are made here ([`address`], [`Place::of`]).

use std::fmt;
use std::str::FromStr;

use crate::http::site::Site;
use crate::identity::{Inside, WorkspaceRef};
use crate::workspaces::Workspace;

/// First part of the editor's host.
const EDITOR: &str = "editor";

/// Longest first part of a host, in bytes: `editor`, as ports have five digits at most.
const MAX_FIRST: usize = EDITOR.len();

/// Longest label of a host name (RFC 1035 §2.3.4), in bytes.
const MAX_LABEL: usize = 63;

/// An application's place: what, in which workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// What is opened.
    pub inside: Inside,
    /// The workspace, as its host or path names it.
    pub workspace: WorkspaceRef,
}

/// What a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// An application that listens on a port.
    Port(u16),
    /// One on a port that is put in for `{port}`.
    AnyPort,
    /// The editor.
    Editor,
}

/// A label that names no application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an application's host begins with PORT--WORKSPACE--OWNER or editor--WORKSPACE--OWNER, \
     of at most {MAX_LABEL} characters, or with the workspace's id: PORT--ID or editor--ID"
)]
pub struct InvalidPlace;

impl Place {
    /// Returns the place that links to something in a workspace lead to.
    pub fn of(workspace: &Workspace, inside: Inside) -> Self {
        Self {
            inside,
            workspace: linked(workspace),
        }
    }

    /// Whether links name the workspace like this, so that a host can.
    pub(super) fn fits(&self) -> bool {
        fits(&self.workspace)
    }
}

/// Returns the address of something inside a workspace, with a slash at its end.
pub fn address(site: &Site, workspace: &Workspace, opens: Opens) -> String {
    if let Some(origin) = site.application(&label(opens, &linked(workspace))) {
        return format!("{origin}/");
    }
    let (dashboard, owner, name) = (site.dashboard(), &workspace.owner_name, &workspace.name);
    match opens {
        Opens::Editor => format!("{dashboard}/@{owner}/{name}/editor/"),
        port => format!("{dashboard}/@{owner}/{name}/apps/{port}/"),
    }
}

/// Says how links name a workspace: in one way, whatever they open in it.
fn linked(workspace: &Workspace) -> WorkspaceRef {
    let named = WorkspaceRef::by_name(workspace);
    if fits(&named) {
        return named;
    }
    WorkspaceRef::Id(workspace.id.clone())
}

fn fits(workspace: &WorkspaceRef) -> bool {
    MAX_FIRST + label_end(workspace).len() <= MAX_LABEL
}

fn label(opens: Opens, workspace: &WorkspaceRef) -> String {
    format!("{opens}{}", label_end(workspace))
}

fn label_end(workspace: &WorkspaceRef) -> String {
    match workspace {
        WorkspaceRef::Named { workspace, owner } => format!("--{workspace}--{owner}"),
        WorkspaceRef::Id(id) => format!("--{id}"),
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(label: &str) -> Result<Self, InvalidPlace> {
        if label.len() > MAX_LABEL {
            return Err(InvalidPlace);
        }
        let mut parts = label.split("--");
        let (Some(inside), Some(second), third, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidPlace);
        };
        let workspace = match third {
            Some(owner) => WorkspaceRef::Named {
                workspace: second.parse().map_err(|_| InvalidPlace)?,
                owner: owner.parse().map_err(|_| InvalidPlace)?,
            },
            None => WorkspaceRef::Id(second.parse().map_err(|_| InvalidPlace)?),
        };
        Ok(Self {
            inside: inside_of(inside)?,
            workspace,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opens = match self.inside {
            Inside::Port(port) => Opens::Port(port),
            Inside::Editor => Opens::Editor,
        };
        f.write_str(&label(opens, &self.workspace))
    }
}

impl fmt::Display for Opens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "{port}"),
            Self::AnyPort => f.write_str("{port}"),
            Self::Editor => f.write_str(EDITOR),
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
    use std::sync::Arc;

    use time::OffsetDateTime;

    use super::*;
    use crate::config::{Applications, HttpConfig};
    use crate::names::UserId;
    use crate::workspaces::Blueprint;

    /// Returns a workspace whose name and owner's name have these lengths.
    fn of_lengths(name: usize, owner: usize) -> Workspace {
        Workspace {
            id: "abcdefgh01234567".parse().unwrap(),
            name: "a".repeat(name).parse().unwrap(),
            owner: UserId::random(),
            owner_name: "b".repeat(owner).parse().unwrap(),
            created: OffsetDateTime::UNIX_EPOCH,
            expires: None,
            blueprint: Arc::new(Blueprint::default()),
        }
    }

    #[test]
    fn a_label_names_an_application_in_one_way() {
        for label in [
            "3000--api--ada",
            "editor--my-api--ada",
            "1--a--b",
            "3000--abcdefgh01234567",
            "editor--abcdefgh01234567",
        ] {
            let place: Place = label.parse().unwrap();
            assert_eq!(place.to_string(), label);
        }
        for bad in [
            "",
            "3000",
            "api--ada",
            "3000--abcdefgh0123456",
            "3000--abcdefgh0123456-",
            "03000--abcdefgh01234567",
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

    #[test]
    fn links_to_workspaces_of_any_names_have_labels_that_dns_takes() {
        let site = Site::new(&HttpConfig::default(), 443).unwrap();
        for (workspace, owner, by_name) in [
            (1, 1, true),
            (40, 13, true),
            (40, 14, false),
            (14, 40, false),
            (40, 40, false),
        ] {
            let workspace = of_lengths(workspace, owner);
            for inside in [Inside::Port(1), Inside::Port(65535), Inside::Editor] {
                let place = Place::of(&workspace, inside);
                let label = place.to_string();
                assert!(label.len() <= MAX_LABEL, "{label}");
                assert_eq!(label.parse(), Ok(place.clone()));
                assert_eq!(
                    place.workspace == WorkspaceRef::by_name(&workspace),
                    by_name
                );
            }
            let [one, any] =
                [Opens::Port(65535), Opens::AnyPort].map(|opens| address(&site, &workspace, opens));
            assert_eq!(any.replace("{port}", "65535"), one);
        }
    }

    #[test]
    fn paths_hold_names_of_any_length() {
        let config = HttpConfig {
            applications: Applications::Path,
            ..HttpConfig::default()
        };
        let site = Site::new(&config, 443).unwrap();
        let workspace = of_lengths(40, 40);
        let (name, owner) = (&workspace.name, &workspace.owner_name);
        let path = format!("/@{owner}/{name}/apps/3000/");
        assert!(address(&site, &workspace, Opens::Port(3000)).ends_with(&path));
        let path = format!("/@{owner}/{name}/editor/");
        assert!(address(&site, &workspace, Opens::Editor).ends_with(&path));
    }
}
