//! A proxy on the way to a server elsewhere, which the environment names: it is asked to connect
//! (RFC 9110 §9.3.6), and what goes through is TLS.

use std::env;
use std::fmt;
use std::io;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;

use super::trust::Trust;
use super::way::{Stream, bare, is_here, shaken, tcp};
use crate::cli::failure::{Failure, Kind};
use crate::http::Origin;

/// The variables that name a proxy for HTTPS; the first that says something counts.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The variables that name servers which are reached without one.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A proxy.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Proxy {
    /// The variable that names it.
    variable: &'static str,
    /// Where it is, without name and password.
    uri: Uri,
    authorization: Option<HeaderValue>,
}

/// Why a proxy leads nowhere, and what to do about it.
#[derive(Debug)]
pub(in crate::cli) struct Stopped {
    pub(in crate::cli) detail: String,
    pub(in crate::cli) remedy: String,
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        let message = format!("{}: {}", stopped.detail, stopped.remedy);
        Self::new(Kind::Unreachable, message)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = self.place();
        write!(f, "the proxy {host}:{port} ({})", self.variable)
    }
}

impl Proxy {
    /// Returns the proxy that the environment names for a server, if any. This machine itself is
    /// reached without one.
    ///
    /// # Errors
    /// For one that can't be used: to go without would be to go where one isn't meant to.
    pub(in crate::cli) fn of(origin: &Origin) -> Result<Option<Self>, Failure> {
        Self::named(origin, &|name| {
            let value = env::var_os(name)?.to_string_lossy().into_owned();
            Some(value).filter(|value| !value.trim().is_empty())
        })
    }

    fn named(
        origin: &Origin,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Failure> {
        let found = PROXIES
            .iter()
            .find_map(|name| Some((*name, variable(name)?)));
        let Some((name, value)) = found.filter(|_| !is_here(origin.host())) else {
            return Ok(None);
        };
        let failed = |why: &str| {
            let message = format!(
                "{name} {why}: write the address of an HTTP proxy there, http://HOST:PORT, or \
                 name {} in NO_PROXY to connect directly",
                bare(origin.host())
            );
            Failure::new(Kind::Usage, message)
        };
        let server: Uri = format!("https://{}/", origin.authority())
            .parse()
            .map_err(|_| failed("can't be used for this server"))?;
        let exceptions = EXCEPTIONS.iter().find_map(|name| variable(name));
        let excepted = Matcher::builder()
            .https("http://proxy.invalid")
            .no(exceptions.unwrap_or_default())
            .build();
        if excepted.intercept(&server).is_none() {
            return Ok(None);
        }
        let matcher = Matcher::builder().https(value.trim().to_owned()).build();
        let Some(intercept) = matcher.intercept(&server) else {
            return Err(failed("names no proxy"));
        };
        if !matches!(intercept.uri().scheme_str(), Some("http" | "https")) {
            return Err(failed(
                "names a proxy of another kind than devgate goes through",
            ));
        }
        Ok(Some(Self {
            variable: name,
            uri: intercept.uri().clone(),
            authorization: intercept.basic_auth().cloned(),
        }))
    }

    /// Connects to the proxy itself.
    pub(in crate::cli) async fn reach(&self) -> Result<Box<dyn Stream>, Stopped> {
        self.connect().await.map_err(|error| Stopped {
            detail: format!("cannot reach {self}: {error}"),
            remedy: format!(
                "mend {}, or name the server in NO_PROXY where this machine reaches it directly",
                self.variable
            ),
        })
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let (host, port) = self.place();
        let tcp = tcp(host, port).await?;
        if self.is_secure() {
            let config = Trust::System.config();
            let config = config.map_err(|failure| io::Error::other(failure.to_string()))?;
            return shaken(&config, host, tcp).await;
        }
        Ok(Box::new(tcp))
    }

    /// Has the proxy connect to a server; what is returned leads there.
    pub(in crate::cli) async fn through(
        &self,
        stream: Box<dyn Stream>,
        origin: &Origin,
    ) -> Result<Box<dyn Stream>, Stopped> {
        let broken = |error: hyper::Error| Stopped {
            detail: format!("{self} broke the connection: {error}"),
            remedy: format!("see that {} names an HTTP proxy", self.variable),
        };
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(broken)?;
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        let server = place_of(origin);
        *request.uri_mut() = server.parse().map_err(|_| self.refuses(origin, None))?;
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::try_from(&server) {
            headers.insert(header::HOST, host);
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(header::PROXY_AUTHORIZATION, authorization.clone());
        }
        let asked = async move {
            let answer = sender.send_request(request).await?;
            // Without the answer's body and its sender, the connection ends where it refuses.
            Ok(answer.status())
        };
        let (status, connection) = tokio::join!(asked, connection.without_shutdown());
        let status = status.map_err(broken)?;
        if !status.is_success() {
            return Err(self.refuses(origin, Some(status)));
        }
        let parts = connection.map_err(broken)?;
        Ok(parts.io.into_inner())
    }

    fn refuses(&self, origin: &Origin, status: Option<StatusCode>) -> Stopped {
        let (server, variable) = (place_of(origin), self.variable);
        let said = status.map_or_else(String::new, |status| format!(" ({status})"));
        let (detail, remedy) = match status {
            Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) if self.authorization.is_some() => (
                format!("{self} doesn't take the name and password that it is given"),
                format!("mend them in {variable}, with %XX for what is special in an address"),
            ),
            Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => (
                format!("{self} wants a name and a password"),
                format!(
                    "write them into {variable} as http://NAME:PASSWORD@HOST:PORT, with %XX for \
                     what is special in an address"
                ),
            ),
            Some(status) if status.is_server_error() => (
                format!("{self} can't reach {server}{said}"),
                "check the address, and that the server runs; where this machine reaches it \
                 directly, name it in NO_PROXY"
                    .to_owned(),
            ),
            _ => (
                format!("{self} doesn't let devgate through to {server}{said}"),
                "have whoever runs it let CONNECT to there through (many allow port 443 alone), \
                 or name the server in NO_PROXY where this machine reaches it directly"
                    .to_owned(),
            ),
        };
        Stopped { detail, remedy }
    }

    fn is_secure(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    fn place(&self) -> (&str, u16) {
        let usual = if self.is_secure() { 443 } else { 80 };
        let host = bare(self.uri.host().unwrap_or_default());
        (host, self.uri.port_u16().unwrap_or(usual))
    }
}

/// Returns where a server is, with its port, as `CONNECT` has it whatever that is.
fn place_of(origin: &Origin) -> String {
    format!("{}:{}", origin.host(), origin.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(server: &str, set: &[(&str, &str)]) -> Result<Option<String>, Failure> {
        let origin: Origin = server.parse().unwrap();
        let find = |name: &str| {
            let found = set.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Ok(Proxy::named(&origin, &find)?.map(|proxy| proxy.to_string()))
    }

    #[test]
    fn the_usual_variables_name_it_and_what_goes_without() {
        const THERE: &str = "https://dev.example.com:8443";
        let one = |name| of(THERE, &[(name, "http://ada:secret@proxy.corp:3128")]).unwrap();
        for name in PROXIES {
            let expected = format!("the proxy proxy.corp:3128 ({name})");
            assert_eq!(one(name), Some(expected));
        }
        assert_eq!(one("HTTP_PROXY"), None);
        for (value, place) in [
            ("proxy.corp:3128", "proxy.corp:3128"),
            ("proxy.corp", "proxy.corp:80"),
            ("https://proxy.corp", "proxy.corp:443"),
            ("http://[::1]:3128/", "::1:3128"),
        ] {
            let expected = format!("the proxy {place} (https_proxy)");
            assert_eq!(
                of(THERE, &[("https_proxy", value)]).unwrap(),
                Some(expected)
            );
        }
        for (server, except, through) in [
            (THERE, "other.example.com", true),
            (THERE, "internal, .example.com", false),
            (THERE, "dev.example.com", false),
            (THERE, "*", false),
            ("https://10.1.2.3", "10.0.0.0/8", false),
            ("https://10.1.2.3", "", true),
            ("https://[fd00::1]:8443", "fd00::/8", false),
            // This machine itself.
            ("https://localhost:8443", "", false),
            ("https://127.0.0.1", "", false),
            ("https://[::1]:8443", "", false),
        ] {
            let set = [("HTTPS_PROXY", "proxy.corp"), ("no_proxy", except)];
            assert_eq!(
                of(server, &set).unwrap().is_some(),
                through,
                "{server} {except}"
            );
        }
    }

    #[test]
    fn a_server_is_asked_for_with_its_port() {
        for (server, place) in [
            ("https://dev.example.com", "dev.example.com:443"),
            ("https://dev.example.com:8443", "dev.example.com:8443"),
            ("https://[fd00::1]", "[fd00::1]:443"),
        ] {
            assert_eq!(place_of(&server.parse().unwrap()), place);
        }
    }

    #[test]
    fn what_can_not_be_used_is_refused_and_named() {
        let there = "https://dev.example.com";
        for value in [
            "socks5://proxy.corp:1080",
            "http://",
            "ftp://proxy.corp",
            "a b",
        ] {
            let said = of(there, &[("ALL_PROXY", value)]).unwrap_err().to_string();
            for part in ["ALL_PROXY", "NO_PROXY", "dev.example.com"] {
                assert!(said.contains(part), "{value}: {said}");
            }
            let set = [("ALL_PROXY", value), ("NO_PROXY", "dev.example.com")];
            assert_eq!(of(there, &set).unwrap(), None);
        }
    }
}
