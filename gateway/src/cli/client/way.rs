//! The way to a server elsewhere: TCP, through a proxy where there is one, and TLS.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use socket2::TcpKeepalive;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::CONNECT_TIMEOUT;
use super::proxy::Proxy;
use super::remote::Unanswered;
use super::trust::{self, Trust};
use crate::cli::failure::{Failure, Kind};
use crate::http::{Origin, Scheme};

/// How long a connection is silent before it is looked whether the server is there.
const SILENCE: Duration = Duration::from_secs(30);

/// How often it is looked then.
const PROBE: Duration = Duration::from_secs(10);

/// How many looks in vain end it: a network may be gone for a minute and a half, as with SSH.
const PROBES: u32 = 9;

/// Bytes in both directions.
pub(in crate::cli) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The way to one server.
#[derive(Clone)]
pub(super) struct Way {
    origin: Origin,
    /// Absent where it speaks plain HTTP.
    tls: Option<Arc<ClientConfig>>,
    proxy: Option<Proxy>,
}

impl Way {
    /// Returns the way to a server.
    ///
    /// # Errors
    /// For one that would be asked in the clear over a network, or through a proxy that can't be
    /// used.
    pub(super) fn new(origin: Origin, trust: &Trust) -> Result<Self, Failure> {
        let tls = match origin.scheme() {
            Scheme::Https => Some(trust.config()?),
            Scheme::Http if is_here(origin.host()) => None,
            Scheme::Http => {
                let message = format!(
                    "{origin} would be asked in the clear, your token included: write \
                     https:// instead"
                );
                return Err(Failure::new(Kind::Usage, message));
            }
        };
        let proxy = Proxy::of(&origin)?;
        Ok(Self { origin, tls, proxy })
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, Unanswered> {
        let connected = timeout(CONNECT_TIMEOUT, self.dial()).await;
        connected.map_err(|_| self.silent())?
    }

    async fn dial(&self) -> Result<Box<dyn Stream>, Unanswered> {
        let host = bare(self.origin.host());
        let stream: Box<dyn Stream> = if let Some(proxy) = &self.proxy {
            let stream = proxy.reach().await.map_err(Failure::from)?;
            let stream = proxy.through(stream, &self.origin).await;
            stream.map_err(Failure::from)?
        } else {
            let tcp = tcp(host, self.origin.port()).await;
            Box::new(tcp.map_err(|error| self.unreachable(&error))?)
        };
        match &self.tls {
            Some(tls) => {
                let shaken = shaken(tls, host, stream).await;
                shaken.map_err(|error| self.unreachable(&error))
            }
            None => Ok(stream),
        }
    }

    fn unreachable(&self, error: &io::Error) -> Unanswered {
        let origin = &self.origin;
        let Some(why) = trust::refused(error) else {
            let message = match &self.proxy {
                Some(proxy) => format!(
                    "{origin} speaks no TLS through {proxy}: {error}; check the address, and that \
                     the server runs"
                ),
                None => format!(
                    "cannot reach {origin}: {error}; check the address, and that the server \
                     listens for other machines (--http-listen)"
                ),
            };
            return Failure::new(Kind::Unreachable, message).into();
        };
        let next = match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "name its authority with `devgate login --ca FILE`, or by the fingerprint that \
                 `devgate status` shows on the server with --fingerprint"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "write the address as the server's configuration has it (http.names)"
            }
            _ => "compare the clocks of both machines, and look at the server's log",
        };
        let message = format!("the certificate of {origin} is not trusted ({why}): {next}");
        let failure = Failure::new(Kind::Unreachable, message);
        match why {
            CertificateError::UnknownIssuer => Unanswered::Untrusted(failure),
            CertificateError::BadSignature => Unanswered::Mistaken(failure),
            _ => Unanswered::Failed(failure),
        }
    }

    fn silent(&self) -> Failure {
        let message = match &self.proxy {
            Some(proxy) => format!("{} isn't reached in time through {proxy}", self.origin),
            None => format!("{} doesn't answer", self.origin),
        };
        Failure::new(Kind::Unreachable, message)
    }
}

/// Connects to a port.
pub(super) async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    // What waits for the next word for hours has to notice that nobody is there any more.
    let probes = TcpKeepalive::new()
        .with_time(SILENCE)
        .with_interval(PROBE)
        .with_retries(PROBES);
    socket2::SockRef::from(&tcp).set_tcp_keepalive(&probes)?;
    Ok(tcp)
}

/// Shakes hands with a host.
pub(super) async fn shaken(
    config: &Arc<ClientConfig>,
    host: &str,
    stream: impl Stream + 'static,
) -> io::Result<Box<dyn Stream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::clone(config));
    Ok(Box::new(connector.connect(name, stream).await?))
}

/// Returns a host without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

pub(super) fn is_here(host: &str) -> bool {
    let host = bare(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
