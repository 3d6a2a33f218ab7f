//! An agent's log: bounded on disk, read from its end.
//!
//! The agent holds the file open and outlives its gateway, so the file is emptied
//! in place when it is full; the agent appends, and goes on at the start.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::time::sleep;

use crate::drivers::{Follow, Logs};

/// Size at which a log is set aside, in bytes: on disk it takes about twice that.
const MAX_LOG: u64 = 10 * 1024 * 1024;

/// Most that is searched for the last lines, in bytes.
const MAX_TAIL: u64 = 1024 * 1024;

/// Most that is read at one time, in bytes.
const CHUNK: u64 = 64 * 1024;

/// How often a log that is followed is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Sets a full log aside, as `agent.log.1`. A line that is written at that very
/// moment may be lost.
pub(super) fn rotate(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if file.len() <= MAX_LOG => return Ok(()),
        Ok(_) => {}
    }
    let aside = aside(path);
    let mut copied = aside.clone();
    copied.as_mut_os_string().push(".new");
    fs::copy(path, &copied)?;
    fs::rename(&copied, &aside)?;
    OpenOptions::new().write(true).open(path)?.set_len(0)
}

/// Returns the last lines of a log, then what follows.
pub(super) fn read(path: PathBuf, lines: usize, follow: Follow) -> io::Result<Logs> {
    let (mut tail, position) = match tail(&path, lines) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => (VecDeque::new(), 0),
        result => result?,
    };
    if tail.len() < lines
        && let Ok((mut earlier, _)) = self::tail(&aside(&path), lines - tail.len())
    {
        earlier.append(&mut tail);
        tail = earlier;
    }
    let first: Vec<u8> = tail.into_iter().flatten().collect();
    let reader = Reader {
        path,
        position,
        follow,
        first: Some(first).filter(|first| !first.is_empty()),
    };
    Ok(Box::pin(stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((chunk, reader))
    })))
}

struct Reader {
    path: PathBuf,
    position: u64,
    follow: Follow,
    first: Option<Vec<u8>>,
}

impl Reader {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first.into()));
        }
        while self.follow == Follow::Yes {
            match chunk_at(&self.path, self.position) {
                Ok((position, bytes)) => {
                    self.position = position;
                    if !bytes.is_empty() {
                        return Some(Ok(bytes.into()));
                    }
                }
                // Not yet there, as before the first start, or no more.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.follow = Follow::No;
                    return Some(Err(error));
                }
            }
            sleep(POLL).await;
        }
        None
    }
}

/// Reads on at a position; at the start where the file was emptied meanwhile.
fn chunk_at(path: &Path, position: u64) -> io::Result<(u64, Vec<u8>)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let position = if length < position { 0 } else { position };
    file.seek(SeekFrom::Start(position))?;
    let mut bytes = Vec::new();
    let read = file.take(CHUNK).read_to_end(&mut bytes)?;
    Ok((
        position.saturating_add(u64::try_from(read).unwrap_or(0)),
        bytes,
    ))
}

/// Returns the last lines of a file, and where they end.
fn tail(path: &Path, lines: usize) -> io::Result<(VecDeque<Vec<u8>>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(MAX_TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length - start).read_to_end(&mut bytes)?;
    let mut last = VecDeque::new();
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // The first one is cut where the file begins earlier.
        if (index > 0 || start == 0) && lines > 0 {
            if last.len() == lines {
                last.pop_front();
            }
            last.push_back(line.to_vec());
        }
    }
    Ok((last, length))
}

fn aside(path: &Path) -> PathBuf {
    let mut aside = path.to_owned();
    aside.as_mut_os_string().push(".1");
    aside
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use std::future::poll_fn;

    use super::*;

    async fn next(logs: &mut Logs) -> Option<String> {
        let chunk = poll_fn(|cx| logs.as_mut().poll_next(cx)).await?;
        Some(String::from_utf8(chunk.unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_last_lines_come_first_and_new_ones_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.log");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let mut ended = read(path.clone(), 2, Follow::No).unwrap();
        assert_eq!(next(&mut ended).await.unwrap(), "two\nthree\n");
        assert_eq!(next(&mut ended).await, None);
        let mut followed = read(path.clone(), 1, Follow::Yes).unwrap();
        assert_eq!(next(&mut followed).await.unwrap(), "three\n");
        let mut log = OpenOptions::new().append(true).open(&path).unwrap();
        log.write_all(b"four\n").unwrap();
        assert_eq!(next(&mut followed).await.unwrap(), "four\n");
    }

    #[tokio::test]
    async fn a_log_whose_folder_does_not_exist_yet_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/agent.log");
        let mut ended = read(path.clone(), 9, Follow::No).unwrap();
        assert_eq!(next(&mut ended).await, None);
        let mut followed = read(path.clone(), 9, Follow::Yes).unwrap();
        let write = async {
            tokio::task::yield_now().await;
            fs::create_dir(folder.path().join("new")).unwrap();
            fs::write(&path, "one\n").unwrap();
        };
        let (read, ()) = tokio::join!(next(&mut followed), write);
        assert_eq!(read.unwrap(), "one\n");
    }

    #[tokio::test]
    async fn a_full_log_is_set_aside_and_its_writer_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.log");
        let mut log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap();
        log.write_all(&vec![b'x'; usize::try_from(MAX_LOG).unwrap()])
            .unwrap();
        log.write_all(b"\nlast\n").unwrap();
        let mut followed = read(path.clone(), 0, Follow::Yes).unwrap();
        rotate(&path).unwrap();
        log.write_all(b"next\n").unwrap();
        assert_eq!(next(&mut followed).await.unwrap(), "next\n");
        assert_eq!(fs::metadata(&path).unwrap().len(), 5);
        let mut both = read(path, 2, Follow::No).unwrap();
        assert_eq!(next(&mut both).await.unwrap(), "last\nnext\n");
    }
}
