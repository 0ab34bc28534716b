//! Whether FOLDER and the ledger are still those that were opened, and what the ledger says of us when it is written anew.

use std::io;

use crate::core::files::ledger::{self, Contents};
use crate::core::files::store::Store;
use crate::core::path::TargetPath;
use crate::disk::fs::Fs;
use crate::disk::ledger::LedgerFile;
use crate::engine::letters::Letters;
use crate::engine::outcome::Outcome;
use crate::engine::reacting::Reacting;
use crate::engine::{Engine, lasting};

impl<F: Fs> Engine<F> {
    /// Files of a former selection stay until the present one matches something. Whether it does so now, for the first time.
    pub(super) fn release_former_selection(&mut self, settled: bool, outcome: &mut Outcome) -> bool {
        let Some(former) = &self.former_selection else { return false };
        if !self.store.matches_something() {
            outcome.held_back = settled.then(|| (former.clone(), self.store.owned()));
            return false;
        }
        self.former_selection = None;
        self.store.hold_back(false);
        self.ledger.select(&self.place.selection);
        // The files that go are in the ledger before and after; if this fails they go all the same.
        self.compact();
        true
    }

    /// Finds out whether FOLDER or the ledger were removed or replaced behind our back. Whether everything must be looked at again.
    pub(super) fn check_place(&mut self) -> bool {
        let replaced = self.disk.folder_was_replaced();
        if replaced {
            self.letters = Letters::default();
            self.store.forget_disk();
            self.disk.mark_for(&self.place);
        }
        if !self.ledger.is_in_place(&mut self.disk.fs, &self.place) {
            self.ledger_lost = true;
            let roots = self.disk.roots().clone();
            let Ok((mut ledger, opened)) = LedgerFile::open(&mut self.disk.fs, &self.place, &roots) else {
                return replaced;
            };
            if replaced {
                // Another folder: only what its own ledger says is ours there.
                let lost: Vec<_> = self
                    .store
                    .paths()
                    .filter(|(path, entry)| entry.owner.is_some() && !opened.contents.owned.contains_key(*path))
                    .map(|(path, _)| path.clone())
                    .collect();
                lost.iter().for_each(|path| self.store.disown(path));
                self.folders.clear();
            }
            let is_free = |store: &Store, path: &TargetPath| store.path(path).is_none_or(|entry| entry.owner.is_none());
            lasting::adopt(&mut self.store, &opened.contents, self.settings.rules.annotations, is_free);
            self.folders.extend(opened.contents.folders);
            self.siblings.extend(opened.contents.siblings);
            self.left_out.extend(opened.left_out);
            self.disk.guard_ledger(&self.place);
            self.reacting.owed |= opened.contents.owed;
            self.reacting.finished |= opened.contents.finished;
            self.disk.sweep("", &opened.ids);
            self.disk.identify(ledger.id());
            ledger.continues(self.ledger.work());
            self.ledger = ledger;
        }
        if self.former_selection.is_none() {
            self.ledger.select(&self.place.selection);
        }
        if self.ledger_lost {
            self.ledger_lost = !self.compact();
        }
        replaced
    }

    /// Whether the ledger is compact now. One that could not be compacted is as good as before, only longer.
    pub(super) fn compact(&mut self) -> bool {
        self.rewrite(ledger::FIRST).is_ok()
    }

    /// Writes the ledger anew, at least in this version.
    pub(super) fn rewrite(&mut self, least: u32) -> io::Result<()> {
        let owned = self.store.paths().filter_map(|(path, entry)| Some((path.clone(), (**entry.owner.as_ref()?).clone()))).collect();
        let Reacting { owed, debt, finished, .. } = &self.reacting;
        let kept = Contents {
            owned,
            lasting: lasting::paths(&self.store),
            folders: std::mem::take(&mut self.folders),
            siblings: std::mem::take(&mut self.siblings),
            owed: *owed,
            debt: debt.clone(),
            finished: *finished,
            ..Contents::default()
        };
        let written = self.ledger.rewrite(&mut self.disk.fs, &kept, least);
        (self.folders, self.siblings) = (kept.folders, kept.siblings);
        written?;
        self.unrecorded = Vec::new();
        Ok(())
    }
}
