//! Takes a plan's steps in their order, and settles what becomes of an old file when the new one fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::core::files::entry::OnDisk;
use crate::core::files::folded::Bodies;
use crate::core::files::ledger::Record;
use crate::core::files::order::{Removal, Steps, Turn};
use crate::core::files::plan::Write;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::core::policy::Durability;
use crate::disk::class::class_of;
use crate::disk::fs::Fs;
use crate::disk::{WriteError, lacks_room};
use crate::engine::Engine;
use crate::engine::outcome::{Act, Change, Outcome};
use crate::metrics::labels::FileErrorClass;

/// What the steps of one commit share.
pub(super) struct CommitWork<'a> {
    pub(super) bodies: &'a mut Bodies,
    pub(super) outcome: &'a mut Outcome,
    pub(super) now: Duration,
    /// Why the ledger does not take what would be ours, if so.
    pub(super) refused: Option<Refusal>,
    /// Folders that could not be made.
    pub(super) unmade: BTreeMap<String, Refusal>,
    /// Files that were removed.
    pub(super) gone: Vec<TargetPath>,
    /// Folders whose names are to be made durable.
    pub(super) changed: BTreeSet<String>,
}

/// Why something could not be made.
#[derive(Clone)]
pub(super) struct Refusal {
    /// For people.
    pub(super) error: String,
    /// What it is counted as.
    pub(super) class: FileErrorClass,
    /// Whether it could be, were there room.
    lacks_room: bool,
}

impl Refusal {
    pub(super) fn of(error: &std::io::Error) -> Self {
        Self { error: error.to_string(), class: class_of(error), lacks_room: lacks_room(error) }
    }

    fn of_write(error: &WriteError) -> Self {
        Self { error: error.to_string(), class: error.class(), lacks_room: false }
    }
}

/// How writes ended.
#[derive(Default)]
struct Tried {
    failed: Vec<TargetPath>,
    /// There was no room for these; nobody was told yet.
    short: Vec<(Write, Refusal)>,
}

/// A turn whose writes lack room.
pub(super) struct Unfinished {
    tried: Tried,
    fresh: BTreeSet<TargetPath>,
    remove: Vec<Removal>,
    /// How many files were gone when it was tried last.
    gone: usize,
}

impl<F: Fs> Engine<F> {
    /// Where the ledger has no room for what will be ours, files that nobody wants go first. Whether any did.
    pub(super) fn make_room_for_ledger(&mut self, order: &mut Steps, work: &mut CommitWork<'_>) -> bool {
        let device = self.ledger.device(&mut self.disk.fs);
        let lists = order.turns.iter_mut().map(|turn| &mut turn.remove).chain([&mut order.first]);
        let mut remove = Vec::new();
        for list in lists {
            remove.extend(list.extract_if(.., |removal| device.is_some() && self.disk.device(removal.path.folder()) == device));
        }
        self.remove_files(remove, work);
        !work.gone.is_empty()
    }

    /// Writes what an object wants, then removes what it gives up. What lacks room is returned: others may make some.
    pub(super) fn take_turn(&mut self, turn: Turn, work: &mut CommitWork<'_>) -> Option<Unfinished> {
        let Turn { write, mut remove } = turn;
        let fresh = match remove.is_empty() {
            true => BTreeSet::new(),
            false => write.iter().filter(|write| write.fresh).map(|write| write.path.clone()).collect(),
        };
        let mut tried = Tried::default();
        self.write_files(write, &mut tried, work);
        let gone = work.gone.len();
        if !tried.short.is_empty() && !remove.is_empty() {
            let devices: BTreeSet<_> = tried.short.iter().filter_map(|(write, _)| self.disk.device(write.path.folder())).collect();
            let makes_room = |removal: &mut Removal| self.disk.device(removal.path.folder()).is_some_and(|at| devices.contains(&at));
            let first = remove.extract_if(.., makes_room).collect();
            self.remove_files(first, work);
            self.write_again(&mut tried, gone, work);
        }
        if !tried.short.is_empty() {
            return Some(Unfinished { tried, fresh, remove, gone: work.gone.len() });
        }
        self.remove_or_hold(remove, &fresh, &tried.failed, work);
        None
    }

    /// The end of a turn that lacked room.
    pub(super) fn end_turn(&mut self, unfinished: Unfinished, work: &mut CommitWork<'_>) {
        let Unfinished { mut tried, fresh, remove, gone } = unfinished;
        self.write_again(&mut tried, gone, work);
        for (write, error) in std::mem::take(&mut tried.short) {
            self.give_up(&write, &error, &mut tried, work);
        }
        self.remove_or_hold(remove, &fresh, &tried.failed, work);
    }

    /// Writes once more what lacked room, if files went since.
    fn write_again(&mut self, tried: &mut Tried, gone: usize, work: &mut CommitWork<'_>) {
        if work.gone.len() == gone {
            return;
        }
        let short: Vec<Write> = std::mem::take(&mut tried.short).into_iter().map(|(write, _)| write).collect();
        let folders = self.missing_folders(short.iter());
        match self.record_ours(&[], short.iter(), &folders, None) {
            Err(error) => work.refused = work.refused.take().or_else(|| Some(Refusal::of(&error))),
            Ok(()) => {
                folders.iter().for_each(|folder| drop(work.unmade.remove(folder)));
                let unmade = self.make_folders(&folders);
                work.unmade.extend(unmade);
            }
        }
        self.write_files(short, tried, work);
    }

    fn remove_or_hold(&mut self, remove: Vec<Removal>, fresh: &BTreeSet<TargetPath>, failed: &[TargetPath], work: &mut CommitWork<'_>) {
        let mut goes = Vec::with_capacity(remove.len());
        for removal in remove {
            let holds = |new: &&TargetPath| fresh.contains(*new) || removal.awaits.contains(new);
            let awaits: Vec<TargetPath> = failed.iter().filter(holds).cloned().collect();
            match awaits.is_empty() {
                true => goes.push(removal),
                false => self.hold(&removal.path, awaits, work.outcome),
            }
        }
        self.remove_files(goes, work);
    }

    fn write_files(&mut self, writes: Vec<Write>, tried: &mut Tried, work: &mut CommitWork<'_>) {
        for write in writes {
            let Some(file) = work.bodies.take(&write.path, &write.owner) else {
                continue;
            };
            if let Some(refusal) = self.refusal(&write, work) {
                match refusal.lacks_room {
                    true => {
                        work.bodies.put(&write.path, &write.owner, file);
                        tried.short.push((write, refusal));
                    }
                    false => self.give_up(&write, &refusal, tried, work),
                }
                continue;
            }
            if self.disk.durability() == Durability::Batch {
                work.changed.insert(write.path.folder().to_owned());
            }
            match self.write_file(&write, &file, work) {
                Ok(()) => {}
                Err(WriteError::Io(error)) if lacks_room(&error) => {
                    work.bodies.put(&write.path, &write.owner, file);
                    tried.short.push((write, Refusal::of(&error)));
                }
                Err(WriteError::InPlace(error)) => {
                    self.failed(&write.path, &Refusal::of(&error), work.outcome, work.now);
                    self.store.saw(&write.path, OnDisk::Unknown);
                }
                Err(error) => {
                    self.give_up(&write, &Refusal::of_write(&error), tried, work);
                    if matches!(error, WriteError::Appeared) {
                        self.attempts.look_again(write.path, work.now);
                    }
                }
            }
        }
    }

    /// What keeps a file from being written before it is tried.
    fn refusal(&self, write: &Write, work: &CommitWork<'_>) -> Option<Refusal> {
        if let Some(error) = work.refused.as_ref().filter(|_| self.owner_of(&write.path) != Some(&write.owner)) {
            return Some(Refusal { lacks_room: false, ..error.clone() });
        }
        // Looking for a folder in vain is not free, and nearly all can be made.
        if work.unmade.is_empty() { None } else { work.unmade.get(write.path.folder()).cloned() }
    }

    fn give_up(&mut self, write: &Write, error: &Refusal, tried: &mut Tried, work: &mut CommitWork<'_>) {
        self.failed(&write.path, error, work.outcome, work.now);
        self.not_written(&write.path, write.replace);
        tried.failed.push(write.path.clone());
    }

    pub(super) fn remove_files(&mut self, remove: Vec<Removal>, work: &mut CommitWork<'_>) {
        for Removal { path, because, twin, .. } in remove {
            self.held.release(&path);
            let before = self.before(&path);
            let is_twins = |engine: &mut Self, twin: &TargetPath| engine.is_in_place(twin) && engine.disk.is_same_file(&path, twin);
            let stays = self.is_anothers(&path) || twin.is_some_and(|twin| is_twins(self, &twin));
            let removed = if stays { Ok(true) } else { self.disk.remove(path.folder(), path.name()) };
            match removed {
                Ok(was_there) => {
                    let object = self.owner_of(&path).cloned();
                    self.note_difference(&path, object.as_ref(), (before, None), work.outcome);
                    self.store.saw(&path, OnDisk::Absent);
                    self.succeeded(&path, work.now, work.outcome);
                    work.outcome.changes.push(Change { path: path.clone(), object, act: Act::Removed { because, was_there } });
                    work.gone.push(path);
                }
                Err(error) => self.failed(&path, &Refusal::of(&error), work.outcome, work.now),
            }
        }
    }

    /// Whether a path holds what its owner wants there.
    fn is_in_place(&self, path: &TargetPath) -> bool {
        let wanted = |owner: &Arc<ObjectKey>| self.store.claim(path, owner);
        let entry = self.store.path(path);
        entry.is_some_and(|entry| match (entry.disk(), entry.owner.as_ref().and_then(wanted)) {
            (OnDisk::File(stamp), Some(content)) => stamp.content == content,
            _ => false,
        })
    }

    /// What is gone is not ours any more.
    pub(super) fn forget(&mut self, gone: &[TargetPath]) {
        self.append_or_owe(gone.iter().map(Record::disown).collect());
        gone.iter().for_each(|path| self.store.disown(path));
    }
}
