//! The key files of the SSH authorities.

use std::path::Path;

use ssh_key::PrivateKey;

use crate::CertsError;
use crate::files::{self, Access};

/// Reads an authority's key, where there is one; `remedy` is for one that is damaged.
pub(crate) fn read(path: &Path, remedy: &'static str) -> Result<Option<PrivateKey>, CertsError> {
    let damaged = |detail: String| CertsError::Damaged {
        path: path.to_owned(),
        detail,
        remedy,
    };
    let Some(text) = files::read(path, Access::Private)? else {
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
    if files::read(&path, Access::Public)?.as_deref() != Some(&public) {
        files::write(&path, Access::Public, &public)?;
    }
    Ok(())
}
