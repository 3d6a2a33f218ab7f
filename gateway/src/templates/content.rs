//! Reading a template's file, whatever lies there under its name.
//!
//! Nothing here waits for anybody: a pipe that nobody writes to is no template.

use std::io;
use std::path::Path;

use super::MAX_TEXT;
use super::read::TemplateError;
use crate::files::read_regular;

/// Longest file, in bytes: each character of a text takes four at most.
const MAX_BYTES: usize = MAX_TEXT * 4;

/// Why a file gives no text.
pub(super) enum NoText {
    /// There is none.
    Gone,
    /// It can't be a template.
    Unusable(TemplateError),
}

/// Returns what a file says.
pub(super) fn content(path: &Path) -> Result<String, NoText> {
    let unusable = |line, problem| NoText::Unusable(TemplateError { line, problem });
    let bytes = read_regular(path, MAX_BYTES + 1).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NoText::Gone,
        _ => unusable(1, format!("the file can't be read: {error}")),
    })?;
    let Some(bytes) = bytes else {
        let problem = "this is no file: write the template into a regular file of this name";
        return Err(unusable(1, problem.to_owned()));
    };
    if bytes.len() > MAX_BYTES {
        let problem = format!("the file is too long: write at most {MAX_TEXT} characters");
        return Err(unusable(1, problem));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(valid);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        unusable(line, "this is no UTF-8: save the file as UTF-8".to_owned())
    })
}
