//! What waits for its time: attempts to be made again, hand-overs, objects whose bytes were dropped.
//!
//! A commit looks at what is due and at what its batch touched, never at all that waits.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::core::files::folded::{Folded, Seen};
use crate::core::files::plan;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::disk::fs::Fs;
use crate::engine::outcome::Outcome;
use crate::engine::{Engine, FETCH_PATIENCE, HAND_OVER_MAX, LOOK_AGAIN, Retry};

/// Files that stand for new owners whose bytes did not come for [`HAND_OVER_MAX`], with their former owners.
#[derive(Default)]
pub(super) struct Overdue {
    paths: HashMap<TargetPath, Arc<ObjectKey>>,
    count: HashMap<Arc<ObjectKey>, u32>,
}

impl Overdue {
    fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    fn has(&self, path: &TargetPath) -> bool {
        self.paths.contains_key(path)
    }

    fn of(&self, owner: &Arc<ObjectKey>) -> u32 {
        self.count.get(owner).copied().unwrap_or_default()
    }

    fn put(&mut self, path: TargetPath, owner: Arc<ObjectKey>) {
        self.remove(&path);
        *self.count.entry(owner.clone()).or_default() += 1;
        self.paths.insert(path, owner);
    }

    pub(super) fn remove(&mut self, path: &TargetPath) {
        // Looking for a path in vain is not free, and nearly always there is none.
        if self.paths.is_empty() {
            return;
        }
        let Some(owner) = self.paths.remove(path) else { return };
        let left = self.of(&owner).saturating_sub(1);
        match left {
            0 => drop(self.count.remove(&owner)),
            _ => drop(self.count.insert(owner, left)),
        }
    }

    pub(super) fn tidy(&mut self) {
        self.paths.shrink_to_fit();
        self.count.shrink_to_fit();
    }
}

/// While writes fail, attempts are at least so far apart.
const APART: Duration = Duration::from_secs(1);

impl<F: Fs> Engine<F> {
    /// When to call again.
    pub(super) fn wake(&self, now: Duration) -> Option<Duration> {
        let attempt = self.retries.next().map(|due| due.max(self.degraded.unwrap_or_default()));
        let again = (self.ledger_lost || self.disk.has_leftovers()).then(|| now + LOOK_AGAIN);
        let others = [self.handing_over.next(), self.unread.next(), self.prune_due, self.tidy_due, again];
        attempt.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// How often it was tried to make a path right, so far.
    pub(super) fn retry(&self, path: &TargetPath) -> Retry {
        self.retries.get(path).map_or_else(Retry::default, |(_, retry)| *retry)
    }

    /// Attempts that were due and found nothing left to do are over, and so are those at paths that are nobody's any more.
    pub(super) fn drop_moot(&mut self, touched: &BTreeSet<TargetPath>, now: Duration) {
        if self.retries.is_empty() {
            return;
        }
        for path in touched {
            if self.retries.get(path).is_some_and(|(due, _)| due <= now || self.store.path(path).is_none()) {
                self.retries.remove(path);
                self.failing.remove(path);
                self.answered(path);
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

    /// Adds paths whose time has come. Whoever waits only for the bytes of others may be let go from now on.
    pub(super) fn take_due(&mut self, now: Duration, touched: &mut BTreeSet<TargetPath>) {
        // While writes fail, one attempt at a time tells whether it is worth fetching the bytes of the others.
        let limit = match self.degraded {
            None => usize::MAX,
            Some(not_before) => usize::from(not_before <= now),
        };
        touched.extend(self.retries.due(now).take(limit).cloned());
        if self.degraded.is_some() && limit == 1 && self.retries.due(now).nth(1).is_some() {
            self.degraded = Some(now + APART);
        }
        let late: Vec<_> = self.handing_over.due(now).cloned().collect();
        for path in late {
            self.handing_over.remove(&path);
            let Some(owner) = self.store.path(&path).and_then(|entry| entry.owner.clone()) else { continue };
            self.overdue.put(path, owner.clone());
            self.store.note_idle(owner);
        }
    }

    /// Whether no file of an object is left but those that stay, and those that stand until the bytes of others come, who let it wait
    /// long enough.
    pub(super) fn may_go(&self, key: &Arc<ObjectKey>) -> bool {
        self.store.owned_by(key) - self.store.lasting_of(key) <= self.overdue.of(key)
    }

    /// Notes which objects could not be read, and which were since.
    pub(super) fn note_unanswered(&mut self, unanswered: Vec<Arc<ObjectKey>>, seen: &[Seen]) {
        if !self.unanswered.is_empty() {
            for seen in seen {
                self.unanswered.remove(&seen.key);
            }
        }
        // One that came after all, in the same batch, is not waited for.
        self.unanswered.extend(unanswered.into_iter().filter(|key| !seen.iter().any(|seen| seen.key == *key)));
    }

    /// Nobody waits for the bytes of this path any more.
    pub(super) fn answered(&mut self, path: &TargetPath) {
        if self.unanswered.is_empty() {
            return;
        }
        let claimants = self.store.path(path).map(|entry| entry.claimants.to_vec()).unwrap_or_default();
        for key in &claimants {
            self.unanswered.remove(key);
        }
    }

    /// Whether every wanted file was attempted, but for those whose bytes cannot be had now.
    pub(super) fn attempted(&self) -> bool {
        let in_vain =
            |path: &TargetPath| self.store.path(path).is_some_and(|entry| entry.claimants.iter().any(|key| self.unanswered.contains(key)));
        self.retries.iter().all(|(path, retry)| retry.attempted || retry.attempts > 3 || in_vain(path))
            && self.unread.iter().all(|(key, ())| self.unanswered.contains(key))
    }

    /// Adds files that stay until one of the touched paths is written: that may be now.
    pub(super) fn touch_held(&self, touched: &mut BTreeSet<TargetPath>) {
        if !self.held.is_empty() {
            let held: Vec<_> = touched.iter().flat_map(|path| self.held.waiting_for(path)).cloned().collect();
            touched.extend(held);
        }
    }

    /// Notes which of the touched paths wait for their new owner's bytes; `found` is in the order of paths.
    pub(super) fn note_handing_over(&mut self, touched: &BTreeSet<TargetPath>, found: &[TargetPath], now: Duration) {
        if !self.handing_over.is_empty() || !self.overdue.is_empty() {
            for path in touched.iter().filter(|path| found.binary_search(path).is_err()) {
                self.handing_over.remove(path);
                self.overdue.remove(path);
            }
        }
        for path in found {
            if self.handing_over.get(path).is_none() && !self.overdue.has(path) {
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
