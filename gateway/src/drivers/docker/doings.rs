//! What takes its time, in words for who waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What goes on, and how far it is, by the id of what it is about.
#[derive(Debug, Default)]
pub(super) struct Doings(Mutex<HashMap<String, String>>);

/// Takes the words back when it is dropped.
#[derive(Debug)]
pub(super) struct Doing<'a>(&'a Doings, String);

impl Doings {
    /// Begins to tell.
    pub(super) fn begin(&self, about: &str, text: &str) -> Doing<'_> {
        let doing = Doing(self, about.to_owned());
        doing.tell(text.to_owned());
        doing
    }

    /// Returns what there is to tell.
    pub(super) fn text(&self, about: &str) -> Option<String> {
        self.held().get(about).cloned()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, String>> {
        // A map is whole after every change: a panic elsewhere breaks nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doing<'_> {
    /// Says how far it is now.
    pub(super) fn tell(&self, text: String) {
        self.0.held().insert(self.1.clone(), text);
    }
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        self.0.held().remove(&self.1);
    }
}
