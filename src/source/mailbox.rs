//! Between sources and engine: merges by object, latest wins, bounded in bytes.
//!
//! A source that reads a stream never waits here, because an API server cuts a slow watcher without a word: past the budget the
//! body is dropped and the object marked to be read again. A source that reads pages or files asks for room first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::core::object::merge::merge;
use crate::core::object::{ObjectKey, SourceEvent};
use crate::source::read_times::ReadTimes;

/// Bytes of payload that may wait for the engine.
const BUDGET_BYTES: usize = 512 << 10;
/// Bytes of payload in one batch: bounds the memory of a commit.
const BATCH_BYTES: usize = 128 << 10;
/// Events in one batch: bounds how long the first of them waits for the others.
const BATCH_EVENTS: usize = 256;

/// Cheap to clone; sources push, the engine drains.
#[derive(Clone, Default)]
pub struct Mailbox(Arc<MailboxState>);

#[derive(Default)]
struct MailboxState {
    /// Whether it is noted when events were read.
    notes_times: bool,
    /// A mutex, because sources and the engine's thread share it; held for a few moves of memory only.
    queue: Mutex<WaitingEvents>,
    arrived: Notify,
    drained: Notify,
}

#[derive(Default)]
struct WaitingEvents {
    events: VecDeque<SourceEvent>,
    /// Where the last event of an object stands, counted from the first event ever.
    last: HashMap<ObjectKey, usize>,
    /// How many events were taken so far.
    taken: usize,
    bytes: usize,
    times: ReadTimes,
}

impl Mailbox {
    /// One that notes when events were read, for [`Self::take_read`].
    pub(crate) fn with_times() -> Self {
        Self(Arc::new(MailboxState { notes_times: true, ..MailboxState::default() }))
    }

    /// Puts an event in that was read just now. Never waits.
    pub fn push(&self, event: SourceEvent) {
        self.put(event, self.now());
    }

    /// Puts an event in that was read then, as [`Self::now`] said. Never waits.
    pub(crate) fn put(&self, event: SourceEvent, read: Option<Instant>) {
        self.queue().push(event, read);
        self.0.arrived.notify_one();
    }

    /// The time, if it is noted.
    pub(crate) fn now(&self) -> Option<Instant> {
        self.0.notes_times.then(Instant::now)
    }

    /// Returns when `bytes` fit, or nothing is waiting.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn has_room(&self, bytes: usize) {
        loop {
            let drained = self.0.drained.notified();
            let mut drained = std::pin::pin!(drained);
            drained.as_mut().enable();
            if self.queue().fits(bytes) {
                return;
            }
            drained.await;
        }
    }

    /// Whether `bytes` fit now.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.queue().fits(bytes)
    }

    /// Returns when something is waiting.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn arrived(&self) {
        while self.queue().events.is_empty() {
            self.0.arrived.notified().await;
        }
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.queue().events.is_empty()
    }

    /// Takes what is waiting, up to one batch.
    pub fn take(&self) -> Vec<SourceEvent> {
        self.take_at_most(BATCH_EVENTS)
    }

    /// Takes what is waiting, up to one batch of so many events.
    pub fn take_at_most(&self, events: usize) -> Vec<SourceEvent> {
        self.drain(|queue| queue.take(events.min(BATCH_EVENTS)))
    }

    /// As [`Self::take`], and when the first of them was read.
    pub(crate) fn take_read(&self) -> (Vec<SourceEvent>, Option<Instant>) {
        self.drain(|queue| {
            let batch = queue.take(BATCH_EVENTS);
            // Times of what was taken before may be left.
            let read = if batch.is_empty() { None } else { queue.times.take(queue.taken) };
            (batch, read)
        })
    }

    /// Takes something out, and tells those who wait for room once the lock is given back.
    fn drain<T>(&self, take: impl FnOnce(&mut WaitingEvents) -> T) -> T {
        let taken = take(&mut self.queue());
        self.0.drained.notify_waiters();
        taken
    }

    fn queue(&self) -> MutexGuard<'_, WaitingEvents> {
        // Nothing panics while it is held.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingEvents {
    fn fits(&self, bytes: usize) -> bool {
        self.events.is_empty() || self.bytes.saturating_add(bytes) <= BUDGET_BYTES
    }

    fn push(&mut self, event: SourceEvent, read: Option<Instant>) {
        let Some(key) = event.key() else {
            // Nothing merges across the border of a list, nor across what arrived for a state of an object.
            self.last.clear();
            self.bytes += event.payload_bytes();
            self.append(event, read);
            return;
        };
        let waiting = self.last.get(key).and_then(|at| at.checked_sub(self.taken)).and_then(|at| self.events.get_mut(at));
        let event = match waiting {
            None => event,
            Some(waiting) => {
                self.bytes -= waiting.payload_bytes();
                let apart = merge(waiting, event);
                if self.bytes + waiting.payload_bytes() > BUDGET_BYTES {
                    waiting.drop_body();
                }
                self.bytes += waiting.payload_bytes();
                match apart {
                    None => return,
                    Some(event) => event,
                }
            }
        };
        let event = if self.fits(event.payload_bytes()) { event } else { event.without_body() };
        self.bytes += event.payload_bytes();
        if let Some(key) = event.key() {
            self.last.insert(key.clone(), self.taken + self.events.len());
        }
        self.append(event, read);
    }

    /// One that merges into another waits as long as that does.
    fn append(&mut self, event: SourceEvent, read: Option<Instant>) {
        if let Some(read) = read {
            self.times.note(self.taken, self.taken + self.events.len(), read);
        }
        self.events.push_back(event);
    }

    fn take(&mut self, most: usize) -> Vec<SourceEvent> {
        let (mut batch, mut bytes) = (Vec::with_capacity(self.events.len().min(most)), 0);
        while batch.len() < most && (batch.is_empty() || bytes < BATCH_BYTES) {
            let Some(event) = self.events.pop_front() else { break };
            if let Some((key, at)) = event.key().and_then(|key| self.last.remove_entry(key)).filter(|(_, at)| *at != self.taken) {
                // A later event of the object waits behind the border of a list.
                self.last.insert(key, at);
            }
            self.taken += 1;
            bytes += event.payload_bytes();
            batch.push(event);
        }
        self.bytes -= bytes;
        if self.events.is_empty() {
            self.last.shrink_to(64);
            self.events.shrink_to(64);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::object::pod::PodState;
    use crate::core::object::{Datum, Kind, Object, ObjectEvent, SourceId};

    const SOURCE: SourceId = SourceId(0);

    fn apply(name: &str, resource_version: u64, bytes: usize) -> SourceEvent {
        let object = Object {
            uid: 1,
            resource_version,
            ..Object::new(ObjectKey::new(Kind::ConfigMap, "ns", name), vec![Datum::text("k", vec![b'x'; bytes])])
        };
        SourceEvent::of(SOURCE, 1, ObjectEvent::Apply(Box::new(object)))
    }

    fn delete(name: &str) -> SourceEvent {
        SourceEvent::of(
            SOURCE,
            1,
            ObjectEvent::Delete { key: ObjectKey::new(Kind::ConfigMap, "ns", name), uid: 1, overrides: false, finalizers: Box::default() },
        )
    }

    fn fetched(name: &str, resource_version: u64) -> SourceEvent {
        match apply(name, resource_version, 1) {
            SourceEvent::Object { source, generation, event: ObjectEvent::Apply(object) } => {
                SourceEvent::of(source, generation, ObjectEvent::Fetched(object))
            }
            other => other,
        }
    }

    fn seen(batch: &[SourceEvent]) -> Vec<String> {
        batch
            .iter()
            .map(|event| match event {
                SourceEvent::Object { event: ObjectEvent::Apply(object), .. } => {
                    format!("apply {} {}", object.key.name, object.resource_version)
                }
                SourceEvent::Object { event: ObjectEvent::Fetched(object), .. } => {
                    format!("fetched {} {}", object.key.name, object.resource_version)
                }
                SourceEvent::Object { event: ObjectEvent::Unread { key, .. }, .. } => format!("unread {}", key.name),
                SourceEvent::Object { event: ObjectEvent::Delete { key, .. }, .. } => format!("delete {}", key.name),
                SourceEvent::ListBegin { .. } => "begin".into(),
                SourceEvent::ListEnd { .. } => "end".into(),
                SourceEvent::Object { event: ObjectEvent::Keep(key), .. } => format!("keep {}", key.name),
                SourceEvent::Refused { .. } => "refused".into(),
                SourceEvent::Object { event: ObjectEvent::Unanswered(_), .. } => "unanswered".into(),
                SourceEvent::Object { event: ObjectEvent::Pod(pod), .. } => format!("pod {} {}", pod.key.name, pod.uid),
                SourceEvent::Arrived { .. } => "arrived".into(),
            })
            .collect()
    }

    fn check(events: Vec<SourceEvent>, expected: &[&str]) {
        let mailbox = Mailbox::default();
        events.into_iter().for_each(|event| mailbox.push(event));
        assert_eq!(seen(&mailbox.take()), expected);
    }

    #[test]
    fn an_event_that_waits_without_its_bytes_is_small() {
        // Of ten thousand objects of a list nearly all wait so, and the queue's room is for the largest sort of event.
        assert_eq!(size_of::<SourceEvent>(), 96);
    }

    #[test]
    fn the_latest_state_of_an_object_wins() {
        check(vec![apply("a", 1, 1), apply("b", 2, 1), apply("a", 3, 1)], &["apply a 3", "apply b 2"]);
        check(vec![apply("a", 1, 1), delete("a")], &["delete a"]);
        check(vec![delete("a"), apply("a", 2, 1)], &["apply a 2"]);
    }

    #[test]
    fn a_batch_tells_when_the_first_of_it_was_read() {
        let (mailbox, base) = (Mailbox::with_times(), Instant::now());
        let at = |seconds| base + Duration::from_secs(seconds);
        let put = |name: &str, revision, seconds| mailbox.put(apply(name, revision, 1), Some(at(seconds)));
        put("a", 1, 0);
        put("b", 2, 5);
        put("a", 3, 9);
        assert_eq!(mailbox.take_read().1, Some(at(0)), "what merges waits as long as what it merges into");
        assert_eq!(mailbox.take_read().1, None);
        put("a", 4, 20);
        assert_eq!(mailbox.take_read().1, Some(at(20)));
    }

    #[test]
    fn no_time_is_noted_where_nobody_asks() {
        let mailbox = Mailbox::default();
        mailbox.push(apply("a", 1, 1));
        assert_eq!((mailbox.now(), mailbox.take_read().1), (None, None));
    }

    #[test]
    fn every_state_of_a_pod_counts() {
        let pod = |uid| {
            let (key, ready) = (ObjectKey::new(Kind::Pod, "ns", "a"), None);
            SourceEvent::of(SOURCE, 1, ObjectEvent::Pod(Box::new(PodState { key, uid, ready })))
        };
        check(vec![pod(1), pod(2), pod(3)], &["pod a 1", "pod a 2", "pod a 3"]);
    }

    #[test]
    fn nothing_merges_across_the_border_of_a_list() {
        let begin = SourceEvent::ListBegin { source: SOURCE, generation: 2, consistent: false };
        check(vec![apply("a", 1, 1), begin, apply("a", 2, 1)], &["apply a 1", "begin", "apply a 2"]);
    }

    #[test]
    fn what_was_fetched_never_undoes_what_was_watched() {
        check(vec![delete("a"), fetched("a", 9)], &["delete a"]);
        check(vec![apply("a", 5, 1), fetched("a", 4)], &["apply a 5"]);
        check(vec![apply("a", 5, 1), fetched("a", 6)], &["apply a 6"]);
    }

    #[test]
    fn what_was_fetched_never_hides_that_a_newer_body_was_dropped() {
        check(vec![apply("a", 7, 1).without_body(), fetched("a", 6)], &["unread a"]);
    }

    #[test]
    fn past_the_budget_bodies_are_dropped_and_events_are_not() {
        let mailbox = Mailbox::default();
        (0..10).for_each(|n| mailbox.push(apply(&n.to_string(), 1, BUDGET_BYTES / 4)));
        let mut all = Vec::new();
        while let batch = mailbox.take()
            && !batch.is_empty()
        {
            all.extend(seen(&batch));
        }
        assert_eq!(all.iter().filter(|event| event.starts_with("apply")).count(), 3, "the fourth quarter exceeds the budget with its key");
        assert_eq!(all.iter().filter(|event| event.starts_with("unread")).count(), 7);
    }

    #[test]
    fn an_object_larger_than_the_budget_goes_through_alone() {
        let mailbox = Mailbox::default();
        mailbox.push(apply("large", 1, 8 << 20));
        assert_eq!(seen(&mailbox.take()), ["apply large 1"]);
    }

    #[tokio::test]
    async fn a_reader_of_pages_waits_for_room() {
        let mailbox = Mailbox::default();
        mailbox.push(apply("a", 1, BUDGET_BYTES));
        let waits = mailbox.clone();
        let waiter = tokio::spawn(async move { waits.has_room(1).await });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        mailbox.take();
        waiter.await.unwrap();
    }
}
