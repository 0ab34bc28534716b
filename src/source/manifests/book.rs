//! What is known of each file: which objects it last gave, and whose they are. Pure; keeps no bodies.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use crate::core::object::ObjectKey;
use crate::source::manifests::scan::{Failure, Identity};

/// Whether a file's trouble is news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The user has not been told.
    Changed,
    /// As at the last look.
    Same,
}

/// What is known of one file.
struct Known {
    /// The content that was judged; none where it could not be read.
    identity: Option<Identity>,
    /// Objects of the last good content.
    keys: Vec<ObjectKey>,
    /// Why the content as it is now was refused.
    trouble: Option<String>,
    /// Whether any content was ever good.
    good: bool,
}

/// All files of the last look, and during a look those of this one.
#[derive(Default)]
pub(super) struct Book {
    generation: u32,
    /// Whether a list was ever complete.
    listed: bool,
    /// Files of the last look that this one has not met yet.
    before: BTreeMap<Arc<Path>, Known>,
    /// Files of this look.
    files: BTreeMap<Arc<Path>, Known>,
    owners_before: HashMap<ObjectKey, Arc<Path>>,
    owners: HashMap<ObjectKey, Arc<Path>>,
    /// Object, file that counts, file that does not.
    told_before: HashSet<(ObjectKey, Arc<Path>, Arc<Path>)>,
    told: HashSet<(ObjectKey, Arc<Path>, Arc<Path>)>,
    /// Folders that cannot be listed, with the reason.
    unreadable_before: HashMap<PathBuf, String>,
    unreadable: HashMap<PathBuf, String>,
}

impl Book {
    /// Begins a look; its generation.
    pub(super) fn begin(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.before = std::mem::take(&mut self.files);
        self.owners_before = std::mem::take(&mut self.owners);
        self.told_before = std::mem::take(&mut self.told);
        self.unreadable_before = std::mem::take(&mut self.unreadable);
        self.generation
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// The file that gives this object, by the last look.
    pub(super) fn owner(&self, key: &ObjectKey) -> Option<Arc<Path>> {
        self.owners.get(key).cloned()
    }

    /// How many objects the files give.
    pub(super) fn objects(&self) -> usize {
        self.owners.len()
    }

    /// How many files and folders are not taken.
    pub(super) fn broken(&self) -> usize {
        self.unreadable.len() + self.files.values().filter(|known| known.trouble.is_some()).count()
    }

    /// Whether the file need not be read: same content, and no object of it that another file gave last time.
    pub(super) fn is_current(&self, path: &Arc<Path>, identity: Identity) -> bool {
        let Some(known) = self.before.get(path).filter(|known| known.identity == Some(identity)) else {
            return false;
        };
        let ours = |key: &ObjectKey| self.owners.contains_key(key) || self.owners_before.get(key) == Some(path);
        known.trouble.is_some() || known.keys.iter().all(ours)
    }

    /// Notes a file whose content is as before; the objects that it goes on giving.
    pub(super) fn unchanged(&mut self, path: &Arc<Path>) -> Vec<ObjectKey> {
        match self.before.remove(path) {
            Some(known) => self.note(path, known),
            None => Vec::new(),
        }
    }

    /// Notes the objects of a file that was read; for each whether this file gives it.
    pub(super) fn good(&mut self, path: &Arc<Path>, identity: Identity, keys: Vec<ObjectKey>) -> (Verdict, Vec<bool>) {
        let before = self.before.remove(path);
        let won = keys.iter().map(|key| self.claim(key, path)).collect();
        self.files.insert(Arc::clone(path), Known { identity: Some(identity), keys, trouble: None, good: true });
        let verdict = if before.is_some_and(|known| known.trouble.is_some()) { Verdict::Changed } else { Verdict::Same };
        (verdict, won)
    }

    /// Notes a file that is not taken; its last good objects.
    pub(super) fn broken_file(&mut self, path: &Arc<Path>, failure: &Failure) -> (Verdict, Vec<ObjectKey>) {
        let before = self.before.remove(path).unwrap_or(Known { identity: None, keys: Vec::new(), trouble: None, good: false });
        let verdict = if before.trouble.as_ref() == Some(&failure.text) { Verdict::Same } else { Verdict::Changed };
        let known = Known { identity: failure.identity, trouble: Some(failure.text.clone()), ..before };
        (verdict, self.note(path, known))
    }

    /// Notes a folder that cannot be listed: the files known in it are kept.
    pub(super) fn unreadable(&mut self, path: &Path, failure: &Failure) -> Verdict {
        let told = self.unreadable_before.get(path) == Some(&failure.text);
        self.unreadable.insert(path.to_path_buf(), failure.text.clone());
        if told { Verdict::Same } else { Verdict::Changed }
    }

    /// Ends the look: objects kept because their folder cannot be listed, and whether the list is evidence of absence.
    pub(super) fn end(&mut self) -> (Vec<ObjectKey>, bool) {
        let mut kept = Vec::new();
        for (path, known) in std::mem::take(&mut self.before) {
            if self.unreadable.keys().any(|folder| path.starts_with(folder)) {
                kept.extend(self.note(&path, known));
            }
        }
        let known = self.unreadable.is_empty() && self.files.values().all(|known| known.good);
        self.listed |= known;
        self.owners_before = HashMap::new();
        self.told_before = HashSet::new();
        self.unreadable_before = HashMap::new();
        (kept, self.listed)
    }

    /// Files away what is known of a file that was not read; the objects that are its own.
    fn note(&mut self, path: &Arc<Path>, known: Known) -> Vec<ObjectKey> {
        let own = known.keys.iter().filter(|key| self.claim(key, path)).cloned().collect();
        self.files.insert(Arc::clone(path), known);
        own
    }

    /// Gives the object to this file unless an earlier one has it.
    fn claim(&mut self, key: &ObjectKey, path: &Arc<Path>) -> bool {
        let Some(owner) = self.owners.get(key) else {
            self.owners.insert(key.clone(), Arc::clone(path));
            return true;
        };
        let pair = (key.clone(), Arc::clone(owner), Arc::clone(path));
        if !self.told_before.contains(&pair) && !self.told.contains(&pair) {
            warn!(object = %key, file = %owner.display(), ignored = %path.display(), "two manifests for one object; the first file counts");
        }
        self.told.insert(pair);
        false
    }
}
