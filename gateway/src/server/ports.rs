//! The ports that port 0 was the last time.
//!
//! Agents that dial in, and people's `known_hosts`, hold on to the address that they
//! know: a server that starts again takes the same free ports if they are still free.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::listen::Port;
use crate::files::replace;

/// The file's name in the data folder.
const FILE: &str = "ports.json";

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1024;

/// What port 0 was, for each listener that had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastPorts {
    ssh: Option<u16>,
    http: Option<u16>,
}

impl LastPorts {
    /// Reads what the last server of a data folder wrote. A file that isn't there, or
    /// can't be used, is as good as none: other ports are free, too.
    pub(super) fn read(data_dir: &Path) -> Self {
        let read = || {
            let mut text = Vec::new();
            let file = File::open(data_dir.join(FILE))?;
            file.take(MAX_FILE).read_to_end(&mut text)?;
            Ok::<_, io::Error>(serde_json::from_slice(&text)?)
        };
        read().unwrap_or_default()
    }

    /// Returns the one of a listener.
    pub(super) fn of(self, port: Port) -> Option<u16> {
        match port {
            Port::Ssh => self.ssh,
            Port::Http => self.http,
        }
    }

    /// Returns these with another for one listener.
    pub(super) fn with(self, port: Port, number: u16) -> Self {
        match port {
            Port::Ssh => Self {
                ssh: Some(number),
                ..self
            },
            Port::Http => Self {
                http: Some(number),
                ..self
            },
        }
    }

    /// Writes them for the next server.
    pub(super) fn write(self, data_dir: &Path) -> io::Result<()> {
        let json = serde_json::to_vec(&self)?;
        replace(&data_dir.join(FILE), &json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_anything_else_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(LastPorts::read(folder.path()), LastPorts::default());
        let ports = LastPorts::default().with(Port::Http, 8443);
        ports.write(folder.path()).unwrap();
        assert_eq!(LastPorts::read(folder.path()), ports);
        assert_eq!(ports.of(Port::Ssh), None);
        for bad in ["", "{}", "[1]", r#"{"ssh":70000}"#] {
            std::fs::write(folder.path().join(FILE), bad).unwrap();
            assert_eq!(LastPorts::read(folder.path()), LastPorts::default());
        }
    }
}
