//! What people must know of objects, kept as state: a note is made when something changes, not each time it is seen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::files::folded::{Fate, Seen};
use crate::core::files::plan::Plan;
use crate::core::object::ObjectKey;
use crate::core::object::finalizers::{FinalizerTask, FinalizerVerb};
use crate::core::path::TargetPath;
use crate::disk::fs::Fs;
use crate::disk::ledger::beside::sibling_paths;
use crate::engine::Engine;
use crate::engine::outcome::{Act, Note, Outcome, What};
use crate::engine::turns::Refusal;

impl<F: Fs> Engine<F> {
    pub(super) fn note(&self, key: &Arc<ObjectKey>, what: What, outcome: &mut Outcome) {
        outcome.notes.push(Note::on(&self.store, key, what));
    }

    /// Who to tell about a path: who wants it, else who had it.
    fn concerned(&self, path: &TargetPath) -> Option<Arc<ObjectKey>> {
        let entry = self.store.path(path)?;
        entry.claimants.first().or(entry.owner.as_ref()).cloned()
    }

    /// Notes which of the touched paths stay until a new file of their object is written.
    pub(super) fn note_held(&mut self, touched: &BTreeSet<TargetPath>, plan: &Plan, outcome: &mut Outcome) {
        for (path, awaits) in &plan.held {
            self.hold(path, awaits.clone(), outcome);
        }
        if !self.held.is_empty() {
            let stays = |path: &TargetPath| plan.held.binary_search_by(|(held, _)| held.cmp(path)).is_ok();
            let goes = |path: &TargetPath| plan.remove.binary_search_by(|(gone, _)| gone.cmp(path)).is_ok();
            for path in touched.iter().filter(|path| !stays(path) && !goes(path)) {
                self.held.release(path);
            }
        }
    }

    /// A file that nobody wants stays until these are written.
    pub(super) fn hold(&mut self, path: &TargetPath, awaits: Vec<TargetPath>, outcome: &mut Outcome) {
        let first = self.held.hold(path, awaits.clone());
        self.attempts.give_up(path);
        if let Some(key) = self.concerned(path).filter(|_| first) {
            self.note(&key, What::Held { path: path.clone(), awaits }, outcome);
        }
    }

    /// Files that nobody wants, and that only a ledger says are ours which others may have written, stay: told once all is listed.
    pub(super) fn tell_left_out(&mut self, outcome: &mut Outcome) {
        if self.left_out.is_empty() || !self.store.settled() {
            return;
        }
        for path in std::mem::take(&mut self.left_out) {
            let wanted = self.store.path(&path).is_some_and(|entry| entry.owner.is_some() || !entry.claimants.is_empty());
            if !wanted && self.disk.in_folder(path.folder(), |fs, folder| fs.look(folder, path.name())).is_ok() {
                outcome.left_out.push(path);
            }
        }
        self.disk.end_batch();
    }

    /// Files that nobody knows where there are no marks may be ours of former days: told once all is listed.
    pub(super) fn tell_unmarked(&mut self, outcome: &mut Outcome) {
        if self.unmarked.is_empty() || !self.store.settled() {
            return;
        }
        let roots = self.disk.roots().clone();
        let theirs = sibling_paths(&mut self.disk.fs, &self.place, &roots).unwrap_or_default();
        outcome.unmarked = std::mem::take(&mut self.unmarked);
        outcome.unmarked.retain(|path| self.store.path(path).is_none() && !theirs.contains(path));
    }

    /// A file could not be made right: it is tried again, and told once.
    pub(super) fn failed(&mut self, path: &TargetPath, refusal: &Refusal, outcome: &mut Outcome, now: Duration) {
        outcome.errors.push(refusal.class);
        if self.attempts.failed(path, refusal.class, now)
            && let Some(key) = self.concerned(path)
        {
            self.note(&key, What::Failed { path: path.clone(), error: refusal.error.clone() }, outcome);
        }
    }

    /// A file is right: whatever was wrong with it is over.
    pub(super) fn succeeded(&mut self, path: &TargetPath, now: Duration, outcome: &mut Outcome) {
        if self.attempts.succeeded(path, &self.store, now)
            && let Some(key) = self.concerned(path)
        {
            self.note(&key, What::Recovered(path.clone()), outcome);
        }
    }

    /// One note per object for what was written, one for what was removed.
    pub(super) fn note_changes(&self, outcome: &mut Outcome) {
        let mut told: Vec<(Arc<ObjectKey>, bool, TargetPath)> = Vec::with_capacity(outcome.changes.len());
        told.extend(outcome.changes.iter().filter_map(|change| {
            let removed = matches!(change.act, Act::Removed { .. });
            Some((change.object.clone()?, removed, change.path.clone()))
        }));
        // Stable: paths stay in the order of the changes.
        told.sort_by(|left, right| (&left.0, left.1).cmp(&(&right.0, right.1)));
        for of_one in told.chunk_by(|left, right| (&left.0, left.1) == (&right.0, right.1)) {
            let Some((key, removed, _)) = of_one.first() else { continue };
            let paths = of_one.iter().map(|(_, _, path)| path.clone()).collect();
            self.note(key, if *removed { What::Removed(paths) } else { What::Written(paths) }, outcome);
        }
    }

    /// Turns what was seen of objects into tasks about their finalizers, now that their files are committed.
    /// `inherited`: objects that got files of others because their bytes are the same.
    pub(super) fn wish(&mut self, seen: Vec<Seen>, inherited: BTreeSet<Arc<ObjectKey>>, outcome: &mut Outcome) {
        // Who may be let go now: whoever has lost its last file, and whoever was seen.
        let mut idle = self.store.take_idle();
        let Some(finalizers) = self.settings.finalizers.clone() else {
            return;
        };
        idle.extend(seen.iter().map(|seen| seen.key.clone()));
        let mut guarded = BTreeSet::new();
        for seen in seen.into_iter().rev() {
            // The last state of an object in this batch is the one that counts.
            if !guarded.insert(seen.key.clone()) {
                continue;
            }
            if seen.fate == Fate::Gone && self.settings.adds_finalizers && !finalizers.ours(&seen.finalizers) {
                let task = FinalizerTask::new(FinalizerVerb::Forget, seen.uid, Vec::new());
                outcome.finalizer_tasks.push(((*seen.key).clone(), task));
            }
            match seen.fate {
                // Its files stay when it goes, so that nothing has to be done before. It may carry ours from other days.
                fate if self.needs_no_guard(&seen.key) => {
                    self.releasing.remove(&seen.key);
                    if matches!(fate, Fate::Live | Fate::Terminating | Fate::Skipped) && finalizers.ours(&seen.finalizers) {
                        let task = FinalizerTask::release(seen.uid, seen.finalizers, fate == Fate::Terminating);
                        outcome.finalizer_tasks.push(((*seen.key).clone(), task));
                    }
                }
                Fate::Live => {
                    self.releasing.remove(&seen.key);
                    if self.store.owned_by(&seen.key) > 0 && self.settings.adds_finalizers && finalizers.misses(&seen.finalizers) {
                        let task = FinalizerTask::new(FinalizerVerb::Guard, seen.uid, seen.finalizers);
                        outcome.finalizer_tasks.push(((*seen.key).clone(), task));
                    }
                }
                Fate::Terminating | Fate::Gone | Fate::Skipped if finalizers.ours(&seen.finalizers) => {
                    let task = FinalizerTask::release(seen.uid, seen.finalizers, seen.fate == Fate::Terminating);
                    self.releasing.insert(seen.key, task);
                }
                Fate::Terminating | Fate::Gone | Fate::Skipped => drop(self.releasing.remove(&seen.key)),
                Fate::Vanished => {
                    // Where the list is not known, a guess costs one request more: the patch tests it.
                    let task = FinalizerTask::release(seen.uid, vec![finalizers.name.clone()], false);
                    self.releasing.insert(seen.key, task);
                }
            }
        }
        for key in inherited.into_iter().filter(|key| {
            self.settings.adds_finalizers && !guarded.contains(key) && !self.needs_no_guard(key) && self.store.owned_by(key) > 0
        }) {
            let Some(live) = self.store.object(&key) else { continue };
            // Its finalizers are not known any more: the patch tests the guess that there are none.
            let task = FinalizerTask::new(FinalizerVerb::Guard, live.uid(), Vec::new());
            outcome.finalizer_tasks.push(((*key).clone(), task));
        }
        idle.retain(|key| self.attempts.may_go(key, &self.store));
        for key in idle {
            let task = self.releasing.remove(&key);
            outcome.finalizer_tasks.extend(task.map(|task| ((*key).clone(), task)));
        }
    }
}
