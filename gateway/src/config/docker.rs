//! Workspaces as containers: the section `[docker]`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::units::{by_text, quoted};
use super::{BindMount, Listen, Size};

/// Shell of a user that an image doesn't list.
pub const DEFAULT_SHELL: &str = "/bin/sh";

/// Workspaces as containers of a Docker Engine on this host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DockerConfig {
    /// The engine's socket. Default: `/var/run/docker.sock`.
    pub socket: PathBuf,
    /// The image of the workspaces; needed with `driver = "docker"`. It is pulled where
    /// the engine doesn't have it.
    pub image: Option<String>,
    /// The user that everything runs as, `USER[:GROUP]`: names of the image's, or
    /// numbers. Default: `1000:1000`.
    pub user: String,
    /// Where the home is in a workspace. Default: `/home/dev`.
    pub home: PathBuf,
    /// Login shell. Absent: that of the image's user, else `/bin/sh`.
    pub shell: Option<PathBuf>,
    /// Processors that a workspace may use. Absent: all.
    pub cpus: Option<Cpus>,
    /// Memory that a workspace may use, its `/tmp` included. Absent: all.
    pub memory: Option<Size>,
    /// Most processes and threads of a workspace. Default: 4096.
    pub pids: u32,
    /// Size of the `/tmp`, which is in memory. Default: 1 GiB.
    pub tmp_size: Size,
    /// What else is mounted, `SOURCE:TARGET[:ro]`; a folder of the host's or a volume.
    /// Default: nothing.
    pub mounts: Vec<BindMount>,
    /// Further lines for `/etc/hosts`, `NAME:ADDRESS`. Default: none.
    pub extra_hosts: Vec<ExtraHost>,
    /// The host's GPUs that workspaces get. Default: none.
    pub gpus: Gpus,
    /// A network of the engine's. Absent: one of the installation's own, in which
    /// workspaces don't reach each other.
    pub network: Option<String>,
    /// Environment of everything that runs in the workspaces; what a client sends wins.
    /// Default: empty.
    pub environment: BTreeMap<String, String>,
    /// The hosts that workspaces are spread over, in place of `socket`. Default: none.
    pub hosts: Vec<DockerHostConfig>,
}

/// One of several hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DockerHostConfig {
    /// Its name, which stays.
    pub name: String,
    /// Where its engine is: `unix:///PATH` on this host, or `tcp://HOST:PORT` with TLS.
    pub url: EngineUrl,
    /// PEM file with the CA of the engine's certificate; for `tcp`.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// PEM file with our certificate for it; for `tcp`.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// PEM file with that one's private key; for `tcp`.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// `HOST:PORT` by which containers there reach the gateway's HTTPS listener, port 0
    /// for the listener's own; for `tcp`.
    #[serde(default)]
    pub gateway: Option<Listen>,
    /// What it is good for; templates ask for labels. Default: none.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// Where an engine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EngineUrl {
    /// At a Unix socket of this host.
    Unix(PathBuf),
    /// At `HOST:PORT`, by TLS.
    Tcp(Listen),
}

/// Which GPUs workspaces get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gpus {
    /// None.
    None,
    /// All that the host has.
    All,
}

/// Why a text has no value here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerValueError {
    /// Not a number of processors.
    #[error("{0:?} is not a number of processors: write one such as \"2\" or \"0.5\"")]
    Cpus(String),
    /// Not a mount.
    #[error(
        "{0:?} is not a mount: write SOURCE:TARGET or SOURCE:TARGET:ro, as in \
         /srv/data:/data:ro; TARGET is an absolute path"
    )]
    Mount(String),
    /// Not a host.
    #[error("{0:?} is not a host: write NAME:ADDRESS, as in db:10.0.0.7 or me:host-gateway")]
    Host(String),
    /// Not an engine's address.
    #[error(
        "{0:?} is not an engine's address: write unix:///var/run/docker.sock or tcp://HOST:2376"
    )]
    Url(String),
}

/// A number of processors, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpus(u32);

/// A line for `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExtraHost(String);

/// What the engine replaces with the host's own address.
const HOST_GATEWAY: &str = "host-gateway";

by_text!(DockerValueError; Cpus, ExtraHost, EngineUrl);

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            socket: "/var/run/docker.sock".into(),
            image: None,
            user: "1000:1000".to_owned(),
            home: "/home/dev".into(),
            shell: None,
            cpus: None,
            memory: None,
            pids: 4096,
            tmp_size: Size::kib(1 << 20),
            mounts: Vec::new(),
            extra_hosts: Vec::new(),
            gpus: Gpus::None,
            network: None,
            environment: BTreeMap::new(),
            hosts: Vec::new(),
        }
    }
}

impl Cpus {
    /// Returns the hundredth of a processor.
    pub const fn hundredth() -> Self {
        Self(10)
    }

    /// Returns the number in thousandths of a processor.
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

impl FromStr for Cpus {
    type Err = DockerValueError;

    fn from_str(text: &str) -> Result<Self, DockerValueError> {
        cpus(text.trim())
            .map(Self)
            .ok_or_else(|| DockerValueError::Cpus(quoted(text)))
    }
}

impl FromStr for ExtraHost {
    type Err = DockerValueError;

    fn from_str(text: &str) -> Result<Self, DockerValueError> {
        let valid = text.split_once(':').is_some_and(|(name, address)| {
            is_name(name) && (address == HOST_GATEWAY || address.parse::<IpAddr>().is_ok())
        });
        if valid {
            return Ok(Self(text.to_owned()));
        }
        Err(DockerValueError::Host(quoted(text)))
    }
}

impl FromStr for EngineUrl {
    type Err = DockerValueError;

    fn from_str(text: &str) -> Result<Self, DockerValueError> {
        let refused = || DockerValueError::Url(quoted(text));
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(refused())
            };
        }
        let address = text.strip_prefix("tcp://").ok_or_else(refused)?;
        address.parse().map(Self::Tcp).map_err(|_| refused())
    }
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1000, self.0 % 1000);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let part = format!("{part:03}");
        write!(f, "{whole}.{}", part.trim_end_matches('0'))
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn cpus(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if !(1..=3).contains(&part.len()) || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u32 = format!("{part:0<3}").parse().ok()?;
    let whole: u32 = whole.parse().ok()?;
    let all = whole.checked_mul(1000)?.checked_add(part)?;
    (all > 0).then_some(all)
}

/// Tells whether a text can name a host, a volume or a network.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Tells whether a text is `USER[:GROUP]`.
pub(crate) fn is_user(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    parts.len() <= 2
        && parts.iter().all(|part| {
            (1..=32).contains(&part.len())
                && !part.starts_with('-')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_in_thousandths_and_printed_as_written() {
        for (text, expected) in [("2", 2000), ("0.5", 500), ("1.25", 1250), ("64", 64_000)] {
            let cpus: Cpus = text.parse().unwrap();
            assert_eq!(cpus.thousandths(), expected, "{text}");
            assert_eq!(cpus.to_string(), text);
        }
        for bad in [
            "", "0", "-1", "1.", ".5", "1.2345", "two", "5000000", "1e3", "0.0",
        ] {
            assert!(bad.parse::<Cpus>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_engine_is_at_a_socket_or_at_a_host() {
        for good in [
            "unix:///var/run/docker.sock",
            "tcp://build-1.example:2376",
            "tcp://[::1]:2376",
        ] {
            let url: EngineUrl = good.parse().unwrap();
            assert_eq!(url.to_string(), good);
        }
        for bad in [
            "",
            "unix://docker.sock",
            "tcp://host",
            "http://host:2375",
            "/var/run/docker.sock",
        ] {
            assert!(bad.parse::<EngineUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_has_a_name_and_an_address() {
        for good in ["db:10.0.0.7", "six:::1", "me:host-gateway"] {
            assert!(good.parse::<ExtraHost>().is_ok(), "{good}");
        }
        for bad in ["", "db", "db:", ":10.0.0.7", "db:elsewhere", "d b:10.0.0.7"] {
            assert!(bad.parse::<ExtraHost>().is_err(), "{bad}");
        }
    }
}
