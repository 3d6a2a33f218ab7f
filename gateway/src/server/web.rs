//! What the browser's side of the server is made of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use devgate_certs::{Authority, CertsError, Given};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{StartError, browser};
use crate::chain::chain;
use crate::config::{Config, HttpConfig, TlsMode};
use crate::http::{Site, Transport};
use crate::store::{Store, StoreError};

/// How often what has expired is removed.
const HOUSEKEEPING: Duration = Duration::from_hours(1);

/// How long it is remembered what happened.
const EVENTS_KEPT: Duration = Duration::from_hours(30 * 24);

/// How long a request can be told from its repetition.
const REQUESTS_KEPT: Duration = Duration::from_hours(24);

/// How long a token that expired is still shown.
const TOKENS_KEPT: Duration = Duration::from_hours(30 * 24);

/// Returns the addresses of the site.
pub(super) fn site(config: &Config, listener: &TcpListener) -> Result<Site, StartError> {
    let address = listener.local_addr().map_err(StartError::NoAddress)?;
    Ok(Site::new(&config.http, address.port())?)
}

/// Reads the certificate that the HTTP listener is given in files, where it is. Blocks on the
/// disk.
pub fn given(http: &HttpConfig) -> Result<Option<Given>, CertsError> {
    match (http.tls, &http.certificate, &http.key) {
        (TlsMode::Files, Some(certificate), Some(key)) => Given::open(certificate, key).map(Some),
        // Without files the configuration was refused.
        _ => Ok(None),
    }
}

/// Returns how the HTTP listener speaks, and the certificate that is to be kept fresh.
pub(super) async fn transport(
    config: &Config,
    authority: &Arc<Authority>,
    site: &Site,
) -> Result<(Transport, Option<Arc<Given>>), StartError> {
    let http = config.http.clone();
    let given = spawn_blocking(move || given(&http)).await??;
    match (config.http.tls, given) {
        (TlsMode::Off, _) => Ok((Transport::Plain, None)),
        (TlsMode::Files, Some(given)) => {
            if let Some(problem) = given.untimely(OffsetDateTime::now_utc()) {
                warn!(problem, "the given certificate is refused by clients");
            }
            let given = Arc::new(given);
            let tls = authority.server_config_with(Arc::clone(&given))?;
            Ok((tls.into(), Some(given)))
        }
        (TlsMode::Files | TlsMode::OwnCa, _) => own(authority, site)
            .map(|own| (own, None))
            .map_err(Into::into),
    }
}

/// Returns the authority of the listener's certificate, PEM, where it is our own.
pub(super) fn own_ca(config: &Config, authority: &Authority) -> Option<String> {
    match config.http.tls {
        TlsMode::OwnCa => Some(authority.ca_pem().to_owned()),
        TlsMode::Files | TlsMode::Off => None,
    }
}

fn own(authority: &Arc<Authority>, site: &Site) -> Result<Transport, CertsError> {
    authority
        .server_config_for(browser::wanted(site))
        .map(Transport::from)
}

/// Removes what has expired, now and then, and keeps a given certificate fresh, until
/// `stop`.
pub(super) async fn keep_house(store: Store, given: Option<Arc<Given>>, stop: CancellationToken) {
    let certificate = async {
        match given {
            Some(given) => given.refresh_forever(stop.clone()).await,
            None => stop.cancelled().await,
        }
    };
    let records = async {
        let mut interval = interval(HOUSEKEEPING);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => {}
            }
            if let Err(failure) = clean(&store).await {
                error!(failure = chain(&failure), "what has expired isn't removed");
            }
        }
    };
    tokio::join!(certificate, records);
}

async fn clean(store: &Store) -> Result<(), StoreError> {
    store.remove_expired(TOKENS_KEPT).await?;
    store.forget_events(EVENTS_KEPT, REQUESTS_KEPT).await
}

/// Returns host and port by which people reach the SSH server.
pub(super) fn ssh_address(ssh: SocketAddr, config: &Config) -> (String, u16) {
    (public_host(ssh, config), ssh.port())
}

/// Returns the name or address by which people reach the server.
pub fn public_host(ssh: SocketAddr, config: &Config) -> String {
    if let Some(name) = config.http.names.first() {
        return name.clone();
    }
    if !ssh.ip().is_unspecified() {
        return ssh.ip().to_string();
    }
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}
