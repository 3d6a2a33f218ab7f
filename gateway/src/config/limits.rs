//! What people may have: the section `[limits]`.

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Cpus, Period, Size};

/// What people may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// How long the homes aren't measured after they were, at least. Default: 10 min.
    pub disk_interval: Period,
    /// Each user.
    pub user: AllowanceConfig,
    /// All users together.
    pub total: AllowanceConfig,
}

/// What the workspaces of a user, or of all, may be together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AllowanceConfig {
    /// How many there may be, without deleted ones. Absent: any number.
    #[serde(default, deserialize_with = "count")]
    pub workspaces: Option<u32>,
    /// How many may run at once. Absent: any number.
    #[serde(default, deserialize_with = "count")]
    pub running: Option<u32>,
    /// Processors of those that run, by `docker.cpus`. Absent: any number.
    pub cpus: Option<Cpus>,
    /// Memory of those that run, by `docker.memory`. Absent: any.
    pub memory: Option<Size>,
    /// What the homes may take up before no more is made or started. Absent: anything.
    pub disk: Option<Size>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            disk_interval: Period::seconds(600),
            user: AllowanceConfig::default(),
            total: AllowanceConfig::default(),
        }
    }
}

/// A number, or one as a text: the environment has no other, and no default tells what
/// kind of value it is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
    Other(IgnoredAny),
}

fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let no_count = || D::Error::custom("write a whole number from 0 on, as in 20");
    match Option::deserialize(from)? {
        None => Ok(None),
        Some(Written::Number(number)) => Ok(Some(number)),
        Some(Written::Text(text)) => text.trim().parse().map(Some).map_err(|_| no_count()),
        Some(Written::Other(_)) => Err(no_count()),
    }
}
