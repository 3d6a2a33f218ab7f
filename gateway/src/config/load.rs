//! Puts the layers together and says of a bad value where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::Serialized;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{Config, check};

/// Largest configuration file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// What every variable of the environment begins with.
const PREFIX: &str = "DEVGATE_";

/// Variables that are flags of a command and no keys of the configuration, and
/// what else may stand in an environment with our prefix.
const OTHER_VARIABLES: [&str; 5] = [
    "DEVGATE_CONFIG",
    "DEVGATE_AUTHORIZED_KEY",
    "DEVGATE_WORKSPACE",
    "DEVGATE_READY_FILE",
    "DEVGATE_LOG",
];

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

fn from_file(path: &Path, template: &BTreeMap<String, Value>) -> Result<Layer, ConfigError> {
    let text = read(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let table = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        ConfigError::Syntax {
            place: Origin::Line(path.to_owned(), line_of(&text, at)).to_string(),
            problem: error.message().replace('\n', "; "),
        }
    })?;
    let mut layer = Layer {
        values: BTreeMap::new(),
    };
    let source = Source {
        path,
        text: &text,
        template,
    };
    source.walk("", table.get_ref(), &mut layer)?;
    Ok(layer)
}

/// A file being read.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    template: &'a BTreeMap<String, Value>,
}

impl Source<'_> {
    fn walk(
        &self,
        prefix: &str,
        table: &DeTable<'_>,
        layer: &mut Layer,
    ) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = join(prefix, name.get_ref());
            let origin = Origin::Line(self.path.to_owned(), line_of(self.text, name.span().start));
            let is_section = self.template.keys().any(|known| {
                known
                    .strip_prefix(&key)
                    .is_some_and(|rest| rest.starts_with('.'))
            });
            match value.get_ref() {
                DeValue::Table(inner) if is_section => self.walk(&key, inner, layer)?,
                _ if is_section => {
                    return Err(ConfigError::Value {
                        place: origin.to_string(),
                        problem: format!("it is a section: write [{key}] and its keys below"),
                        key,
                    });
                }
                DeValue::Table(entries) if self.is_map(&key) => {
                    let plain = self.texts(&key, entries)?;
                    layer.values.insert(key, (plain, origin));
                }
                value if self.template.contains_key(&key) => {
                    let plain = to_json(value, &key, &origin)?;
                    layer.values.insert(key, (plain, origin));
                }
                _ => {
                    return Err(ConfigError::UnknownKey {
                        place: origin.to_string(),
                        nearest: nearest(&key, self.template.keys()),
                        key,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Source<'_> {
    /// Tells whether a key takes names of the reader's own.
    fn is_map(&self, key: &str) -> bool {
        self.template.get(key).is_some_and(Value::is_object)
    }

    /// Reads such a table; its values are texts.
    fn texts(&self, key: &str, table: &DeTable<'_>) -> Result<Value, ConfigError> {
        let texts = table.iter().map(|(name, value)| match value.get_ref() {
            DeValue::String(text) => {
                Ok((name.get_ref().to_string(), Value::from(text.to_string())))
            }
            _ => Err(ConfigError::Value {
                place: Origin::Line(self.path.to_owned(), line_of(self.text, name.span().start))
                    .to_string(),
                key: join(key, name.get_ref()),
                problem: "write the value in quotes".to_owned(),
            }),
        });
        texts.collect::<Result<_, _>>().map(Value::Object)
    }
}

fn to_json(value: &DeValue<'_>, key: &str, origin: &Origin) -> Result<Value, ConfigError> {
    let wrong = |problem: &str| ConfigError::Value {
        place: origin.to_string(),
        key: key.to_owned(),
        problem: problem.to_owned(),
    };
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| wrong("the number is too large"))?
            .into(),
        DeValue::Array(entries) => entries
            .iter()
            .map(|entry| to_json(entry.get_ref(), key, origin))
            .collect::<Result<_, _>>()?,
        DeValue::Float(_) => return Err(wrong("write a whole number")),
        DeValue::Datetime(_) => return Err(wrong("a date is not allowed here")),
        DeValue::Table(_) => return Err(wrong("a table is not allowed here")),
    })
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_FILE) {
        return Ok(text);
    }
    Err(io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it is larger than {MAX_FILE} bytes"),
    ))
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text
        .get(..at)
        .map_or(0, |before| before.matches('\n').count())
}

fn from_environment(
    environment: impl IntoIterator<Item = (String, String)>,
    template: &BTreeMap<String, Value>,
    warnings: &mut Vec<String>,
) -> Layer {
    let names: BTreeMap<String, &String> =
        template.keys().map(|key| (variable(key), key)).collect();
    let mut values = BTreeMap::new();
    for (name, text) in environment {
        if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        if let Some((&key, default)) = names
            .get(&name)
            .and_then(|key| Some((key, template.get(*key)?)))
        {
            values.insert(key.clone(), (parse(&text, default), Origin::Variable(name)));
        } else if let Some(near) = nearest(&name, names.keys()) {
            // Other programs set variables of our prefix too (a Kubernetes
            // service called `devgate` does), so this is no error.
            warnings.push(format!(
                "{name} in the environment is no setting: did you mean {near}?"
            ));
        }
    }
    Layer { values }
}

/// Returns the variable that sets `key`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace(['.', '-'], "_").to_uppercase())
}

fn from_flags(flags: &Flags, template: &BTreeMap<String, Value>) -> Layer {
    let values = flags.0.iter().map(|(flag, key, text)| {
        let default = template.get(*key).unwrap_or(&Value::Null);
        (
            (*key).to_owned(),
            (parse(text, default), Origin::Flag(flag)),
        )
    });
    Layer {
        values: values.collect(),
    }
}

/// Reads a text as the kind of value that the default is; what doesn't fit stays
/// a text and is refused with the rest.
fn parse(text: &str, default: &Value) -> Value {
    match default {
        Value::Number(_) => text
            .trim()
            .parse::<i64>()
            .map_or_else(|_| text.into(), Value::from),
        Value::Bool(_) => text
            .trim()
            .parse::<bool>()
            .map_or_else(|_| text.into(), Value::from),
        Value::Array(_) => text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .collect(),
        Value::Object(_) => text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(|entry| {
                let (name, value) = entry.split_once('=')?;
                Some((name.to_owned(), Value::from(value)))
            })
            .collect::<Option<_>>()
            .map_or_else(|| text.into(), Value::Object),
        _ => text.into(),
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
mod tests {
    use super::*;

    const NONE: [(String, String); 0] = [];

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devgate.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn error_of(text: &str) -> String {
        let (folder, path) = file(text);
        let error = load(Some(&path), NONE, &Flags::default())
            .unwrap_err()
            .to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    }

    fn environment(name: &str, value: &str) -> [(String, String); 1] {
        [(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn later_layers_win_and_siblings_are_kept() {
        let (_folder, path) = file("[ssh]\nlisten = \"0.0.0.0:22\"\nmax-unauthenticated = 7\n");
        let loaded = load(Some(&path), NONE, &Flags::default()).unwrap();
        assert_eq!(loaded.config.ssh.listen.to_string(), "0.0.0.0:22");
        assert_eq!(loaded.config.ssh.max_unauthenticated, 7);
        assert_eq!(loaded.config.ssh.keepalive_count, 6);

        let variables = environment("DEVGATE_SSH_LISTEN", "localhost:23");
        let loaded = load(Some(&path), variables.clone(), &Flags::default()).unwrap();
        assert_eq!(loaded.config.ssh.listen.to_string(), "localhost:23");
        assert_eq!(loaded.config.ssh.max_unauthenticated, 7);

        let mut flags = Flags::default();
        flags.set("--ssh-listen", "ssh.listen", Some("localhost:24"));
        let loaded = load(Some(&path), variables, &flags).unwrap();
        assert_eq!(loaded.config.ssh.listen.to_string(), "localhost:24");
    }

    #[test]
    fn the_environment_sets_numbers_lists_and_what_is_absent_by_default() {
        let variables = [
            (
                "DEVGATE_SSH_MAX_UNAUTHENTICATED".to_owned(),
                "12".to_owned(),
            ),
            (
                "DEVGATE_HTTP_NAMES".to_owned(),
                "a.example, 10.0.0.1".to_owned(),
            ),
            ("DEVGATE_PROCESS_AGENT".to_owned(), "/opt/agent".to_owned()),
        ];
        let config = load(None, variables, &Flags::default()).unwrap().config;
        assert_eq!(config.ssh.max_unauthenticated, 12);
        assert_eq!(config.http.names, ["a.example", "10.0.0.1"]);
        assert_eq!(config.process.agent, Some(PathBuf::from("/opt/agent")));
    }

    #[test]
    fn an_environment_has_names_of_the_readers_own() {
        let (_folder, path) = file("[process.environment]\nEDITOR = \"vim\"\nTZ = \"UTC\"\n");
        let variables = environment("DEVGATE_PROCESS_ENVIRONMENT", "TZ=Europe/Berlin, A=b=c");
        let config = load(Some(&path), variables, &Flags::default())
            .unwrap()
            .config;
        let set = config.process.environment.iter();
        let set: Vec<_> = set.map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(set, ["A=b=c", "EDITOR=vim", "TZ=Europe/Berlin"]);
        assert_eq!(
            error_of("[process.environment]\nN = 3\n"),
            "devgate.toml:2: process.environment.N: write the value in quotes"
        );
        assert!(error_of("[process.environment]\nDEVGATE_X = \"1\"\n").contains("DEVGATE_X"));
        assert!(error_of("[process]\nenvironment = 3\n").contains("process.environment"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_one() {
        assert_eq!(
            error_of("[ssh]\n\nlisten = \"[::]:22\"\nmax-unauthentcated = 3\n"),
            "devgate.toml:4: unknown key \"ssh.max-unauthentcated\": did you mean \"ssh.max-unauthenticated\"?"
        );
        assert_eq!(
            error_of("listen = \"[::]:22\"\n"),
            "devgate.toml:1: unknown key \"listen\": did you mean \"ssh.listen\"?"
        );
        assert_eq!(
            error_of("[weather]\nsunny = true\n"),
            "devgate.toml:1: unknown key \"weather\": `devgate config print` shows all keys"
        );
    }

    #[test]
    fn a_bad_value_is_refused_with_its_place_and_what_is_allowed() {
        assert_eq!(
            error_of("drain-timeout = \"soon\""),
            "devgate.toml:1: drain-timeout: \"soon\" is not a time: write a whole number and \
             a unit, as in 500ms, 30s, 10m, 1h or 7d"
        );
        assert_eq!(
            error_of("[process]\nreach = \"carrier-pigeon\""),
            "devgate.toml:2: process.reach: \"carrier-pigeon\" is not allowed: choose from unix, dial"
        );
        assert_eq!(
            error_of("ssh = 3"),
            "devgate.toml:1: ssh: it is a section: write [ssh] and its keys below"
        );
        assert_eq!(
            error_of("[lockout]\nfailures = 0"),
            "devgate.toml:2: lockout.failures: 0 is out of range: 1 to 1000000 are allowed"
        );
        assert!(
            error_of("[ssh]\nmax-unauthenticated = \"many\"")
                .starts_with("devgate.toml:2: ssh.max-unauthenticated: ")
        );
        assert!(
            error_of("[ssh]\nmax-unauthenticated = -1")
                .starts_with("devgate.toml:2: ssh.max-unauthenticated: ")
        );
        assert!(error_of("[http]\nnames = [1]").starts_with("devgate.toml:2: http.names"));

        let variables = environment("DEVGATE_SSH_LISTEN", "nowhere");
        let error = load(None, variables, &Flags::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("DEVGATE_SSH_LISTEN: ssh.listen: \"nowhere\" is not an address"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        let error = error_of("[ssh]\nlisten = \n");
        assert!(
            error.starts_with("devgate.toml:2: not valid TOML: "),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn a_file_that_is_missing_or_huge_is_named() {
        let error = load(Some(Path::new("/nowhere/x.toml")), NONE, &Flags::default());
        assert!(error.unwrap_err().to_string().contains("/nowhere/x.toml"));
        assert!(error_of(&"# long\n".repeat(200_000)).contains("larger than"));
    }

    #[test]
    fn a_misspelt_variable_is_only_told() {
        let variables = [
            ("DEVGATE_SSH_LISTN".to_owned(), "x".to_owned()),
            ("DEVGATE_PORT_8443_TCP_ADDR".to_owned(), "x".to_owned()),
            ("DEVGATE_WORKSPACE".to_owned(), "x".to_owned()),
        ];
        let loaded = load(None, variables, &Flags::default()).unwrap();
        assert_eq!(
            loaded.warnings,
            [
                "DEVGATE_SSH_LISTN in the environment is no setting: did you mean DEVGATE_SSH_LISTEN?"
            ]
        );
    }
}
