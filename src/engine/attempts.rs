//! What is to be tried again, and when: writes that failed, bytes that did not come, hand-overs that take too long.
//!
//! A commit looks at what is due and at what its batch touched, never at all that waits.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::core::files::folded::Seen;
use crate::core::files::store::Store;
use crate::core::memory::take_out;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::core::schedule::Schedule;
use crate::metrics::labels::FileErrorClass;

/// The former owner's file stays at most this long while the new owner's bytes are fetched.
const HAND_OVER_MAX: Duration = Duration::from_secs(30);
/// Bytes that were asked for and did not come are asked for again after this.
const FETCH_PATIENCE: Duration = Duration::from_secs(5);
/// Whose bytes did not come when asked for so often is not waited for any more.
const FETCHES_MAX: u32 = 3;
/// Longest wait between two attempts at one file.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(30);
/// While writes fail, attempts are at least so far apart.
const APART: Duration = Duration::from_secs(1);
/// What is due now and found nothing to do is over at the end of a commit. What shall be looked at by the next one is due after this.
const NEXT_COMMIT: Duration = Duration::from_millis(1);

/// What was tried at a path, and how often.
#[derive(Clone, Copy, Debug)]
enum Effort {
    /// Its bytes were asked for.
    Fetch(u32),
    /// A write, or a removal, maybe after its bytes were asked for.
    Change(u32),
}

impl Default for Effort {
    fn default() -> Self {
        Self::Fetch(0)
    }
}

impl Effort {
    /// Reading again is no attempt where one was made: only failures make the waits longer.
    const fn fetched(self) -> Self {
        match self {
            Self::Fetch(times) => Self::Fetch(times + 1),
            Self::Change(_) => self,
        }
    }

    const fn times(self) -> u32 {
        match self {
            Self::Fetch(times) | Self::Change(times) => times,
        }
    }

    /// Whether nobody waits for it any more.
    const fn is_enough(self) -> bool {
        matches!(self, Self::Change(_)) || self.times() > FETCHES_MAX
    }
}

/// See the module's header.
#[derive(Default)]
pub(super) struct Agenda {
    retries: Schedule<TargetPath, Effort>,
    /// Paths that could not be made right, and what the file system said last.
    pub(super) failing: HashMap<TargetPath, FileErrorClass>,
    /// The last write failed: attempts go one by one until one works, the next one not before this time.
    degraded: Option<Duration>,
    handing_over: Schedule<TargetPath>,
    overdue: Overdue,
    /// Objects whose bytes were dropped, and when to ask for them again.
    unread: Schedule<Arc<ObjectKey>>,
    /// Objects that were asked for and could not be read.
    pub(super) unanswered: HashSet<Arc<ObjectKey>>,
}

impl Agenda {
    /// When something is due next.
    pub(super) fn next(&self) -> Option<Duration> {
        let attempt = self.retries.next().map(|due| due.max(self.degraded.unwrap_or_default()));
        [attempt, self.handing_over.next(), self.unread.next()].into_iter().flatten().min()
    }

    /// Whether the last write failed.
    pub(super) const fn is_degraded(&self) -> bool {
        self.degraded.is_some()
    }

    /// Whether nothing is to be tried again, and no bytes are to come.
    pub(super) fn is_empty(&self) -> bool {
        self.retries.is_empty() && self.unread.is_empty()
    }

    /// How many paths are to be tried again that are not counted `elsewhere`, and objects whose bytes are to come.
    pub(super) fn count(&self, elsewhere: impl Fn(&TargetPath) -> bool) -> usize {
        self.retries.iter().filter(|(path, _)| !elsewhere(path)).count() + self.unread.iter().count()
    }

    /// Whether every wanted file was attempted, but for those whose bytes cannot be had now.
    pub(super) fn are_made(&self, store: &Store) -> bool {
        let in_vain =
            |path: &TargetPath| store.path(path).is_some_and(|entry| entry.claimants.iter().any(|key| self.unanswered.contains(key)));
        self.retries.iter().all(|(path, attempt)| attempt.is_enough() || in_vain(path))
            && self.unread.iter().all(|(key, ())| self.unanswered.contains(key))
    }

    /// A path could not be made right: it is tried again. Whether that is news.
    pub(super) fn failed(&mut self, path: &TargetPath, class: FileErrorClass, now: Duration) -> bool {
        self.degraded.get_or_insert(now);
        let times = self.at(path).times();
        let due = now + Duration::from_secs(1 << times.min(5)).min(RETRY_MAX);
        self.retries.set(path.clone(), due, Effort::Change(times + 1));
        self.failing.insert(path.clone(), class).is_none()
    }

    /// A path is right: whatever was wrong with it is over. Whether anything was.
    pub(super) fn succeeded(&mut self, path: &TargetPath, store: &Store, now: Duration) -> bool {
        self.retries.remove(path);
        self.handing_over.remove(path);
        self.overdue.remove(path);
        self.answered(path, store);
        self.degraded = None;
        // Looking for a path in vain is not free, and nearly none fails.
        let recovers = !self.failing.is_empty() && self.failing.remove(path).is_some();
        if recovers {
            // Whatever kept this file from being right may be over for the others too.
            self.retries.hurry(now + NEXT_COMMIT);
        }
        recovers
    }

    /// A path is to be left as it is.
    pub(super) fn give_up(&mut self, path: &TargetPath) {
        self.retries.remove(path);
        self.failing.remove(path);
    }

    /// A path is to be looked at by the next commit, whatever was tried there.
    pub(super) fn look_again(&mut self, path: TargetPath, now: Duration) {
        let attempt = self.at(&path);
        self.retries.set(path, now + NEXT_COMMIT, attempt);
    }

    /// As if nothing had been tried there, and after this `wait` if there is one.
    pub(super) fn look_anew(&mut self, path: TargetPath, now: Duration, wait: Option<Duration>) {
        self.retries.set(path, now + wait.unwrap_or(NEXT_COMMIT), Effort::default());
    }

    /// Paths whose bytes are asked for are looked at again, should the bytes not come.
    pub(super) fn await_bytes(&mut self, awaited: Vec<TargetPath>, now: Duration) {
        for path in awaited {
            let attempt = self.at(&path).fetched();
            self.retries.set(path, now + FETCH_PATIENCE, attempt);
        }
    }

    /// Attempts that were due and found nothing left to do are over, and so are those at paths that are nobody's any more.
    pub(super) fn drop_moot(&mut self, touched: &BTreeSet<TargetPath>, store: &Store, now: Duration) {
        if self.retries.is_empty() {
            return;
        }
        for path in touched {
            if self.retries.get(path).is_some_and(|(due, _)| due <= now || store.path(path).is_none()) {
                self.give_up(path);
                self.answered(path, store);
            }
        }
    }

    /// Adds paths whose time has come. Whoever waits only for the bytes of others may be let go from now on.
    pub(super) fn take_due(&mut self, store: &mut Store, touched: &mut BTreeSet<TargetPath>, now: Duration) {
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
            let Some(owner) = store.path(&path).and_then(|entry| entry.owner.clone()) else { continue };
            self.overdue.put(path, owner.clone());
            store.note_idle(owner);
        }
    }

    /// Notes which of the touched paths wait for their new owner's bytes; `found` is in the order of paths.
    pub(super) fn note_handing_over(&mut self, touched: &BTreeSet<TargetPath>, found: &[TargetPath], now: Duration) {
        if !self.handing_over.is_empty() || !self.overdue.paths.is_empty() {
            for path in touched.iter().filter(|path| found.binary_search(path).is_err()) {
                self.handing_over.remove(path);
                self.overdue.remove(path);
            }
        }
        for path in found {
            if self.handing_over.get(path).is_none() && !self.overdue.paths.contains_key(path) {
                self.handing_over.set(path.clone(), now + HAND_OVER_MAX, ());
            }
        }
    }

    /// Whether no file of an object is left but those that stay, and those that stand until the bytes of others come, who let it wait
    /// long enough.
    pub(super) fn may_go(&self, key: &Arc<ObjectKey>, store: &Store) -> bool {
        store.owned_by(key) - store.lasting_of(key) <= self.overdue.of(key)
    }

    /// Objects whose bytes were dropped and are to be asked for now, again after a while if they do not come.
    pub(super) fn take_unread(&mut self, new: Vec<Arc<ObjectKey>>, seen: &[Seen], store: &Store, now: Duration) -> Vec<Arc<ObjectKey>> {
        new.into_iter().for_each(|key| self.unread.set(key, now, ()));
        if self.unread.is_empty() {
            return Vec::new();
        }
        let is_unread = |key: &Arc<ObjectKey>| store.object(key).is_some_and(|live| live.unread);
        for seen in seen.iter().filter(|seen| !is_unread(&seen.key)) {
            self.unread.remove(&seen.key);
        }
        let (due, over): (Vec<_>, Vec<_>) = self.unread.due(now).cloned().partition(is_unread);
        for key in &over {
            self.unread.remove(key);
        }
        due.iter().for_each(|key| self.unread.set(key.clone(), now + FETCH_PATIENCE, ()));
        due
    }

    /// Notes which objects could not be read, and which were since.
    pub(super) fn note_unanswered(&mut self, unanswered: Vec<Arc<ObjectKey>>, seen: &[Seen]) {
        for seen in seen.iter() {
            take_out(&mut self.unanswered, &seen.key);
        }
        // One that came after all, in the same batch, is not waited for.
        self.unanswered.extend(unanswered.into_iter().filter(|key| !seen.iter().any(|seen| seen.key == *key)));
    }

    /// Gives back the room of what is gone.
    pub(super) fn tidy(&mut self) {
        self.failing.shrink_to_fit();
        self.unanswered.shrink_to_fit();
        self.overdue.paths.shrink_to_fit();
        self.overdue.count.shrink_to_fit();
    }

    fn at(&self, path: &TargetPath) -> Effort {
        self.retries.get(path).map_or_else(Effort::default, |(_, attempt)| *attempt)
    }

    /// Nobody waits for the bytes of this path any more.
    fn answered(&mut self, path: &TargetPath, store: &Store) {
        if self.unanswered.is_empty() {
            return;
        }
        for key in store.path(path).into_iter().flat_map(|entry| &*entry.claimants) {
            self.unanswered.remove(key);
        }
    }
}

/// Files that stand for new owners whose bytes did not come for [`HAND_OVER_MAX`], with their former owners.
#[derive(Default)]
struct Overdue {
    paths: HashMap<TargetPath, Arc<ObjectKey>>,
    count: HashMap<Arc<ObjectKey>, u32>,
}

impl Overdue {
    fn of(&self, owner: &Arc<ObjectKey>) -> u32 {
        self.count.get(owner).copied().unwrap_or_default()
    }

    fn put(&mut self, path: TargetPath, owner: Arc<ObjectKey>) {
        self.remove(&path);
        *self.count.entry(owner.clone()).or_default() += 1;
        self.paths.insert(path, owner);
    }

    fn remove(&mut self, path: &TargetPath) {
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
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
