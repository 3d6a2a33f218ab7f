//! Settings of the editor that come with the workspace: those of the machine, which a
//! person's own win over.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value};
use tracing::warn;

/// Where they are, in the folder of the editor's data.
const FILE: &str = "Machine/settings.json";

/// Adds settings, a JSON object, to those that are there; what is there stays as it is.
///
/// # Errors
/// Where the file can't be written.
pub(super) fn add(data: &Path, settings: &str) -> io::Result<()> {
    let Ok(Value::Object(new)) = serde_json::from_str(settings) else {
        warn!("the editor's settings are no JSON object");
        return Ok(());
    };
    let path = data.join(FILE);
    let mut all = match fs::read_to_string(&path) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(Value::Object(all)) => all,
            // Somebody's own words, with comments: they are left alone.
            _ => return Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(error),
    };
    let before = all.len();
    for (name, value) in new {
        all.entry(name).or_insert(value);
    }
    if all.len() == before {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(&Value::Object(all))?;
    let written = path.with_extension("json.new");
    fs::write(&written, text + "\n")?;
    fs::rename(written, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_what_is_missing_is_added() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(FILE);
        let read = || fs::read_to_string(&path).unwrap();
        add(data.path(), r#"{"a": 1, "b": {"c": true}}"#).unwrap();
        let first: Value = serde_json::from_str(&read()).unwrap();
        assert_eq!(first, serde_json::json!({"a": 1, "b": {"c": true}}));
        add(data.path(), r#"{"a": 2, "d": "x"}"#).unwrap();
        let second: Value = serde_json::from_str(&read()).unwrap();
        assert_eq!(second["a"], 1);
        assert_eq!(second["d"], "x");
        fs::write(&path, "{ // mine\n}").unwrap();
        add(data.path(), r#"{"e": 1}"#).unwrap();
        assert_eq!(read(), "{ // mine\n}");
    }
}
