//! Files that stay when their objects go: how the ledger comes to say so, and what follows for objects and their finalizers.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::core::files::ledger::{Contents, Record};
use crate::core::files::store::Store;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::disk::fs::Fs;
use crate::engine::Engine;
use crate::engine::outcome::Outcome;
use crate::engine::turns::Refusal;

/// Gives a store what a ledger says, as far as `takes` wants it. Whether the ledger says of files that they stay which nobody heeds:
/// OBJECT_ANNOTATIONS=false.
pub(super) fn adopt(store: &mut Store, ledger: &Contents, heeds: bool, takes: impl Fn(&Store, &TargetPath) -> bool) -> bool {
    for (path, key) in &ledger.owned {
        if takes(store, path) {
            store.own(path, key);
            store.set_lasting(path, heeds && ledger.lasting.contains(path));
        }
    }
    !heeds && !ledger.lasting.is_empty()
}

/// Paths that stay when their objects go.
pub(super) fn paths(store: &Store) -> BTreeSet<TargetPath> {
    match store.has_lasting() {
        true => store.paths().filter(|(_, entry)| entry.lasts()).map(|(path, _)| path.clone()).collect(),
        false => BTreeSet::new(),
    }
}

impl<F: Fs> Engine<F> {
    /// The record that gives a path to an object, as that wants it to be.
    pub(super) fn ownership(&self, path: &TargetPath, owner: &Arc<ObjectKey>) -> Record {
        if self.store.lasts(owner) { Record::keep(path, owner) } else { Record::own(path, owner) }
    }

    /// Makes the ledger one that takes these records.
    pub(super) fn make_fit(&mut self, records: &[Record]) -> io::Result<()> {
        if !self.ledger.is_too_old_for(records) {
            return Ok(());
        }
        let version = records.iter().map(Record::since).max().unwrap_or_default();
        self.rewrite(version)
    }

    /// What the ledger did not take although the file is right is tried again, as files are.
    pub(super) fn not_recorded(&mut self, own: &[(TargetPath, Arc<ObjectKey>)], error: &Refusal, outcome: &mut Outcome, now: Duration) {
        own.iter().for_each(|(path, _)| self.failed(path, error, outcome, now));
    }

    /// Whether files of this object stay although it does not live.
    pub(super) fn outlives(&self, key: &ObjectKey) -> bool {
        self.store.outlives(key) || (self.store.object(key).is_none() && self.store.lasting_of(key) > 0)
    }

    /// Whether nothing has to be done before this object goes: its files stay, and whatever is needed for that is done.
    pub(super) fn needs_no_guard(&self, key: &ObjectKey) -> bool {
        self.store.keeps(key) || (self.store.lasts(key) && self.store.is_lasting(key))
    }
}
