//! Puts the layers together and says of a bad value where it came from.

mod file;
mod texts;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::Serialized;
use serde_json::Value;

use super::{Config, check};
use file::from_file;
use texts::{from_environment, from_flags};

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file isn't TOML.
    #[error("{place}: not valid TOML: {problem}")]
    Syntax {
        /// File and line.
        place: String,
        /// What the parser says.
        problem: String,
    },
    /// A key that there isn't.
    #[error("{place}: unknown key {key:?}{}", suggest(.nearest.as_deref()))]
    UnknownKey {
        /// File and line.
        place: String,
        /// The key's path.
        key: String,
        /// The key that is spelt most like it.
        nearest: Option<String>,
    },
    /// A value that isn't allowed.
    #[error("{place}: {key}: {problem}")]
    Value {
        /// File and line, variable or flag.
        place: String,
        /// The key's path.
        key: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
}

/// A usable configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Things worth telling that stop nothing, such as variables of the
    /// environment that look like ours and aren't.
    pub warnings: Vec<String>,
}

/// Values from the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(&'static str, &'static str, String)>);

/// One source of values.
struct Layer {
    /// The values by the path of their keys.
    values: BTreeMap<String, (Value, Origin)>,
}

/// Where a value came from.
#[derive(Clone, Debug)]
enum Origin {
    Line(PathBuf, usize),
    Variable(String),
    Flag(&'static str),
}

impl Flags {
    /// Adds the value of `flag` for the key with the path `key`, if there is one.
    pub fn set(&mut self, flag: &'static str, key: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.push((flag, key, value.to_string()));
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Loads the configuration from an optional file, the environment and flags.
///
/// # Errors
/// For the first thing that is wrong, naming the place, the key and what is
/// allowed.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &Flags,
) -> Result<Loaded, ConfigError> {
    let template = leaves(&defaults());
    let mut warnings = Vec::new();
    let mut layers = Vec::new();
    if let Some(path) = file {
        layers.push(from_file(path, &template)?);
    }
    layers.push(from_environment(environment, &template, &mut warnings));
    layers.push(from_flags(flags, &template));

    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    for (key, (value, _)) in layers.iter().flat_map(|layer| &layer.values) {
        figment = figment.merge(Serialized::default(key, value));
    }
    let place = |key: &str| {
        let set = layers.iter().rev().find_map(|layer| layer.find(key));
        set.map_or_else(|| "the default".to_owned(), ToString::to_string)
    };
    let mut config: Config = figment.extract().map_err(|error| {
        let key = error.path.join(".");
        ConfigError::Value {
            place: place(&key),
            problem: say(&error.kind),
            key,
        }
    })?;
    check::check(&config).map_err(|(key, problem)| ConfigError::Value {
        place: place(key),
        key: key.to_owned(),
        problem,
    })?;
    warnings.extend(check::warnings(&config));
    // Agents run elsewhere and need to find it from there.
    config.data_dir = std::path::absolute(&config.data_dir).unwrap_or(config.data_dir);
    Ok(Loaded { config, warnings })
}

/// Returns the paths of all keys, as in `ssh.listen`.
#[cfg(test)]
pub(super) fn keys() -> Vec<String> {
    leaves(&defaults()).into_keys().collect()
}

impl Layer {
    /// Returns where `key`, or the first entry of a list of that name, was set.
    fn find(&self, key: &str) -> Option<&Origin> {
        let mut key = key;
        loop {
            if let Some((_, origin)) = self.values.get(key) {
                return Some(origin);
            }
            // A bad entry of a list is reported as `list.0`.
            key = key.rsplit_once('.')?.0;
        }
    }
}

fn defaults() -> Value {
    serde_json::to_value(Config::default()).expect("the defaults have a JSON form")
}

/// Returns all values below the tables by their paths.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    fn walk(prefix: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
        match value {
            // An empty one is no section: its keys are the reader's own.
            Value::Object(table) if !table.is_empty() => {
                for (key, value) in table {
                    walk(&join(prefix, key), value, found);
                }
            }
            leaf => {
                found.insert(prefix.to_owned(), leaf.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk("", value, &mut found);
    found
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

fn say(kind: &figment::error::Kind) -> String {
    use figment::error::Kind;
    match kind {
        Kind::Message(text) => text.clone(),
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("found {found}, but it takes {expected}")
        }
        Kind::UnknownVariant(found, allowed) => {
            format!(
                "{found:?} is not allowed: choose from {}",
                allowed.join(", ")
            )
        }
        other => other.to_string(),
    }
}

fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    let last = key.rsplit('.').next().unwrap_or(key);
    known
        .map(|candidate| {
            let same_name = candidate.rsplit('.').next() == Some(last);
            let likeness = strsim::jaro_winkler(key, candidate);
            (if same_name { 1.0 } else { likeness }, candidate)
        })
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.clone())
}

fn suggest(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || ": `devgate config print` shows all keys".to_owned(),
        |key| format!(": did you mean {key:?}?"),
    )
}

#[cfg(test)]
mod tests;
