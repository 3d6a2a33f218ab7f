//! What takes its time, in words for who waits for it.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;

/// What goes on, and how far it is.
#[derive(Debug, Default)]
pub(super) struct Doings(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// How far what goes on is, by the id of what it is about.
    texts: HashMap<String, String>,
    /// How many things go on.
    count: usize,
    /// How many have begun so far.
    begun: u64,
}

/// Takes the words back when it is dropped.
#[derive(Debug)]
pub(super) struct Doing<'a>(&'a Doings, String);

impl Doings {
    /// Begins to tell.
    pub(super) fn begin(&self, about: &str, text: &str) -> Doing<'_> {
        {
            let mut held = self.held();
            held.count += 1;
            held.begun += 1;
        }
        let doing = Doing(self, about.to_owned());
        doing.tell(text.to_owned());
        doing
    }

    /// Returns what there is to tell.
    pub(super) fn text(&self, about: &str) -> Option<String> {
        self.held().texts.get(about).cloned()
    }

    /// Returns a mark of a time at which nothing goes on: what exists between two that are
    /// the same is made by nobody.
    pub(super) fn calm(&self) -> Option<u64> {
        let held = self.held();
        (held.count == 0).then_some(held.begun)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock()
    }
}

impl Doing<'_> {
    /// Says how far it is now.
    pub(super) fn tell(&self, text: String) {
        self.0.held().texts.insert(self.1.clone(), text);
    }
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.count -= 1;
        held.texts.remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_calm_while_nothing_goes_on() {
        let doings = Doings::default();
        let first = doings.calm();
        assert!(first.is_some());
        let (one, two) = (doings.begin("a", "one"), doings.begin("a", "two"));
        assert_eq!(doings.calm(), None);
        drop(one);
        assert_eq!(doings.calm(), None);
        drop(two);
        let second = doings.calm();
        assert!(second.is_some() && second != first);
        assert_eq!(doings.text("a"), None);
    }
}
