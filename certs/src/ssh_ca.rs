//! The key files of the SSH authorities.

use std::path::Path;

use ssh_key::PrivateKey;

use crate::CertsError;
use crate::files::{self, Access};

/// What to do about an authority's key that can't be used.
#[derive(Clone, Copy)]
pub(crate) struct Remedies {
    /// Where it is damaged.
    pub(crate) damaged: &'static str,
    /// Where others may have read it.
    pub(crate) exposed: &'static str,
}

/// Reads an authority's key, where there is one.
pub(crate) fn read(path: &Path, remedies: Remedies) -> Result<Option<PrivateKey>, CertsError> {
    let damaged = |detail: String| CertsError::Damaged {
        path: path.to_owned(),
        detail,
        remedy: remedies.damaged,
    };
    let Some(text) = files::private_text(path, remedies.exposed)? else {
        return Ok(None);
    };
    let key = PrivateKey::from_openssh(&text).map_err(|error| damaged(error.to_string()))?;
    if key.is_encrypted() {
        return Err(damaged("it has a passphrase".into()));
    }
    Ok(Some(key))
}

/// Writes the public half beside a key, where it isn't there.
pub(crate) fn publish(path: &Path, key: &PrivateKey) -> Result<(), CertsError> {
    let public = format!("{}\n", key.public_key().to_openssh()?);
    let path = path.with_extension("pub");
    if files::public_text(&path)?.as_deref() != Some(&public) {
        files::write(&path, Access::Public, &public)?;
    }
    Ok(())
}
