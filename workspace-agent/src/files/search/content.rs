//! Finds by content.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use grep_matcher::Matcher;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::ignored::Rules;
use super::{End, Glob, Scope};
use crate::files::entry::texts;
use crate::files::error::{At, FileError, shown};
use crate::files::outgoing::{Gone, Outgoing};
use crate::files::place::{Root, real_path};
use crate::files::walk::{Found, Go, Visitor, walk};

/// Longest text that is sent of a line, in bytes.
const MAX_TEXT: usize = 4096;

/// Most matches that are told of a line.
const MAX_MATCHES: usize = 100;

/// Longest line that is searched, and what is read at once, in bytes.
const MAX_LINE: usize = 8 * 1024 * 1024;

/// What a pattern may take when it is compiled, in bytes.
const MAX_PATTERN: usize = 4 * 1024 * 1024;

/// How a pattern is meant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Matching {
    pub(crate) ignore_case: bool,
    pub(crate) fixed: bool,
}

/// What is looked for.
#[derive(Debug)]
pub(crate) struct Grep {
    matcher: RegexMatcher,
    pub(crate) glob: Option<Glob>,
    pub(crate) scope: Scope,
    pub(crate) context: usize,
    pub(crate) limit: u64,
}

impl Grep {
    /// Returns what looks for a pattern.
    pub(crate) fn new(pattern: &[u8], how: Matching) -> Result<Self, FileError> {
        let pattern = shown(pattern);
        // Whoever looks for them finds them; for all others they end a line.
        let is_asked_for = pattern.contains('\r') || pattern.contains("\\r");
        let mut builder = RegexMatcherBuilder::new();
        builder
            .case_insensitive(how.ignore_case)
            .fixed_strings(how.fixed)
            // It searches many lines at once.
            .multi_line(true)
            .crlf(!is_asked_for)
            .size_limit(MAX_PATTERN)
            .dfa_size_limit(MAX_PATTERN);
        if is_asked_for {
            builder.line_terminator(Some(b'\n'));
        }
        let matcher = builder
            .build(&pattern)
            .map_err(|error| FileError::Pattern {
                what: "pattern",
                error: error.to_string(),
            })?;
        Ok(Self {
            matcher,
            glob: None,
            scope: Scope::default(),
            context: 0,
            limit: 1000,
        })
    }
}

/// A line as it is sent.
#[derive(Debug, Serialize)]
struct FoundLine<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_path: Option<&'a str>,
    line: u64,
    text: &'a str,
    matches: Vec<Range>,
    context: bool,
}

/// A part of a line's text, in bytes.
#[derive(Debug, Serialize)]
struct Range {
    start: usize,
    end: usize,
}

/// Opens what is searched: a folder or a file.
pub(crate) fn start(root: &Root, path: &[u8]) -> Result<OwnedFd, FileError> {
    let found = root.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let kind = FileType::from_raw_mode(fstat(&found).at(path)?.st_mode);
    match kind {
        FileType::Directory | FileType::RegularFile => Ok(found),
        _ => Err(FileError::NotAFile(shown(path))),
    }
}

/// Sends each line that matches, in a file or in the files below a folder.
pub(crate) fn grep(
    root: &Root,
    from: OwnedFd,
    grep: &Grep,
    to: &mut Outgoing,
) -> Result<(), FileError> {
    let searcher = SearcherBuilder::new()
        .binary_detection(BinaryDetection::quit(0))
        .before_context(grep.context)
        .after_context(grep.context)
        .heap_limit(Some(MAX_LINE))
        .line_number(true)
        .line_terminator(grep.matcher.line_terminator().unwrap_or_default())
        .build();
    let end = End {
        binary: Some(0),
        ..End::default()
    };
    let mut search = Search {
        rules: Rules::new(root, from.as_fd(), grep.scope),
        base: real_path(from.as_fd()),
        searcher,
        grep,
        end,
        to,
    };
    let stat = fstat(&from).at(b"")?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        walk(from, &mut search, &CancellationToken::new())?;
    } else {
        let path = search.base.clone();
        search.file(&from.into(), &path)?;
    }
    let end = search.end;
    to.line(&end).at(b"")
}

struct Search<'a> {
    rules: Rules,
    base: Vec<u8>,
    searcher: Searcher,
    grep: &'a Grep,
    end: End,
    to: &'a mut Outgoing,
}

impl Search<'_> {
    fn file(&mut self, file: &File, path: &[u8]) -> Result<(), FileError> {
        let (path, raw_path) = texts(path);
        let gone = self.to.gone();
        let mut lines = Lines {
            path,
            raw_path,
            grep: self.grep,
            end: &mut self.end,
            to: self.to,
        };
        let searched =
            self.searcher
                .search_reader(&self.grep.matcher, Wanted { file, gone }, &mut lines);
        match searched {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(FileError::CutOff),
            Err(_) => {
                self.end.unreadable += 1;
                Ok(())
            }
        }
    }
}

/// A file that nobody reads on once the client has gone, whatever is or isn't found in it.
struct Wanted<'a> {
    file: &'a File,
    gone: Gone,
}

impl Read for Wanted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.gone.is() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.file.read(buffer)
    }
}

impl Visitor for Search<'_> {
    fn found(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        self.to.tick().at(found.path)?;
        if self.rules.leave_out(found) {
            return Ok(Go::Past);
        }
        let glob = self.grep.glob.as_ref();
        if found.kind != FileType::RegularFile
            || !glob.is_none_or(|glob| glob.matches(found.name, found.path))
        {
            return Ok(Go::In);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(found.folder, found.name, flags, Mode::empty()) {
            Ok(file) => {
                let path = [&self.base, &b"/"[..], found.path].concat();
                self.file(&file.into(), &path)?;
            }
            Err(_) => self.end.unreadable += 1,
        }
        Ok(if self.end.truncated {
            Go::Home
        } else {
            Go::Past
        })
    }

    fn entered(&mut self, folder: BorrowedFd<'_>, path: &[u8]) -> Result<(), FileError> {
        self.rules.enter(folder, path);
        Ok(())
    }

    fn left(&mut self, _: Found<'_>) -> Result<(), FileError> {
        self.rules.leave();
        Ok(())
    }

    fn failed(&mut self, _: FileError) -> Result<(), FileError> {
        self.end.unreadable += 1;
        Ok(())
    }
}

/// The lines of one file.
struct Lines<'a> {
    path: String,
    raw_path: Option<String>,
    grep: &'a Grep,
    end: &'a mut End,
    to: &'a mut Outgoing,
}

impl Lines<'_> {
    fn send(&mut self, number: Option<u64>, line: &[u8], context: bool) -> io::Result<()> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = String::from_utf8_lossy(line);
        let shown = text
            .get(..text.floor_char_boundary(MAX_TEXT))
            .unwrap_or_default();
        let mut matches = Vec::new();
        if !context {
            // In what is shown, so that the offsets are those of its bytes.
            self.grep
                .matcher
                .find_iter(shown.as_bytes(), |found| {
                    matches.push(Range {
                        start: found.start(),
                        end: found.end(),
                    });
                    matches.len() < MAX_MATCHES
                })
                .map_err(|error| io::Error::other(error.to_string()))?;
        }
        self.to.line(&FoundLine {
            path: &self.path,
            raw_path: self.raw_path.as_deref(),
            line: number.unwrap_or_default(),
            text: shown,
            matches,
            context,
        })
    }
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        if self.end.found == self.grep.limit {
            self.end.truncated = true;
            return Ok(false);
        }
        self.end.found += 1;
        self.send(found.line_number(), found.bytes(), false)?;
        Ok(true)
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> io::Result<bool> {
        self.end.binary.iter_mut().for_each(|binary| *binary += 1);
        Ok(false)
    }

    fn context(&mut self, _: &Searcher, found: &SinkContext<'_>) -> io::Result<bool> {
        self.send(found.line_number(), found.bytes(), true)?;
        Ok(true)
    }
}
