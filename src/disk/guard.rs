//! Keeps the ledger's place from becoming a file of anybody, by whatever way a path leads there: links, mounts, letters' case.
//!
//! The ledger's name alone costs nothing; only who wants a file of that name has its folder compared with the ledger's.

use std::io;
use std::sync::Arc;

use crate::core::files::project::{Rules, files_named};
use crate::core::object::{ObjectEvent, SourceEvent};
use crate::core::path::{RESERVED_PREFIX, TargetPath};
use crate::disk::Disk;
use crate::disk::fs::Fs;
use crate::disk::ledger::Place;

/// The ledger's place.
#[derive(Clone, Debug)]
pub(super) struct LedgerGuard {
    name: Arc<str>,
    /// Device and inode of its folder.
    folder: (u64, u64),
}

impl<F: Fs> Disk<F> {
    /// From now on nothing is written, replaced or removed at the ledger's place. One whose name begins as ours do has no rivals.
    pub(crate) fn guard_ledger(&mut self, place: &Place) {
        self.guard = None;
        if place.name.starts_with(RESERVED_PREFIX) {
            return;
        }
        if let Ok(meta) = self.fs.look_root(&place.folder) {
            self.guard = Some(LedgerGuard { name: place.name.as_str().into(), folder: meta.identity });
        }
    }

    /// Makes paths of the event's object that lead to the ledger the ledger's own, so that their keys are rejected.
    pub(crate) fn reserve_aliases(&mut self, event: &SourceEvent, rules: &mut Rules) {
        let SourceEvent::Object { event: ObjectEvent::Apply(object) | ObjectEvent::Fetched(object), .. } = event else { return };
        let Some(guard) = self.guard.clone() else { return };
        rules.roots.set_aliases([]);
        let named = files_named(object, rules, &guard.name);
        let aliases: Vec<TargetPath> = named.into_iter().filter(|path| self.leads_to(&guard, path)).collect();
        rules.roots.set_aliases(aliases);
    }

    fn leads_to(&mut self, guard: &LedgerGuard, path: &TargetPath) -> bool {
        let name = path.name();
        self.in_folder(path.folder(), |fs, folder| holds(Some(guard), fs, folder, name)).unwrap_or(false)
    }

    /// The guard, where the name calls for it.
    pub(super) fn guard_of(&self, name: &str) -> Option<LedgerGuard> {
        self.guard.as_ref().filter(|guard| guard.name.eq_ignore_ascii_case(name)).cloned()
    }
}

/// Whether this name in this folder is the ledger.
pub(super) fn holds<F: Fs>(guard: Option<&LedgerGuard>, fs: &mut F, folder: &F::Handle, name: &str) -> io::Result<bool> {
    let Some(guard) = guard else { return Ok(false) };
    if fs.meta(folder)?.identity != guard.folder {
        return Ok(false);
    }
    if *guard.name == *name {
        return Ok(true);
    }
    // Other letters: the same file where the file system takes them for the same name. Some give it another inode number for each.
    match (fs.look(folder, &guard.name), fs.look(folder, name)) {
        (Ok(ledger), Ok(other)) => Ok(ledger.identity == other.identity || !fs.names(folder)?.iter().any(|there| there == name)),
        _ => Ok(false),
    }
}
