//! What leads where, as it is written on the command line.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Serialize;

/// Where connections go that name no host: the workspace itself.
const LOCALHOST: &str = "localhost";

/// A port of this machine, and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forward {
    /// The port here; 0 takes a free one.
    pub(super) local: u16,
    /// What it leads to.
    pub(super) to: Place,
}

/// Something to connect to, seen from the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Place {
    /// Returns a port of the workspace itself.
    pub(super) fn inside(port: u16) -> Self {
        let host = LOCALHOST.to_owned();
        Self { host, port }
    }

    /// Tells whether it is in the workspace itself.
    pub(super) fn is_inside(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == LOCALHOST || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_str() {
            LOCALHOST => write!(f, "port {}", self.port),
            host => write!(f, "{host} port {}", self.port),
        }
    }
}

impl FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no port to forward: write PORT, LOCAL:PORT or LOCAL:HOST:PORT, with \
                 ports from 1 to 65535 and 0 as LOCAL for a free one"
            )
        };
        let number = |text: &str| text.parse::<u16>().map_err(|_| wrong());
        let (local, rest) = match text.split_once(':') {
            Some((local, rest)) => (Some(number(local)?), rest),
            None => (None, text),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (bare(host), number(port)?),
            None => (LOCALHOST, number(rest)?),
        };
        if port == 0 || host.is_empty() {
            return Err(wrong());
        }
        let host = host.to_owned();
        Ok(Self {
            local: local.unwrap_or(port),
            to: Place { host, port },
        })
    }
}

/// Returns a host without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_host_is_not_the_workspace() {
        for (text, inside) in [
            ("5432", true),
            ("1:127.0.0.1:5432", true),
            ("1:[::1]:5432", true),
            ("5432:db.internal:5432", false),
            ("5432:10.0.0.7:5432", false),
        ] {
            let forward: Forward = text.parse().unwrap();
            assert_eq!(forward.to.is_inside(), inside, "{text}");
        }
    }

    #[test]
    fn all_three_forms_are_read() {
        for (text, local, host, port) in [
            ("8080", 8080, "localhost", 8080),
            ("3000:80", 3000, "localhost", 80),
            ("0:80", 0, "localhost", 80),
            ("5432:db.internal:5432", 5432, "db.internal", 5432),
            ("1:[::1]:2", 1, "::1", 2),
        ] {
            let host = host.to_owned();
            let to = Place { host, port };
            let expected = Forward { local, to };
            assert_eq!(text.parse::<Forward>().unwrap(), expected);
        }
        for bad in [
            "", "0", "80:", ":80", "65536", "1:0", "1::2", "a:1", "1:2:3:",
        ] {
            assert!(bad.parse::<Forward>().is_err(), "{bad}");
        }
    }
}
