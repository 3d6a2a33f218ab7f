//! Names of users and groups.
//!
//! Read from `/etc/passwd` and `/etc/group` and nowhere else: the agent is a
//! static binary, and the C library's look-ups would load the image's own modules
//! into it. Accounts from LDAP and the like are shown by their numbers.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How much of each file is read at most, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Users and groups, read again when their files change.
#[derive(Debug)]
pub(crate) struct Accounts {
    users: Table,
    groups: Table,
}

/// One of the two files.
#[derive(Debug)]
struct Table {
    path: PathBuf,
    /// Length and time of what was read.
    stamp: Option<(u64, Option<SystemTime>)>,
    names: HashMap<u32, String>,
    homes: HashMap<String, PathBuf>,
}

impl Accounts {
    /// Uses the files in `folder`, which is `/etc` but in tests.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            users: Table::new(folder.join("passwd")),
            groups: Table::new(folder.join("group")),
        }
    }

    /// Reads what has changed; called once a request, not once a name.
    pub(crate) fn refresh(&mut self) {
        self.users.refresh();
        self.groups.refresh();
    }

    /// Returns a user's name.
    pub(crate) fn user(&self, id: u32) -> Option<&str> {
        self.users.names.get(&id).map(String::as_str)
    }

    /// Returns a group's name.
    pub(crate) fn group(&self, id: u32) -> Option<&str> {
        self.groups.names.get(&id).map(String::as_str)
    }

    /// Returns the home directory of the user of that name.
    pub(super) fn home(&self, name: &[u8]) -> Option<&Path> {
        let name = std::str::from_utf8(name).ok()?;
        self.users.homes.get(name).map(PathBuf::as_path)
    }
}

impl Table {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            stamp: None,
            names: HashMap::new(),
            homes: HashMap::new(),
        }
    }

    fn refresh(&mut self) {
        let stamp = std::fs::metadata(&self.path)
            .ok()
            .map(|file| (file.len(), file.modified().ok()));
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        self.names.clear();
        self.homes.clear();
        let mut text = Vec::new();
        if let Ok(file) = std::fs::File::open(&self.path)
            && file.take(MAX_FILE).read_to_end(&mut text).is_ok()
        {
            for line in text.split(|&byte| byte == b'\n') {
                self.add(&String::from_utf8_lossy(line));
            }
        }
    }

    /// Adds a line of passwd(5) or group(5); both begin with name, password, id.
    fn add(&mut self, line: &str) {
        let mut fields = line.split(':');
        let (Some(name), Some(_), Some(id)) = (fields.next(), fields.next(), fields.next()) else {
            return;
        };
        let Ok(id) = id.parse() else { return };
        // The first of several wins, as it does in getpwuid(3).
        self.names.entry(id).or_insert_with(|| name.to_owned());
        if let Some(home) = fields.nth(2).filter(|home| home.starts_with('/')) {
            self.homes
                .entry(name.to_owned())
                .or_insert_with(|| home.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_homes_come_from_the_files_and_follow_their_changes() {
        let folder = tempfile::tempdir().unwrap();
        let passwd = folder.path().join("passwd");
        std::fs::write(&passwd, "root:x:0:0:root:/root:/bin/sh\nbroken\na:x:-1:\n").unwrap();
        std::fs::write(folder.path().join("group"), "wheel:x:0:\ngit:x:7:a\n").unwrap();
        let mut accounts = Accounts::new(folder.path());
        accounts.refresh();
        assert_eq!(accounts.user(0), Some("root"));
        assert_eq!(accounts.user(1), None);
        assert_eq!(accounts.group(7), Some("git"));
        assert_eq!(accounts.home(b"root"), Some(Path::new("/root")));
        std::fs::write(&passwd, "me:x:1:1::/home/me:/bin/sh\n").unwrap();
        accounts.refresh();
        assert_eq!((accounts.user(0), accounts.user(1)), (None, Some("me")));
        std::fs::remove_file(&passwd).unwrap();
        accounts.refresh();
        assert_eq!(accounts.user(1), None);
    }
}
