//! What a commit would do, without doing it: for `plan`, beside a running instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::files::entry::{Obstacle, OnDisk};
use crate::core::files::folded::Folded;
use crate::core::files::held::Held;
use crate::core::files::plan::{self, Batch, Because, Plan};
use crate::core::files::project::Rejection;
use crate::core::files::store::Store;
use crate::core::object::{ObjectKey, SourceEvent, Wanted};
use crate::core::path::TargetPath;
use crate::disk::Disk;
use crate::disk::fs::Fs;
use crate::disk::ledger::Place;
use crate::disk::ledger::beside::{peek, sibling_paths};
use crate::engine::lasting;
use crate::engine::outcome::Settings;

/// A store that is only filled and compared.
pub(crate) struct Preview<F: Fs> {
    disk: Disk<F>,
    store: Store,
    settings: Settings,
    place: Place,
    rejected: BTreeMap<Arc<ObjectKey>, Vec<Rejection>>,
}

impl<F: Fs> Preview<F> {
    /// A preview over what the ledger says. `held` tells whether one is in use.
    pub(crate) fn new(mut disk: Disk<F>, mut store: Store, settings: Settings, place: Place, held: impl Fn((u64, u64)) -> bool) -> Self {
        let ledger = peek(&mut disk.fs, &place, &settings.rules.roots, held);
        disk.guard_ledger(&place);
        store.hold_back(place.is_held_back(&ledger));
        lasting::adopt(&mut store, &ledger, settings.rules.annotations, |_, _| true);
        Self { disk, store, settings, place, rejected: BTreeMap::new() }
    }

    /// Folds a batch; its bytes are compared by digest later and kept by nobody.
    pub(crate) fn fold(&mut self, batch: Vec<SourceEvent>) {
        for event in batch {
            let mut folded = Folded::default();
            self.disk.reserve_aliases(&event, &mut self.settings.rules);
            self.store.fold(event, &self.settings.rules, &mut folded);
            for (key, _, rejections) in folded.rejections {
                if rejections.is_empty() {
                    self.rejected.remove(&key);
                } else {
                    self.rejected.insert(key, rejections);
                }
            }
        }
    }

    /// The plan for everything, as if all bytes were at hand.
    pub(crate) fn plan(&mut self) -> Plan {
        if self.store.matches_something() {
            self.store.hold_back(false);
        }
        let touched: BTreeSet<TargetPath> = self.store.paths().map(|(path, _)| path.clone()).collect();
        let unseen: Vec<_> = plan::unseen(&touched, &self.store).map(|(path, content)| (path.clone(), content)).collect();
        let roots = self.disk.roots().clone();
        let siblings = sibling_paths(&mut self.disk.fs, &self.place, &roots).unwrap_or_default();
        let digester = self.store.digester().clone();
        for (path, content) in unseen {
            let foreign = self.store.path(&path).is_some_and(|entry| entry.owner.is_none());
            let seen = match self.disk.look(path.folder(), path.name(), &content, &digester) {
                Ok(OnDisk::File(_)) if foreign && siblings.contains(&path) => OnDisk::Obstacle(Obstacle::Sibling),
                Ok(seen) => seen,
                // Not to be reached: what the write will say is said then.
                Err(_) => OnDisk::Absent,
            };
            self.store.saw(&path, seen);
        }
        self.disk.end_batch();
        let (held, adopt) = (Held::default(), self.settings.adopt);
        let batch = Batch { touched: &touched, at_hand: &|_, _| true, adopt, held: &held, in_vain: &|_| false, lost: &[] };
        plan::plan(&batch, &self.store)
    }

    /// Whether every wanted file is there with the wanted bytes, as far as reading tells; one that something blocks cannot be, and
    /// of one behind a URL nothing but that it is there is known.
    pub(crate) fn is_complete(&mut self, held: impl Fn((u64, u64)) -> bool) -> bool {
        let ledger = peek(&mut self.disk.fs, &self.place, &self.settings.rules.roots, held);
        let heeds = self.settings.rules.annotations;
        self.store.forget_disk();
        let is_news = |store: &Store, path: &TargetPath| {
            let entry = store.path(path);
            entry.and_then(|entry| entry.owner.as_deref()) != ledger.owned.get(path)
                || entry.is_some_and(|entry| entry.lasts() != (heeds && ledger.lasting.contains(path)))
        };
        lasting::adopt(&mut self.store, &ledger, heeds, is_news);
        let plan = self.plan();
        let is_read = self.store.live().all(|(_, live)| !live.unread);
        self.store.settled() && is_read && plan.write.iter().all(|write| write.because == Because::Mode)
    }

    /// Objects whose bytes were dropped on the way.
    pub(crate) fn unread(&self) -> Vec<Wanted> {
        self.store.live().filter(|(_, live)| live.unread).map(|(key, live)| live.wanted(key)).collect()
    }

    /// Keys and objects that are not projected.
    pub(crate) const fn rejected(&self) -> &BTreeMap<Arc<ObjectKey>, Vec<Rejection>> {
        &self.rejected
    }

    /// The live objects and paths.
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }
}
