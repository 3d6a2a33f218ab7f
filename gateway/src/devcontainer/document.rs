//! JSON with comments and trailing commas, and in which line everything is.

use jsonc_parser::ast::{ObjectPropName, Value as Parsed};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{DevcontainerError, Notes};

/// What VS Code's own parser takes beside JSON; JSON5 is another language.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// A value and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Its line, from 1 on.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// One of a table's values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

impl Node {
    /// Says what kind of value it is.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Table(_) => "an object",
        }
    }

    /// Returns it without its lines.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(value) => value.clone().into(),
            Value::Text(text) => text.clone().into(),
            Value::List(nodes) => nodes.iter().map(Self::to_json).collect(),
            Value::Table(entries) => entries
                .iter()
                .map(|entry| (entry.name.clone(), entry.node.to_json()))
                .collect(),
        }
    }
}

/// Reads a file's text, which has to be an object. Of what is there twice the last counts.
pub(super) fn parse(text: &str, notes: &mut Notes) -> Result<Vec<Entry>, DevcontainerError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS);
    let parsed = parsed.map_err(|error| {
        let place = format!("{}:{}", notes.file(), error.line_display());
        let problem = format!("it isn't JSON with comments: {}", error.kind());
        DevcontainerError { place, problem }
    })?;
    let lines: Vec<_> = text.match_indices('\n').map(|(at, _)| at).collect();
    let Some(root @ Parsed::Object(_)) = &parsed.value else {
        return Err(notes.wrong(1, "", "write an object: { … }"));
    };
    let mut reading = Reading { lines, notes };
    match reading.node(root)?.value {
        Value::Table(entries) => Ok(entries),
        _ => Ok(Vec::new()),
    }
}

struct Reading<'a> {
    /// Where the lines end.
    lines: Vec<usize>,
    notes: &'a mut Notes,
}

impl Reading<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.lines.partition_point(|end| *end < at)
    }

    /// The parser bounds the depth.
    fn node(&mut self, parsed: &Parsed<'_>) -> Result<Node, DevcontainerError> {
        let line = self.line(parsed.start());
        let value = match parsed {
            Parsed::NullKeyword(_) => Value::Null,
            Parsed::BooleanLit(literal) => Value::Bool(literal.value),
            Parsed::StringLit(literal) => Value::Text(literal.value.clone().into_owned()),
            Parsed::NumberLit(literal) => {
                let number = literal.value.parse().map_err(|_| {
                    let shown: String = literal.value.chars().take(40).collect();
                    self.notes.wrong(line, &shown, "it isn't a number")
                });
                Value::Number(number?)
            }
            Parsed::Array(array) => {
                let nodes = array.elements.iter().map(|element| self.node(element));
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            Parsed::Object(object) => {
                let mut entries: Vec<Entry> = Vec::new();
                let mut places = std::collections::HashMap::new();
                for property in &object.properties {
                    let name = match &property.name {
                        ObjectPropName::String(literal) => literal.value.clone().into_owned(),
                        ObjectPropName::Word(literal) => literal.value.to_owned(),
                    };
                    let line = self.line(property.range.start);
                    let node = self.node(&property.value)?;
                    if let Some(at) = places.get(&name).copied() {
                        self.notes
                            .note(line, &name, "it is there twice: this one counts");
                        if let Some(entry) = entries.get_mut(at) {
                            *entry = Entry { name, line, node };
                        }
                        continue;
                    }
                    places.insert(name.clone(), entries.len());
                    entries.push(Entry { name, line, node });
                }
                Value::Table(entries)
            }
        };
        Ok(Node { line, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(serde_json::Value, Vec<String>), DevcontainerError> {
        let mut notes = Notes::new("devcontainer.json");
        let entries = parse(text, &mut notes)?;
        let node = Node {
            line: 1,
            value: Value::Table(entries),
        };
        Ok((node.to_json(), notes.into_lines()))
    }

    #[test]
    fn comments_and_trailing_commas_are_let_through() {
        let text = "\u{feff}// first\r\n{\r\n  /* a \"comment\" */ \"image\": \"a//b\", // rest\r\n  \
                    \"list\": [1, 2.5e3, true, null,],\r\n}\r\n// end";
        let (value, notes) = read(text).unwrap();
        let expected = serde_json::json!({"image": "a//b", "list": [1, 2500.0, true, null]});
        assert_eq!(value, expected);
        assert!(notes.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, place) in [
            ("", "devcontainer.json:1"),
            ("[]", "devcontainer.json:1"),
            ("\"text\"", "devcontainer.json:1"),
            ("{\n \"a\": 1\n \"b\": 2\n}", "devcontainer.json:2"),
            ("{\n 'a': 1\n}", "devcontainer.json:2"),
            ("{\n a: 1\n}", "devcontainer.json:2"),
            ("{\n \"a\": 0x10\n}", "devcontainer.json:2"),
            ("{\n \"a\": \"", "devcontainer.json:2"),
            ("{\n /* \n", "devcontainer.json:2"),
            ("{} {}", "devcontainer.json:1"),
        ] {
            assert_eq!(read(text).unwrap_err().place, place, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_and_what_is_there_twice_is_named() {
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let error = read(&deep).unwrap_err();
        assert!(error.problem.contains("depth"), "{error}");
        let (value, notes) = read("{\"a\": 1,\n\"a\": 2}").unwrap();
        assert_eq!(value, serde_json::json!({"a": 2}));
        assert_eq!(
            notes,
            ["devcontainer.json:2: a: it is there twice: this one counts"]
        );
    }
}
