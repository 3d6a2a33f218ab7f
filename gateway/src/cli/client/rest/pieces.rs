//! What comes piece by piece: as it is, or as Server-Sent Events with a line each.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::cli::failure::{Failure, Kind};

/// Longest event that is kept until it is whole, in bytes.
const MAX_EVENT: usize = 1024 * 1024;

/// An answer that comes piece by piece.
pub(in crate::cli) struct Pieces {
    body: Incoming,
    form: Form,
}

enum Form {
    Plain,
    /// What came of the next line of the stream.
    Events(Vec<u8>),
}

impl Pieces {
    pub(in crate::cli::client) fn plain(body: Incoming) -> Self {
        let form = Form::Plain;
        Self { body, form }
    }

    pub(in crate::cli::client) fn events(body: Incoming) -> Self {
        let form = Form::Events(Vec::new());
        Self { body, form }
    }

    /// Returns what comes next; `None` at the end.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| {
                let message = format!(
                    "the log broke off ({error}): see whether the server runs, and follow it again"
                );
                Failure::new(Kind::Unreachable, message)
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            match &mut self.form {
                Form::Plain => return Ok(Some(data)),
                Form::Events(rest) => {
                    rest.extend_from_slice(&data);
                    let lines = lines(rest);
                    if rest.len() > MAX_EVENT {
                        let message = "the server sends a line that has no end";
                        return Err(Failure::new(Kind::Failed, message));
                    }
                    if !lines.is_empty() {
                        return Ok(Some(lines.into()));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Takes the whole lines out of a stream of events, and returns their data.
fn lines(stream: &mut Vec<u8>) -> Vec<u8> {
    let end = stream.iter().rposition(|byte| *byte == b'\n');
    let whole: Vec<u8> = stream.drain(..end.map_or(0, |end| end + 1)).collect();
    let mut lines = Vec::new();
    for line in whole.split(|byte| *byte == b'\n') {
        if let Some(data) = line.strip_prefix(b"data:") {
            lines.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            lines.push(b'\n');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_taken_out_of_events_however_they_are_cut() {
        let mut stream = b"event: log\ndata: one\n\n:\n\ndata:two\nda".to_vec();
        assert_eq!(lines(&mut stream), b"one\ntwo\n");
        assert_eq!(stream, b"da");
        stream.extend_from_slice(b"ta:  three\n");
        assert_eq!(lines(&mut stream), b" three\n");
        assert_eq!(lines(&mut stream), b"");
    }
}
