//! The configuration file: TOML, each value with its line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Layer, Origin, join, nearest};

/// Largest configuration file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads a file's values.
///
/// # Errors
/// Where it can't be read, isn't TOML, or has a key that there isn't.
pub(super) fn from_file(
    path: &Path,
    template: &BTreeMap<String, Value>,
) -> Result<Layer, ConfigError> {
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
        DeValue::Table(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                let value = to_json(value.get_ref(), key, origin)?;
                Ok((name.get_ref().to_string(), value))
            });
            Value::Object(entries.collect::<Result<_, _>>()?)
        }
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
