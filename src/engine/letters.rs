//! Names that differ only in case, on file systems that ignore it: one of our files has the place, the others wait for it.
//!
//! Costs nothing where no such file system was met.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use crate::core::files::entry::{Obstacle, OnDisk};
use crate::core::files::plan;
use crate::core::files::store::Store;
use crate::core::path::TargetPath;
use crate::disk::fs::Fs;
use crate::engine::Engine;

/// Who has a name, by the name in small letters.
#[derive(Default)]
pub(super) struct Letters {
    /// Nothing until a file system that ignores case is met.
    holders: Option<HashMap<String, TargetPath>>,
    waiting: HashMap<String, BTreeSet<TargetPath>>,
    /// Paths that get, in the commit in hand, the file of another that nobody wants by its former name.
    taking_over: HashSet<TargetPath>,
}

impl Letters {
    /// A commit begins.
    pub(super) fn begin(&mut self) {
        self.taking_over.clear();
    }

    /// Whether what stands at the path is ours by another name.
    pub(super) fn takes_over(&self, path: &TargetPath) -> bool {
        self.taking_over.contains(path)
    }

    /// Forgets paths that nobody wants or has: whoever comes to want one is looked at anew.
    pub(super) fn tidy(&mut self, store: &Store) {
        let is_known = |path: &TargetPath| store.path(path).is_some();
        if let Some(holders) = &mut self.holders {
            holders.retain(|_, path| is_known(path));
            holders.shrink_to_fit();
        }
        self.waiting.retain(|_, waiting| {
            waiting.retain(is_known);
            !waiting.is_empty()
        });
        self.waiting.shrink_to_fit();
        self.taking_over.shrink_to_fit();
    }

    fn holder(&self, path: &TargetPath) -> Option<&TargetPath> {
        self.holders.as_ref()?.get(&small(path))
    }
}

fn small(path: &TargetPath) -> String {
    path.as_str().to_lowercase()
}

impl<F: Fs> Engine<F> {
    /// What a file that was seen at a path is, should it be that of another path too.
    pub(super) fn in_letters(&mut self, path: &TargetPath, seen: OnDisk) -> OnDisk {
        let holder = self.holders().get(&small(path)).filter(|holder| *holder != path).cloned();
        let entry =
            holder.as_ref().and_then(|holder| self.store.path(holder)).map(|entry| (entry.owner.clone(), entry.claimants.is_empty()));
        let (Some(holder), Some((Some(owner), unwanted))) = (holder, entry) else {
            self.holders().insert(small(path), path.clone());
            return seen;
        };
        if unwanted && plan::may_be_removed(&self.store, &owner) {
            self.holders().insert(small(path), path.clone());
            self.letters.taking_over.insert(path.clone());
            return OnDisk::Absent;
        }
        self.letters.waiting.entry(small(&holder)).or_default().insert(path.clone());
        // It is not for nothing that it waits where the other goes once everything is listed.
        if unwanted { OnDisk::Unknown } else { OnDisk::Obstacle(Obstacle::Case) }
    }

    /// A file was written: its path has the name.
    pub(super) fn has_letters(&mut self, path: &TargetPath) {
        if self.disk.ignores_case(path.folder()) {
            self.holders().insert(small(path), path.clone());
        }
    }

    /// Whether the file at a path of ours is one that another path of ours has: to unlink it would take that one away.
    pub(super) fn is_anothers(&self, path: &TargetPath) -> bool {
        let holder = self.letters.holder(path).filter(|holder| *holder != path);
        holder.is_some_and(|holder| self.store.path(holder).is_some_and(|entry| entry.owner.is_some()))
    }

    /// Files are gone: whoever waited for their names is looked at again.
    pub(super) fn give_up_letters(&mut self, gone: &[TargetPath], now: Duration) {
        if self.letters.holders.is_none() {
            return;
        }
        for path in gone {
            let name = small(path);
            if self.holders().get(&name) == Some(path) {
                self.holders().remove(&name);
            }
            for path in self.letters.waiting.remove(&name).unwrap_or_default() {
                self.store.saw(&path, OnDisk::Unknown);
                self.attempts.look_anew(path, now, None);
            }
        }
    }

    /// Built when it is needed first: whoever is in the ledger has the name before others.
    fn holders(&mut self) -> &mut HashMap<String, TargetPath> {
        let store = &self.store;
        self.letters.holders.get_or_insert_with(|| {
            let mut owned: Vec<_> = store.paths().filter(|(_, entry)| entry.owner.is_some()).map(|(path, _)| path.clone()).collect();
            // Of several, as an older version left them, one that is wanted, and the first of those.
            owned.sort_by_key(|path| (store.path(path).is_some_and(|entry| !entry.claimants.is_empty()), std::cmp::Reverse(path.clone())));
            owned.into_iter().map(|path| (small(&path), path)).collect()
        })
    }
}
