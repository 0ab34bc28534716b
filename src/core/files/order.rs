//! The order in which a plan is carried out: what moves is at its new place before it goes from the old one.
//!
//! 1. Removals that wait for nothing: their object writes nothing in this commit, or they are in somebody's way.
//! 2. Objects that write and remove, one after the other: all that an object writes, then what it gives up. So a crowd that moves at
//!    once is never twice on the disk.
//! 3. What is only written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::core::files::held::Held;
use crate::core::files::plan::{Batch, Because, Plan, Write, rank};
use crate::core::files::store::Store;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;

/// One file to remove.
pub(crate) struct Removal {
    /// Where.
    pub(crate) path: TargetPath,
    /// Why.
    pub(crate) because: Because,
    /// New files, of an earlier commit, without which it stays.
    pub(crate) awaits: Vec<TargetPath>,
    /// A wanted path that leads to this very file where the file system ignores case.
    pub(crate) twin: Option<TargetPath>,
}

/// What is done about one object, or about all that have nothing to remove.
#[derive(Default)]
pub(crate) struct Turn {
    /// First this.
    pub(crate) write: Vec<Write>,
    /// Then this, unless what takes its place could not be written.
    pub(crate) remove: Vec<Removal>,
}

/// A plan's steps in their order.
#[derive(Default)]
pub(crate) struct Steps {
    /// Removals that come before any write.
    pub(crate) first: Vec<Removal>,
    /// Writes, each object's before its removals.
    pub(crate) turns: Vec<Turn>,
}

/// Orders what a plan removes and writes.
pub(crate) fn order(remove: Vec<(TargetPath, Because)>, write: Vec<Write>, twins: &Twins, store: &Store, held: &Held) -> Steps {
    let mut order = Steps::default();
    if remove.is_empty() {
        order.turns.push(Turn { write, remove: Vec::new() });
        return order;
    }
    let writers: HashSet<&Arc<ObjectKey>> = write.iter().map(|write| &write.owner).collect();
    let mut movers: BTreeMap<Arc<ObjectKey>, Turn> = BTreeMap::new();
    for (path, because) in remove {
        let owner = owner(store, &path).filter(|owner| because == Because::NotWanted && writers.contains(owner));
        let owner = owner.filter(|_| !is_in_the_way(store, &path)).cloned();
        let (awaits, twin) = (held.awaited(&path).to_vec(), twins.get(&path).cloned());
        let removal = Removal { path, because, awaits, twin };
        match owner {
            Some(owner) => movers.entry(owner).or_default().remove.push(removal),
            None => order.first.push(removal),
        }
    }
    let mut others = Vec::new();
    for write in write {
        match movers.get_mut(&write.owner) {
            Some(turn) => turn.write.push(write),
            None => others.push(write),
        }
    }
    order.turns.extend(movers.into_values());
    order.turns.push(Turn { write: others, remove: Vec::new() });
    order
}

fn owner<'a>(store: &'a Store, path: &TargetPath) -> Option<&'a Arc<ObjectKey>> {
    store.path(path)?.owner.as_ref()
}

/// Whether somebody wants a folder where this file is, or a file where a folder above it is.
fn is_in_the_way(store: &Store, path: &TargetPath) -> bool {
    store.claimed_beneath(path.as_str()) > 0 || path.ancestors().any(|ancestor| store.stands(ancestor).is_some())
}

impl Plan {
    /// Takes out of the removals what stays because a new file of its object could not be written, now or before.
    pub(super) fn hold_back(&mut self, batch: &Batch<'_>, store: &Store) {
        if self.remove.is_empty() || (batch.held.is_empty() && self.blocked.is_empty() && batch.lost.is_empty()) {
            return;
        }
        let written: HashSet<&TargetPath> = self.write.iter().map(|write| &write.path).collect();
        let mut in_vain: HashMap<&Arc<ObjectKey>, BTreeSet<&TargetPath>> = HashMap::new();
        for blocked in self.blocked.iter().filter(|blocked| !(batch.in_vain)(&blocked.path)) {
            in_vain.entry(&blocked.owner).or_default().insert(&blocked.path);
        }
        for lost in batch.lost {
            for claimant in store.path(lost).into_iter().flat_map(|entry| entry.claimants.iter()) {
                in_vain.entry(claimant).or_default().insert(lost);
            }
        }
        let mut remove = Vec::with_capacity(self.remove.len());
        for (path, because) in std::mem::take(&mut self.remove) {
            let owner = owner(store, &path).filter(|_| because == Because::NotWanted && !is_in_the_way(store, &path));
            let mut awaits: BTreeSet<&TargetPath> = owner.and_then(|owner| in_vain.get(owner)).into_iter().flatten().copied().collect();
            awaits.extend(batch.held.awaited(&path));
            awaits.retain(|new| owner.is_some_and(|owner| is_missed(store, new, owner)));
            match awaits.iter().all(|new| written.contains(*new)) {
                true => remove.push((path, because)),
                false => self.held.push((path, awaits.into_iter().cloned().collect())),
            }
        }
        self.remove = remove;
    }

    /// Finds removals that may lead to the very file of a wanted path.
    pub(super) fn find_twins(&mut self, touched: &BTreeSet<TargetPath>, store: &Store) {
        if self.remove.is_empty() || touched.len() == self.remove.len() {
            return;
        }
        let removed: HashMap<String, &TargetPath> = self.remove.iter().map(|(path, _)| (folded(path), path)).collect();
        for path in touched {
            let twin = removed.get(&folded(path)).filter(|removed| **removed != path);
            if let Some(removed) = twin.filter(|_| store.path(path).is_some_and(|entry| !entry.claimants.is_empty())) {
                self.twins.insert((*removed).clone(), path.clone());
            }
        }
    }
}

/// Removed paths, each with a wanted one that differs from it in case only.
pub(crate) type Twins = BTreeMap<TargetPath, TargetPath>;

/// Whether an object wants a file that is not there.
fn is_missed(store: &Store, path: &TargetPath, owner: &Arc<ObjectKey>) -> bool {
    let Some(entry) = store.path(path) else { return false };
    let wins = rank(store, path, entry).is_some_and(|(winner, _)| winner == *owner);
    let is_known = store.claim(path, owner).is_some_and(|content| !content.is_pending());
    wins && is_known && !(entry.owner.as_ref() == Some(owner) && entry.is_file())
}

/// A path without its letters' case, as near as it can be told without knowing the file system.
fn folded(path: &TargetPath) -> String {
    let path = path.as_str();
    if path.is_ascii() { path.to_ascii_lowercase() } else { path.to_uppercase().to_lowercase() }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
