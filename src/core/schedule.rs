//! What is to be looked at again, each at its time: the next one, and those that are due, are found without going through all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Keys, each with its time and what else is known of it.
pub(crate) struct Schedule<K, V = (), T = Duration> {
    entries: BTreeMap<K, (T, V)>,
    by_time: BTreeSet<(T, K)>,
}

impl<K, V, T> Default for Schedule<K, V, T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<K: Ord + Clone, V, T: Ord + Copy> Schedule<K, V, T> {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets the time of a key, and what is known of it.
    pub(crate) fn set(&mut self, key: K, at: T, known: V) {
        if let Some((before, _)) = self.entries.insert(key.clone(), (at, known)) {
            if before == at {
                return;
            }
            self.by_time.remove(&(before, key.clone()));
        }
        self.by_time.insert((at, key));
    }

    /// The time of a key, and what is known of it.
    pub(crate) fn get(&self, key: &K) -> Option<(T, &V)> {
        self.entries.get(key).map(|(at, known)| (*at, known))
    }

    /// Takes a key out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        if self.entries.is_empty() {
            return None;
        }
        let (at, known) = self.entries.remove(key)?;
        self.by_time.remove(&(at, key.clone()));
        Some(known)
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<T> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Keys whose time has come, the earliest first.
    pub(crate) fn due(&self, now: T) -> impl Iterator<Item = &K> {
        self.by_time.iter().take_while(move |(at, _)| *at <= now).map(|(_, key)| key)
    }

    /// Brings forward whatever is later than this.
    pub(crate) fn hurry(&mut self, latest: T) {
        while let Some((at, key)) = self.by_time.pop_last() {
            if at <= latest {
                self.by_time.insert((at, key));
                return;
            }
            if let Some((at, _)) = self.entries.get_mut(&key) {
                *at = latest;
            }
            self.by_time.insert((latest, key));
        }
    }

    /// The keys, and what is known of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, known))| (key, known))
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
