//! Connection-level messages between a gateway and one agent.
//!
//! Each message is one JSON text: a WebSocket text message where the agent dials,
//! and a length of four bytes (big-endian) followed by the text on a `control`
//! stream. Unknown message types are ignored.

use std::collections::BTreeMap;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::Secret;
use crate::frame::Size;

/// Largest message, in bytes.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromAgent {
    /// The first message.
    Hello {
        /// The protocol's version that the agent speaks.
        protocol: u8,
        /// The agent's own version.
        version: String,
        /// Id of the workspace that it serves.
        workspace: String,
        /// Its process id, as it sees it.
        pid: u32,
        /// Names of optional capabilities.
        #[serde(default)]
        features: Vec<String>,
    },
    /// Answers [`FromGateway::Ping`].
    Pong {
        /// The ping's number.
        number: u64,
    },
    /// Asks for a new certificate before the agent's own expires.
    CertificateRequest {
        /// Certificate signing request (RFC 2986), PEM.
        request: String,
    },
    /// The workspace's memory was used up, and the kernel has killed a program.
    OutOfMemory {
        /// Its name, as far as it is known.
        #[serde(default)]
        program: Option<String>,
        /// Its process id in the workspace, as far as it is known.
        #[serde(default)]
        pid: Option<u32>,
    },
    /// The workspace has as many processes and threads as it may, and one more couldn't be made.
    ProcessLimit {
        /// How many it may have, as far as that is known.
        #[serde(default)]
        limit: Option<u64>,
    },
    /// Answers [`FromGateway::Tell`]: programs that start from here on know it.
    Known {
        /// The message's number.
        number: u64,
    },
    /// A type that this version doesn't know; to be ignored.
    #[serde(other)]
    Unknown,
}

/// What a gateway says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromGateway {
    /// Answers [`FromAgent::Hello`].
    Welcome {
        /// The protocol's version that both will speak.
        protocol: u8,
        /// The gateway's own version.
        version: String,
        /// Names of optional capabilities.
        #[serde(default)]
        features: Vec<String>,
        /// Variables that programs find, which win over those of the agent's configuration.
        /// All of them, each time.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environment: BTreeMap<String, String>,
        /// What the workspace's programs are to know, for agents that name the feature
        /// [`crate::FEATURE_SECRETS`]. All of them, each time.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<Told>,
        /// Names of the secrets that the workspace was to get and that there aren't.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
        /// Certificates, PEM, of whoever vouches for the server that `DEVGATE_URL` in the
        /// environment names, where that is no public authority.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority: Option<String>,
    },
    /// Tells anew what a welcome told, in place of all that.
    Tell {
        /// Number to answer with.
        number: u64,
        /// As of a welcome.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environment: BTreeMap<String, String>,
        /// As of a welcome.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<Told>,
        /// As of a welcome.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
        /// As of a welcome.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority: Option<String>,
    },
    /// Asks for a sign of life.
    Ping {
        /// Number to answer with.
        number: u64,
    },
    /// Reaches a session past the data that waits on its stream. For agents that name the
    /// feature [`crate::FEATURE_OVERTAKING`].
    Overtake {
        /// The session's number ([`crate::SessionOpen::number`]).
        session: u64,
        /// What it is to do.
        request: Overtaking,
    },
    /// Asks the agent to dial that many data connections beyond its spare ones.
    Dial {
        /// How many.
        count: u32,
    },
    /// Takes no new streams: the agent dials another gateway, or this address
    /// again, and this tunnel ends with its last stream.
    GoAway,
    /// Answers [`FromAgent::CertificateRequest`].
    Certificate {
        /// The chain, leaf first, PEM.
        chain: String,
    },
    /// A type that this version doesn't know; to be ignored.
    #[serde(other)]
    Unknown,
}

/// What means what it means wherever it comes, so that it needn't wait behind data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Overtaking {
    /// `signal` (RFC 4254 §6.9).
    Signal {
        /// Its name without `SIG`.
        name: String,
    },
    /// `window-change` (RFC 4254 §6.7).
    WindowChange {
        /// The terminal's new size.
        size: Size,
    },
    /// `eow@openssh.com`: what the program still writes is thrown away.
    EndOfWrite,
    /// A request that this version doesn't know; to be ignored.
    #[serde(other)]
    Unknown,
}

/// A secret that the gateway tells an agent, which keeps it in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// The variable that programs find it in; none where absent.
    #[serde(default)]
    pub variable: Option<String>,
    /// Its value.
    pub value: Secret<String>,
}

/// Writes one message to a `control` stream. Not cancel-safe.
pub async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len())
        .ok()
        .filter(|_| json.len() <= MAX_MESSAGE)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "message too long"))?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&json);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// Reads one message from a `control` stream, or `None` at its end. Not cancel-safe.
pub async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "message too long",
        ));
    }
    let mut json = vec![0; length];
    stream.read_exact(&mut json).await?;
    Ok(Some(serde_json::from_slice(&json)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_of_a_later_version_are_unknown_and_not_an_error() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        write(
            &mut near,
            &serde_json::json!({"type": "weather", "sunny": true}),
        )
        .await
        .unwrap();
        write(&mut near, &FromGateway::Ping { number: 3 })
            .await
            .unwrap();
        drop(near);
        assert_eq!(read(&mut far).await.unwrap(), Some(FromGateway::Unknown));
        assert_eq!(
            read(&mut far).await.unwrap(),
            Some(FromGateway::Ping { number: 3 })
        );
        assert_eq!(read::<FromGateway>(&mut far).await.unwrap(), None);
    }
}
