//! All live claims and what is known of the disk: the engine's memory, without a byte of content.
//!
//! Memory grows with the number of files, not with their size. It never touches the disk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::core::digest::Digester;
use crate::core::entry::{Claim, Claims, Content, Live, ObjectEntry, OnDisk, PathEntry};
use crate::core::folded::{Fate, Folded, Seen};
use crate::core::object::{Kind, Object, ObjectKey, Payload, SourceEvent, SourceId};
use crate::core::path::TargetPath;
use crate::core::policy::Order;
use crate::core::project::{self, FileProjection, Projection, Rules, Urls};
use crate::core::remote::Arrival;
use crate::core::remotes::{RemoteState, Remotes};
use crate::core::resolve::Contender;

/// How far a source has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
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

struct Source {
    scope: SourceScope,
    progress: Progress,
    accepts_older: bool,
}

/// See the module's header.
pub struct Store {
    objects: HashMap<Arc<ObjectKey>, Box<ObjectEntry>>,
    paths: HashMap<TargetPath, Box<PathEntry>>,
    /// How many claimed paths lie anywhere beneath a folder; only folders below a root.
    folders: HashMap<Box<str>, u32>,
    sources: Vec<Source>,
    /// One allocation a namespace.
    namespaces: HashSet<Arc<str>>,
    remotes: Remotes,
    digester: Digester,
    order: Order,
    owned: usize,
}

impl Store {
    /// An empty store over these sources; a [`SourceId`] is a position in the list.
    pub fn new(scopes: impl IntoIterator<Item = SourceScope>, order: Order, digester: Digester) -> Self {
        let sources = scopes.into_iter().map(|scope| Source { scope, progress: Progress::Pending, accepts_older: false }).collect();
        Self {
            objects: HashMap::new(),
            paths: HashMap::new(),
            folders: HashMap::new(),
            sources,
            namespaces: HashSet::new(),
            remotes: Remotes::default(),
            digester,
            order,
            owned: 0,
        }
    }

    /// Digests `bytes` as claims are digested.
    pub fn digester(&self) -> &Digester {
        &self.digester
    }

    /// The order in which claims on one path are ranked.
    pub const fn order(&self) -> Order {
        self.order
    }

    /// Whether every source was listed or definitely refused.
    pub fn settled(&self) -> bool {
        self.sources.iter().all(|source| source.progress != Progress::Pending)
    }

    /// Whether a source was refused and never listed.
    pub fn refused(&self) -> bool {
        self.sources.iter().any(|source| source.progress == Progress::Refused)
    }

    /// Whether absence of this object is evidence: every source settled, and the one that would list it was listed, or none would.
    pub fn absence_is_evidence(&self, key: &ObjectKey) -> bool {
        let covers = |scope: &SourceScope| {
            scope.kind.is_none_or(|kind| kind == key.kind)
                && scope.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
                && scope.name.as_ref().is_none_or(|name| *name == key.name)
        };
        self.settled() && self.sources.iter().filter(|source| covers(&source.scope)).all(|source| source.progress == Progress::Complete)
    }

    /// The source that lists the object, or would.
    pub fn source_of(&self, key: &ObjectKey) -> Option<SourceId> {
        let covers = |source: &Source| {
            source.scope.kind.is_none_or(|kind| kind == key.kind)
                && source.scope.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
        };
        let scoped = || u16::try_from(self.sources.iter().position(covers)?).ok().map(SourceId);
        self.object(key).map(|live| live.source).or_else(scoped)
    }

    /// Sources that were listed completely.
    pub fn listed(&self) -> impl Iterator<Item = SourceId> {
        let complete = self.sources.iter().enumerate().filter(|(_, source)| source.progress == Progress::Complete);
        complete.filter_map(|(at, _)| u16::try_from(at).ok().map(SourceId))
    }

    /// The path's entry, if the path is claimed or owned.
    pub fn path(&self, path: &TargetPath) -> Option<&PathEntry> {
        self.paths.get(path).map(Box::as_ref)
    }

    /// The entry of the path with this text.
    pub fn path_named(&self, path: &str) -> Option<&PathEntry> {
        self.paths.get(path).map(Box::as_ref)
    }

    /// Every path that is claimed or owned.
    pub fn paths(&self) -> impl Iterator<Item = (&TargetPath, &PathEntry)> {
        self.paths.iter().map(|(path, entry)| (path, &**entry))
    }

    /// Every live object.
    pub fn live(&self) -> impl Iterator<Item = (&Arc<ObjectKey>, &Live)> {
        self.objects.iter().filter_map(|(key, entry)| Some((key, entry.live.as_ref()?)))
    }

    /// The live object of this key.
    pub fn object(&self, key: &ObjectKey) -> Option<&Live> {
        self.objects.get(key)?.live.as_ref()
    }

    /// How many paths the ledger gives to anybody.
    pub const fn owned(&self) -> usize {
        self.owned
    }

    /// How many paths the ledger gives to this object.
    pub fn owned_by(&self, key: &ObjectKey) -> u32 {
        self.objects.get(key).map_or(0, |entry| entry.owned)
    }

    /// How many claimed paths lie beneath the folder.
    pub fn claimed_beneath(&self, folder: &str) -> u32 {
        self.folders.get(folder).copied().unwrap_or(0)
    }

    /// All claimed paths beneath a folder. Walks every path: only for the rare conflict of a file with a folder.
    pub fn beneath<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a TargetPath> {
        self.paths
            .iter()
            .filter(move |(path, entry)| !entry.claimants.is_empty() && path.ancestors().any(|ancestor| ancestor == folder))
            .map(|(path, _)| path)
    }

    /// What decides between claims, for a live object.
    pub fn contender<'a>(&self, key: &'a Arc<ObjectKey>) -> Option<Contender<'a>> {
        Some(Contender { created: self.object(key)?.created, key })
    }

    /// What `key` wants at `path`.
    pub fn claim(&self, path: &TargetPath, key: &ObjectKey) -> Option<Content> {
        self.object(key)?.claims.at(path)
    }

    /// Files whose bytes lie behind URLs.
    pub const fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    /// Notes what stands at a path now.
    pub fn saw(&mut self, path: &TargetPath, disk: OnDisk) {
        if let Some(entry) = self.paths.get_mut(path) {
            entry.set_disk(disk);
        }
    }

    /// Forgets what stands on disk everywhere: FOLDER was replaced under us.
    pub fn forget_disk(&mut self) {
        self.paths.values_mut().for_each(|entry| entry.set_disk(OnDisk::Unknown));
    }

    /// Notes whom the ledger gives a path to.
    pub fn own(&mut self, path: &TargetPath, owner: &ObjectKey) {
        self.disown(path);
        let owner = self.intern(owner);
        self.objects.entry(owner.clone()).or_default().owned += 1;
        self.owned += 1;
        self.path_entry(path).owner = Some(owner);
    }

    /// Notes that the ledger gives the path to nobody.
    pub fn disown(&mut self, path: &TargetPath) {
        let Some(entry) = self.paths.get_mut(path) else { return };
        let former = entry.owner.take();
        self.drop_path_if_idle(path);
        let Some(former) = former else { return };
        self.owned -= 1;
        if let Some(entry) = self.objects.get_mut(&former) {
            entry.owned = entry.owned.saturating_sub(1);
        }
        self.drop_object_if_idle(&former);
    }

    /// Folds one event into the store. Never touches the disk.
    pub fn fold(&mut self, event: SourceEvent, rules: &Rules, folded: &mut Folded) {
        match event {
            SourceEvent::ListBegin { source, consistent, .. } => {
                if let Some(source) = self.sources.get_mut(usize::from(source.0)) {
                    source.accepts_older = consistent;
                }
            }
            SourceEvent::Apply { source, generation, object } => self.apply(source, generation, *object, rules, folded),
            SourceEvent::Fetched { source, object } => {
                let live = self
                    .object(&object.key)
                    .filter(|live| (live.uid() == 0 || live.uid() == object.uid) && live.resource_version <= object.resource_version);
                if let Some(generation) = live.map(|live| live.generation) {
                    self.apply(source, generation, *object, rules, folded);
                }
            }
            SourceEvent::Unread { source, generation, key, uid, resource_version } => {
                self.unread(source, generation, &key, (uid, resource_version), folded)
            }
            SourceEvent::Keep { generation, key, .. } => {
                if let Some(live) = self.objects.get_mut(&key).and_then(|entry| entry.live.as_mut()) {
                    live.generation = generation;
                }
            }
            SourceEvent::Delete { key, uid, finalizers, .. } => {
                let current = self.object(&key).map_or(uid, Live::uid);
                if uid == 0 || current == 0 || uid == current {
                    let key = self.intern(&key);
                    folded.seen.push(Seen { key: key.clone(), uid, finalizers, fate: Fate::Gone });
                    self.remove(&key, folded);
                } else {
                    folded.stale += 1;
                }
            }
            SourceEvent::ListEnd { source, generation } => self.list_end(source, generation, folded),
            SourceEvent::Arrived { key, path, ticket, arrival } => self.arrived(&key, &path, ticket, arrival, rules, folded),
            SourceEvent::Refused { source } => {
                if let Some(source) = self.sources.get_mut(usize::from(source.0)).filter(|source| source.progress == Progress::Pending) {
                    source.progress = Progress::Refused;
                    folded.progressed = true;
                }
            }
        }
    }

    fn apply(&mut self, source: SourceId, generation: u32, mut object: Object, rules: &Rules, folded: &mut Folded) {
        let accepts_older = self.accepts_older(source);
        let key = self.intern(&object.key);
        let former = match self.objects.get_mut(&key).map(|entry| &mut entry.live) {
            Some(Some(live)) if live.resource_version > object.resource_version && !accepts_older => {
                live.generation = live.generation.max(generation);
                folded.stale += 1;
                return;
            }
            Some(live) => live.take(),
            None => None,
        };
        let mut new = Live::new(object.uid, object.resource_version, source, generation);
        (new.created, new.unread) = (object.created, false);
        let fate = if object.terminating { Fate::Terminating } else { Fate::Live };
        folded.seen.push(Seen { key: key.clone(), uid: object.uid, finalizers: std::mem::take(&mut object.finalizers), fate });
        if object.data.is_empty() {
            folded.empty.push(key.clone());
        }
        if object.folder.is_some() {
            folded.overridden.push(key.clone());
        }
        let Projection { files, remotes, rejections, outside } = project::files(object, rules);
        folded.rejections.push((key.clone(), new.uid(), rejections));
        if rules.tells_outside {
            folded.outside.push((key.clone(), new.uid(), outside));
        }
        let mut wanted: Vec<(Claim, Option<FileProjection>)> =
            files.into_iter().map(|(path, file)| (self.claim_of(path, &file), Some(file))).collect();
        wanted.extend(remotes.iter().map(|remote| (self.pending(remote.path.clone(), rules.file_mode), None)));
        folded.remotes.extend(self.remotes.replace(&key, remotes, &self.digester));
        // Two keys of one object can give one name: the first one stands.
        wanted.sort_by(|(left, _), (right, _)| left.path.cmp(&right.path));
        wanted.dedup_by(|(later, _), (first, _)| later.path == first.path);
        let was_unread = former.as_ref().is_some_and(|former| former.unread);
        let same_rank = former.as_ref().is_some_and(|former| former.created == new.created && !former.unread);
        let old = former.map(|former| former.claims).unwrap_or_default();
        let renewed = |path: &TargetPath| wanted.binary_search_by(|(claim, _)| claim.path.cmp(path)).is_ok();
        self.unclaim(&key, &old, renewed, folded);
        // Of two states in one batch the later counts.
        old.paths().for_each(|path| drop(folded.bodies.take(path, &key)));
        let mut kept = Vec::with_capacity(wanted.len());
        for (mut claim, file) in wanted {
            let before = old.at(&claim.path);
            if before.is_none() {
                self.claim_path(&claim.path, &key);
            }
            let Some(file) = file else {
                if let Some(known) = before.filter(|_| self.remotes.state(&claim.path, &key) == Some(RemoteState::Known)) {
                    claim.content = Content { mode: claim.content.mode, ..known };
                }
                self.touch(&claim.path, folded);
                kept.push(claim);
                continue;
            };
            if before != Some(claim.content) || !same_rank || !self.holds(&claim.path, &claim.content) {
                self.touch(&claim.path, folded);
                folded.bodies.put(&claim.path, &key, file);
            }
            kept.push(claim);
        }
        let owned = || kept.iter().filter(|claim| self.path(&claim.path).is_some_and(|entry| entry.owner.as_ref() == Some(&key))).count();
        if was_unread && owned() < usize::try_from(self.owned_by(&key)).unwrap_or_default() {
            self.touch_owned(&key, folded);
        }
        new.claims = Claims::new(kept);
        self.objects.entry(key).or_default().live = Some(new);
    }

    /// The claim that a projected file makes; its path shares memory with what is known of that path.
    fn claim_of(&self, path: TargetPath, file: &FileProjection) -> Claim {
        let path = self.paths.get_key_value(&path).map_or(path, |(known, _)| known.clone());
        Claim { path, content: self.content(file) }
    }

    /// The claim on a path whose bytes are not known yet.
    fn pending(&self, path: TargetPath, mode: u16) -> Claim {
        let path = self.paths.get_key_value(&path).map_or(path, |(known, _)| known.clone());
        Claim { path, content: Content::pending(mode) }
    }

    /// Folds an answer about a file behind a URL. One to a question that nobody asks any more does not count.
    fn arrived(&mut self, key: &ObjectKey, path: &TargetPath, ticket: u64, arrival: Arrival, rules: &Rules, folded: &mut Folded) {
        let state = if matches!(arrival, Arrival::Failed) { RemoteState::Failed } else { RemoteState::Known };
        let Some(encoded) = self.remotes.answered(key, path, ticket, state) else { return };
        let key = self.intern(key);
        folded.answered.push(key.clone());
        let (bytes, is_real) = match arrival {
            Arrival::Unchanged => return,
            Arrival::Body(body) => (body, true),
            Arrival::Failed => (Payload::default(), false),
        };
        let file = FileProjection { bytes, mode: rules.file_mode, encoded };
        if !is_real {
            // What is there stays; only where nothing is, an empty file may be wanted.
            let is_wanted = rules.urls == Urls::Follow { empty_at_first_failure: true };
            if is_wanted && self.remotes.state(path, &key) == Some(RemoteState::Failed) {
                self.touch(path, folded);
                folded.bodies.put(path, &key, file);
            }
            return;
        }
        let content = self.content(&file);
        let Some(live) = self.objects.get_mut(&key).and_then(|entry| entry.live.as_mut()) else { return };
        live.claims.set(path, content);
        if !self.holds(path, &content) {
            let unread = |disk: OnDisk| matches!(disk, OnDisk::File(stamp) if stamp.content.is_pending());
            if self.path(path).is_some_and(|entry| unread(entry.disk())) {
                // Its length was all that was looked at so far.
                self.saw(path, OnDisk::Unknown);
            }
            self.touch(path, folded);
            folded.bodies.put(path, &key, file);
        }
    }

    /// Withdraws the claims of `old` that are not renewed.
    fn unclaim(&mut self, key: &Arc<ObjectKey>, old: &Claims, renewed: impl Fn(&TargetPath) -> bool, folded: &mut Folded) {
        for path in old.paths().filter(|path| !renewed(path)) {
            self.touch(path, folded);
            self.unclaim_path(path, key);
            folded.bodies.take(path, key);
        }
    }

    fn unread(&mut self, source: SourceId, generation: u32, key: &ObjectKey, (uid, resource_version): (u128, u64), folded: &mut Folded) {
        let accepts_older = self.accepts_older(source);
        let key = self.intern(key);
        let entry = self.objects.entry(key.clone()).or_default();
        match &mut entry.live {
            Some(live)
                if !accepts_older
                    && (live.resource_version > resource_version
                        || (live.resource_version == resource_version && live.uid() == uid && !live.unread)) =>
            {
                // Nothing new: the bytes that were dropped are known.
                folded.stale += u32::from(live.resource_version > resource_version);
                live.generation = live.generation.max(generation);
                return;
            }
            // What is read again counts only if it is this object, and not older.
            Some(live) => {
                live.set_uid(uid);
                (live.resource_version, live.generation, live.unread) = (resource_version, generation, true);
            }
            None => entry.live = Some(Live::new(uid, resource_version, source, generation)),
        }
        folded.unread.push(key);
    }

    fn accepts_older(&self, source: SourceId) -> bool {
        self.sources.get(usize::from(source.0)).is_some_and(|source| source.accepts_older)
    }

    fn remove(&mut self, key: &Arc<ObjectKey>, folded: &mut Folded) {
        let Some(live) = self.objects.get_mut(key).and_then(|entry| entry.live.take()) else {
            return;
        };
        self.unclaim(key, &live.claims, |_| false, folded);
        folded.rejections.push((key.clone(), live.uid(), Vec::new()));
        folded.remotes.extend(self.remotes.replace(key, Vec::new(), &self.digester));
        folded.outside.push((key.clone(), live.uid(), None));
        if live.unread {
            self.touch_owned(key, folded);
        }
        self.drop_object_if_idle(key);
    }

    /// Marks what an object owns: that was held back while its bytes were not known.
    fn touch_owned(&self, key: &Arc<ObjectKey>, folded: &mut Folded) {
        let owned = self.paths.iter().filter(|(_, entry)| entry.owner.as_ref() == Some(key)).map(|(path, _)| path.clone());
        folded.touched.extend(owned);
    }

    fn list_end(&mut self, id: SourceId, generation: u32, folded: &mut Folded) {
        let Some(source) = self.sources.get_mut(usize::from(id.0)) else {
            return;
        };
        folded.progressed |= source.progress != Progress::Complete;
        (source.progress, source.accepts_older) = (Progress::Complete, false);
        let gone: Vec<_> = self
            .live()
            .filter(|(_, live)| live.source == id && live.generation != generation)
            .map(|(key, live)| (key.clone(), live.uid()))
            .collect();
        for (key, uid) in gone {
            folded.seen.push(Seen { key: key.clone(), uid, finalizers: Vec::new(), fate: Fate::Vanished });
            self.remove(&key, folded);
        }
    }

    fn content(&self, file: &FileProjection) -> Content {
        let length = u32::try_from(file.bytes.0.len()).unwrap_or(u32::MAX);
        Content { digest: self.digester.digest(&file.bytes.0), length, mode: file.mode }
    }

    /// Whether the path, as far as we know, already holds this content as the claim of its only claimant.
    fn holds(&self, path: &TargetPath, content: &Content) -> bool {
        let Some(entry) = self.paths.get(path) else { return false };
        match (entry.disk(), &entry.owner, &*entry.claimants) {
            (OnDisk::File(stamp), Some(owner), [only]) => stamp.content == *content && owner == only,
            // A loser of a conflict changed: the file changes only when its rank does.
            (OnDisk::File(_), Some(_), _) => false,
            _ => false,
        }
    }

    /// Marks a path, and everything whose conflict with it may turn out otherwise now.
    fn touch(&self, path: &TargetPath, folded: &mut Folded) {
        if self.claimed_beneath(path.as_str()) > 0 {
            folded.touched.extend(self.beneath(path.as_str()).cloned());
        }
        for ancestor in path.ancestors() {
            if let Some((claimed, _)) = self.paths.get_key_value(ancestor).filter(|(_, entry)| !entry.claimants.is_empty()) {
                folded.touched.insert(claimed.clone());
                folded.touched.extend(self.beneath(ancestor).cloned());
            }
        }
        folded.touched.insert(path.clone());
    }

    fn claim_path(&mut self, path: &TargetPath, key: &Arc<ObjectKey>) {
        let entry = self.path_entry(path);
        let first = entry.claimants.is_empty();
        entry.claimants.add(key);
        if first {
            for ancestor in path.ancestors() {
                *self.folders.entry(ancestor.into()).or_default() += 1;
            }
        }
    }

    fn unclaim_path(&mut self, path: &TargetPath, key: &Arc<ObjectKey>) {
        let Some(entry) = self.paths.get_mut(path) else { return };
        entry.claimants.remove(key);
        if !entry.claimants.is_empty() {
            return;
        }
        for ancestor in path.ancestors() {
            if let Some(count) = self.folders.get_mut(ancestor) {
                *count -= 1;
                if *count == 0 {
                    self.folders.remove(ancestor);
                }
            }
        }
        self.drop_path_if_idle(path);
    }

    fn path_entry(&mut self, path: &TargetPath) -> &mut PathEntry {
        self.paths.entry(path.clone()).or_insert_with(|| Box::new(PathEntry::new()))
    }

    fn drop_path_if_idle(&mut self, path: &TargetPath) {
        if self.paths.get(path).is_some_and(|entry| entry.claimants.is_empty() && entry.owner.is_none()) {
            self.paths.remove(path);
        }
    }

    fn drop_object_if_idle(&mut self, key: &Arc<ObjectKey>) {
        if self.objects.get(key).is_some_and(|entry| entry.live.is_none() && entry.owned == 0) {
            self.objects.remove(key);
        }
    }

    /// One allocation a key, however many places name it.
    fn intern(&mut self, key: &ObjectKey) -> Arc<ObjectKey> {
        if let Some((known, _)) = self.objects.get_key_value(key) {
            return known.clone();
        }
        if !self.namespaces.contains(&key.namespace) {
            self.namespaces.insert(key.namespace.clone());
        }
        let namespace = self.namespaces.get(&key.namespace).unwrap_or(&key.namespace).clone();
        Arc::new(ObjectKey { kind: key.kind, namespace, name: key.name.clone() })
    }

    /// Folders that hold a claimed or owned path: where temporary files of ours may lie.
    pub fn known_folders(&self) -> HashSet<Box<str>> {
        self.paths.keys().map(|path| path.folder().into()).collect()
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
