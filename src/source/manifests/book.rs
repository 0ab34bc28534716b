//! What is known of each file: which objects it last gave, whose they are, and what is missing. Pure; keeps no bodies.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::core::object::ObjectKey;
use crate::core::settle::Moment;
use crate::source::manifests::Tally;
use crate::source::manifests::content::ManifestContent;
use crate::source::manifests::scan::{FileIdentity, ManifestFailure};
use crate::source::manifests::yaml::Labelled;

/// What a file that was read gives.
pub(super) struct Intake {
    /// Whether what is wrong with it, or that nothing is any more, is news to the user.
    pub(super) is_news: bool,
    /// Whether what is passed over is.
    pub(super) passes_over_news: bool,
    /// For each of its objects whether this file gives it.
    pub(super) won: Vec<bool>,
    /// Objects that it goes on giving as they were.
    pub(super) kept: Vec<ObjectKey>,
}

/// How a look ended.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct LookResult {
    /// Objects that stay although no file gives them now.
    pub(super) kept: Vec<ObjectKey>,
    /// Empty files whose objects go, and how many data keys these had.
    pub(super) emptied: Vec<(Arc<Path>, usize)>,
    pub(super) evidence: Evidence,
    /// Since when the first of what is waited for has been missing.
    pub(super) waits_since: Option<Duration>,
}

/// What the absence of an object in the list means.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Evidence {
    /// That it is gone.
    Absence,
    /// Nothing: what a broken file holds is not known.
    Unknown,
    /// Nothing yet: the first list waits until the folder is settled.
    #[default]
    Open,
}

/// What is known of one file.
struct KnownFile {
    /// The content that was judged; none where it could not be read.
    identity: Option<FileIdentity>,
    /// Objects that it gives: those of its content, and while anything of that is refused those that it gave before.
    keys: Vec<ObjectKey>,
    /// Why the content as it is now is not taken as a whole.
    trouble: Option<String>,
    /// Whether all of any content was ever good.
    good: bool,
    /// What is passed over.
    nearly: Option<String>,
    /// Whether the content has no documents.
    is_empty: bool,
}

/// An object that is given, or was until a moment ago.
struct GivenObject {
    path: Arc<Path>,
    /// Its data keys as the file has them.
    data: Vec<Box<str>>,
    /// Data keys that it had, and since when they are missing; without a time they wait for the file to be good.
    held: Vec<(Box<str>, Option<Duration>)>,
    /// Since when no file gives it.
    missing: Option<Duration>,
}

/// Object, file that counts, file that does not.
type Duplicate = (ObjectKey, Arc<Path>, Arc<Path>);

/// What a look found.
#[derive(Default)]
struct Inspection {
    files: BTreeMap<Arc<Path>, KnownFile>,
    given: HashMap<ObjectKey, GivenObject>,
    /// Files that are perhaps being written, since when.
    deferred: HashMap<Arc<Path>, Duration>,
    told: HashSet<Duplicate>,
    /// Folders that cannot be listed, with the reason.
    unreadable: HashMap<PathBuf, String>,
}

/// All files of the last look, and during a look those of this one.
#[derive(Default)]
pub(super) struct Inventory {
    generation: u32,
    moment: Moment,
    /// When the first look was.
    first: Option<Duration>,
    /// Whether a list was ever complete.
    listed: bool,
    /// What of the last look this one has not met yet.
    before: Inspection,
    /// This look.
    now: Inspection,
}

impl Inventory {
    /// Begins a look at this moment; its generation.
    pub(super) fn begin(&mut self, moment: Moment) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.moment = moment;
        self.first.get_or_insert(moment.now);
        self.before = std::mem::take(&mut self.now);
        self.generation
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// The file that gives this object, by the last look.
    pub(super) fn owner(&self, key: &ObjectKey) -> Option<Arc<Path>> {
        self.now.given.get(key).map(|given| Arc::clone(&given.path))
    }

    /// The data keys that this object had and keeps for now.
    pub(super) fn held(&self, key: &ObjectKey) -> Vec<String> {
        let held = self.now.given.get(key).map(|given| given.held.as_slice()).unwrap_or_default();
        held.iter().map(|(name, _)| name.to_string()).collect()
    }

    /// How many objects the files give.
    pub(super) fn objects(&self) -> usize {
        self.now.given.len()
    }

    /// How many files there are, and of how many of them, and of folders, not all is taken.
    pub(super) fn tally(&self) -> Tally {
        let is_partial = |known: &&KnownFile| known.trouble.is_some() || known.nearly.is_some();
        Tally { manifests: self.now.files.len(), not_taken: self.now.unreadable.len() + self.now.files.values().filter(is_partial).count() }
    }

    /// How many files and folders are not taken.
    pub(super) fn broken(&self) -> usize {
        self.now.unreadable.len() + self.now.files.values().filter(|known| known.trouble.is_some()).count()
    }

    /// Whether this content of the file was judged, at this look or the last.
    pub(super) fn knows(&self, path: &Arc<Path>, identity: FileIdentity) -> bool {
        let known = self.before.files.get(path).or_else(|| self.now.files.get(path));
        known.is_some_and(|known| known.identity == Some(identity))
    }

    /// Whether the file need not be read: same content, no object of it that another file gave last time, and none that loses a data
    /// key now.
    pub(super) fn is_current(&self, path: &Arc<Path>, identity: FileIdentity) -> bool {
        let Some(known) = self.before.files.get(path).filter(|known| known.identity == Some(identity)) else {
            return false;
        };
        let is_due = |(_, since): &(Box<str>, Option<Duration>)| since.is_some_and(|since| self.moment.counts(since));
        let ours = |given: &GivenObject| given.path == *path && !given.held.iter().any(is_due);
        known.keys.iter().all(|key| self.now.given.contains_key(key) || self.before.given.get(key).is_some_and(ours))
    }

    /// Notes a file whose content is as before, or not known yet; the objects that it goes on giving.
    pub(super) fn unchanged(&mut self, path: &Arc<Path>) -> Vec<ObjectKey> {
        match self.before.files.remove(path) {
            Some(known) => self.note(path, known),
            None => Vec::new(),
        }
    }

    /// Whether a file that may still be written is left for a later look.
    pub(super) fn defers(&mut self, path: &Arc<Path>) -> bool {
        let since = self.deferred_since(path);
        let waits = !self.moment.counts(since);
        if waits {
            self.now.deferred.insert(Arc::clone(path), since);
        }
        waits
    }

    /// The same for a file that changed while we looked: so nothing is settled, whatever was thought.
    pub(super) fn defers_changing(&mut self, path: &Arc<Path>) -> bool {
        self.unsettle();
        self.defers(path)
    }

    /// What was missing at this look is no evidence yet.
    pub(super) fn unsettle(&mut self) {
        self.moment = self.moment.unsettled();
    }

    fn deferred_since(&self, path: &Arc<Path>) -> Duration {
        self.before.deferred.get(path).copied().unwrap_or(self.moment.now)
    }

    /// Notes a file that was read.
    pub(super) fn read(&mut self, path: &Arc<Path>, content: &ManifestContent) -> Intake {
        let ManifestContent { identity, objects, refused: trouble, nearly, is_empty, .. } = content;
        let before = self.before.files.remove(path);
        let former = before.as_ref().and_then(|known| known.trouble.clone());
        let told = before.as_ref().and_then(|known| known.nearly.as_ref());
        let passes_over_news = nearly.is_some() && told != nearly.as_ref();
        let is_news = former != *trouble;
        let had: HashSet<ObjectKey> = before.iter().flat_map(|known| known.keys.iter().cloned()).collect();
        let (mut keys, mut won) = (Vec::with_capacity(objects.len()), Vec::with_capacity(objects.len()));
        for Labelled { object, .. } in objects {
            let (key, data) = (object.key.clone(), object.data.iter().map(|datum| datum.key.as_str().into()).collect());
            won.push(!self.waits_for_another(&key, path, &had) && self.claim(&key, path, Some((data, trouble.is_none()))));
            keys.push(key);
        }
        let good = trouble.is_none() || before.as_ref().is_some_and(|known| known.good);
        let mut kept = Vec::new();
        if let (Some(before), true) = (before, trouble.is_some()) {
            let read: HashSet<&ObjectKey> = keys.iter().collect();
            let missing: Vec<_> = before.keys.into_iter().filter(|key| !read.contains(key)).collect();
            kept.extend(missing.iter().filter(|key| self.claim(key, path, None)).cloned());
            keys.extend(missing);
        }
        self.now.files.insert(
            Arc::clone(path),
            KnownFile { identity: Some(*identity), keys, trouble: trouble.clone(), good, nearly: nearly.clone(), is_empty: *is_empty },
        );
        Intake { is_news, passes_over_news, won, kept }
    }

    /// Whether another file gave this object although this one had it too, and may only be gone for a moment.
    fn waits_for_another(&self, key: &ObjectKey, path: &Arc<Path>, had: &HashSet<ObjectKey>) -> bool {
        let Some(given) = self.before.given.get(key).filter(|given| given.path < *path) else { return false };
        had.contains(key) && !self.moment.counts(given.missing.unwrap_or(self.moment.now))
    }

    /// Notes a file that is not taken; whether that is news, and its last good objects.
    pub(super) fn broken_file(&mut self, path: &Arc<Path>, failure: &ManifestFailure) -> (bool, Vec<ObjectKey>) {
        let unknown = KnownFile { identity: None, keys: Vec::new(), trouble: None, good: false, nearly: None, is_empty: false };
        let before = self.before.files.remove(path).unwrap_or(unknown);
        let is_news = before.trouble.as_ref() != Some(&failure.text);
        let known = KnownFile { identity: failure.identity, trouble: Some(failure.text.clone()), is_empty: false, ..before };
        (is_news, self.note(path, known))
    }

    /// Notes a folder that cannot be listed: the files known in it are kept. Whether that is news.
    pub(super) fn unreadable(&mut self, path: &Path, failure: &ManifestFailure) -> bool {
        self.now.unreadable.insert(path.to_path_buf(), failure.text.clone());
        self.before.unreadable.get(path) != Some(&failure.text)
    }

    /// Ends the look.
    pub(super) fn end(&mut self) -> LookResult {
        let mut looked = LookResult::default();
        for (path, known) in std::mem::take(&mut self.before.files) {
            if self.now.unreadable.keys().any(|folder| path.starts_with(folder)) {
                looked.kept.extend(self.note(&path, known));
            }
        }
        self.end_objects(&mut looked);
        let first = self.first.unwrap_or_default();
        // What cannot be read is not waited for.
        let is_good = |given: &&GivenObject| self.now.files.get(&given.path).is_none_or(|known| known.trouble.is_none());
        let held = self.now.given.values().filter(is_good).flat_map(|given| given.held.iter().filter_map(|(_, since)| *since));
        let missing = self.now.given.values().filter_map(|given| given.missing);
        let waits = held.chain(missing).chain(self.now.deferred.values().copied()).min();
        let is_known = self.now.unreadable.is_empty() && self.now.files.values().all(|known| known.good);
        let is_settled = self.now.deferred.is_empty() && self.moment.counts(first);
        looked.evidence = match (self.listed || is_settled, self.listed || is_known) {
            (true, true) => Evidence::Absence,
            (true, false) => Evidence::Unknown,
            (false, _) => Evidence::Open,
        };
        self.listed |= looked.evidence == Evidence::Absence;
        looked.waits_since = if looked.evidence == Evidence::Open { Some(first) } else { waits };
        self.before = Inspection::default();
        looked
    }

    /// Objects that no file gives are kept until that counts.
    fn end_objects(&mut self, looked: &mut LookResult) {
        let mut emptied: BTreeMap<Arc<Path>, usize> = BTreeMap::new();
        let mut missing: Vec<_> = std::mem::take(&mut self.before.given).into_iter().collect();
        missing.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (key, given) in missing {
            let since = given.missing.unwrap_or(self.moment.now);
            if !self.moment.counts(since) {
                looked.kept.push(key.clone());
                self.now.given.insert(key, GivenObject { missing: Some(since), ..given });
            } else if self.now.files.get(&given.path).is_some_and(|known| known.is_empty) {
                *emptied.entry(given.path).or_default() += given.data.len() + given.held.len();
            }
        }
        looked.emptied = emptied.into_iter().collect();
    }

    /// Files away what is known of a file that was not read; the objects that are its own.
    fn note(&mut self, path: &Arc<Path>, known: KnownFile) -> Vec<ObjectKey> {
        let own = known.keys.iter().filter(|key| self.claim(key, path, None)).cloned().collect();
        self.now.files.insert(Arc::clone(path), known);
        own
    }

    /// Gives the object to this file unless an earlier one has it: with these data keys and whether the whole file is good, or as it was.
    fn claim(&mut self, key: &ObjectKey, path: &Arc<Path>, read: Option<(Vec<Box<str>>, bool)>) -> bool {
        let Some(owner) = self.now.given.get(key) else {
            let before = self.before.given.remove(key);
            let given = match (read, before) {
                (Some((data, is_good)), before) => {
                    let held = before.map(|before| self.missing_data(before, &data, is_good)).unwrap_or_default();
                    GivenObject { path: Arc::clone(path), data, held, missing: None }
                }
                (None, Some(before)) => GivenObject { path: Arc::clone(path), missing: None, ..before },
                (None, None) => GivenObject { path: Arc::clone(path), data: Vec::new(), held: Vec::new(), missing: None },
            };
            self.now.given.insert(key.clone(), given);
            return true;
        };
        let pair = (key.clone(), Arc::clone(&owner.path), Arc::clone(path));
        if !self.before.told.contains(&pair) && !self.now.told.contains(&pair) {
            warn!(object = %key, file = %owner.path.display(), ignored = %path.display(), "two manifests for one object; the first file counts");
        }
        self.now.told.insert(pair);
        false
    }

    /// The data keys that an object had and lost, but not for long enough to count. In a file that is not good none counts.
    fn missing_data(&self, before: GivenObject, data: &[Box<str>], is_good: bool) -> Vec<(Box<str>, Option<Duration>)> {
        let present: HashSet<&str> = data.iter().map(|name| &**name).collect();
        let lost = before.data.into_iter().map(|name| (name, None)).chain(before.held);
        let lost = lost.filter(|(name, _)| !present.contains(&**name));
        let stays = |(name, since): (Box<str>, Option<Duration>)| {
            let since = since.unwrap_or(self.moment.now);
            (!is_good).then_some((name.clone(), None)).or_else(|| (!self.moment.counts(since)).then_some((name, Some(since))))
        };
        lost.filter_map(stays).collect()
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
