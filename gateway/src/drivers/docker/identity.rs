//! What an agent needs to dial in, which is put into its container.

use std::io;
use std::path::Path;

use devgate_protocol::config::{DataTransport, Reach};

use super::files::Files;
use super::options::{DockerOptions, DockerReach};
use super::spec::IDENTITY;
use crate::drivers::{AgentCredentials, DriverError, Issue};
use crate::names::WorkspaceId;

/// The gateway's CA.
const CA: &str = "ca.pem";

/// The agent's certificate.
const CERTIFICATE: &str = "agent.pem";

/// Its private key.
const KEY: &str = "agent.key";

/// An identity that isn't made yet.
pub(super) struct Wanted(Option<(Issue, WorkspaceId)>);

/// An identity, where one is needed.
pub(super) struct Identity(Option<AgentCredentials>);

/// Returns what makes a workspace's identity, where its agent dials in.
pub(super) fn of(id: &WorkspaceId, options: &DockerOptions) -> Wanted {
    Wanted(match &options.reach {
        DockerReach::Folder => None,
        DockerReach::Dial { issue, .. } => Some((issue.clone(), id.clone())),
    })
}

/// Says how an agent dials in.
pub(super) fn reach(gateways: &[String]) -> Reach {
    let folder = Path::new(IDENTITY);
    Reach::Dial {
        gateways: gateways.to_vec(),
        ca: folder.join(CA),
        certificate: folder.join(CERTIFICATE),
        key: folder.join(KEY),
        data: DataTransport::Auto,
    }
}

/// Puts nothing in the place of an identity, where there is one: what is made of the
/// container's files then isn't known to the gateway.
pub(super) fn pack_nothing(files: &mut Files, options: &DockerOptions) -> io::Result<()> {
    let own = self::files(options);
    if !own.is_empty() {
        files.folder(IDENTITY, 0o700, (0, 0))?;
    }
    own.iter().try_for_each(|path| files.file(path, 0o600, b""))
}

/// Returns the files of a container that are an identity's alone, where it needs one.
pub(super) fn files(options: &DockerOptions) -> Vec<String> {
    match &options.reach {
        DockerReach::Folder => Vec::new(),
        DockerReach::Dial { .. } => [CERTIFICATE, KEY]
            .map(|name| format!("{IDENTITY}/{name}"))
            .into(),
    }
}

impl Wanted {
    /// Makes it. Blocks.
    pub(super) fn issue(self) -> Result<Identity, DriverError> {
        let Some((issue, id)) = self.0 else {
            return Ok(Identity(None));
        };
        let credentials = issue(&id).map_err(DriverError::Certificate)?;
        Ok(Identity(Some(credentials)))
    }
}

impl Identity {
    /// Adds it to a container's files, for that user, who renews it.
    pub(super) fn pack(&self, files: &mut Files, owner: (u32, u32)) -> io::Result<()> {
        let Some(credentials) = &self.0 else {
            return Ok(());
        };
        let identity = &credentials.identity;
        files.folder(IDENTITY, 0o700, owner)?;
        for (name, text) in [
            (CA, credentials.ca_pem.as_str()),
            (CERTIFICATE, &identity.chain_pem),
            (KEY, identity.key_pem.expose()),
        ] {
            let path = format!("{IDENTITY}/{name}");
            files.own_file(&path, 0o600, text.as_bytes(), owner)?;
        }
        Ok(())
    }
}
