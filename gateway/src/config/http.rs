//! The HTTPS listener, and what proxies in front of it say.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Listen, Network};

/// The HTTPS listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpConfig {
    /// Where it listens, `HOST:PORT`; port 0 takes a free one, the last
    /// one again if it can. Default:
    /// `127.0.0.1:8443`.
    pub listen: Listen,
    /// Names and addresses that the certificate is made for, beside `localhost`,
    /// the loopback addresses, the host's name and where it listens. The dashboard
    /// answers under them, too. Default: none.
    pub names: Vec<String>,
    /// Which certificate is shown, if any. Default: own-ca.
    pub tls: TlsMode,
    /// File with the certificate and those that lead to its issuer, in PEM; for
    /// `tls = "files"`.
    pub certificate: Option<PathBuf>,
    /// File with its private key, in PEM; for `tls = "files"`.
    pub key: Option<PathBuf>,
    /// Reverse proxies whose word about a request's client, scheme and host is
    /// believed. Default: none.
    pub trusted_proxies: Vec<Network>,
    /// By which headers they tell of it; the others aren't read. Default: x-forwarded.
    pub forwarded_headers: ForwardedHeaders,
    /// Name of the dashboard; applications have theirs below it. Default:
    /// `localhost`.
    pub domain: String,
    /// Where people find the dashboard. Absent: `https://DOMAIN:PORT`, and with
    /// `tls = "off"` `http://DOMAIN:PORT`.
    pub url: Option<String>,
    /// Where applications are found. Default: subdomain.
    pub applications: Applications,
    /// Most connections at once, `WebSockets` included and agents not. Default: 8192.
    pub max_connections: u32,
    /// Most of them from one address, unless it is a trusted proxy's. Default: 2048.
    pub max_connections_per_address: u32,
}

/// By which headers a reverse proxy tells of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Which certificate the HTTPS listener shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// One of the gateway's own CA.
    OwnCa,
    /// One from files.
    Files,
    /// None: plain HTTP, behind a reverse proxy that has one.
    Off,
}

/// Where applications are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applications {
    /// Each on a host of its own, `PORT--WORKSPACE--OWNER.DOMAIN`.
    Subdomain,
    /// Below the dashboard, `/@OWNER/WORKSPACE/apps/PORT/`, where there is no wildcard
    /// DNS.
    Path,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: Listen::new("127.0.0.1", 8443),
            names: Vec::new(),
            tls: TlsMode::OwnCa,
            certificate: None,
            key: None,
            trusted_proxies: Vec::new(),
            forwarded_headers: ForwardedHeaders::XForwarded,
            domain: "localhost".to_owned(),
            url: None,
            applications: Applications::Subdomain,
            max_connections: 8192,
            max_connections_per_address: 2048,
        }
    }
}
