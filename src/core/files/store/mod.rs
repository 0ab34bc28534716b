//! All live claims and what is known of the disk: the engine's memory, without a byte of content.
//!
//! Memory grows with the number of files, not with their size. It never touches the disk.

mod contests;
mod counts;
mod fold;
pub(crate) mod lasting;
mod memory;
mod secrets;
mod seen;

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

use crate::core::digest::Digester;
use crate::core::discretion::Secrets;
use crate::core::files::entry::{Content, Live, ObjectEntry, PathEntry};
use crate::core::files::remotes::Remotes;
use crate::core::files::resolve::rank;
use crate::core::files::store::contests::Contests;
use crate::core::files::store::seen::owned_bytes;
use crate::core::object::{Kind, ObjectKey, SourceId};
use crate::core::path::TargetPath;
use crate::core::policy::Precedence;

/// How far a source has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// Its first list is not complete.
    Pending,
    /// Listed completely at least once.
    Complete,
    /// Definitely refused before any complete list: absence is not known, its files stay.
    Refused,
}

/// Which objects a source would list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceScope {
    /// Only this kind, or both.
    pub kind: Option<Kind>,
    /// Only this namespace, or all.
    pub namespace: Option<Arc<str>>,
    /// Only the object of this name, or all.
    pub name: Option<Box<str>>,
}

impl SourceScope {
    /// Whether the object is of the scope's kind and namespace, whatever its name.
    fn is_around(&self, key: &ObjectKey) -> bool {
        self.kind.is_none_or(|kind| kind == key.kind) && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
    }
}

/// What lies anywhere beneath a folder.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Beneath {
    /// Claimed paths.
    claimed: u32,
    /// Paths that the ledger gives to somebody.
    owned: u32,
}

struct SourceState {
    scope: SourceScope,
    progress: Progress,
    accepts_older: bool,
    /// Objects that it lists and that live.
    live: usize,
}

/// See the module's header.
pub struct Store {
    objects: HashMap<Arc<ObjectKey>, Box<ObjectEntry>>,
    paths: HashMap<TargetPath, Box<PathEntry>>,
    /// What lies anywhere beneath a folder; only folders below a root beneath which something does.
    folders: HashMap<Box<str>, Beneath>,
    contests: Contests,
    sources: Vec<SourceState>,
    /// One allocation a namespace, and how many objects have it.
    namespaces: HashMap<Arc<str>, u32>,
    remotes: Remotes,
    digester: Digester,
    order: Precedence,
    owned: usize,
    /// Bytes of the files that are known to stand at owned paths.
    bytes: u64,
    /// Objects that have lost the last path that was theirs, since this was asked for last.
    idle: Vec<Arc<ObjectKey>>,
    /// Objects whose files stay when they are deleted.
    kept: HashSet<ObjectKey>,
    /// Those of them that live, but say that they are to be skipped: their files go.
    skipped: HashSet<Arc<ObjectKey>>,
    /// Live objects that are rejected as a whole by what they say of their files: these stay as they are.
    withheld: HashSet<Arc<ObjectKey>>,
    /// How many paths the ledger says stay when their owners go.
    lasting: usize,
    /// Whether there ever was an object whose files are to stay when it goes.
    knows_lasting: bool,
    /// Files that may hold what a Secret said.
    secrets: Secrets,
    /// Files of objects that do not live stay, whoever is absent.
    holds_back: bool,
    /// See [`Store::looked`]. Atomic only so that a shared store can count.
    looked: AtomicU64,
}

impl Store {
    /// An empty store over these sources; a [`SourceId`] is a position in the list.
    pub(crate) fn new(scopes: impl IntoIterator<Item = SourceScope>, order: Precedence, digester: Digester) -> Self {
        let sources =
            scopes.into_iter().map(|scope| SourceState { scope, progress: Progress::Pending, accepts_older: false, live: 0 }).collect();
        Self {
            objects: HashMap::new(),
            paths: HashMap::new(),
            folders: HashMap::new(),
            contests: Contests::default(),
            sources,
            namespaces: HashMap::new(),
            remotes: Remotes::default(),
            digester,
            order,
            owned: 0,
            bytes: 0,
            idle: Vec::new(),
            kept: HashSet::new(),
            skipped: HashSet::new(),
            withheld: HashSet::new(),
            lasting: 0,
            knows_lasting: false,
            secrets: Secrets::default(),
            holds_back: false,
            looked: AtomicU64::new(0),
        }
    }

    /// The same store, in which the files of these objects stay when the objects are deleted.
    #[must_use]
    pub fn keeping(self, kept: impl IntoIterator<Item = ObjectKey>) -> Self {
        Self { kept: kept.into_iter().collect(), ..self }
    }

    /// Whether the files of this object stay when it is deleted.
    pub(crate) fn keeps(&self, key: &ObjectKey) -> bool {
        !self.kept.is_empty() && self.kept.contains(key)
    }

    /// Whether files of this object stay although, as far as is known, it does not live.
    pub(crate) fn outlives(&self, key: &ObjectKey) -> bool {
        self.keeps(key) && self.object(key).is_none() && !self.skipped.contains(key)
    }

    /// From now on, or no longer, files that nobody wants stay, because what is selected may not be what was meant.
    pub(crate) fn hold_back(&mut self, holds: bool) {
        self.holds_back = holds;
    }

    /// Whether files that nobody wants stay.
    pub(crate) const fn holds_back(&self) -> bool {
        self.holds_back
    }

    /// Whether every source was heard, and anything matches.
    pub(crate) fn matches_something(&self) -> bool {
        self.settled() && self.sources.iter().any(|source| source.live > 0)
    }

    /// Digests `bytes` as claims are digested.
    pub(crate) fn digester(&self) -> &Digester {
        &self.digester
    }

    /// Whether every source was listed or definitely refused.
    pub fn settled(&self) -> bool {
        self.sources.iter().all(|source| source.progress != Progress::Pending)
    }

    /// Whether a source was refused and never listed.
    pub(crate) fn refused(&self) -> bool {
        self.sources.iter().any(|source| source.progress == Progress::Refused)
    }

    /// Whether absence of this object is evidence: every source settled, and the one that would list it was listed, or none would.
    pub(crate) fn absence_is_evidence(&self, key: &ObjectKey) -> bool {
        let names = |source: &&SourceState| source.scope.is_around(key) && source.scope.name.as_ref() == Some(&key.name);
        // A source that follows the object by its name has it alone, whatever the object's labels.
        let is_named = self.sources.iter().any(|source| names(&source));
        let lists =
            |source: &&SourceState| if is_named { names(source) } else { source.scope.is_around(key) && source.scope.name.is_none() };
        self.settled() && self.sources.iter().filter(lists).all(|source| source.progress == Progress::Complete)
    }

    /// The source that lists the object, or would by its name, or else the first of its kind and namespace.
    pub(crate) fn source_of(&self, key: &ObjectKey) -> Option<SourceId> {
        let around = |source: &SourceState| source.scope.is_around(key);
        let named = |source: &SourceState| around(source) && source.scope.name.as_ref() == Some(&key.name);
        let position = || self.sources.iter().position(named).or_else(|| self.sources.iter().position(around));
        self.object(key).map(|live| live.source).or_else(|| u16::try_from(position()?).ok().map(SourceId))
    }

    /// Sources that were listed completely.
    pub(crate) fn listed(&self) -> impl Iterator<Item = SourceId> {
        let complete = self.sources.iter().enumerate().filter(|(_, source)| source.progress == Progress::Complete);
        complete.filter_map(|(at, _)| u16::try_from(at).ok().map(SourceId))
    }

    /// How many entries of paths were looked at since the start, one by one or in passing: what a commit costs.
    pub fn looked(&self) -> u64 {
        self.looked.load(atomic::Ordering::Relaxed)
    }

    /// Counts a look. One task owns the store, so that nothing is lost between reading and writing.
    fn count(&self) {
        self.looked.store(self.looked.load(atomic::Ordering::Relaxed) + 1, atomic::Ordering::Relaxed);
    }

    /// The path's entry, if the path is claimed or owned.
    pub(crate) fn path(&self, path: &TargetPath) -> Option<&PathEntry> {
        self.count();
        self.paths.get(path).map(Box::as_ref)
    }

    /// The entry of the path with this text.
    pub(crate) fn path_named(&self, path: &str) -> Option<&PathEntry> {
        self.count();
        self.paths.get(path).map(Box::as_ref)
    }

    /// Every path that is claimed or owned.
    pub fn paths(&self) -> impl Iterator<Item = (&TargetPath, &PathEntry)> {
        self.paths.iter().inspect(|_| self.count()).map(|(path, entry)| (path, &**entry))
    }

    /// Every live object.
    pub(crate) fn live(&self) -> impl Iterator<Item = (&Arc<ObjectKey>, &Live)> {
        self.objects.iter().filter_map(|(key, entry)| Some((key, entry.live.as_ref()?)))
    }

    /// How many live objects a source lists.
    pub(crate) fn live_of(&self, source: SourceId) -> usize {
        self.sources.get(usize::from(source.0)).map_or(0, |source| source.live)
    }

    /// The live object of this key.
    pub fn object(&self, key: &ObjectKey) -> Option<&Live> {
        self.objects.get(key)?.live.as_ref()
    }

    /// How many paths the ledger gives to anybody.
    pub(crate) const fn owned(&self) -> usize {
        self.owned
    }

    /// How many objects live.
    pub(crate) fn objects(&self) -> usize {
        self.sources.iter().map(|source| source.live).sum()
    }

    /// How many paths the ledger gives to this object.
    pub(crate) fn owned_by(&self, key: &ObjectKey) -> u32 {
        self.objects.get(key).map_or(0, |entry| entry.owned)
    }

    /// How many claimed paths lie beneath the folder.
    pub(crate) fn claimed_beneath(&self, folder: &str) -> u32 {
        self.folders.get(folder).map_or(0, |beneath| beneath.claimed)
    }

    /// How many paths that the ledger gives to anybody lie beneath the folder.
    pub(crate) fn owned_beneath(&self, folder: &str) -> u32 {
        self.folders.get(folder).map_or(0, |beneath| beneath.owned)
    }

    /// All claimed paths beneath a folder. Walks every path: only for when a file and a folder begin to contend, or change places.
    fn beneath<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a TargetPath> {
        self.paths()
            .filter(move |(path, entry)| !entry.claimants.is_empty() && path.ancestors().any(|ancestor| ancestor == folder))
            .map(|(path, _)| path)
    }

    /// Who of these claimants ranks first.
    pub(crate) fn first<'a>(&self, claimants: impl Iterator<Item = &'a Arc<ObjectKey>>) -> Option<Arc<ObjectKey>> {
        claimants.min_by(|left, right| self.compare(left, right)).cloned()
    }

    fn compare(&self, left: &Arc<ObjectKey>, right: &Arc<ObjectKey>) -> Ordering {
        let rank = |key| Some(rank(self.order, self.object(key)?.created, key));
        match (rank(left), rank(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            (left, right) => left.is_none().cmp(&right.is_none()),
        }
    }

    /// What `key` wants at `path`.
    pub(crate) fn claim(&self, path: &TargetPath, key: &ObjectKey) -> Option<Content> {
        self.object(key)?.claims.at(path)
    }

    /// Files whose bytes lie behind URLs.
    pub(crate) const fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    /// Notes whom the ledger gives a path to.
    pub(crate) fn own(&mut self, path: &TargetPath, owner: &ObjectKey) {
        self.note_secret(path, owner);
        self.release(path);
        let owner = self.intern(owner);
        self.object_entry(&owner).owned += 1;
        self.owned += 1;
        let entry = self.path_entry(path);
        entry.owner = Some(owner);
        let bytes = owned_bytes(entry);
        self.bytes += bytes;
        for folder in path.ancestors() {
            self.count_beneath(folder, |beneath| beneath.owned += 1);
        }
        self.clear_former(path);
    }

    /// Notes that an object may be let go although files of it are left.
    pub(crate) fn note_idle(&mut self, key: Arc<ObjectKey>) {
        self.idle.push(key);
    }

    /// Objects to which the ledger may give nothing any more, since this was asked for last.
    pub(crate) fn take_idle(&mut self) -> Vec<Arc<ObjectKey>> {
        std::mem::take(&mut self.idle)
    }

    /// Notes that the ledger gives the path to nobody: nothing of ours is there.
    pub(crate) fn disown(&mut self, path: &TargetPath) {
        self.release(path);
        self.secrets.clear(path);
    }

    fn release(&mut self, path: &TargetPath) {
        let Some(entry) = self.paths.get_mut(path) else { return };
        let bytes = owned_bytes(entry);
        let (former, lasts) = (entry.owner.take(), entry.lasts());
        self.bytes -= bytes;
        entry.set_lasts(false);
        self.drop_path_if_idle(path);
        let Some(former) = former else { return };
        self.owned -= 1;
        self.lasting -= usize::from(lasts);
        if former.kind == Kind::Secret {
            self.secrets.lost();
        }
        for folder in path.ancestors() {
            self.count_beneath(folder, |beneath| beneath.owned -= 1);
        }
        if let Some(entry) = self.objects.get_mut(&former) {
            entry.owned = entry.owned.saturating_sub(1);
            entry.lasting = entry.lasting.saturating_sub(u32::from(lasts));
            if entry.owned == entry.lasting {
                self.idle.push(former.clone());
            }
        }
        self.drop_object_if_idle(&former);
    }

    /// Counts what lies beneath a folder. Returns what does now.
    fn count_beneath(&mut self, folder: &str, change: impl FnOnce(&mut Beneath)) -> Beneath {
        let beneath = match self.folders.get_mut(folder) {
            Some(beneath) => beneath,
            None => self.folders.entry(folder.into()).or_default(),
        };
        change(beneath);
        let now = *beneath;
        if now == Beneath::default() {
            self.folders.remove(folder);
        }
        now
    }

    fn path_entry(&mut self, path: &TargetPath) -> &mut PathEntry {
        self.paths.entry(path.clone()).or_default()
    }

    fn drop_path_if_idle(&mut self, path: &TargetPath) {
        if self.paths.get(path).is_some_and(|entry| entry.claimants.is_empty() && entry.owner.is_none()) {
            self.paths.remove(path);
        }
    }

    /// Folders that hold a claimed or owned path: where temporary files of ours may lie.
    pub(crate) fn known_folders(&self) -> HashSet<Box<str>> {
        self.paths.keys().map(|path| path.folder().into()).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
