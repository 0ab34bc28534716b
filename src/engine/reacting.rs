//! What reactions must know of commits: that they are owed, before a file changes, and which files differ.
//!
//! All of it is skipped where nothing reacts, but for the note that all files are there.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::debt::Debt;
use crate::core::digest::Digest;
use crate::core::files::entry::OnDisk;
use crate::core::files::ledger::Record;
use crate::core::files::plan::{Because, Write};
use crate::core::object::{ObjectKey, SourceEvent, SourceId};
use crate::core::path::TargetPath;
use crate::core::tell::difference::Difference;
use crate::disk::fs::Fs;
use crate::engine::Engine;
use crate::engine::outcome::Outcome;

/// What is known of reactions.
pub(super) struct Reacting {
    /// Whether the ledger says, or is about to say, that reactions are owed.
    pub(super) owed: bool,
    /// What the ledger says, or is about to say, of attempts to tell the application.
    pub(super) debt: Debt,
    /// Whether the ledger says that all files were there once. It matters although nothing reacts: an init container tells a sidecar so.
    pub(super) finished: bool,
    /// Sources that were complete before the commit in hand.
    listed: BTreeSet<SourceId>,
    /// Whether every source was settled before the commit in hand.
    settled: bool,
}

impl Reacting {
    pub(super) const fn new(owed: bool, debt: Debt, finished: bool) -> Self {
        Self { owed, debt, finished, listed: BTreeSet::new(), settled: false }
    }
}

impl<F: Fs> Engine<F> {
    /// Whether the ledger says that the application is to be told of something.
    pub(crate) const fn owes_reaction(&self) -> bool {
        self.reacting.owed
    }

    /// Notes that the application is to be told although no file changed.
    pub(crate) fn owe(&mut self) {
        if self.settings.reacts && !std::mem::replace(&mut self.reacting.owed, true) {
            self.append_or_owe(vec![Record::Owed]);
        }
    }

    /// Notes that the application was told of every outcome so far. If the ledger cannot take it now it will with the next records.
    pub fn reacted(&mut self) {
        if std::mem::take(&mut self.reacting.owed) {
            (self.reacting.finished, self.reacting.debt) = (true, Debt::default());
            self.append_or_owe(vec![Record::Done]);
        }
    }

    /// What the ledger says of attempts to tell the application.
    pub(crate) const fn debt(&self) -> &Debt {
        &self.reacting.debt
    }

    /// Notes what a next process has to know of attempts to tell the application, while it is owed.
    pub(crate) fn note_debt(&mut self, debt: Debt) {
        if self.reacting.owed && self.reacting.debt != debt {
            self.reacting.debt = debt.clone();
            self.append_or_owe(vec![Record::Debt(debt)]);
        }
    }

    /// Notes that all files are there, unless the ledger says so already, or is to say so when the application was told.
    pub(super) fn finished(&mut self) {
        if !self.reacting.owed && !std::mem::replace(&mut self.reacting.finished, true) {
            self.append_or_owe(vec![Record::Done]);
        }
    }

    /// The record that must be in the ledger before these steps, unless it is there already.
    pub(super) fn owes_for(&self, remove: &[(TargetPath, Because)], writes: &[Write]) -> Option<Record> {
        let changes = || !remove.is_empty() || writes.iter().any(|write| write.because != Because::Mode);
        (self.settings.reacts && !self.reacting.owed && changes()).then_some(Record::Owed)
    }

    /// Notes that the record was appended, or that it was `refused`: files of ours change even then, so it follows when it can.
    pub(super) fn owing(&mut self, record: Option<Record>, refused: bool) {
        let Some(record) = record else { return };
        self.reacting.owed = true;
        if refused {
            self.unrecorded.push(record);
        }
    }

    /// What stands at a path that is about to change.
    pub(super) fn before(&self, path: &TargetPath) -> Option<Digest> {
        if !self.settings.reacts {
            return None;
        }
        match self.store.path(path)?.disk() {
            OnDisk::Absent => None,
            OnDisk::File(stamp) => Some(stamp.content.digest),
            OnDisk::Unknown | OnDisk::Obstacle(_) => Some(Digest::UNREAD),
        }
    }

    /// Notes that a file changed, unless only its mode did.
    pub(super) fn note_difference(
        &self,
        path: &TargetPath,
        object: Option<&Arc<ObjectKey>>,
        (before, after): (Option<Digest>, Option<Digest>),
        outcome: &mut Outcome,
    ) {
        // A path that changes is somebody's: only what is owned is removed, and a write is for an object.
        let Some(object) = object.filter(|_| self.settings.reacts && before != after) else { return };
        let source = self.store.source_of(object);
        let listed = source.is_none_or(|source| self.reacting.listed.contains(&source));
        outcome.differences.push(Difference {
            path: path.clone(),
            object: object.clone(),
            source,
            initial: !self.reacting.settled || !listed,
            before,
            after,
        });
    }

    /// Sources whose list ends in this batch.
    pub(super) fn listed_by(&self, batch: &[SourceEvent]) -> Vec<SourceId> {
        if !self.settings.reacts {
            return Vec::new();
        }
        let end = |event: &SourceEvent| match event {
            SourceEvent::ListEnd { source, .. } => Some(*source),
            _ => None,
        };
        batch.iter().filter_map(end).collect()
    }

    /// A source came further in the commit that ends here.
    pub(super) fn note_progress(&mut self) {
        if self.settings.reacts {
            self.reacting.listed = self.store.listed().collect();
            self.reacting.settled = self.store.settled();
        }
    }
}
