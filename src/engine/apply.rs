//! Carries a plan out, in the order that a crash at any point leaves nothing wrong.
//!
//! 1. Record what will be ours: paths and folders.
//! 2. Remove what nobody waits for, or what is in somebody's way.
//! 3. Make folders.
//! 4. Object by object: write files, then remove what they take the place of. Where there is no room for them it goes first.
//! 5. Forget what is gone, then remove the folders that this emptied.
//!
//! A step that fails is told and tried again; it never stops the others.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::core::files::entry::{OnDisk, PathEntry, Replace};
use crate::core::files::folded::Bodies;
use crate::core::files::ledger::Record;
use crate::core::files::order::{self, Steps};
use crate::core::files::plan::{Because, Plan, Write};
use crate::core::files::project::FileProjection;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::core::policy::Durability;
use crate::disk::fs::Fs;
use crate::disk::{WriteError, lacks_room};
use crate::engine::attempts::RETRY_MAX;
use crate::engine::outcome::{Act, Change, Outcome, What};
use crate::engine::turns::{CommitWork, Refusal};
use crate::engine::{Engine, LOOK_AGAIN};

impl<F: Fs> Engine<F> {
    pub(super) fn apply(&mut self, plan: Plan, bodies: &mut Bodies, outcome: &mut Outcome, now: Duration) {
        if plan.is_empty() && self.unrecorded.is_empty() && self.prune_due.is_none() {
            return;
        }
        let Plan { own, remove, write, twins, .. } = plan;
        let needed = self.needed_folders(&remove, &write, now);
        let owes = self.owes_for(&remove, &write);
        let mut order = order::order(remove, write, &twins, &self.store, &self.held);
        // 1.
        let folders = self.missing_folders(writes(&order));
        let mut recorded = self.record_ours(&own, writes(&order), &folders, owes.clone());
        let (refused, unmade, gone, changed) = (None, BTreeMap::new(), Vec::new(), BTreeSet::new());
        let mut work = CommitWork { bodies, outcome, now, refused, unmade, gone, changed };
        if recorded.as_ref().is_err_and(lacks_room) && self.make_room_for_ledger(&mut order, &mut work) {
            recorded = self.record_ours(&own, writes(&order), &folders, owes.clone());
        }
        self.owing(owes, recorded.is_err());
        work.refused = recorded.err().map(|error| Refusal::of(&error));
        match &work.refused {
            None => self.mark_taken(&own),
            Some(error) => self.not_recorded(&own, error, work.outcome, now),
        }
        // 2.
        self.remove_files(order.first, &mut work);
        // 3.
        if work.refused.is_none() {
            work.unmade = self.make_folders(&folders);
        }
        // 4.
        let mut unfinished = Vec::new();
        for turn in order.turns {
            unfinished.extend(self.take_turn(turn, &mut work));
        }
        unfinished.into_iter().for_each(|turn| self.end_turn(turn, &mut work));
        // 5.
        let CommitWork { gone, changed, .. } = work;
        self.forget(&gone);
        self.give_up_letters(&gone, now);
        self.prune_folders(&gone, &needed, now);
        for folder in changed {
            // The files themselves are durable; a name lost with power is written again at the next start.
            let _ = self.disk.sync_folder(&folder);
        }
        self.note_changes(outcome);
    }

    pub(super) fn owner_of(&self, path: &TargetPath) -> Option<&Arc<ObjectKey>> {
        self.store.path(path)?.owner.as_ref()
    }

    /// Folders that writes need and that are not there, parents first.
    pub(super) fn missing_folders<'a>(&mut self, writes: impl Iterator<Item = &'a Write>) -> Vec<String> {
        let wanted: BTreeSet<&str> =
            writes.map(|write| write.path.folder()).filter(|folder| !folder.is_empty() && *folder != "/").collect();
        let mut missing = BTreeSet::new();
        for folder in wanted {
            let mut at = Some(folder);
            while let Some(folder) = at.filter(|folder| !missing.contains(*folder) && !self.is_root(folder)) {
                if !self.disk.misses_folder(folder) {
                    break;
                }
                missing.insert(folder.to_owned());
                at = parent(folder).map(|(above, _)| above).filter(|above| !above.is_empty());
            }
        }
        missing.into_iter().collect()
    }

    fn is_root(&self, folder: &str) -> bool {
        folder == "/" || self.disk.roots().iter().skip(1).any(|root| root == folder)
    }

    /// Appends what must be in the ledger before anything is made.
    pub(super) fn record_ours<'a>(
        &mut self,
        own: &[(TargetPath, Arc<ObjectKey>)],
        writes: impl Iterator<Item = &'a Write>,
        folders: &[String],
        owes: Option<Record>,
    ) -> std::io::Result<()> {
        let new = writes.map(|write| (&write.path, &write.owner)).filter(|(path, owner)| !self.store.is_recorded(path, owner));
        let owned: Vec<(TargetPath, Arc<ObjectKey>)> =
            own.iter().map(|(path, owner)| (path, owner)).chain(new).map(|(path, owner)| (path.clone(), owner.clone())).collect();
        let mut records: Vec<Record> =
            folders.iter().filter(|folder| !self.folders.contains(*folder)).map(|folder| Record::Folder(folder.clone())).collect();
        records.extend(owned.iter().map(|(path, owner)| self.ownership(path, owner)));
        records.extend(owes);
        self.append(records)?;
        self.folders.extend(folders.iter().cloned());
        let before = self.store.owned();
        for (path, owner) in &owned {
            self.store.own(path, owner);
            self.store.set_lasting(path, self.store.lasts(owner));
        }
        self.ledger.superseded(owned.len() - (self.store.owned() - before));
        Ok(())
    }

    /// Marks files that are ours now as they are.
    fn mark_taken(&mut self, own: &[(TargetPath, Arc<ObjectKey>)]) {
        if !self.disk.marks() {
            return;
        }
        for (path, owner) in own {
            if let Some(OnDisk::File(stamp)) = self.store.path(path).map(PathEntry::disk)
                && let Some(recorded) = self.store.recorded(path, owner)
                && let Some(stamp) = self.disk.mark_taken(recorded, &stamp)
            {
                self.store.saw(path, OnDisk::File(stamp));
            }
        }
    }

    /// Appends records, those owed from before first.
    fn append(&mut self, mut records: Vec<Record>) -> std::io::Result<()> {
        if self.ledger_lost {
            return Err(std::io::Error::other("the ledger is not in its place"));
        }
        if !self.unrecorded.is_empty() {
            records.splice(0..0, self.unrecorded.iter().cloned());
        }
        if records.is_empty() {
            return Ok(());
        }
        self.make_fit(&records)?;
        self.ledger.append(&mut self.disk.fs, &records)?;
        self.unrecorded = Vec::new();
        match self.disk.durability() {
            Durability::None => Ok(()),
            Durability::Each | Durability::Batch => self.ledger.sync(&mut self.disk.fs),
        }
    }

    /// Appends records of things that are so already; what cannot be appended now is owed.
    pub(super) fn append_or_owe(&mut self, records: Vec<Record>) {
        if !records.is_empty() && self.append(records.clone()).is_err() {
            self.unrecorded.extend(records);
        }
    }

    /// Folders that writes need; nothing where none could be removed.
    fn needed_folders(&self, remove: &[(TargetPath, Because)], writes: &[Write], now: Duration) -> HashSet<String> {
        if remove.is_empty() && self.prune_due.is_none_or(|due| due > now) {
            return HashSet::new();
        }
        writes.iter().flat_map(|write| write.path.ancestors()).map(str::to_owned).collect()
    }

    /// Removes folders of ours that the removals emptied, innermost first. When a sweep is due, also those that a crash left empty.
    fn prune_folders(&mut self, gone: &[TargetPath], needed: &HashSet<String>, now: Duration) {
        let all = self.prune_due.is_some_and(|due| due <= now);
        if all {
            self.prune_due = None;
        }
        if self.folders.is_empty() || (gone.is_empty() && !all) {
            return;
        }
        let ours = |folder: &&str| self.folders.contains(*folder) && !self.is_root(folder) && !needed.contains(*folder);
        let mut emptied: BTreeSet<String> = gone.iter().flat_map(TargetPath::ancestors).filter(ours).map(str::to_owned).collect();
        if all {
            let idle = |folder: &&str| self.store.claimed_beneath(folder) == 0 || self.stands_in_the_way(folder);
            emptied.extend(self.folders.iter().map(String::as_str).filter(ours).filter(idle).map(str::to_owned));
        }
        let mut records = Vec::new();
        for folder in emptied.into_iter().rev() {
            let Some((above, name)) = parent(&folder) else { continue };
            match self.disk.remove_folder(above, name, &folder) {
                Ok(true) => {
                    self.folders.remove(&folder);
                    records.push(Record::Unfolder(folder.clone()));
                }
                Ok(false) => {}
                Err(_) => self.prune_due = Some(now + RETRY_MAX),
            }
            if let Some(path) = self.claimed_as_file(&folder) {
                // The folder was in the way of this file.
                self.store.saw(&path, OnDisk::Unknown);
                self.attempts.look_anew(path, now, None);
            }
        }
        self.append_or_owe(records);
    }

    /// Whether somebody wants a file where the folder, or one above it, stands: it may go although paths beneath are claimed.
    fn stands_in_the_way(&self, folder: &str) -> bool {
        let mut at = Some(folder);
        while let Some(folder) = at.filter(|folder| !folder.is_empty() && *folder != "/") {
            if self.claimed_as_file(folder).is_some() {
                return true;
            }
            at = parent(folder).map(|(above, _)| above);
        }
        false
    }

    /// The path of a folder, when somebody wants a file there.
    fn claimed_as_file(&self, folder: &str) -> Option<TargetPath> {
        self.store.path_named(folder).filter(|entry| !entry.claimants.is_empty())?;
        self.disk.roots().recorded(folder).ok()
    }

    /// Makes folders, parents first. Returns those that could not be made, with the reason.
    pub(super) fn make_folders(&mut self, folders: &[String]) -> BTreeMap<String, Refusal> {
        let (mut failed, mut foreign) = (BTreeMap::new(), Vec::new());
        for folder in folders {
            let Some((above, name)) = parent(folder) else { continue };
            if let Some(refusal) = failed.get(above).cloned() {
                foreign.push(folder.clone());
                failed.insert(folder.clone(), refusal);
                continue;
            }
            match self.disk.make_folder(above, name, folder) {
                Ok(true) => {}
                // Somebody made it since we looked: it is not ours to remove.
                Ok(false) => foreign.push(folder.clone()),
                Err(error) => {
                    if self.disk.misses_folder(folder) {
                        foreign.push(folder.clone());
                    }
                    failed.insert(folder.clone(), Refusal::of(&error));
                }
            }
        }
        for folder in &foreign {
            self.folders.remove(folder);
        }
        self.append_or_owe(foreign.into_iter().map(Record::Unfolder).collect());
        failed
    }

    /// Takes back that a path is ours. Nothing of ours is there: what stands there, if anything, stays somebody else's.
    pub(super) fn not_written(&mut self, path: &TargetPath, replace: Replace) {
        self.store.saw(path, OnDisk::Unknown);
        if replace != Replace::Ours && self.owner_of(path).is_some() {
            self.append_or_owe(vec![Record::disown(path)]);
            self.store.disown(path);
        }
    }

    pub(super) fn write_file(&mut self, write: &Write, file: &FileProjection, work: &mut CommitWork<'_>) -> Result<(), WriteError> {
        let Write { path, owner, content, replace, because, .. } = write;
        let before = self.before(path);
        let replace = if self.letters.takes_over(path) { Replace::Ours } else { *replace };
        let length = usize::try_from(content.length).unwrap_or(usize::MAX);
        let bytes = file.content(length).map_err(|_| std::io::Error::other("what was unpacked before cannot be unpacked again"))?;
        let recorded = self.store.recorded(path, owner).ok_or_else(|| std::io::Error::other("the ledger does not have it"))?;
        let done = self.disk.write(recorded, &bytes, *content, replace);
        if matches!(done, Ok(_) | Err(WriteError::InPlace(_))) {
            self.note_difference(path, Some(owner), (before, Some(content.digest)), work.outcome);
        }
        self.store.saw(path, OnDisk::File(done?));
        self.has_letters(path);
        self.succeeded(path, work.now, work.outcome);
        if work.refused.is_some() && !self.store.is_recorded(path, owner) {
            // It is right, and ours; whether it stays when its object goes is not in the ledger yet.
            self.attempts.look_anew(path.clone(), work.now, Some(LOOK_AGAIN));
        }
        if replace == Replace::Foreign {
            self.note(owner, What::Replaced(path.clone()), work.outcome);
        }
        let act = Act::Written { bytes: content.length, because: *because, encoded: file.encoded };
        work.outcome.changes.push(Change { path: path.clone(), object: Some(owner.clone()), act });
        Ok(())
    }
}

fn writes(order: &Steps) -> impl Iterator<Item = &Write> {
    order.turns.iter().flat_map(|turn| &turn.write)
}

/// A folder's parent (`""` is FOLDER, `/` the root) and its own name.
fn parent(folder: &str) -> Option<(&str, &str)> {
    match folder.rfind('/') {
        None => Some(("", folder)),
        Some(0) => Some(("/", folder.get(1..)?)),
        Some(at) => Some((folder.get(..at)?, folder.get(at + 1..)?)),
    }
}
