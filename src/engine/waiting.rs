//! What waits for its time: attempts to be made again, hand-overs, objects whose bytes were dropped.
//!
//! A commit looks at what is due and at what its batch touched, never at all that waits.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::core::folded::{Folded, Seen};
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::core::plan;
use crate::disk::fs::Fs;
use crate::engine::outcome::Outcome;
use crate::engine::{Engine, FETCH_PATIENCE, HAND_OVER_MAX, LOOK_AGAIN, Retry};

/// While writes fail, attempts are at least so far apart.
const APART: Duration = Duration::from_secs(1);

impl<F: Fs> Engine<F> {
    /// When to call again.
    pub(super) fn wake(&self, now: Duration) -> Option<Duration> {
        let attempt = self.retries.next().map(|due| due.max(self.degraded.unwrap_or_default()));
        let again = (self.ledger_lost || self.disk.has_leftovers()).then(|| now + LOOK_AGAIN);
        let others = [self.handing_over.next(), self.unread.next(), self.prune_due, again];
        attempt.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// How often it was tried to make a path right, so far.
    pub(super) fn retry(&self, path: &TargetPath) -> Retry {
        self.retries.get(path).map_or_else(Retry::default, |(_, retry)| *retry)
    }

    /// Attempts that were due and found nothing left to do are over.
    pub(super) fn drop_moot(&mut self, touched: &BTreeSet<TargetPath>, now: Duration) {
        if self.retries.is_empty() {
            return;
        }
        for path in touched {
            if self.retries.get(path).is_some_and(|(due, _)| due <= now) {
                self.retries.remove(path);
                self.failing.remove(path);
            }
        }
    }

    /// Asks for objects whose bytes were dropped, again after a while if they do not come.
    pub(super) fn fetch_unread(&mut self, new: Vec<Arc<ObjectKey>>, seen: &[Seen], outcome: &mut Outcome, now: Duration) {
        new.into_iter().for_each(|key| self.unread.set(key, now, ()));
        if self.unread.is_empty() {
            return;
        }
        let is_unread = |key: &Arc<ObjectKey>| self.store.object(key).is_some_and(|live| live.unread);
        for seen in seen.iter().filter(|seen| !is_unread(&seen.key)) {
            self.unread.remove(&seen.key);
        }
        let due: Vec<_> = self.unread.due(now).cloned().collect();
        for key in due {
            if self.store.object(&key).is_some_and(|live| live.unread) {
                self.unread.set(key.clone(), now + FETCH_PATIENCE, ());
                outcome.fetch.insert(key);
            } else {
                self.unread.remove(&key);
            }
        }
    }

    /// Adds paths whose time has come. Returns hand-overs that took too long.
    pub(super) fn take_due(&mut self, now: Duration, touched: &mut BTreeSet<TargetPath>) -> HashSet<TargetPath> {
        // While writes fail, one attempt at a time tells whether it is worth fetching the bytes of the others.
        let limit = match self.degraded {
            None => usize::MAX,
            Some(not_before) => usize::from(not_before <= now),
        };
        touched.extend(self.retries.due(now).take(limit).cloned());
        if self.degraded.is_some() && limit == 1 && self.retries.due(now).nth(1).is_some() {
            self.degraded = Some(now + APART);
        }
        let expired: HashSet<_> = self.handing_over.due(now).cloned().collect();
        for path in &expired {
            self.handing_over.remove(path);
        }
        touched.extend(expired.iter().cloned());
        expired
    }

    /// Notes which of the touched paths wait for their new owner's bytes; `found` is in the order of paths.
    pub(super) fn note_handing_over(&mut self, touched: &BTreeSet<TargetPath>, found: &[TargetPath], now: Duration) {
        if !self.handing_over.is_empty() {
            for path in touched.iter().filter(|path| found.binary_search(path).is_err()) {
                self.handing_over.remove(path);
            }
        }
        for path in found {
            if self.handing_over.get(path).is_none() {
                self.handing_over.set(path.clone(), now + HAND_OVER_MAX, ());
            }
        }
    }

    /// Paths whose bytes are asked for.
    pub(super) fn awaited(&self, folded: &Folded, plan: &plan::Plan) -> Vec<TargetPath> {
        if plan.fetch.is_empty() && plan.ask.is_empty() {
            return Vec::new();
        }
        let asked: HashSet<&TargetPath> = plan.ask.iter().map(|(_, path)| path).collect();
        let fetched = |path: &TargetPath| {
            asked.contains(path)
                || self.store.path(path).is_some_and(|entry| entry.claimants.iter().any(|claimant| plan.fetch.contains(claimant)))
        };
        let written: HashSet<&TargetPath> = plan.write.iter().map(|write| &write.path).collect();
        folded.touched.iter().filter(|path| !written.contains(path) && fetched(path)).cloned().collect()
    }

    /// Paths whose bytes are asked for are looked at again, should the bytes not come.
    pub(super) fn await_bytes(&mut self, awaited: Vec<TargetPath>, now: Duration) {
        for path in awaited {
            let mut retry = self.retry(&path);
            // Reading again is no attempt: only failures make the waits longer.
            retry.attempts += u32::from(!retry.attempted);
            self.retries.set(path, now + FETCH_PATIENCE, retry);
        }
    }
}
