//! Contexts: the servers elsewhere that somebody is signed in to, by name.
//!
//! They are one file of mode 0600, tokens included, in a folder of mode 0700; it is whole
//! whenever somebody reads it, and one process writes it at a time.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::net::Ipv6Addr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use devgate_certs::{Access, CertsError, read_private_file, write_file};
use devgate_protocol::Secret;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use toml::Table;

use super::client::{Remote, Trust};
use super::failure::{Failure, Kind};
use crate::chain::chain;
use crate::names::{TokenId, UserName};

/// What names no context, but the data folder here.
pub(super) const LOCAL: &str = "local";

/// Longest name, in bytes.
const MAX_NAME: usize = 64;

/// Largest file that is written, in bytes: one that is larger can't be read again.
const MAX_FILE: usize = 256 * 1024;

/// What to do where somebody may have read the tokens.
const EXPOSED: &str = "end them at their dashboards";

/// Names one context: letters, digits, `.`, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct ContextName(String);

/// One server elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Context {
    /// Its address.
    pub(super) url: String,
    /// Who is signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<UserName>,
    /// With what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<Secret<String>>,
    /// The token's id, by which it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token_id: Option<TokenId>,
    /// When the token ends.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) expires: Option<OffsetDateTime>,
    /// The authority that the server's certificate has to be issued by, PEM; absent:
    /// whoever this machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca: Option<String>,
    #[serde(flatten)]
    pub(super) later: Later,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Contexts {
    /// Which one commands mean; absent: the data folder here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<ContextName>,
    /// By name.
    #[serde(default, rename = "contexts")]
    pub(super) named: BTreeMap<ContextName, Context>,
    #[serde(flatten)]
    later: Later,
}

/// What a later version of this program keeps there: it stays, and may be a secret.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Later(Table);

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl ContextName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name that a server's host makes.
    pub(super) fn of_host(host: &str) -> Option<Self> {
        let fits = |c: char| if is_fit(c) { c } else { '-' };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = match bare.parse::<Ipv6Addr>() {
            Ok(Ipv6Addr::LOCALHOST) => "localhost".to_owned(),
            Ok(address) => format!("ip6-{address}"),
            Err(_) => host.to_owned(),
        };
        let name: String = name.chars().map(fits).collect();
        name.trim_matches(['-', '.']).parse().ok()
    }
}

fn is_fit(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ContextName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == LOCAL {
            return Err(format!(
                "{LOCAL:?} is no context but the data folder on this machine: choose another name"
            ));
        }
        let length = (1..=MAX_NAME).contains(&text.len());
        if length && text.chars().all(is_fit) && !text.starts_with(['.', '-']) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "{text:?} is no name of a context: use 1 to {MAX_NAME} letters, digits, '.', '-' and \
             '_', beginning with a letter or digit"
        ))
    }
}

impl TryFrom<String> for ContextName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ContextName> for String {
    fn from(name: ContextName) -> Self {
        name.0
    }
}

impl Context {
    /// Returns the way to it.
    pub(super) fn remote(&self) -> Result<Remote, Failure> {
        let origin = self.url.parse();
        let origin = origin.map_err(|error| {
            let message = format!("{} is no server's address: {error}", self.url);
            Failure::new(Kind::Usage, message)
        })?;
        Remote::new(origin, &self.trust(), self.token.clone())
    }

    /// Returns whom it is taken for.
    pub(super) fn trust(&self) -> Trust {
        match &self.ca {
            Some(pem) => Trust::Pinned(pem.clone()),
            None => Trust::System,
        }
    }
}

impl Contexts {
    /// Reads them; none where there is no file.
    pub(super) fn read() -> Result<Self, Failure> {
        let Some(folder) = folder() else {
            return Ok(Self::default());
        };
        Self::read_from(&file(&folder))
    }

    fn read_from(path: &Path) -> Result<Self, Failure> {
        let usage = |message: String| Failure::new(Kind::Usage, message);
        let text = read_private_file(path, EXPOSED).map_err(|error| match error {
            CertsError::Exposed { path, mode, remedy } => usage(format!(
                "{} holds tokens and others can read it (mode {mode:03o}): run `chmod 600` on \
                 it, and where somebody may have read it, {remedy}",
                path.display()
            )),
            error => usage(chain(&error)),
        })?;
        let Some(text) = text else {
            return Ok(Self::default());
        };
        let text = String::from_utf8(text).map_err(|_| {
            let place = path.display();
            usage(format!(
                "{place} isn't UTF-8: mend it, or remove it and sign in anew"
            ))
        })?;
        toml::from_str(&text).map_err(|error| {
            let place = path.display();
            // Not the text that it quotes: that may be a token.
            let why = error.message();
            usage(format!(
                "{place} can't be read ({why}): mend it, or remove it and sign in anew"
            ))
        })
    }

    /// Changes them, unless the change fails.
    pub(super) fn change<T>(
        change: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let folder = folder().ok_or_else(homeless)?;
        let failed = |error: io::Error| {
            let message = format!("contexts can't be kept in {}: {error}", folder.display());
            Failure::new(Kind::Failed, message)
        };
        let _lock = lock(&folder).map_err(failed)?;
        // Who keeps it elsewhere has a link here, which stays.
        let path = file(&folder);
        let path = path.canonicalize().unwrap_or(path);
        let mut contexts = Self::read_from(&path)?;
        let changed = change(&mut contexts)?;
        let text = toml::to_string(&contexts);
        let text = text.map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
        if text.len() > MAX_FILE {
            let message = "there are too many contexts: remove some with `devgate context remove`";
            return Err(Failure::new(Kind::Failed, message));
        }
        let written = write_file(&path, Access::Private, &text);
        written.map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
        Ok(changed)
    }

    /// Returns the context of that name.
    pub(super) fn named(&self, name: &ContextName) -> Result<&Context, Failure> {
        self.named.get(name).ok_or_else(|| {
            let message = format!(
                "there is no context {name}: `devgate context list` shows all, `devgate login` \
                 makes one"
            );
            Failure::new(Kind::NotFound, message)
        })
    }
}

/// Returns the folder that they are in, made where it is missing.
pub(super) fn folder_made() -> Result<PathBuf, Failure> {
    let folder = folder().ok_or_else(homeless)?;
    match lock(&folder) {
        Ok(_) => Ok(folder),
        Err(error) => {
            let message = format!("nothing can be kept in {}: {error}", folder.display());
            Err(Failure::new(Kind::Failed, message))
        }
    }
}

fn homeless() -> Failure {
    let message = "neither XDG_CONFIG_HOME nor HOME says where contexts are kept: set one";
    Failure::new(Kind::Usage, message)
}

/// Returns the folder that they are in.
fn folder() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from);
    let base = absolute("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let home = || absolute("HOME").filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(home()?.join(".config")))?;
    Some(base.join("devgate"))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("contexts.toml")
}

/// Makes a folder where it is missing, closed to others.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes the folder, closed to others, and keeps other processes from changing what is in
/// it for as long as the handle lives.
fn lock(folder: &Path) -> io::Result<File> {
    make(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(folder.join("contexts.lock"))?;
    lock.lock()?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_a_host_and_never_that_of_the_folder_here() {
        for (host, name) in [
            ("dev.example.com", Some("dev.example.com")),
            ("[::1]", Some("localhost")),
            ("[2001:db8::1]", Some("ip6-2001-db8--1")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("localhost", Some("localhost")),
            ("local", None),
        ] {
            let made = ContextName::of_host(host);
            assert_eq!(made.as_ref().map(ContextName::as_str), name);
        }
        for bad in ["", "local", "a/b", "-x", ".x", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<ContextName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_no_error_quotes_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contexts.toml");
        let text = "[contexts.a]\nurl = \"https://a\"\ntoken = \"dgt_x\" rubbish\n";
        write_file(&path, Access::Private, text).unwrap();
        let unreadable = Contexts::read_from(&path).unwrap_err().to_string();
        assert!(!unreadable.contains("dgt_x"), "{unreadable}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let exposed = Contexts::read_from(&path).unwrap_err().to_string();
        assert!(exposed.contains("644"), "{exposed}");
        assert!(exposed.contains("tokens"), "{exposed}");
        assert!(!exposed.contains("key"), "{exposed}");
    }

    #[test]
    fn a_token_is_kept_and_not_printed() {
        let context = Context {
            url: "https://dev.example.com".to_owned(),
            user: None,
            token: Some(Secret::new("dgt_x".to_owned())),
            ..Context::default()
        };
        assert!(!format!("{context:?}").contains("dgt_x"));
        let mut contexts = Contexts::default();
        contexts.named.insert("dev".parse().unwrap(), context);
        let text = toml::to_string(&contexts).unwrap();
        assert_eq!(toml::from_str::<Contexts>(&text).unwrap(), contexts);
    }

    #[test]
    fn what_a_later_version_keeps_there_stays_and_is_not_printed() {
        let text = "current = \"a\"\nsince = 2\n\n[contexts.a]\nurl = \"https://a\"\n\n\
                    [contexts.a.refresh]\nsecret = \"dgr_x\"\n\n[more]\nat = 1.5\n";
        let contexts: Contexts = toml::from_str(text).unwrap();
        assert_eq!(contexts.named.len(), 1);
        assert!(!format!("{contexts:?}").contains("dgr_x"));
        let written = toml::to_string(&contexts).unwrap();
        let table = |text: &str| text.parse::<Table>().unwrap();
        assert_eq!(table(&written), table(text));
    }
}
