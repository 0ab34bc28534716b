//! How things stand, in numbers, and what one commit did. Costs nothing that grows with what there is.

use crate::disk::fs::Fs;
use crate::engine::Engine;
use crate::engine::outcome::{Act, Outcome};
use crate::metrics::{FileWork, Standing};

impl<F: Fs> Engine<F> {
    /// How things stand now.
    pub(crate) fn standing(&self) -> Standing {
        let (failed, blocked) = (self.attempts.failing.len(), self.notices.blocked.len());
        let ledger = self.ledger.work();
        Standing {
            objects: self.store.objects(),
            files: self.files(),
            bytes: self.store.bytes(),
            conflicts: self.notices.conflicts.len(),
            rejections: self.notices.rejections,
            // In the order of their reasons.
            stuck: [failed, blocked, self.held.len(), self.attempts.unanswered.len()],
            ledger_appends: ledger.appends,
            ledger_bytes: ledger.bytes,
        }
    }
}

impl Outcome {
    /// What it did to files; how long that took is for whoever has a clock to say.
    pub(crate) fn work(&self) -> FileWork<'_> {
        let mut work = FileWork { errors: &self.errors, ..FileWork::default() };
        for change in &self.changes {
            match change.act {
                Act::Written { .. } => work.writes += 1,
                Act::Removed { was_there, .. } => work.removals += u64::from(was_there),
            }
        }
        work
    }
}
