//! Files that are read, and folders that are listed.

use rustix::fs::OFlags;

use super::*;

#[test]
fn a_folder_of_any_size_is_listed_page_by_page() {
    let home = Home::new();
    for number in 0..1000 {
        fs::write(home.path(&format!("in/{number:03}")), "").unwrap();
    }
    let root = home.confined();
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let cursor_now: Option<String> = cursor.take();
        let page = list(
            &root,
            &home.names,
            b"",
            97,
            cursor_now.as_deref().map(str::as_bytes),
        );
        let page = page.unwrap();
        assert!(page.items.len() <= 97);
        found.extend(page.items.into_iter().map(|entry| entry.name));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let wanted: Vec<_> = (0..1000).map(|number| format!("{number:03}")).collect();
    assert_eq!(found, wanted);
}

#[test]
fn what_would_keep_one_waiting_is_not_read() {
    let home = Home::new();
    let cwd = rustix::fs::CWD;
    let fifo = home.path("fifo");
    let (kind, mode) = (rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(cwd, &fifo, kind, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(home.path("socket")).unwrap();
    for path in ["fifo", "socket"] {
        let refused = read(&home.free(), path);
        assert!(matches!(refused, Err(FileError::NotAFile(_))), "{path}");
        let written = write(&home.free(), &home.names, order(path), "x");
        assert!(matches!(written, Err(FileError::NotAFile(_))), "{path}");
    }
    assert!(home.free().open(b"fifo", OFlags::PATH).is_ok());
}
