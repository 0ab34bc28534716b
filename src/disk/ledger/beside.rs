//! Other ledgers beside ours: where they are, what they say, and whether anybody holds them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::core::files::ledger::{self, Contents, Relation, Whereabouts};
use crate::core::files::trust::{self, Custody};
use crate::core::path::{RESERVED_PREFIX, Roots, TargetPath};
use crate::disk::fs::Fs;
use crate::disk::ledger::{Place, custody, readable, slurp};
use crate::disk::marks;

/// A ledger that has files and that nobody holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unheld {
    /// Its name in FOLDER.
    pub(crate) name: String,
    /// How many files it has.
    pub(crate) files: usize,
    /// What its owner selects.
    pub(crate) selection: String,
}

/// Another projector's ledger.
pub(super) struct Other<F: Fs> {
    pub(super) contents: Contents,
    pub(super) custody: Custody,
    pub(super) file: F::Handle,
    pub(super) lock_is_ours: bool,
}

impl<F: Fs> Other<F> {
    /// `None` when there is nothing that we may or can read.
    pub(super) fn open(fs: &mut F, folder: &Path, name: &str, roots: &Roots) -> io::Result<Option<Self>> {
        let opened = readable(fs.open_root(folder, None).and_then(|home| Ok((fs.open(&home, name)?, home))))?;
        let Some((file, home)) = opened else {
            return Ok(None);
        };
        let Some(custody) = readable(custody(fs, &home, &file, roots))? else {
            return Ok(None);
        };
        let lock_is_ours = fs.lock(&file)?;
        let bytes = slurp(fs, &file)?;
        Ok(ledger::read(&bytes, roots).ok().map(|contents| Self { contents, custody, file, lock_is_ours }))
    }
}

/// Another ledger.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Beside {
    pub(super) folder: PathBuf,
    pub(super) name: String,
    /// LEDGER_FORMER names it.
    pub(super) named: bool,
    /// It lies in FOLDER.
    pub(super) in_folder: bool,
}

/// Ledgers beside ours, in its folder and in the other places, and those that were ours.
pub(super) fn others<F: Fs>(fs: &mut F, place: &Place) -> io::Result<Vec<Beside>> {
    let mut found = Vec::new();
    let mut folders = vec![&place.folder];
    folders.extend(place.others.iter().filter(|other| **other != place.folder));
    let is_named = |folder: &Path, name: &str| {
        place.former.iter().any(|(home, former)| former == name && home.as_deref().is_none_or(|home| home == folder))
    };
    for folder in &folders {
        let names = readable(fs.open_root(folder, None).and_then(|home| fs.names(&home)))?.unwrap_or_default();
        let is_ledger = |name: &String| (name.starts_with(RESERVED_PREFIX) && name.ends_with(".ledger")) || is_named(folder, name);
        // Without other places the ledger's own folder is FOLDER.
        let in_folder = place.others.is_empty() || place.others.contains(folder);
        found.extend(names.into_iter().filter(is_ledger).map(|name| {
            let named = is_named(folder, &name);
            Beside { folder: (*folder).clone(), name, named, in_folder }
        }));
    }
    let away = place.former.iter().filter_map(|(home, name)| Some((home.as_ref()?, name)));
    found.extend(away.filter(|(home, _)| !folders.contains(home)).map(|(home, name)| Beside {
        folder: home.clone(),
        name: name.clone(),
        named: true,
        in_folder: false,
    }));
    found.retain(|other| other.name != place.name || other.folder != place.folder);
    found.sort();
    Ok(found)
}

/// Ledgers in FOLDER that have files and that nobody holds now.
///
/// # Errors
/// When the file system does not tell.
pub(crate) fn unheld<F: Fs>(fs: &mut F, place: &Place, roots: &Roots) -> io::Result<Vec<Unheld>> {
    let mut unheld = Vec::new();
    for Beside { folder, name, .. } in others(fs, place)?.into_iter().filter(|other| other.in_folder) {
        if let Some(Other { contents, lock_is_ours: true, .. }) = Other::open(fs, &folder, &name, roots)?
            && !contents.owned.is_empty()
        {
            unheld.push(Unheld { name, files: contents.owned.len(), selection: contents.header.selection });
        }
    }
    Ok(unheld)
}

/// Paths that ledgers of others own now: those are foreign whatever stands there.
///
/// # Errors
/// When the file system does not tell.
pub(crate) fn sibling_paths<F: Fs>(fs: &mut F, place: &Place, roots: &Roots) -> io::Result<BTreeSet<TargetPath>> {
    let mut paths = BTreeSet::new();
    for Beside { folder, name, .. } in others(fs, place)? {
        let read = fs.open_root(&folder, None).and_then(|home| fs.open(&home, &name)).and_then(|file| slurp(fs, &file));
        if let Some(contents) = readable(read)?.and_then(|bytes| ledger::read(&bytes, roots).ok()) {
            paths.extend(contents.owned.into_keys());
        }
    }
    Ok(paths)
}

/// What our ledger and those of predecessors say, without a lock and without a change: for `plan` beside a running instance.
///
/// `held` tells, without locking, whether a ledger is in use.
pub(crate) fn peek<F: Fs>(fs: &mut F, place: &Place, roots: &Roots, held: impl Fn((u64, u64)) -> bool) -> Contents {
    let read = |fs: &mut F, folder: &Path, name: &str| {
        let home = fs.open_root(folder, None).ok()?;
        let file = fs.open(&home, name).ok()?;
        let identity = fs.meta(&file).ok()?.identity;
        let custody = custody(fs, &home, &file, roots).ok()?;
        let mut contents = ledger::read(&slurp(fs, &file).ok()?, roots).ok()?;
        trust::confine(&mut contents, custody.trust(fs.uid()));
        Some((contents, identity))
    };
    let mut ours = read(fs, &place.folder, &place.name).map_or_else(|| Contents::empty(place.header("")), |(contents, _)| contents);
    let missing = fs.open_root(&place.folder, None).and_then(|home| fs.look(&home, &place.name)).map(|meta| meta.length == 0);
    if missing.unwrap_or_else(|error| error.kind() == io::ErrorKind::NotFound) {
        marks::recover(fs, place, roots, &mut ours);
    }
    ours.header.pod.clone_from(&place.pod);
    for Beside { folder, name, named, in_folder } in others(fs, place).unwrap_or_default() {
        let Some((theirs, identity)) = read(fs, &folder, &name) else {
            continue;
        };
        let found = Whereabouts { locked: held(identity), named, in_folder };
        if ledger::relation(&ours.header, &ours.siblings, &theirs, found) == Relation::Predecessor {
            if place.is_held_back(&theirs) {
                ours.header.selection.clone_from(&theirs.header.selection);
            }
            ours.inherit(theirs.owned, theirs.lasting);
            ours.folders.extend(theirs.folders);
        }
    }
    ours
}
