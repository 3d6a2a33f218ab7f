//! Ports that applications listen on.

use std::collections::BTreeMap;

use super::common::{expected, list, table, text};
use super::document::{Entry, Node, Value};
use super::{DevcontainerError, Notes, printable};
use crate::store::Visibility;
use crate::workspaces::PortRule;

/// Longest name of a port, in characters; as in a template.
const MAX_NAME: usize = 40;

/// Ports and what they are called. All are private: who else may open one is for the
/// workspace's owner to say.
#[derive(Debug, Default)]
pub(super) struct Ports {
    names: BTreeMap<u16, String>,
}

impl Ports {
    /// Reads `forwardPorts` or `appPort`.
    pub(super) fn read(
        &mut self,
        entry: &Entry,
        notes: &mut Notes,
    ) -> Result<(), DevcontainerError> {
        let single = std::slice::from_ref(&entry.node);
        let items = match &entry.node.value {
            Value::Number(_) | Value::Text(_) if entry.name == "appPort" => single,
            _ => list(entry, notes)?,
        };
        for node in items {
            match port(node) {
                Some(port) => {
                    self.names.entry(port).or_default();
                }
                None if matches!(node.value, Value::Text(_)) => {
                    let shown = node.to_json();
                    let why = format!("{shown} isn't a port of the workspace's own");
                    notes.note(node.line, &entry.name, &why);
                }
                None => {
                    let problem = format!("write ports from 1 to 65535, not {}", node.to_json());
                    return Err(notes.wrong(node.line, &entry.name, &problem));
                }
            }
        }
        Ok(())
    }

    /// Reads `portsAttributes`.
    pub(super) fn attributes(
        &mut self,
        entry: &Entry,
        notes: &mut Notes,
    ) -> Result<(), DevcontainerError> {
        for inner in table(entry, notes)? {
            let key = format!("portsAttributes.{}", inner.name);
            let attributes = table(inner, notes)?;
            let Some(port) = inner.name.parse().ok().filter(|port: &u16| *port > 0) else {
                notes.note(inner.line, &key, "only single ports are supported");
                continue;
            };
            for attribute in attributes {
                let key = format!("{key}.{}", attribute.name);
                if attribute.name == "label" {
                    let label = text(attribute, notes)?;
                    let label: String = label.chars().take(MAX_NAME).collect();
                    self.names.insert(port, printable(&label));
                } else if matches!(attribute.node.value, Value::Table(_) | Value::List(_)) {
                    return Err(expected(attribute, "a text or true or false", notes));
                } else {
                    notes.note(attribute.line, &key, "it isn't supported");
                }
            }
        }
        Ok(())
    }

    /// Returns them.
    pub(super) fn rules(&self) -> impl Iterator<Item = PortRule> {
        self.names.iter().map(|(port, name)| PortRule {
            port: *port,
            name: name.clone(),
            visibility: Visibility::Private,
        })
    }
}

/// Reads a port: a number, or a text with one, of this machine.
fn port(node: &Node) -> Option<u16> {
    let port = match &node.value {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok()?,
        Value::Text(text) => {
            let mut own = ["localhost:", "127.0.0.1:"].into_iter();
            let own = own.find_map(|host| text.strip_prefix(host));
            own.unwrap_or(text).parse().ok()?
        }
        _ => return None,
    };
    (port > 0).then_some(port)
}
