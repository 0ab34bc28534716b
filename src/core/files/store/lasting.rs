//! Files that stay when their objects go, because these said so and the ledger has it: until a live object wants their places.
//!
//! What an object says counts from when the ledger says it of its files, one by one, and then for good: across restarts, also when the
//! object went or lost its label while nobody ran. Costs nothing where no object ever said so.
//!
//! And files of objects that live and say what cannot be: these stay, whoever wants their places.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::files::entry::PathEntry;
use crate::core::files::folded::{Fate, Folded, Seen};
use crate::core::files::mark::Made;
use crate::core::files::store::Store;
use crate::core::object::annotations::Said;
use crate::core::object::{Object, ObjectKey};
use crate::core::path::TargetPath;

/// A path that the ledger gives to an object. Nobody writes a file without it, so that no file comes before its record.
pub struct Recorded<'a> {
    path: &'a TargetPath,
    owner: &'a ObjectKey,
    lasts: bool,
}

impl Recorded<'_> {
    pub(crate) const fn path(&self) -> &TargetPath {
        self.path
    }

    /// What a mark on the file says.
    pub(crate) fn made(&self) -> Made {
        Made::file(self.owner, self.lasts)
    }
}

impl Store {
    /// Whether a live object says that its files are to stay when it goes.
    pub(crate) fn lasts(&self, key: &ObjectKey) -> bool {
        self.knows_lasting && self.object(key).is_some_and(|live| live.lasts)
    }

    /// Whether the ledger says of any path that it stays.
    pub(crate) const fn has_lasting(&self) -> bool {
        self.lasting > 0
    }

    /// How many paths of this object the ledger says stay when it goes.
    pub(crate) fn lasting_of(&self, key: &ObjectKey) -> u32 {
        if self.lasting == 0 { 0 } else { self.objects.get(key).map_or(0, |entry| entry.lasting) }
    }

    /// Whether the ledger says of every path of this object that it stays when the object goes, and of one at least.
    pub(crate) fn is_lasting(&self, key: &ObjectKey) -> bool {
        self.lasting > 0 && self.objects.get(key).is_some_and(|entry| entry.lasting > 0 && entry.lasting == entry.owned)
    }

    /// Whether the ledger has the path for this owner, as the owner says.
    pub(crate) fn is_recorded(&self, path: &TargetPath, owner: &Arc<ObjectKey>) -> bool {
        self.path(path).is_some_and(|entry| entry.owner.as_ref() == Some(owner) && entry.lasts() == self.lasts(owner))
    }

    /// Leave to write a file at a path of this object, if the ledger has it.
    pub(crate) fn recorded<'a>(&'a self, path: &'a TargetPath, owner: &Arc<ObjectKey>) -> Option<Recorded<'a>> {
        let owner = self.paths.get(path)?.owner.as_ref().filter(|known| *known == owner)?;
        Some(Recorded { path, owner, lasts: self.lasts(owner) })
    }

    /// Notes whether the ledger says that an owned path stays when its owner goes.
    pub(crate) fn set_lasting(&mut self, path: &TargetPath, lasts: bool) {
        let Some(entry) = self.paths.get_mut(path).filter(|entry| entry.lasts() != lasts) else { return };
        let Some(owner) = entry.owner.clone() else { return };
        entry.set_lasts(lasts);
        self.lasting = self.lasting.saturating_add_signed(if lasts { 1 } else { -1 });
        if let Some(entry) = self.objects.get_mut(&owner) {
            entry.lasting = entry.lasting.saturating_add_signed(if lasts { 1 } else { -1 });
            if entry.lasting == entry.owned {
                self.idle.push(owner);
            }
        }
    }

    /// Whether a path that nobody wants stays because its owner, which is gone, wanted that. It gives way to whoever wants a folder
    /// here, or a file where a folder above it is.
    pub(crate) fn stays(&self, path: &TargetPath, entry: &PathEntry) -> bool {
        let is_gone = |owner: &Arc<ObjectKey>| self.object(owner).is_none();
        let stands = |name: &str| self.is_claimed(name) && self.covers(name).is_none();
        entry.lasts()
            && entry.owner.as_ref().is_some_and(is_gone)
            && self.claimed_beneath(path.as_str()) == 0
            && !path.ancestors().any(stands)
    }

    /// Whether all files of this live object stay as they are, because it says of them what cannot be.
    pub(crate) fn withholds(&self, key: &ObjectKey) -> bool {
        self.withheld.contains(key)
    }

    /// Adds files that stay to touched paths which they are in the way of.
    pub(crate) fn touch_lasting(&self, touched: &mut BTreeSet<TargetPath>) {
        if self.lasting == 0 {
            return;
        }
        let mut ways = BTreeSet::new();
        for path in touched.iter().filter(|path| self.is_claimed(path.as_str())) {
            let above = path.ancestors().filter_map(|name| self.paths.get_key_value(name));
            ways.extend(above.filter(|(_, entry)| entry.lasts()).map(|(above, _)| above.clone()));
            if self.owned_beneath(path.as_str()) > 0 {
                let is_beneath = |other: &TargetPath| other.ancestors().any(|name| name == path.as_str());
                ways.extend(self.paths().filter(|(other, entry)| entry.lasts() && is_beneath(other)).map(|(other, _)| other.clone()));
            }
        }
        touched.extend(ways);
    }

    /// The object says that it is to be skipped: all is as if it had lost its label. One that is seen and does not say that its files
    /// are to stay says the opposite, whatever it said before.
    pub(super) fn skip(&mut self, key: &Arc<ObjectKey>, object: Object, folded: &mut Folded) {
        folded.seen.push(Seen { key: key.clone(), uid: object.uid, finalizers: object.finalizers, fate: Fate::Skipped });
        self.remove(key, folded);
        if self.keeps(key) {
            self.skipped.insert(key.clone());
            if self.owned_by(key) > 0 {
                self.touch_owned(key, folded);
            }
        }
        if object.annotations.keep == Said::Nothing && self.lasting_of(key) > 0 {
            let is_its = |entry: &PathEntry| entry.owner.as_ref() == Some(key);
            let owned: Vec<_> = self.paths().filter(|(_, entry)| is_its(entry)).map(|(path, _)| path.clone()).collect();
            owned.iter().for_each(|path| self.set_lasting(path, false));
            folded.touched.extend(owned);
        }
    }
}
