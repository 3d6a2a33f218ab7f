//! Under which addresses the gateway is found, and what a request says of where it
//! came from.
//!
//! What stands in `Forwarded` or `X-Forwarded-*` is believed of trusted proxies
//! alone, and only the one of the two that they are said to write. Invariant: nothing that a client sends changes what the site's own origins
//! are.

mod forwarded;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderMap, header};

use crate::config::{Applications, ForwardedHeaders, HttpConfig, Network, TlsMode};
use crate::identity::{Cookies, Secret};

use forwarded::{FORWARDED_HEADERS, Forwarded, address_of, list, parameter};

/// Most addresses in a list of forwarders that are looked at, from the end.
const MAX_HOPS: usize = 20;

/// Longest host that is taken for one, in bytes (RFC 1035 §2.3.4, and a port).
const MAX_HOST: usize = 261;

/// The scheme of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

/// An origin (RFC 6454 §4): what browsers keep apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// A text that is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write SCHEME://HOST or SCHEME://HOST:PORT without a path, as in https://dev.example.com")]
pub struct InvalidOrigin;

/// A request that doesn't say which host it is for, or not in a way that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request names no host that can be read: send one `Host` header")]
pub struct NoHost;

/// The addresses of one gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Site(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dashboard: Origin,
    domain: String,
    applications: Applications,
    /// How the listener itself speaks.
    listener: Scheme,
    port: u16,
    /// Hosts under which the dashboard answers, beside its own and IP addresses.
    names: Vec<String>,
    trusted: Vec<Network>,
    forwarded: ForwardedHeaders,
}

/// What a request says of where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSite {
    /// How the client speaks to us, or to the proxy in front.
    pub scheme: Scheme,
    /// The host that it asked for, in small letters, an IPv6 address in brackets.
    pub host: String,
    /// The port that it asked for.
    pub port: u16,
    /// The client's address.
    pub client: IpAddr,
    /// Which cookies count.
    pub cookies: Cookies,
}

impl Scheme {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the port that needn't be written.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Origin {
    /// Returns an origin; `host` in small letters, an IPv6 address in brackets.
    pub fn new(scheme: Scheme, host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self { scheme, host, port }
    }

    /// Returns its scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns its host, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns host and port as a `Host` header has them.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() {
            return self.host.clone();
        }
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(InvalidOrigin)?;
        let scheme = scheme_of(scheme).ok_or(InvalidOrigin)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = split_host(authority).ok_or(InvalidOrigin)?;
        Ok(Self::new(scheme, host, port.unwrap_or(scheme.port())))
    }
}

impl Site {
    /// Returns the site of a listener that takes connections on `port`.
    ///
    /// # Errors
    /// Where the configured address of the dashboard is none.
    pub fn new(config: &HttpConfig, port: u16) -> Result<Self, InvalidOrigin> {
        let listener = match config.tls {
            TlsMode::OwnCa | TlsMode::Files => Scheme::Https,
            TlsMode::Off => Scheme::Http,
        };
        let dashboard = match &config.url {
            Some(url) => url.parse()?,
            None => Origin::new(listener, config.domain.clone(), port),
        };
        let mut names: Vec<_> = config
            .names
            .iter()
            .map(|name| name.to_lowercase())
            .collect();
        let own = nix::unistd::gethostname().ok();
        names.extend(own.and_then(|name| Some(name.into_string().ok()?.to_lowercase())));
        names.push(config.listen.host().to_lowercase());
        names.push(config.domain.clone());
        names.push("localhost".to_owned());
        Ok(Self(Arc::new(Inner {
            // What the outside sees of the dashboard, applications lie below.
            domain: match &config.url {
                Some(_)
                    if dashboard.host().parse::<IpAddr>().is_err()
                        && !dashboard.host().starts_with('[') =>
                {
                    dashboard.host().to_owned()
                }
                _ => config.domain.clone(),
            },
            dashboard,
            applications: config.applications,
            listener,
            port,
            names,
            trusted: config.trusted_proxies.clone(),
            forwarded: config.forwarded_headers,
        })))
    }

    /// Returns the origin of the dashboard, as people find it.
    pub fn dashboard(&self) -> &Origin {
        &self.0.dashboard
    }

    /// Returns the link that signs somebody in once. Its secret stands behind `#`, so
    /// that no proxy's log has it.
    pub fn sign_in_link(&self, secret: &Secret) -> String {
        format!("{}/sign-in#link={}", self.dashboard(), secret.expose())
    }

    /// Returns the page where programs that wait for it are approved.
    pub fn device_page(&self) -> String {
        format!("{}/device", self.dashboard())
    }

    /// Returns the domain that the hosts of applications end with.
    pub fn domain(&self) -> &str {
        &self.0.domain
    }

    /// Returns where applications are found.
    pub fn applications(&self) -> Applications {
        self.0.applications
    }

    /// Returns how the listener itself speaks.
    pub fn listener(&self) -> Scheme {
        self.0.listener
    }

    /// Returns the origin of an application, by the first label of its host
    /// (`PORT--WORKSPACE--OWNER`). `None` where applications have no hosts.
    pub fn application(&self, label: &str) -> Option<Origin> {
        let Applications::Subdomain = self.0.applications else {
            return None;
        };
        let dashboard = self.dashboard();
        let host = format!("{label}.{}", self.0.domain);
        Some(Origin::new(dashboard.scheme, host, dashboard.port))
    }

    /// Returns the first label of an application's host, or `None` where a host is
    /// none of an application.
    pub fn label<'a>(&self, host: &'a str) -> Option<&'a str> {
        let Applications::Subdomain = self.0.applications else {
            return None;
        };
        let label = host
            .strip_suffix(self.0.domain.as_str())?
            .strip_suffix('.')?;
        (!label.is_empty() && !label.contains('.')).then_some(label)
    }

    /// Tells whether the dashboard answers under a host: its own names, and IP
    /// addresses, which no name of somebody else's can be pointed at.
    pub fn is_dashboard(&self, host: &str) -> bool {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        host == self.dashboard().host()
            || self.0.names.iter().any(|name| name == host)
            || bare.unwrap_or(host).parse::<IpAddr>().is_ok()
    }

    /// Tells where a request came from; `peer` is the other end of its connection.
    ///
    /// # Errors
    /// Where it names no host, several, or one that can't be read: it must be taken for
    /// nobody's.
    pub fn request(&self, peer: IpAddr, headers: &HeaderMap) -> Result<RequestSite, NoHost> {
        let peer = peer.to_canonical();
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(NoHost);
        };
        let forwarded = self.trusts(peer).then(|| self.forwarded(peer, headers));
        let forwarded = forwarded.unwrap_or(Forwarded {
            client: peer,
            scheme: None,
            host: None,
        });
        let scheme = forwarded.scheme.unwrap_or(self.0.listener);
        let dashboard = self.dashboard();
        let host = match &forwarded.host {
            Some(host) => host,
            None => host.to_str().map_err(|_| NoHost)?,
        };
        let (host, port) = split_host(host).ok_or(NoHost)?;
        Ok(RequestSite {
            scheme,
            host,
            port: port.unwrap_or(scheme.port()),
            client: forwarded.client,
            // Where people come by HTTPS, what claims to be plain is a proxy that doesn't
            // say so, or somebody who went around it.
            cookies: match (scheme, dashboard.scheme) {
                (Scheme::Http, Scheme::Http) => Cookies::Plain,
                (Scheme::Https, _) | (_, Scheme::Https) => Cookies::Prefixed,
            },
        })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0
            .trusted
            .iter()
            .any(|network| network.contains(address))
    }

    fn forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Forwarded {
        match self.0.forwarded {
            ForwardedHeaders::XForwarded => self.x_forwarded(peer, headers),
            ForwardedHeaders::Forwarded => self.standard_forwarded(peer, headers),
        }
    }

    fn x_forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Forwarded {
        let [for_, proto, host] = FORWARDED_HEADERS;
        let clients = list(headers, for_);
        let (client, hops) = self.client(peer, clients.iter().map(String::as_str));
        let of_hop = |values: Vec<String>| {
            let index = values.len().saturating_sub(hops.max(1));
            values.into_iter().nth(index)
        };
        let scheme = of_hop(list(headers, proto));
        Forwarded {
            client,
            scheme: scheme.and_then(|scheme| scheme_of(&scheme)),
            host: of_hop(list(headers, host)),
        }
    }

    fn standard_forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Forwarded {
        let elements = list(headers, "forwarded");
        let nodes = elements
            .iter()
            .map(|element| parameter(element, "for").unwrap_or_default());
        let (client, hops) = self.client(peer, nodes);
        let index = elements.len().saturating_sub(hops.max(1));
        let of_hop = |name| {
            elements
                .get(index)
                .and_then(|element| parameter(element, name))
        };
        Forwarded {
            client,
            scheme: of_hop("proto").and_then(scheme_of),
            host: of_hop("host").map(str::to_owned),
        }
    }

    /// Returns the last address that no trusted proxy has, and how many entries of
    /// the list trusted proxies made.
    fn client<'a>(
        &self,
        peer: IpAddr,
        nodes: impl DoubleEndedIterator<Item = &'a str>,
    ) -> (IpAddr, usize) {
        let mut client = peer;
        let mut hops = 0;
        for node in nodes.rev().take(MAX_HOPS) {
            let Some(address) = address_of(node) else {
                break;
            };
            hops += 1;
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        (client, hops)
    }

    /// Returns the port that the listener takes connections on.
    pub fn port(&self) -> u16 {
        self.0.port
    }
}

impl RequestSite {
    /// Returns the origin that was asked.
    pub fn origin(&self) -> Origin {
        Origin::new(self.scheme, self.host.clone(), self.port)
    }
}

fn scheme_of(text: &str) -> Option<Scheme> {
    match text.to_ascii_lowercase().as_str() {
        "http" | "ws" => Some(Scheme::Http),
        "https" | "wss" => Some(Scheme::Https),
        _ => None,
    }
}

/// Splits a `Host`: the host in small letters, an IPv6 address in brackets.
fn split_host(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    if text.len() > MAX_HOST {
        return None;
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        return Some((format!("[{address}]"), port_of(rest).ok()?));
    }
    let (host, rest) = match text.split_once(':') {
        Some((host, _)) => text.split_at_checked(host.len())?,
        None => (text, ""),
    };
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let valid = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    valid.then_some(())?;
    Some((host.to_owned(), port_of(rest).ok()?))
}

/// A text that is neither `:PORT` nor nothing.
struct NoPort;

/// Reads `:PORT`, or nothing.
fn port_of(text: &str) -> Result<Option<u16>, NoPort> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(None),
        Some("") => Ok(None),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse().map(Some).map_err(|_| NoPort)
        }
        None | Some(_) => Err(NoPort),
    }
}

#[cfg(test)]
mod tests;
