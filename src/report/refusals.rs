//! Who has refused us, and until when it is left alone. Whoever is not asked again is forgotten all the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::core::memory::give_back;

/// How long whoever refuses is left alone.
pub(crate) const LEFT_ALONE: Duration = Duration::from_secs(300);

/// See the module's header.
pub(crate) struct Refusals<K> {
    until: HashMap<K, Instant>,
    /// When to look for those that are to be forgotten.
    due: Option<Instant>,
    /// Whether there was ever one.
    known: bool,
}

impl<K> Default for Refusals<K> {
    fn default() -> Self {
        Self { until: HashMap::new(), due: None, known: false }
    }
}

impl<K: Eq + Hash> Refusals<K> {
    /// Notes a refusal. Whether it is the first ever.
    pub(crate) fn note(&mut self, key: K, now: Instant) -> bool {
        self.until.insert(key, now + LEFT_ALONE);
        self.due.get_or_insert(now + LEFT_ALONE * 2);
        !std::mem::replace(&mut self.known, true)
    }

    /// Until when it is left alone, if it is.
    pub(crate) fn until(&self, key: &K, now: Instant) -> Option<Instant> {
        self.until.get(key).copied().filter(|until| *until > now)
    }

    /// It does not refuse any more. Whether it did.
    pub(crate) fn lift(&mut self, key: &K) -> bool {
        self.until.remove(key).is_some()
    }

    /// Forgets those whose time was over long ago, and that were not asked again.
    pub(crate) fn forget(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            // For as long again it can be told that they do not refuse any more.
            self.until.retain(|_, until| *until + LEFT_ALONE > now);
            give_back(&mut self.until);
            self.due = (!self.until.is_empty()).then(|| now + LEFT_ALONE);
        }
    }

    /// When to forget next.
    pub(crate) const fn next(&self) -> Option<Instant> {
        self.due
    }

    /// Whether nobody is known.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.until.is_empty()
    }
}
