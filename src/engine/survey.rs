//! Looks at paths that nobody has looked at yet, as far as is needed to plan for them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::core::files::entry::{Obstacle, OnDisk};
use crate::core::files::plan;
use crate::core::path::TargetPath;
use crate::disk::fs::Fs;
use crate::disk::ledger::beside::sibling_paths;
use crate::engine::Engine;
use crate::engine::outcome::Outcome;

impl<F: Fs> Engine<F> {
    /// Looks at paths that nobody has looked at yet.
    pub(super) fn survey(&mut self, touched: &BTreeSet<TargetPath>, outcome: &mut Outcome, now: Duration) {
        self.letters.begin();
        let unseen: Vec<_> = plan::unseen(touched, &self.store).map(|(path, content)| (path.clone(), content)).collect();
        let mut siblings = None;
        for (path, content) in unseen {
            let digester = self.store.digester().clone();
            match self.disk.look(path.folder(), path.name(), &content, &digester) {
                Ok(mut seen) => {
                    if seen == OnDisk::Obstacle(Obstacle::Folder) && self.folder_goes(&path) {
                        seen = OnDisk::Unknown;
                    }
                    let foreign = self.store.path(&path).is_some_and(|entry| entry.owner.is_none());
                    if foreign && matches!(seen, OnDisk::File(_)) {
                        let roots = self.disk.roots().clone();
                        let theirs = siblings.get_or_insert_with(|| sibling_paths(&mut self.disk.fs, &self.place, &roots));
                        match theirs {
                            Ok(theirs) if theirs.contains(&path) => seen = OnDisk::Obstacle(Obstacle::Sibling),
                            Ok(_) => {}
                            Err(error) => {
                                let error = error.to_string();
                                self.failed(&path, &error, outcome, now);
                                continue;
                            }
                        }
                    }
                    if matches!(seen, OnDisk::File(_)) && self.disk.ignores_case(path.folder()) {
                        seen = self.in_letters(&path, seen);
                    }
                    self.store.saw(&path, seen);
                }
                Err(error) => self.failed(&path, &error.to_string(), outcome, now),
            }
        }
    }

    /// Whether a folder that stands where a file is wanted is ours and about to be emptied.
    fn folder_goes(&self, path: &TargetPath) -> bool {
        self.folders.contains(path.as_str()) && self.store.owned_beneath(path.as_str()) > 0
    }
}
