//! Features that are folders of the repository
//! (containers.dev/implementors/features): what they say, and in which order they are
//! installed.

use super::common::{Common, expected, table, text, texts};
use super::document::{Entry, Value, parse};
use super::files::{Checkout, beside};
use super::read::Said;
use super::variables::{Plain, Variables};
use super::{DevcontainerError, Notes, Purpose};
use crate::config::DriverName;

/// Most features, those that others need included.
const MAX_FEATURES: usize = 100;

/// Longest value of an option, in bytes.
const MAX_OPTION: usize = 4096;

/// A feature to be installed.
#[derive(Debug)]
pub(super) struct Feature {
    /// Its id, by which others name it.
    pub(super) id: String,
    /// Its folder in the repository.
    pub(super) folder: String,
    /// Its options, as variables.
    pub(super) options: Vec<(String, String)>,
    pub(super) common: Common,
    /// How it is named in the file.
    name: String,
    /// Folders of those that it needs.
    needs: Vec<String>,
    /// Those that come before it where they are there.
    after: Vec<String>,
}

/// A feature that is wanted, before it is looked at.
struct Wanted {
    /// What it is named in, and where.
    file: String,
    entry: Entry,
}

/// Returns the features in the order in which they are installed. Those that aren't the
/// repository's own are named.
pub(super) fn gather(
    checkout: &Checkout,
    file: &str,
    said: &Said,
    (variables, purpose): (&Variables, Purpose<'_>),
    notes: &mut Notes,
) -> Result<Vec<Feature>, DevcontainerError> {
    let mut features: Vec<Feature> = Vec::new();
    let wanted = said.features.iter().map(|entry| Wanted {
        file: file.to_owned(),
        entry: entry.clone(),
    });
    let mut waiting: std::collections::VecDeque<_> = wanted.collect();
    while let Some(Wanted { file: by, entry }) = waiting.pop_front() {
        let mut own = Notes::new(&by);
        let key = format!("features.{}", entry.name);
        if purpose.driver == DriverName::Process {
            own.note(
                entry.line,
                &key,
                "nothing is installed where workspaces are processes",
            );
        } else if let Some(folder) = folder(file, &entry, &own)? {
            // One that another one needs, too, is installed once.
            if features.iter().any(|it| it.folder == folder) {
                continue;
            }
            if features.len() >= MAX_FEATURES {
                let problem = format!("there are more than {MAX_FEATURES}");
                return Err(own.wrong(entry.line, "features", &problem));
            }
            let (feature, needed) = read(checkout, file, (folder, &entry), variables, &mut own)?;
            features.push(feature);
            waiting.extend(needed);
        } else {
            let why =
                "it isn't installed: only features in the repository, ./FOLDER, are supported";
            own.note(entry.line, &key, why);
        }
        notes.take(own);
    }
    order(features, &said.order, notes)
}

/// Returns a feature's folder, if it is one of the repository's own.
fn folder(file: &str, entry: &Entry, notes: &Notes) -> Result<Option<String>, DevcontainerError> {
    if !entry.name.starts_with("./") && !entry.name.starts_with("../") {
        return Ok(None);
    }
    let folder = beside(file, &entry.name);
    folder
        .map(Some)
        .map_err(|problem| notes.wrong(entry.line, &entry.name, problem))
}

/// Reads a feature's metadata. Returns those that it needs with it.
fn read(
    checkout: &Checkout,
    file: &str,
    (folder, asked): (String, &Entry),
    variables: &Variables,
    notes: &mut Notes,
) -> Result<(Feature, Vec<Wanted>), DevcontainerError> {
    let about = format!("{folder}/devcontainer-feature.json");
    checkout.read(&format!("{folder}/install.sh"))?;
    let text_of = checkout.read(&about)?;
    let mut own = Notes::new(&about);
    let mut entries = parse(&text_of, &mut own)?;
    variables.fill_in(&mut entries, Plain::OF_FEATURE, &mut own)?;
    let id = folder.rsplit('/').next().unwrap_or_default().to_owned();
    let mut feature = Feature {
        id,
        folder,
        options: Vec::new(),
        common: Common::default(),
        name: asked.name.clone(),
        needs: Vec::new(),
        after: Vec::new(),
    };
    let mut declared: &[Entry] = &[];
    let mut needed = Vec::new();
    for entry in &entries {
        if feature.common.read(entry, &mut own)? {
            continue;
        }
        match entry.name.as_str() {
            "id" => text(entry, &own)?.clone_into(&mut feature.id),
            "options" => declared = table(entry, &own)?,
            "installsAfter" => feature.after = texts(entry, &own)?,
            "dependsOn" => {
                for inner in table(entry, &own)? {
                    // They are named as the devcontainer.json would.
                    feature.needs.extend(self::folder(file, inner, &own)?);
                    needed.push(Wanted {
                        file: about.clone(),
                        entry: inner.clone(),
                    });
                }
            }
            "version" | "name" | "description" | "documentationURL" | "licenseURL" | "keywords"
            | "legacyIds" => {}
            "deprecated" => {
                if entry.node.value == Value::Bool(true) {
                    own.note(entry.line, "deprecated", "its authors advise against it");
                }
            }
            "entrypoint" => {
                own.note(
                    entry.line,
                    "entrypoint",
                    "it isn't run: use postStartCommand",
                );
            }
            other => own.note(entry.line, other, "devgate doesn't know it"),
        }
    }
    feature.options = options(declared, asked, (&own, &mut *notes))?;
    notes.take(own);
    Ok((feature, needed))
}

/// Returns the options of a feature as variables: what was chosen, else the defaults.
fn options(
    declared: &[Entry],
    asked: &Entry,
    (own, notes): (&Notes, &mut Notes),
) -> Result<Vec<(String, String)>, DevcontainerError> {
    let version;
    let chosen: &[Entry] = match &asked.node.value {
        Value::Table(entries) => entries,
        // `"1.2"` stands for `{"version": "1.2"}`.
        Value::Text(_) => {
            version = [Entry {
                name: "version".to_owned(),
                line: asked.line,
                node: asked.node.clone(),
            }];
            &version
        }
        Value::Bool(_) | Value::Null => &[],
        _ => return Err(expected(asked, "an object with its options", notes)),
    };
    let mut options = Vec::new();
    for option in declared {
        let mut default = String::new();
        let mut allowed = None;
        for part in table(option, own)? {
            match part.name.as_str() {
                "default" => default = value(part, own)?,
                "enum" => allowed = Some(texts(part, own)?),
                _ => {}
            }
        }
        let choice = chosen.iter().find(|choice| choice.name == option.name);
        let value = choice.map_or(Ok(default), |choice| value(choice, notes))?;
        if let (Some(choice), Some(allowed)) = (choice, allowed)
            && !allowed.contains(&value)
        {
            let problem = format!("{value:?} isn't one of {}", allowed.join(", "));
            return Err(notes.wrong(choice.line, &choice.name, &problem));
        }
        options.push((variable(&option.name), value));
    }
    for choice in chosen {
        if !declared.iter().any(|option| option.name == choice.name) {
            let key = format!("features.{}.{}", asked.name, choice.name);
            notes.note(choice.line, &key, "the feature doesn't have this option");
            options.push((variable(&choice.name), value(choice, notes)?));
        }
    }
    Ok(options)
}

/// Returns an option's value as a variable has it.
fn value(entry: &Entry, notes: &Notes) -> Result<String, DevcontainerError> {
    let value = match &entry.node.value {
        Value::Text(_) => text(entry, notes)?.to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        _ => return Err(expected(entry, "a text or true or false", notes)),
    };
    if value.len() > MAX_OPTION {
        let problem = format!("it is longer than {MAX_OPTION} bytes");
        return Err(notes.wrong(entry.line, &entry.name, &problem));
    }
    Ok(value)
}

/// Returns the variable of an option ("Option Resolution").
fn variable(option: &str) -> String {
    let plain = option.chars();
    let plain = plain.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let plain: String = plain.collect();
    let rest = plain.trim_start_matches(|c: char| c == '_' || c.is_ascii_digit());
    let start = if rest.len() < plain.len() { "_" } else { "" };
    format!("{start}{rest}").to_ascii_uppercase()
}

/// Sorts features in rounds: each takes those of which all that come before are there, and
/// of them the ones with the highest priority ("Installation order").
fn order(
    features: Vec<Feature>,
    first: &[String],
    notes: &Notes,
) -> Result<Vec<Feature>, DevcontainerError> {
    let is_named = |feature: &Feature, name: &String| {
        *name == feature.id || *name == feature.name || name.trim_start_matches("./") == feature.id
    };
    let priority = |feature: &Feature| {
        let place = first.iter().position(|name| is_named(feature, name));
        place.map_or(0, |place| first.len() - place)
    };
    let mut waiting = features;
    let mut ordered: Vec<Feature> = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |feature: &Feature| {
            !waiting.iter().any(|other| {
                other.folder != feature.folder
                    && (feature.needs.contains(&other.folder)
                        || feature.after.iter().any(|name| is_named(other, name)))
            }) && !feature.needs.contains(&feature.folder)
        };
        let ready = waiting.iter().filter(|it| is_ready(it));
        let Some(most) = ready.map(priority).max() else {
            let ids: Vec<_> = waiting.iter().map(|it| it.id.as_str()).collect();
            let problem = format!("these wait for each other: {}", ids.join(", "));
            return Err(notes.wrong(0, "features", &problem));
        };
        let taken: Vec<bool> = waiting
            .iter()
            .map(|it| is_ready(it) && priority(it) == most)
            .collect();
        let mut round = Vec::new();
        let mut rest = Vec::new();
        for (feature, is_taken) in waiting.into_iter().zip(taken) {
            let side = if is_taken { &mut round } else { &mut rest };
            side.push(feature);
        }
        round.sort_by(|one, other| one.folder.cmp(&other.folder));
        ordered.append(&mut round);
        waiting = rest;
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(id: &str, needs: &[&str], after: &[&str]) -> Feature {
        Feature {
            id: id.to_owned(),
            folder: format!(".devcontainer/{id}"),
            options: Vec::new(),
            common: Common::default(),
            name: format!("./{id}"),
            needs: needs
                .iter()
                .map(|id| format!(".devcontainer/{id}"))
                .collect(),
            after: after.iter().map(|&id| id.to_owned()).collect(),
        }
    }

    fn ordered(features: Vec<Feature>, first: &[&str]) -> Option<Vec<String>> {
        let first: Vec<_> = first.iter().map(|&name| name.to_owned()).collect();
        let ordered = order(features, &first, &Notes::new("x")).ok()?;
        Some(ordered.into_iter().map(|it| it.id).collect())
    }

    #[test]
    fn features_come_after_what_they_need_and_in_the_order_that_is_asked_for() {
        let all = || {
            vec![
                feature("a", &["c"], &[]),
                feature("b", &[], &["./a", "ghcr.io/not/there"]),
                feature("c", &[], &[]),
                feature("d", &[], &[]),
            ]
        };
        assert_eq!(ordered(all(), &[]).unwrap(), ["c", "d", "a", "b"]);
        assert_eq!(ordered(all(), &["./d", "b"]).unwrap(), ["d", "c", "a", "b"]);
        let cycle = vec![feature("a", &["b"], &[]), feature("b", &[], &["a"])];
        assert_eq!(ordered(cycle, &[]), None);
        assert_eq!(ordered(vec![feature("a", &["a"], &[])], &[]), None);
    }

    #[test]
    fn an_options_variable_is_what_the_specification_makes_of_it() {
        for (option, expected) in [
            ("version", "VERSION"),
            ("installZsh", "INSTALLZSH"),
            ("my-option.x", "MY_OPTION_X"),
            ("1st_one", "_ST_ONE"),
            ("__x", "_X"),
            ("ä", "_"),
        ] {
            assert_eq!(variable(option), expected, "{option}");
        }
    }
}
