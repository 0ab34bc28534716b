//! Memory of what is gone is given back: a storm of short-lived objects leaves nothing behind.
//!
//! A map keeps the room that it once needed. So a while after something went, once for all of it, every book is made as small as what
//! is in it. No other commit costs anything, and where nothing can be given back this one costs next to nothing.

use std::time::Duration;

use crate::disk::fs::Fs;
use crate::engine::Engine;
use crate::engine::outcome::{Act, Outcome};

/// How long after something went the room of all that went by then is given back.
const TIDY_AFTER: Duration = Duration::from_secs(60);

impl<F: Fs> Engine<F> {
    /// Gives back the room of what is gone, when that is due; `went`: whether an object went with this commit.
    pub(super) fn make_room(&mut self, went: bool, outcome: &Outcome, now: Duration) {
        if self.tidy_due.is_some_and(|due| due <= now) {
            self.tidy_due = None;
            self.tidy();
        }
        if went || outcome.changes.iter().any(|change| matches!(change.act, Act::Removed { .. })) {
            self.tidy_due.get_or_insert(now + TIDY_AFTER);
        }
    }

    fn tidy(&mut self) {
        self.store.tidy();
        let store = &self.store;
        self.disk.tidy(|folder| folder.is_empty() || store.claimed_beneath(folder) > 0 || store.owned_beneath(folder) > 0);
        self.letters.tidy(store);
        self.attempts.tidy();
        self.notices.tidy();
        self.releasing.shrink_to_fit();
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
