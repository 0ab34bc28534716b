//! How often one object may speak, and which Events only repeat. Bounded memory, time as an argument, no IO.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::core::object::ObjectKey;
use crate::report::reason::{Reason, Severity};

/// Events of one object and type at once.
const BURST: u32 = 25;
/// Time until one more is allowed.
const REFILL: Duration = Duration::from_secs(300);
/// Objects and Events that are remembered at most.
const REMEMBERED_MAX: usize = 512;
/// An Event that is repeated within this time is counted up, later it is new.
const SERIES_FOR: Duration = Duration::from_secs(360);

/// A token bucket per object and type: what went well again and again keeps no failure from being told. Of each it is known when it
/// will be full again.
#[derive(Default)]
pub(crate) struct Buckets(HashMap<(ObjectKey, Severity), Instant>);

impl Buckets {
    /// Takes a token of this object and type: 25 at once, then one in five minutes. Whether there was one left.
    pub(crate) fn take(&mut self, key: &ObjectKey, severity: Severity, now: Instant) -> bool {
        let key = (key.clone(), severity);
        if !self.0.contains_key(&key) {
            make_room(&mut self.0, |full_at| *full_at);
        }
        let full_at = self.0.entry(key).or_insert(now);
        let later = now.max(*full_at) + REFILL;
        let is_left = later <= now + REFILL * BURST;
        if is_left {
            *full_at = later;
        }
        is_left
    }
}

/// An Event that was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WrittenEvent {
    /// Its name.
    pub(crate) name: String,
    /// How often it was observed.
    pub(crate) count: u32,
    /// When it was last observed.
    pub(crate) at: Instant,
}

/// The Events that may be repeated.
#[derive(Default)]
pub(crate) struct Series(HashMap<(ObjectKey, &'static str, u64), WrittenEvent>);

impl Series {
    /// The Event that said the same about the same object not long ago.
    pub(crate) fn find(&self, key: &ObjectKey, reason: &'static Reason, note: &str, now: Instant) -> Option<WrittenEvent> {
        self.0.get(&topic(key, reason, note)).filter(|written| now.duration_since(written.at) < SERIES_FOR).cloned()
    }

    /// Remembers an Event as written.
    pub(crate) fn put(&mut self, key: &ObjectKey, reason: &'static Reason, note: &str, written: WrittenEvent) {
        let topic = topic(key, reason, note);
        if !self.0.contains_key(&topic) {
            make_room(&mut self.0, |written| written.at);
        }
        self.0.insert(topic, written);
    }

    /// Forgets an Event that cannot be counted up.
    pub(crate) fn forget(&mut self, key: &ObjectKey, reason: &'static Reason, note: &str) {
        self.0.remove(&topic(key, reason, note));
    }
}

/// The note by its hash: a collision makes one Event too few, which is harmless.
fn topic(key: &ObjectKey, reason: &'static Reason, note: &str) -> (ObjectKey, &'static str, u64) {
    let mut hasher = DefaultHasher::new();
    note.hash(&mut hasher);
    (key.clone(), reason.name, hasher.finish())
}

/// Removes the entry of the earliest time from a map that is full.
fn make_room<K: Clone + Eq + Hash, V>(map: &mut HashMap<K, V>, time: impl Fn(&V) -> Instant) {
    if map.len() >= REMEMBERED_MAX
        && let Some(oldest) = map.iter().min_by_key(|(_, value)| time(value)).map(|(key, _)| key.clone())
    {
        map.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::object::Kind;
    use crate::report::reason::{FILES_REMOVED, FILES_WRITTEN};

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Kind::ConfigMap, "n", name)
    }

    #[test]
    fn bucket_gives_a_burst_and_then_one_in_five_minutes() {
        let (mut buckets, start) = (Buckets::default(), Instant::now());
        let mut taken = |at: Duration| (0..40).filter(|_| buckets.take(&key("a"), Severity::Normal, start + at)).count();
        assert_eq!(taken(Duration::ZERO), 25);
        assert_eq!(taken(REFILL - Duration::from_secs(1)), 0);
        assert_eq!(taken(REFILL), 1);
        assert_eq!(taken(REFILL * 3), 2);
        assert_eq!(taken(REFILL * 1000), 25);
        assert!(buckets.take(&key("a"), Severity::Warning, start + REFILL * 1000), "a failure has its own");
    }

    #[test]
    fn objects_have_buckets_of_their_own_and_few_are_remembered() {
        let (mut buckets, start) = (Buckets::default(), Instant::now());
        for number in 0..REMEMBERED_MAX * 2 {
            assert!(buckets.take(&key(&number.to_string()), Severity::Normal, start));
        }
        assert_eq!(buckets.0.len(), REMEMBERED_MAX);
    }

    #[test]
    fn same_words_are_a_series_for_six_minutes() {
        let (mut series, start) = (Series::default(), Instant::now());
        let written = WrittenEvent { name: "a.1".to_owned(), count: 1, at: start };
        series.put(&key("a"), &FILES_WRITTEN, "x", written.clone());
        let soon = start + SERIES_FOR - Duration::from_millis(1);
        assert_eq!(series.find(&key("a"), &FILES_WRITTEN, "x", soon), Some(written));
        assert_eq!(series.find(&key("a"), &FILES_WRITTEN, "x", start + SERIES_FOR), None);
        assert_eq!(series.find(&key("a"), &FILES_WRITTEN, "y", soon), None);
        assert_eq!(series.find(&key("a"), &FILES_REMOVED, "x", soon), None);
        assert_eq!(series.find(&key("b"), &FILES_WRITTEN, "x", soon), None);
        series.forget(&key("a"), &FILES_WRITTEN, "x");
        assert_eq!(series.find(&key("a"), &FILES_WRITTEN, "x", soon), None);
    }
}
