//! The account that runs this program, as far as defaults are taken from it.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::identity::{Role, User};
use crate::names::{MAX_NAME, UserName};

/// Returns the folder where data is kept unless another is named:
/// `$XDG_DATA_HOME/devgate`, else `~/.local/share/devgate`, and for an account
/// without a home `/var/lib/devgate`.
pub fn data_folder() -> PathBuf {
    // The XDG specification has a relative path ignored.
    absolute("XDG_DATA_HOME")
        .or_else(|| home().map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("devgate")
}

/// Returns the home directory.
pub fn home() -> Option<PathBuf> {
    absolute("HOME").or_else(|| account().map(|(_, home)| home))
}

/// Returns the log-in name, reduced to a valid user name; `admin` where nothing
/// is left of it.
pub fn user_name() -> UserName {
    let login = account()
        .map(|(name, _)| name)
        .or_else(|| env::var("LOGNAME").ok())
        .or_else(|| env::var("USER").ok())
        .unwrap_or_default();
    reduce(&login)
}

/// Returns the administrator who stands for this account: the one of its name,
/// else the first.
pub fn operator(users: &[User]) -> Option<&User> {
    let own = user_name();
    let admins = || users.iter().filter(|user| user.role == Role::Admin);
    admins()
        .find(|user| user.name == own)
        .or_else(|| admins().next())
}

fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// Returns name and home directory of this process's user from `/etc/passwd`,
/// which a static binary can read without the system's name service modules.
fn account() -> Option<(String, PathBuf)> {
    let own = nix::unistd::geteuid().to_string();
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        match fields.as_slice() {
            [name, _, uid, _, _, home, ..] if *uid == own => {
                Some(((*name).to_owned(), PathBuf::from(home)))
            }
            _ => None,
        }
    })
}

/// Returns the nearest valid name: letters in lower case, what is not allowed as
/// one hyphen.
fn reduce(login: &str) -> UserName {
    let mut name = String::new();
    for c in login.chars().flat_map(char::to_lowercase) {
        if name.len() == MAX_NAME {
            break;
        }
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.trim_end_matches('-')
        .parse()
        .or_else(|_| "admin".parse())
        .expect("\"admin\" is a valid name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_name_is_reduced_to_a_valid_one() {
        for (login, name) in [
            ("anna", "anna"),
            ("Anna.Müller", "anna-m-ller"),
            ("CORP\\bob_", "corp-bob"),
            ("_apt", "apt"),
            ("日本", "admin"),
            ("", "admin"),
        ] {
            assert_eq!(reduce(login).as_str(), name, "{login}");
        }
        assert_eq!(reduce(&"x.".repeat(100)).as_str().len(), 39);
    }
}
