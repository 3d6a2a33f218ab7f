//! Secrets and variables that the gateway tells, for the workspace's programs.
//!
//! Invariant: secrets are in memory alone, and in the environment of programs. A gateway
//! tells all of them each time that it welcomes the agent, and what it doesn't tell any
//! more is forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use devgate_protocol::Secret;
use devgate_protocol::control::Told;
use tokio::sync::watch;
use tracing::warn;

/// Shortest value that is looked for in what is logged, in bytes: a shorter one is
/// anywhere.
const MIN_MASKED: usize = 6;

/// What stands for a value that was found.
const MASK: &str = "***";

/// Name of the file, in the runtime folder, with the certificates of whoever vouches for the
/// server, and the variable that names it to programs.
const AUTHORITY: &str = "gateway-ca.pem";
const AUTHORITY_VARIABLE: &str = "DEVGATE_CA";

/// The secrets of a workspace. Clones share them.
#[derive(Clone, Debug)]
pub struct Secrets {
    known: watch::Sender<Known>,
    /// Where programs find the certificates.
    authority: PathBuf,
}

/// What a gateway has told.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Whether one has told at all.
    is_told: bool,
    environment: BTreeMap<String, String>,
    secrets: Vec<Told>,
    missing: Vec<String>,
}

impl Secrets {
    /// Returns what knows nothing yet; certificates will be in a file in that folder.
    pub(crate) fn with(runtime: &Path) -> Self {
        Self {
            known: watch::Sender::new(Known::default()),
            authority: runtime.join(AUTHORITY),
        }
    }

    /// Takes what a gateway tells in place of what was told before.
    pub(crate) fn take(
        &self,
        mut environment: BTreeMap<String, String>,
        (secrets, missing): (Vec<Told>, Vec<String>),
        authority: Option<String>,
    ) {
        if let Some(certificates) = authority {
            match self.write(&certificates) {
                Ok(()) => {
                    let path = self.authority.to_string_lossy().into_owned();
                    environment.insert(AUTHORITY_VARIABLE.to_owned(), path);
                }
                Err(error) => warn!(%error, "programs can't be told whom to trust"),
            }
        }
        self.known.send_replace(Known {
            is_told: true,
            environment,
            secrets,
            missing,
        });
    }

    /// Writes the file as a whole, for all who may read the folder.
    fn write(&self, certificates: &str) -> io::Result<()> {
        let new = self.authority.with_extension("new");
        fs::write(&new, certificates)?;
        fs::rename(&new, &self.authority)
    }

    /// Waits until a gateway has told. Cancel-safe.
    pub(crate) async fn told(&self) {
        // The sender is here, so it can't be gone.
        let _ = self.known.subscribe().wait_for(|known| known.is_told).await;
    }

    /// Returns the names of those that the workspace was to get.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.known.borrow().missing.clone()
    }

    /// Returns the variables that programs find and that are no secrets.
    pub fn environment(&self) -> BTreeMap<String, String> {
        self.known.borrow().environment.clone()
    }

    /// Returns the variables that programs find secrets in.
    pub fn variables(&self) -> Vec<(String, Secret<String>)> {
        let known = self.known.borrow();
        let told = known.secrets.iter();
        told.filter_map(|told| Some((told.variable.clone()?, told.value.clone())))
            .collect()
    }

    /// Returns the value of the one of that name.
    pub(crate) fn value(&self, name: &str) -> Option<Secret<String>> {
        let known = self.known.borrow();
        let found = known.secrets.iter().find(|told| told.name == name);
        found.map(|told| told.value.clone())
    }

    /// Returns a text without the values that are in it.
    pub(crate) fn mask(&self, mut text: String) -> String {
        let known = self.known.borrow();
        for told in &known.secrets {
            for line in told.value.expose().lines().map(str::trim) {
                if line.len() >= MIN_MASKED && text.contains(line) {
                    text = text.replace(line, MASK);
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, variable: Option<&str>, value: &str) -> Told {
        Told {
            name: name.to_owned(),
            variable: variable.map(str::to_owned),
            value: Secret::new(value.to_owned()),
        }
    }

    #[tokio::test]
    async fn what_is_told_later_takes_the_place_of_all_before() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::with(folder.path());
        secrets.take(
            BTreeMap::from([("OWNER".to_owned(), "ada".to_owned())]),
            (
                vec![told("A", Some("A"), "first"), told("B", None, "b")],
                vec!["C".into()],
            ),
            Some("PEM".to_owned()),
        );
        secrets.told().await;
        assert_eq!(secrets.variables().len(), 1);
        assert_eq!(secrets.value("B").unwrap().expose(), "b");
        assert_eq!(secrets.missing(), ["C"]);
        assert_eq!(secrets.environment()["OWNER"], "ada");
        let trusted = fs::read_to_string(&secrets.environment()["DEVGATE_CA"]);
        assert_eq!(trusted.unwrap(), "PEM");
        assert!(!format!("{secrets:?}").contains("first"));
        secrets.take(BTreeMap::new(), (Vec::new(), Vec::new()), None);
        assert!(secrets.value("A").is_none() && secrets.missing().is_empty());
        assert!(secrets.environment().is_empty());
    }

    #[test]
    fn values_are_masked_line_by_line_and_short_ones_left() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::with(folder.path());
        secrets.take(
            BTreeMap::new(),
            (
                vec![
                    told("KEY", None, "-----BEGIN\nabcdefgh\n-----END"),
                    told("PIN", None, "12"),
                ],
                Vec::new(),
            ),
            None,
        );
        assert_eq!(secrets.mask("x abcdefgh 12".to_owned()), "x *** 12");
    }
}
