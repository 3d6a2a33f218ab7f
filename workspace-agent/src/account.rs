//! The user that the workspace's programs run as.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Where accounts are listed (passwd(5)).
///
/// It is read directly: a static binary can't load the C library's name-service
/// modules, and in an image they may belong to another C library.
const PASSWD: &str = "/etc/passwd";

/// Shell of a user that has none.
const FALLBACK_SHELL: &str = "/bin/sh";

/// The user that the agent, and so everything in its workspace, runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Log-in name.
    pub name: OsString,
    /// Log-in shell.
    pub shell: PathBuf,
}

impl Account {
    /// Returns the account of this process's own user. One that isn't listed is
    /// named by its number.
    pub fn of_this_process() -> Self {
        let uid = rustix::process::getuid().as_raw();
        fs::read(PASSWD)
            .ok()
            .and_then(|passwd| Self::find(&passwd, uid))
            .unwrap_or_else(|| Self {
                name: uid.to_string().into(),
                shell: FALLBACK_SHELL.into(),
            })
    }

    fn find(passwd: &[u8], uid: u32) -> Option<Self> {
        let uid = uid.to_string();
        passwd.split(|&byte| byte == b'\n').find_map(|line| {
            let mut fields = line.split(|&byte| byte == b':');
            let name = fields.next()?;
            if fields.nth(1)? != uid.as_bytes() {
                return None;
            }
            let shell = fields.nth(3).filter(|shell| !shell.is_empty());
            Some(Self {
                name: OsString::from_vec(name.to_vec()),
                shell: shell.map_or_else(
                    || FALLBACK_SHELL.into(),
                    |shell| OsString::from_vec(shell.to_vec()).into(),
                ),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\nana:x:1000:1000:,,,:/home/ana:/bin/zsh\nbo:x:7:7::/:\n";
        let found = |uid| Account::find(passwd, uid).map(|a| (a.name, a.shell));
        assert_eq!(found(1000), Some(("ana".into(), "/bin/zsh".into())));
        assert_eq!(found(7), Some(("bo".into(), "/bin/sh".into())));
        assert_eq!(found(100), None);
    }
}
