//! Values that never reach a log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret value: `Debug` prints `***` and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Guards `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value itself; to be used, never to be printed.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
