//! What lives in the agent under an id, from before its beginning to its end.
//!
//! Invariant: an id that is in use is never given out again, so that whoever goes frees
//! the own place and no other.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A set of things by their ids. Clones share it.
#[derive(Debug)]
pub(crate) struct Places<T> {
    /// Makes an id out of a number that grows.
    name: fn(u64) -> String,
    entries: Arc<Mutex<Entries<T>>>,
}

#[derive(Debug)]
struct Entries<T> {
    next: u64,
    by_id: BTreeMap<String, Entry<T>>,
}

#[derive(Debug)]
enum Entry<T> {
    /// It is just being started.
    Begun,
    There(Arc<T>),
    /// It is to end, and nobody finds it any more.
    Ending,
}

impl<T> Clone for Places<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            entries: Arc::clone(&self.entries),
        }
    }
}

impl<T> Places<T> {
    /// Makes an empty set. An id that is taken is passed over; `name` must give another one
    /// for another number sooner or later.
    pub(crate) fn new(name: fn(u64) -> String) -> Self {
        let entries = Entries {
            next: 1,
            by_id: BTreeMap::new(),
        };
        Self {
            name,
            entries: Arc::new(Mutex::new(entries)),
        }
    }

    /// Takes a place with an id of its own, unless there are so many already.
    pub(crate) fn take(&self, most: usize) -> Option<Place<T>> {
        let mut entries = self.lock();
        let is_ending = |entry: &&Entry<T>| matches!(entry, Entry::Ending);
        let ending = entries.by_id.values().filter(is_ending).count();
        if entries.by_id.len() - ending >= most {
            return None;
        }
        let id = loop {
            let id = (self.name)(entries.next);
            entries.next += 1;
            if !entries.by_id.contains_key(&id) {
                break id;
            }
        };
        entries.by_id.insert(id.clone(), Entry::Begun);
        drop(entries);
        Some(Place {
            places: self.clone(),
            id,
        })
    }

    /// Returns all that are there, by their ids.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        let entries = self.lock();
        entries.by_id.values().filter_map(Entry::there).collect()
    }

    /// Returns the one of that id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<T>> {
        self.lock().by_id.get(id).and_then(Entry::there)
    }

    /// Returns the one of that id, which nobody else finds from now on.
    pub(crate) fn remove(&self, id: &str) -> Option<Arc<T>> {
        let mut entries = self.lock();
        let entry = entries.by_id.get_mut(id)?;
        let found = entry.there()?;
        *entry = Entry::Ending;
        Some(found)
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.entries.lock()
    }
}

impl<T> Entry<T> {
    fn there(&self) -> Option<Arc<T>> {
        match self {
            Self::There(thing) => Some(Arc::clone(thing)),
            Self::Begun | Self::Ending => None,
        }
    }
}

/// A place in the set; it is free once this is dropped.
#[derive(Debug)]
pub(crate) struct Place<T> {
    places: Places<T>,
    id: String,
}

impl<T> Place<T> {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Puts there what has begun: it is found from now on.
    pub(crate) fn fill(&self, thing: Arc<T>) {
        let mut entries = self.places.lock();
        entries.by_id.insert(self.id.clone(), Entry::There(thing));
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        self.places.lock().by_id.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_taken_is_not_given_out_again() {
        // Every other id is one that was there before.
        let places = Places::new(|number| (number / 2).to_string());
        let mut taken: Vec<_> = (0..3).map(|_| places.take(10).unwrap()).collect();
        let ids: Vec<_> = taken.iter().map(Place::id).collect();
        assert_eq!(ids, ["0", "1", "2"]);
        for (place, value) in taken.iter().zip(10..) {
            place.fill(Arc::new(value));
        }
        drop(taken.remove(1));
        assert_eq!(places.find("1"), None);
        assert_eq!(places.all(), [Arc::new(10), Arc::new(12)]);
    }

    #[test]
    fn one_that_is_ending_keeps_its_id_but_takes_no_room() {
        let places = Places::new(|number| (number / 3).to_string());
        let first = places.take(1).unwrap();
        assert!(places.remove(first.id()).is_none(), "it isn't there yet");
        first.fill(Arc::new("first"));
        assert!(places.take(1).is_none());
        assert_eq!(places.remove(first.id()).as_deref(), Some(&"first"));
        assert_eq!(places.find(first.id()), None);
        let second = places.take(1).unwrap();
        second.fill(Arc::new("second"));
        assert_ne!(second.id(), first.id());
        drop(first);
        assert_eq!(places.find(second.id()).as_deref(), Some(&"second"));
        drop(second);
        assert!(places.all().is_empty());
    }
}
