//! Values that come as texts: from the environment and the command line.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Flags, Layer, Origin, nearest};

/// What every variable of the environment begins with.
const PREFIX: &str = "DEVGATE_";

/// Variables that are flags of a command and no keys of the configuration, and
/// what else may stand in an environment with our prefix.
const OTHER_VARIABLES: [&str; 8] = [
    "DEVGATE_CONFIG",
    "DEVGATE_AUTHORIZED_KEY",
    "DEVGATE_KEEP_AWAKE",
    "DEVGATE_OWNER",
    "DEVGATE_WORKSPACE",
    "DEVGATE_WORKSPACE_ID",
    "DEVGATE_READY_FILE",
    "DEVGATE_LOG",
];

/// Reads the environment's values. What looks like ours and isn't is only told.
pub(super) fn from_environment(
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

/// Reads the values of the command line.
pub(super) fn from_flags(flags: &Flags, template: &BTreeMap<String, Value>) -> Layer {
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
