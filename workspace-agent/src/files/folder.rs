//! Folders, a page at a time.

use std::collections::BinaryHeap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::{Dir, OFlags, openat};
use rustix::io::Errno;
use serde::Serialize;

use super::entry::{Entry, Names};
use super::error::{At, FileError};
use super::place::{Place, Root};

/// One page of a folder.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    pub(crate) items: Vec<Entry>,
    pub(crate) next: Option<String>,
}

/// Lists what comes after `cursor` in a folder, by name, at most `limit` of it. However
/// much is in the folder, no more than a page is in memory.
pub(crate) fn list(
    root: &Root,
    names: &Names,
    path: &[u8],
    limit: usize,
    cursor: Option<&[u8]>,
) -> Result<Page, FileError> {
    let after = match cursor {
        None => None,
        Some(cursor) => Some(
            URL_SAFE_NO_PAD
                .decode(cursor)
                .map_err(|_| FileError::Pattern {
                    what: "cursor",
                    error: "it isn't the `next` of a page".to_owned(),
                })?,
        ),
    };
    let folder = root.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut first: BinaryHeap<Vec<u8>> = BinaryHeap::with_capacity(limit + 2);
    for found in Dir::read_from(&folder).at(path)? {
        let found = found.at(path)?;
        let name = found.file_name().to_bytes();
        let past = after.as_deref().is_some_and(|after| name <= after);
        if past || name == b"." || name == b".." {
            continue;
        }
        if first.len() <= limit {
            first.push(name.to_vec());
        } else if let Some(mut last) = first.peek_mut()
            && name < last.as_slice()
        {
            *last = name.to_vec();
        }
    }
    let mut found = first.into_sorted_vec();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|name| URL_SAFE_NO_PAD.encode(name));
    names.refresh();
    let mut items = Vec::with_capacity(found.len());
    for name in found {
        let own = openat(
            &folder,
            ".",
            OFlags::PATH | OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        );
        match names.of(&Place::new(own.at(path)?, &name)) {
            Ok(entry) => items.push(entry),
            // It has gone meanwhile.
            Err(FileError::System {
                source: Errno::NOENT,
                ..
            }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Page { items, next })
}
