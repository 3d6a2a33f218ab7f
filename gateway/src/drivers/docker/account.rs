//! The user that a workspace's programs run as, as its image knows them.

use crate::config::DEFAULT_SHELL;

/// A user of an image, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// User id.
    pub(super) uid: u32,
    /// Group id.
    pub(super) gid: u32,
    /// Whether the image lists the user; many programs don't work for one without a
    /// name, the SSH client among them.
    pub(super) is_listed: bool,
}

/// Name that an unlisted user gets, with its number where there is one of that name.
const NAME: &str = "dev";

impl Account {
    /// Tells whether finding `user` takes the image's groups.
    pub(super) fn needs_groups(user: &str) -> bool {
        let group = user.split_once(':').map(|(_, group)| group);
        group.is_some_and(|group| group.parse::<u32>().is_err())
    }

    /// Finds `user`, which is `USER[:GROUP]` in names or numbers, in an image's
    /// `/etc/passwd` and `/etc/group` (passwd(5), group(5)), as the engine does.
    pub(super) fn find(user: &str, passwd: &str, group: &str) -> Option<Self> {
        let (user, wanted) = match user.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (user, None),
        };
        let number: Option<u32> = user.parse().ok();
        let listed = passwd.lines().find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            let [name, _, uid, gid, ..] = fields.as_slice() else {
                return None;
            };
            let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
            (*name == user || number == Some(uid)).then_some((uid, gid))
        });
        let (uid, own_group) = listed.or_else(|| Some((number?, 0)))?;
        let gid = match wanted {
            None => own_group,
            Some(wanted) => wanted.parse().ok().or_else(|| group_id(wanted, group))?,
        };
        Some(Self {
            uid,
            gid,
            is_listed: listed.is_some(),
        })
    }

    /// Returns an image's `/etc/passwd` with this user added.
    pub(super) fn add_to(&self, passwd: &str, home: &str) -> String {
        let taken = |name: &str| {
            passwd
                .lines()
                .any(|line| line.split(':').next() == Some(name))
        };
        let Self { uid, gid, .. } = self;
        let name = if taken(NAME) {
            format!("{NAME}{uid}")
        } else {
            NAME.to_owned()
        };
        let mut text = passwd.to_owned();
        if text.is_empty() {
            text.push_str("root:x:0:0:root:/root:/bin/sh\n");
        } else if !text.ends_with('\n') {
            text.push('\n');
        }
        text + &format!("{name}:x:{uid}:{gid}::{home}:{DEFAULT_SHELL}\n")
    }
}

fn group_id(name: &str, group: &str) -> Option<u32> {
    group.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\nana:x:1000:1001:,,,:/home/ana:/bin/zsh\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:ana\n";

    #[test]
    fn a_user_is_found_by_name_and_number_with_its_group() {
        let find = |user| {
            let found = Account::find(user, PASSWD, GROUP);
            found.map(|account| (account.uid, account.gid, account.is_listed))
        };
        for (user, expected) in [
            ("ana", Some((1000, 1001, true))),
            ("1000", Some((1000, 1001, true))),
            ("1000:1000", Some((1000, 1000, true))),
            ("ana:staff", Some((1000, 50, true))),
            ("7:7", Some((7, 7, false))),
            ("7", Some((7, 0, false))),
            ("bo", None),
            ("ana:nobody", None),
        ] {
            assert_eq!(find(user), expected, "{user}");
        }
    }

    #[test]
    fn groups_are_needed_for_a_group_with_a_name_alone() {
        for (user, expected) in [
            ("ana", false),
            ("7", false),
            ("ana:50", false),
            ("7:staff", true),
        ] {
            assert_eq!(Account::needs_groups(user), expected, "{user}");
            let found = Account::find(user, PASSWD, "");
            assert_eq!(found.is_some(), !expected, "{user}");
        }
    }

    #[test]
    fn an_unlisted_user_gets_a_name_that_is_free() {
        let account = Account::find("7:7", PASSWD, GROUP).unwrap();
        let once = account.add_to(PASSWD.trim_end(), "/home/dev");
        let added = once.strip_prefix(PASSWD).unwrap();
        assert_eq!(added, "dev:x:7:7::/home/dev:/bin/sh\n");
        let other = Account::find("8:8", PASSWD, GROUP).unwrap();
        assert!(
            other
                .add_to(&once, "/home/dev")
                .ends_with("dev8:x:8:8::/home/dev:/bin/sh\n")
        );
        assert!(account.add_to("", "/h").starts_with("root:x:0:0:"));
    }
}
