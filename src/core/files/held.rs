//! Files that nobody wants any more and that stay all the same, because a new file of their object could not be written.
//!
//! Found by either path without going through all: what is looked at follows what a batch touched.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::path::TargetPath;

/// See the module's header.
#[derive(Default)]
pub(crate) struct Held {
    /// What each of them waits for.
    awaits: BTreeMap<TargetPath, Vec<TargetPath>>,
    /// The other way around.
    waiting: BTreeMap<TargetPath, BTreeSet<TargetPath>>,
}

impl Held {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.awaits.is_empty()
    }

    /// How many stay.
    pub(crate) fn len(&self) -> usize {
        self.awaits.len()
    }

    /// Those that stay.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &TargetPath> {
        self.awaits.keys()
    }

    /// The new files that a path waits for; nothing where it does not stay.
    pub(crate) fn awaited(&self, old: &TargetPath) -> &[TargetPath] {
        self.awaits.get(old).map_or(&[], Vec::as_slice)
    }

    /// Those that wait for a new file.
    pub(crate) fn waiting_for(&self, new: &TargetPath) -> impl Iterator<Item = &TargetPath> {
        self.waiting.get(new).into_iter().flatten()
    }

    /// Lets a file stay until these are there. Whether it did not before.
    pub(crate) fn hold(&mut self, old: &TargetPath, awaits: Vec<TargetPath>) -> bool {
        let first = !self.release(old);
        for new in &awaits {
            self.waiting.entry(new.clone()).or_default().insert(old.clone());
        }
        self.awaits.insert(old.clone(), awaits);
        first
    }

    /// Nothing holds this file. Whether something did.
    pub(crate) fn release(&mut self, old: &TargetPath) -> bool {
        if self.awaits.is_empty() {
            return false;
        }
        let Some(awaits) = self.awaits.remove(old) else { return false };
        for new in awaits {
            if let Some(waiting) = self.waiting.get_mut(&new) {
                waiting.remove(old);
                if waiting.is_empty() {
                    self.waiting.remove(&new);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::path::Roots;

    #[test]
    fn both_ways_tell_the_same_and_nothing_is_left_behind() {
        let path = |text: &str| Roots::new("/f", []).recorded(text).unwrap();
        let (old, other, new, newer) = (path("old"), path("other"), path("new"), path("newer"));
        let mut held = Held::default();
        assert!(held.hold(&old, vec![new.clone(), newer.clone()]));
        assert!(held.hold(&other, vec![new.clone()]));
        assert_eq!(held.waiting_for(&new).collect::<Vec<_>>(), [&old, &other]);
        assert!(!held.hold(&old, vec![newer.clone()]), "it stays already");
        assert_eq!((held.awaited(&old), held.len()), (&[newer.clone()][..], 2));
        assert_eq!(held.waiting_for(&new).collect::<Vec<_>>(), [&other]);
        assert!(held.release(&old) && held.release(&other) && !held.release(&old));
        assert!(held.is_empty() && held.waiting.is_empty());
        assert_eq!((held.awaited(&old).len(), held.waiting_for(&newer).count(), held.paths().count()), (0, 0, 0));
    }
}
