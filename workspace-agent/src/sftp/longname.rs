//! The line that `ls -l` would print.

use std::io::Write;

use nix::libc;
use rustix::fs::{FileType, Stat};

use super::accounts::Accounts;

/// Older than this, in seconds, a file's line has its year instead of the time:
/// half a year, as in ls(1).
const RECENT: i64 = 365 * 24 * 3600 / 2;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Writes the line for `name` into `line`, in OpenSSH's columns.
pub(super) fn write(line: &mut Vec<u8>, name: &[u8], stat: &Stat, accounts: &Accounts, now: i64) {
    line.clear();
    line.extend_from_slice(&mode(stat.st_mode));
    let user = Owner(accounts.user(stat.st_uid), stat.st_uid);
    let group = Owner(accounts.group(stat.st_gid), stat.st_gid);
    // Writing into a vector doesn't fail.
    let _ = write!(
        line,
        " {:>3} {user:<8} {group:<8} {:>8} ",
        stat.st_nlink, stat.st_size
    );
    match local_time(stat.st_mtime) {
        Some(time) => {
            let month = usize::try_from(time.tm_mon)
                .ok()
                .and_then(|month| MONTHS.get(month))
                .unwrap_or(&"???");
            let _ = write!(line, "{month} {:>2} ", time.tm_mday);
            let _ = if (now - RECENT..=now).contains(&stat.st_mtime) {
                write!(line, "{:02}:{:02}", time.tm_hour, time.tm_min)
            } else {
                write!(line, "{:>5}", i64::from(time.tm_year) + 1900)
            };
        }
        None => line.extend_from_slice(b"???????? ???"),
    }
    line.push(b' ');
    line.extend_from_slice(name);
}

/// Writes the line for a name of which nothing else is known, as ls(1) does.
pub(super) fn write_unknown(line: &mut Vec<u8>, name: &[u8]) {
    line.clear();
    line.extend_from_slice(b"??????????   ? ?        ?               ?            ? ");
    line.extend_from_slice(name);
}

/// A name where there is one, the number otherwise.
struct Owner<'a>(Option<&'a str>, u32);

impl std::fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(name) => f.pad(name),
            None => std::fmt::Display::fmt(&self.1, &mut *f),
        }
    }
}

/// Type and permissions, as strmode(3) writes them.
fn mode(mode: u32) -> [u8; 10] {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::RegularFile => b'-',
        FileType::Directory => b'd',
        FileType::Symlink => b'l',
        FileType::Fifo => b'p',
        FileType::Socket => b's',
        FileType::CharacterDevice => b'c',
        FileType::BlockDevice => b'b',
        FileType::Unknown => b'?',
    };
    let bit = |mask: u32, set: u8| if mode & mask == 0 { b'-' } else { set };
    let execute =
        |mask: u32, special: u32, both: u8, only: u8| match (mode & mask != 0, mode & special != 0)
        {
            (true, true) => both,
            (false, true) => only,
            (true, false) => b'x',
            (false, false) => b'-',
        };
    [
        kind,
        bit(0o400, b'r'),
        bit(0o200, b'w'),
        execute(0o100, 0o4000, b's', b'S'),
        bit(0o040, b'r'),
        bit(0o020, b'w'),
        execute(0o010, 0o2000, b's', b'S'),
        bit(0o004, b'r'),
        bit(0o002, b'w'),
        execute(0o001, 0o1000, b't', b'T'),
    ]
}

#[expect(
    unsafe_code,
    reason = "no safe wrapper of localtime_r is among the dependencies"
)]
fn local_time(seconds: i64) -> Option<libc::tm> {
    let mut time = std::mem::MaybeUninit::uninit();
    // SAFETY: both pointers are valid for the call, and `time` is written where it
    // returns one that isn't null.
    unsafe {
        if libc::localtime_r(&raw const seconds, time.as_mut_ptr()).is_null() {
            return None;
        }
        Some(time.assume_init())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_ls_writes_them() {
        for (raw, text) in [
            (0o100_644, "-rw-r--r--"),
            (0o041_777, "drwxrwxrwt"),
            (0o104_755, "-rwsr-xr-x"),
            (0o102_644, "-rw-r-Sr--"),
            (0o120_777, "lrwxrwxrwx"),
            (0o010_600, "prw-------"),
            (0o041_770, "drwxrwx--T"),
        ] {
            assert_eq!(mode(raw), *text.as_bytes());
        }
    }

    #[test]
    fn a_line_has_openssh_columns_and_keeps_the_names_bytes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("passwd"), "someone:x:4242:1::/h:/s\n").unwrap();
        let mut accounts = Accounts::new(folder.path());
        accounts.refresh();
        let file = tempfile::tempfile().unwrap();
        let mut stat = rustix::fs::fstat(&file).unwrap();
        (stat.st_mode, stat.st_nlink, stat.st_size) = (0o100_600, 1, 1234);
        (stat.st_uid, stat.st_gid, stat.st_mtime) = (4242, 77, 12 * 3600 * 24);
        let mut line = Vec::new();
        write(&mut line, b"a\xff b", &stat, &accounts, 13 * 3600 * 24);
        let text = String::from_utf8_lossy(&line);
        assert!(
            text.starts_with("-rw-------   1 someone  77           1234 Jan 1"),
            "{text}"
        );
        assert!(line.ends_with(b" a\xff b") && text.contains(':'));
        write(&mut line, b"a", &stat, &accounts, i64::MAX / 2);
        assert!(line.ends_with(b" 1970 a"));
    }
}
