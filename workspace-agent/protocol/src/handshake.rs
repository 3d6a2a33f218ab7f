//! How a stream begins.
//!
//! Both headers have one shape: three bytes `dvg`, a byte with the sender's
//! version, four bytes with the length of what follows (big-endian), and that
//! many bytes of JSON. Unknown JSON fields are ignored, so a version can add some.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Answer, OLDEST_VERSION, Open, StreamError, VERSION};

/// Largest JSON part of a header, in bytes.
pub const MAX_HEADER: usize = 256 * 1024;

const MAGIC: [u8; 3] = *b"dvg";

/// Writes the header that begins a stream.
pub async fn write_open(
    stream: &mut (impl AsyncWrite + Unpin),
    open: &Open,
) -> Result<(), StreamError> {
    write(stream, open).await
}

/// Reads the header that begins a stream. Not cancel-safe.
pub async fn read_open(stream: &mut (impl AsyncRead + Unpin)) -> Result<Open, StreamError> {
    read(stream).await
}

/// Writes the answer to a header.
pub async fn write_answer(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
) -> Result<(), StreamError> {
    write(stream, answer).await
}

/// Reads the answer to a header. Not cancel-safe.
pub async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<Answer, StreamError> {
    read(stream).await
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> Result<(), StreamError> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).map_err(|_| StreamError::TooLong(json.len()))?;
    if json.len() > MAX_HEADER {
        return Err(StreamError::TooLong(json.len()));
    }
    let mut header = Vec::with_capacity(8 + json.len());
    header.extend_from_slice(&MAGIC);
    header.push(VERSION);
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&json);
    stream.write_all(&header).await?;
    stream.flush().await?;
    Ok(())
}

async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<T, StreamError> {
    let mut fixed = [0; 8];
    stream.read_exact(&mut fixed).await?;
    let [a, b, c, version, length @ ..] = fixed;
    if [a, b, c] != MAGIC {
        return Err(StreamError::NotOurs);
    }
    if !(OLDEST_VERSION..=VERSION).contains(&version) {
        return Err(StreamError::Version(version));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_HEADER {
        return Err(StreamError::TooLong(length));
    }
    let mut json = vec![0; length];
    stream.read_exact(&mut json).await?;
    Ok(serde_json::from_slice(&json)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionOpen;

    #[tokio::test]
    async fn a_header_arrives_as_it_was_sent() {
        let (mut near, mut far) = tokio::io::duplex(4096);
        let sent = Open::Session(SessionOpen::default());
        write_open(&mut near, &sent).await.unwrap();
        assert_eq!(read_open(&mut far).await.unwrap(), sent);
    }

    #[tokio::test]
    async fn fields_of_a_later_version_are_ignored() {
        let (mut near, mut far) = tokio::io::duplex(4096);
        let json = br#"{"kind":"direct-tcpip","host":"h","port":1,"colour":"blue"}"#;
        let length = u32::try_from(json.len()).unwrap();
        near.write_all(b"dvg\x01").await.unwrap();
        near.write_all(&length.to_be_bytes()).await.unwrap();
        near.write_all(json).await.unwrap();
        let expected = Open::DirectTcpip {
            host: "h".into(),
            port: 1,
        };
        assert_eq!(read_open(&mut far).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_foreign_protocol_a_wrong_version_and_a_huge_header_are_refused() {
        for (bytes, expected) in [
            (*b"GET / HT", "not a devgate stream"),
            (*b"dvg\x63\0\0\0\0", "protocol version 99 is not supported"),
            (
                *b"dvg\x01\xff\0\0\0",
                "a header of 4278190080 bytes is too long",
            ),
        ] {
            let (mut near, mut far) = tokio::io::duplex(64);
            near.write_all(&bytes).await.unwrap();
            assert_eq!(read_open(&mut far).await.unwrap_err().to_string(), expected);
        }
    }
}
