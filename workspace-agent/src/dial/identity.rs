//! What the agent proves itself with, and how that is renewed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use devgate_certs::{
    Access, AgentRequest, CertsError, Secret, Validity, agent_request, client_config,
    read_private_text, read_public_text, validity, write_file,
};
use parking_lot::Mutex;
use rustls::ClientConfig;
use tracing::info;

use super::Dial;

/// What to do about a key that others may have read.
const EXPOSED: &str = "restart the workspace, which gets a new one";

/// Wait after a request that wasn't answered.
const ASK_AGAIN: Duration = Duration::from_mins(10);

/// The agent's certificate, and the TLS configuration that shows it.
pub(super) struct Identity<'a> {
    dial: &'a Dial,
    ca_pem: String,
    state: Mutex<State>,
}

struct State {
    config: Arc<ClientConfig>,
    validity: Validity,
    /// The key of a request that isn't answered.
    pending: Option<Secret<String>>,
}

impl<'a> Identity<'a> {
    /// Reads the files that the configuration names.
    pub(super) fn load(dial: &'a Dial) -> Result<Self, CertsError> {
        let missing = |path: &std::path::Path| CertsError::File {
            action: "read",
            path: path.to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        };
        let public = |path| read_public_text(path)?.ok_or_else(|| missing(path));
        let ca_pem = public(&dial.ca)?;
        let chain = public(&dial.certificate)?;
        let key = read_private_text(&dial.key, EXPOSED)?.ok_or_else(|| missing(&dial.key))?;
        let state = State {
            config: client_config(&ca_pem, &chain, &key)?,
            validity: validity(&chain)?,
            pending: None,
        };
        Ok(Self {
            dial,
            ca_pem,
            state: Mutex::new(state),
        })
    }

    /// Returns the configuration for the next connection.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.lock().config)
    }

    /// Returns how long to wait before the certificate should be asked for.
    pub(super) fn renew_in(&self) -> Duration {
        let state = self.lock();
        if state.pending.is_some() {
            return ASK_AGAIN;
        }
        let due = SystemTime::from(state.validity.renew_at());
        due.duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// Makes a new key and returns the request for its certificate, PEM.
    pub(super) fn request(&self) -> Result<String, CertsError> {
        let AgentRequest {
            request_pem,
            key_pem,
        } = agent_request()?;
        self.lock().pending = Some(key_pem);
        Ok(request_pem)
    }

    /// Takes the answer to a request: the next connection shows it.
    ///
    /// Both files are replaced so that a crash at any moment leaves a certificate
    /// and, among the keys, its own.
    ///
    /// # Errors
    /// Where the certificate doesn't belong to the key, or a file can't be
    /// written; the old ones stay in use.
    pub(super) fn install(&self, chain: &str) -> Result<(), CertsError> {
        let Some(key) = self.lock().pending.take() else {
            return Ok(());
        };
        let config = client_config(&self.ca_pem, chain, key.expose())?;
        let validity = validity(chain)?;
        let old = read_private_text(&self.dial.key, EXPOSED)?.unwrap_or_default();
        let both = format!("{}{old}", key.expose());
        write_file(&self.dial.key, Access::Private, &both)?;
        write_file(&self.dial.certificate, Access::Public, chain)?;
        write_file(&self.dial.key, Access::Private, key.expose())?;
        info!(until = %validity.not_after, "renewed the agent's certificate");
        let mut state = self.lock();
        state.config = config;
        state.validity = validity;
        Ok(())
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}
