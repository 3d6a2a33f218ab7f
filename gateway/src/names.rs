//! The names and ids that people and machines use, checked once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
pub const MAX_NAME: usize = 40;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a valid name: use 1 to {MAX_NAME} characters out of a-z, 0-9 and '-', \
     beginning and ending with a letter or digit, and no two '-' in a row"
)]
pub struct InvalidName(String);

/// Names one workspace among its owner's: 1 to 40 bytes of `[a-z0-9-]`, so also
/// a DNS label; `--` is left free to separate labels in host names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkspaceName(String);

/// Names one user, by the same rules as a workspace; or nobody, whom no text names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

/// Names one template, by the same rules as a workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateName(String);

/// Names one snapshot among its owner's, by the same rules as a workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotName(String);

/// Id of a workspace: 16 bytes of `[a-z0-9]`, never used again for another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkspaceId(String);

/// Id of a user, of the same form; or nobody's, who has what belongs to no user yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

/// Id of a login, of the same form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LoginId(String);

/// Id of an API token, of the same form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(String);

/// Id of an approval that lets SSH connections in, of the same form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApprovalId(String);

/// Id of a lease that keeps a workspace awake, of the same form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LeaseId(String);

/// Id of a snapshot, of the same form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId(String);

/// Id of an installation among those that share a Docker Engine, of the same form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstallationId(String);

macro_rules! checked {
    ($type:ident, $valid:path) => {
        impl $type {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if $valid(text) {
                    return Ok(Self(text.to_owned()));
                }
                // What is refused is quoted, but not at any length.
                Err(InvalidName(text.chars().take(2 * MAX_NAME).collect()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

checked!(WorkspaceName, is_name);
checked!(UserName, is_name);
checked!(TemplateName, is_name);
checked!(SnapshotName, is_name);
checked!(SnapshotId, is_id);
checked!(WorkspaceId, is_id);
checked!(UserId, is_id);
checked!(LoginId, is_id);
checked!(TokenId, is_id);
checked!(InstallationId, is_id);
checked!(LeaseId, is_id);
checked!(ApprovalId, is_id);

macro_rules! random_id {
    ($($type:ident),+) => {
        $(impl $type {
            /// Returns a new id.
            pub fn random() -> Self {
                const ALPHABET: [char; 36] = [
                    'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
                    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '0', '1', '2', '3',
                    '4', '5', '6', '7', '8', '9',
                ];
                use rand::seq::IndexedRandom;
                let mut rng = rand::rng();
                Self((0..ID_LENGTH).filter_map(|_| ALPHABET.choose(&mut rng)).collect())
            }
        })+
    };
}

random_id!(
    WorkspaceId,
    UserId,
    LoginId,
    TokenId,
    SnapshotId,
    InstallationId,
    LeaseId,
    ApprovalId
);

const ID_LENGTH: usize = 16;

/// How many letters and digits tell workspaces apart that nobody has named.
const DISTINCT: usize = 8;

impl WorkspaceName {
    /// Returns a name for a workspace of a template that nobody has named.
    pub fn unnamed(template: &TemplateName) -> Self {
        let begin: String = template.0.chars().take(MAX_NAME - DISTINCT - 1).collect();
        let distinct = WorkspaceId::random()
            .0
            .chars()
            .take(DISTINCT)
            .collect::<String>();
        Self(format!("{}-{distinct}", begin.trim_end_matches('-')))
    }
}

impl UserId {
    /// Returns the id of nobody, whose row the records have.
    pub fn nobody() -> Self {
        Self("warmpoolofnobody".to_owned())
    }
}

impl UserName {
    /// Returns what nobody is called: no user can be called so, and no text asks for it.
    pub fn nobody() -> Self {
        Self("~nobody".to_owned())
    }
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels_without_a_double_hyphen() {
        for good in ["a", "api", "api-2", "0", &"x".repeat(40)] {
            assert!(good.parse::<WorkspaceName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "a--b",
            "Api",
            "a b",
            "../a",
            "ä",
            "a.b",
            &"x".repeat(41),
        ] {
            assert!(bad.parse::<WorkspaceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_name_is_quoted_in_bounded_length() {
        let error = "../".repeat(1000).parse::<UserName>().unwrap_err();
        assert!(error.to_string().len() < 300);
    }

    #[test]
    fn a_workspace_that_nobody_has_named_has_a_name() {
        for template in [
            "go",
            &"x".repeat(40),
            &format!("{}-xxxxxxxxx", "x".repeat(30)),
        ] {
            let name = WorkspaceName::unnamed(&template.parse().unwrap());
            assert_eq!(name.as_str().parse(), Ok(name.clone()));
        }
    }

    #[test]
    fn no_text_names_nobody_and_their_id_is_an_id() {
        assert!(UserName::nobody().as_str().parse::<UserName>().is_err());
        assert_eq!(UserId::nobody().as_str().parse(), Ok(UserId::nobody()));
    }

    #[test]
    fn a_random_id_is_an_id() {
        let id = WorkspaceId::random();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(id, WorkspaceId::random());
    }
}
