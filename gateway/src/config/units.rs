//! Values with a unit, as people write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a text has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a time.
    #[error(
        "{0:?} is not a time: write a whole number and a unit, as in 500ms, 30s, 10m, 1h or 7d"
    )]
    Period(String),
    /// Not a size.
    #[error(
        "{0:?} is not a size: write a whole number and a unit, as in 512B, 32KiB, 2MiB or 1GiB"
    )]
    Size(String),
    /// Not an address to listen on.
    #[error(
        "{0:?} is not an address: write HOST:PORT, as in 127.0.0.1:2222, [::]:2222 or localhost:0"
    )]
    Listen(String),
}

/// A length of time, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(u64);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(u64);

/// Where to listen: a name or an address, and a TCP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen {
    host: String,
    port: u16,
}

/// Units of time, largest first, in milliseconds.
const PERIODS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Units of size, largest first, in bytes.
const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Longest part of a refused text that is quoted, in characters.
const QUOTED: usize = 80;

impl Period {
    /// Returns that many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns the length of time.
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Size {
    /// Returns that many KiB.
    pub const fn kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1024))
    }

    /// Returns the number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Listen {
    /// Returns an address to listen on.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
        }
    }

    /// Returns the name or address, an IPv6 one without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port; 0 stands for a free one.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Tells whether nothing can listen here while something listens at `other`, as far as
    /// that shows without asking what a name means.
    pub fn collides_with(&self, other: &Self) -> bool {
        // `[::]` is for IPv4, too.
        let covers = |one: &Self, other: &Self| match one.host.parse() {
            Ok(IpAddr::V6(ip)) => ip.is_unspecified(),
            Ok(IpAddr::V4(ip)) => ip.is_unspecified() && other.host.parse::<Ipv4Addr>().is_ok(),
            Err(_) => false,
        };
        let same = self.host == other.host || covers(self, other) || covers(other, self);
        self.port != 0 && self.port == other.port && same
    }

    /// Returns it as a text, with another port where its own is 0.
    pub fn or_at(&self, port: u16) -> String {
        let port = if self.port == 0 { port } else { self.port };
        Self::new(&self.host, port).to_string()
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        with_unit(text, &PERIODS)
            .map(Self)
            .ok_or_else(|| UnitError::Period(quoted(text)))
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        with_unit(text, &SIZES)
            .map(Self)
            .ok_or_else(|| UnitError::Size(quoted(text)))
    }
}

impl FromStr for Listen {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_listen(text).ok_or_else(|| UnitError::Listen(quoted(text)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        in_unit(self.0, &PERIODS, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_unit(self.0, &SIZES, f)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Has types be read from and written as texts.
macro_rules! by_text {
    ($error:ident; $($type:ident),+) => {
        $(impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        })+
    };
}

pub(super) use by_text;

by_text!(UnitError; Period, Size, Listen);

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn in_unit(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // The last unit is 1, which divides everything, zero included.
    for (name, factor) in units {
        if value.is_multiple_of(*factor) && (value > 0 || *factor == 1) {
            return write!(f, "{}{name}", value / factor);
        }
    }
    Ok(())
}

fn parse_listen(text: &str) -> Option<Listen> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None if is_host(host) => host.to_owned(),
        None => return None,
    };
    Some(Listen { host, port })
}

fn is_host(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Returns a refused text in bounded length.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_whole_number_and_a_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("10 m", 600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(
                text.parse::<Period>().unwrap().get(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "1 year",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_printed_in_their_largest_whole_unit() {
        assert_eq!(Period::seconds(90).to_string(), "90s");
        assert_eq!(Period::seconds(3600).to_string(), "1h");
        assert_eq!(Period::seconds(0).to_string(), "0s");
        assert_eq!(Size::kib(2048).to_string(), "2MiB");
        assert_eq!("0B".parse::<Size>().unwrap().to_string(), "0B");
    }

    #[test]
    fn two_addresses_collide_where_one_covers_the_other() {
        let collide = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| text.parse::<Listen>().unwrap());
            assert_eq!(one.collides_with(&other), other.collides_with(&one));
            one.collides_with(&other)
        };
        for (one, other) in [
            ("127.0.0.1:22", "127.0.0.1:22"),
            ("0.0.0.0:22", "127.0.0.1:22"),
            ("[::]:22", "127.0.0.1:22"),
            ("[::]:22", "0.0.0.0:22"),
            ("dev.example.com:22", "dev.example.com:22"),
        ] {
            assert!(collide(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("127.0.0.1:22", "127.0.0.1:443"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("127.0.0.1:22", "127.0.0.2:22"),
            ("0.0.0.0:22", "[::1]:22"),
        ] {
            assert!(!collide(one, other), "{one} {other}");
        }
    }

    #[test]
    fn an_address_keeps_its_brackets_only_in_print() {
        let listen: Listen = "[::1]:0".parse().unwrap();
        assert_eq!(listen.host(), "::1");
        assert_eq!(listen.to_string(), "[::1]:0");
        for bad in [
            "",
            "localhost",
            ":22",
            "::1:22",
            "host:65536",
            "host:-1",
            "a b:22",
            "[::1:22",
            "http://x:1",
        ] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }
}
