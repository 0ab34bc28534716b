//! The sole owner of store, ledger and disk: folds what the sources say, plans the difference, applies it, tells what changed.
//!
//! Synchronous and without a clock: [`Engine::converge`] is called with a batch and the time, in order, from one place.
//! One call is one commit. Its cost follows what the batch touched, never how many files there are.

mod apply;
mod lasting;
mod letters;
mod notes;
pub mod outcome;
pub(crate) mod preview;
mod reacting;
mod room;
mod turns;
mod waiting;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::core::debt::Debt;
use crate::core::files::entry::{Obstacle, OnDisk};
use crate::core::files::folded::{Fate, Folded};
use crate::core::files::held::Held;
use crate::core::files::ledger::Kept;
use crate::core::files::plan::{self, Batch, Blocked, Conflict, Plan};
use crate::core::files::project::Rejection;
use crate::core::files::store::{SourceScope, Store};
use crate::core::object::{ObjectKey, SourceEvent};
use crate::core::path::TargetPath;
use crate::core::policy::Adopt;
use crate::core::schedule::Schedule;
use crate::disk::Disk;
use crate::disk::fs::Fs;
use crate::disk::ledger::beside::{sibling_paths, unheld};
use crate::disk::ledger::{LedgerError, LedgerFile, Place};

use crate::engine::outcome::{Outcome, Settings};

/// The former owner's file stays at most this long while the new owner's bytes are fetched.
const HAND_OVER_MAX: Duration = Duration::from_secs(30);
/// Bytes that were asked for and did not come are asked for again after this.
const FETCH_PATIENCE: Duration = Duration::from_secs(5);
/// What could not be cleaned up is tried again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Longest wait between two attempts at one file.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Paths named among those that could not be made right.
const STUCK_NAMED: usize = 10;
/// More objects than this are not fetched one by one: the sources list again.
pub const FETCH_MAX: usize = 100;

/// An attempt to be made again.
#[derive(Clone, Copy, Default, Debug)]
struct Retry {
    attempts: u32,
    /// Whether a write was tried, rather than bytes waited for.
    attempted: bool,
}

/// See the module's header.
pub struct Engine<F: Fs> {
    disk: Disk<F>,
    ledger: LedgerFile<F>,
    place: Place,
    settings: Settings,
    store: Store,
    /// Folders that we made, as the ledger has them.
    folders: BTreeSet<String>,
    siblings: BTreeSet<String>,
    /// Files that a ledger names which others may have written; empty once it was told which of them stay.
    left_out: Vec<TargetPath>,
    /// Files of which no mark can tell whose they are; empty once it was told how many nobody knows.
    unmarked: Vec<TargetPath>,
    /// Records that could not be appended when they were due.
    owed: Vec<crate::core::files::ledger::Record>,
    /// What is known of reactions; nothing costs anything where there are none.
    reacting: reacting::Reacting,
    retries: Schedule<TargetPath, Retry>,
    /// The last write failed: attempts go one by one until one works, the next one not before this time.
    degraded: Option<Duration>,
    /// The ledger is not where it should be, or does not hold what is ours: nothing new is made.
    ledger_lost: bool,
    /// When to look for empty folders of ours.
    prune_due: Option<Duration>,
    /// When to give back the room of what is gone.
    tidy_due: Option<Duration>,
    handing_over: Schedule<TargetPath>,
    releasing: HashMap<Arc<ObjectKey>, notes::Releasing>,
    conflicts: HashMap<TargetPath, Conflict>,
    blocked: HashMap<TargetPath, Blocked>,
    /// Objects whose files lie outside of FOLDER.
    outside: HashMap<Arc<ObjectKey>, Box<str>>,
    rejected: HashMap<Arc<ObjectKey>, Vec<Rejection>>,
    failing: HashSet<TargetPath>,
    /// Files that nobody wants and that stay until new ones of their objects are written.
    held: Held,
    /// Who has a name, where file systems ignore case.
    letters: letters::Letters,
    /// Objects whose bytes were dropped, and when to ask for them again.
    unread: Schedule<Arc<ObjectKey>>,
    overdue: waiting::Overdue,
    /// Objects that were asked for and could not be read.
    unanswered: HashSet<Arc<ObjectKey>>,
    /// The selection under which our files became ours, while the present one has not matched anything.
    former_selection: Option<String>,
    ready: bool,
}

impl<F: Fs> Engine<F> {
    /// Opens the ledger, takes predecessors over, sweeps their temporary files and ours.
    ///
    /// # Errors
    /// When there is no ledger to work with; it is worth trying again.
    pub fn open(mut disk: Disk<F>, place: Place, settings: Settings, mut store: Store) -> Result<(Self, Start), LedgerError> {
        let roots = disk.roots().clone();
        let opened = LedgerFile::open(&mut disk.fs, &place, &roots)?;
        disk.identify(opened.file.id());
        disk.guard_ledger(&place);
        disk.mark_for(&place);
        let protects = settings.adopt != Adopt::Overwrite;
        disk.keep_foreign(protects);
        let unkeepable = protects && !disk.can_spare("");
        let forgets = lasting::adopt(&mut store, &opened.contents, settings.rules.annotations, |_, _| true);
        store.hold_back(opened.former_selection.is_some());
        let mut swept = 0;
        let mut folders = store.known_folders();
        folders.insert("".into());
        folders.extend(opened.contents.folders.iter().map(|folder| folder.as_str().into()));
        for folder in folders {
            swept += disk.sweep(&folder, &opened.ids);
        }
        swept += disk.sweep_staging(&opened.ids);
        for folder in &opened.contents.folders {
            // A crash may have come between making it and setting its mode. If it cannot be set now it is at the next start.
            let _ = disk.set_folder_mode(folder);
        }
        disk.end_batch();
        // A ledger from before that note has files, and one that cannot be read may have said so.
        let continues = opened.contents.finished || !opened.contents.owned.is_empty() || opened.unreadable.is_some();
        let start = Start {
            owned: opened.contents.owned.len(),
            swept,
            taken_over: opened.taken_over,
            unreadable: opened.unreadable.map(|error| error.to_string()),
            skipped: opened.contents.skipped,
            owed: opened.contents.owed,
            debt: opened.contents.debt.clone(),
            continues,
            marked: opened.found.marked,
            cut: opened.found.cut,
            unkeepable,
        };
        let mut engine = Self {
            disk,
            ledger: opened.file,
            place,
            settings,
            store,
            folders: opened.contents.folders,
            siblings: opened.contents.siblings,
            left_out: opened.left_out,
            unmarked: opened.found.unmarked,
            owed: Vec::new(),
            reacting: reacting::Reacting::new(opened.contents.owed, opened.contents.debt, opened.contents.finished),
            retries: Schedule::default(),
            degraded: None,
            ledger_lost: false,
            prune_due: None,
            tidy_due: None,
            handing_over: Schedule::default(),
            releasing: HashMap::new(),
            conflicts: HashMap::new(),
            blocked: HashMap::new(),
            outside: HashMap::new(),
            rejected: HashMap::new(),
            failing: HashSet::new(),
            held: Held::default(),
            letters: letters::Letters::default(),
            unread: Schedule::default(),
            overdue: waiting::Overdue::default(),
            unanswered: HashSet::new(),
            former_selection: opened.former_selection,
            ready: false,
        };
        if forgets {
            // If this fails it is the same at the next start.
            engine.compact();
        }
        Ok((engine, start))
    }

    /// Folds a batch, plans what it touched, applies the plan.
    pub fn converge(&mut self, batch: Vec<SourceEvent>, now: Duration) -> Outcome {
        let mut folded = Folded::for_events(batch.len());
        let listed = self.listed_by(&batch);
        for event in batch {
            self.disk.reserve_aliases(&event, &mut self.settings.rules);
            self.store.fold(event, &self.settings.rules, &mut folded);
        }
        let mut outcome = self.commit(folded, now);
        outcome.listed = listed;
        outcome
    }

    /// Looks at every file on disk: what somebody edited, removed or left in the way is made right.
    pub fn verify(&mut self, now: Duration) -> Outcome {
        let mut folded = Folded::default();
        self.check_place();
        self.prune_due = Some(now);
        let known: Vec<(TargetPath, OnDisk)> = self.store.paths().map(|(path, entry)| (path.clone(), entry.disk())).collect();
        for (path, disk) in known {
            let unchanged = match disk {
                OnDisk::File(stamp) => self.disk.is_unchanged(path.folder(), path.name(), &stamp).unwrap_or(true),
                OnDisk::Unknown | OnDisk::Absent | OnDisk::Obstacle(_) => false,
            };
            if !unchanged {
                self.store.saw(&path, OnDisk::Unknown);
                folded.touched.insert(path);
            }
        }
        self.commit(folded, now)
    }

    /// The live objects and paths.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// How many paths could not be made right so far, and objects whose bytes are needed and could not be read.
    pub fn stuck(&self) -> usize {
        self.failing.len() + self.blocked.len() + self.held.len() + self.unanswered.len()
    }

    /// Whether a wanted file is missing or not right: it failed, is blocked, or waits for bytes that the API server has.
    pub(crate) fn is_amiss(&self) -> bool {
        self.stuck() > 0 || !self.retries.is_empty() || !self.unread.is_empty()
    }

    /// How many such files there are, or objects whose files are not known. Costs as much as there are.
    pub(crate) fn amiss(&self) -> usize {
        let elsewhere = |path: &TargetPath| self.failing.contains(path) || self.blocked.contains_key(path);
        let waiting = self.retries.iter().filter(|(path, _)| !elsewhere(path)).count();
        self.failing.len() + self.blocked.len() + self.held.len() + waiting + self.unread.iter().count()
    }

    /// Some of them, for people.
    pub(crate) fn stuck_paths(&self) -> Vec<String> {
        let paths =
            self.failing.iter().chain(self.blocked.keys()).chain(self.held.paths()).map(|path| self.disk.roots().show(path.as_str()));
        paths.chain(self.unanswered.iter().map(|key| format!("{key} (could not be read)"))).take(STUCK_NAMED).collect()
    }

    /// How many paths are ours.
    pub fn files(&self) -> usize {
        self.store.owned()
    }

    fn commit(&mut self, mut folded: Folded, now: Duration) -> Outcome {
        let (empty, overridden) = (std::mem::take(&mut folded.empty), std::mem::take(&mut folded.overridden));
        let gone = folded.seen.iter().filter(|seen| matches!(seen.fate, Fate::Gone | Fate::Vanished));
        let went = gone.clone().next().is_some();
        let outlived = gone.filter(|seen| self.outlives(&seen.key)).map(|seen| seen.key.clone()).collect();
        let mut outcome = Outcome { empty, overridden, outlived, ..Outcome::default() };
        let settled = folded.progressed && self.store.settled();
        if settled {
            self.prune_due = Some(now);
        }
        let released = self.release_former_selection(settled, &mut outcome);
        if settled || released || ((self.degraded.is_some() || self.ledger_lost) && self.check_place()) {
            folded.touched.extend(self.store.paths().map(|(path, _)| path.clone()));
        }
        self.take_due(now, &mut folded.touched);
        self.store.touch_lasting(&mut folded.touched);
        self.touch_held(&mut folded.touched);
        self.survey(&folded.touched, &mut outcome, now);
        let plan = self.plan(&folded, settled);
        self.note_conflicts(&plan.conflicts, &mut outcome);
        self.note_blocked(&folded.touched, &plan.blocked, &mut outcome);
        self.note_held(&folded.touched, &plan, &mut outcome);
        self.note_rejections(std::mem::take(&mut folded.rejections), &mut outcome);
        self.note_outside(std::mem::take(&mut folded.outside), &mut outcome);
        self.note_handing_over(&folded.touched, &plan.handing_over, now);
        let awaited = self.awaited(&folded, &plan);
        outcome.fetch.clone_from(&plan.fetch);
        outcome.ask.clone_from(&plan.ask);
        outcome.remotes = std::mem::take(&mut folded.remotes);
        outcome.answered = std::mem::take(&mut folded.answered);
        self.note_unanswered(std::mem::take(&mut folded.unanswered), &folded.seen);
        self.fetch_unread(std::mem::take(&mut folded.unread), &folded.seen, &mut outcome, now);
        let inherited = plan.own.iter().map(|(_, owner)| owner.clone()).collect();
        self.apply(plan, &mut folded.bodies, &mut outcome, now);
        self.await_bytes(awaited, now);
        self.drop_moot(&folded.touched, now);
        self.disk.end_batch();
        if self.ledger.is_mostly_garbage() {
            self.compact();
        }
        self.wish(std::mem::take(&mut folded.seen), inherited, &mut outcome);
        self.tell_left_out(&mut outcome);
        self.tell_unmarked(&mut outcome);
        outcome.odd = self.disk.take_odd();
        outcome.unstaged = self.disk.take_unstaged();
        if folded.progressed {
            self.note_progress();
        }
        if !self.ready && self.store.settled() && self.attempted() {
            self.ready = true;
            self.finished();
            let roots = self.disk.roots().clone();
            // Others who started with us have theirs by now.
            outcome.unheld = unheld(&mut self.disk.fs, &self.place, &roots).unwrap_or_default();
        }
        outcome.ready = self.ready;
        self.make_room(went, &outcome, now);
        outcome.wake = self.wake(now);
        outcome
    }

    fn plan(&self, folded: &Folded, settled: bool) -> Plan {
        let at_hand = |path: &TargetPath, key: &Arc<ObjectKey>| folded.bodies.has(path, key);
        // What the lists leave over is known now only: a file that failed meanwhile may take the place of any of it.
        let lost: Vec<TargetPath> = if settled { self.failing.iter().cloned().collect() } else { Vec::new() };
        let in_vain = |path: &TargetPath| !settled && (self.failing.contains(path) || self.blocked.contains_key(path));
        let (touched, adopt) = (&folded.touched, self.settings.adopt);
        plan::plan(&Batch { touched, at_hand: &at_hand, adopt, held: &self.held, in_vain: &in_vain, lost: &lost }, &self.store)
    }

    /// Files of a former selection stay until the present one matches something. Whether it does so now, for the first time.
    fn release_former_selection(&mut self, settled: bool, outcome: &mut Outcome) -> bool {
        let Some(former) = &self.former_selection else { return false };
        if !self.store.matches_something() {
            outcome.held_back = settled.then(|| (former.clone(), self.store.owned()));
            return false;
        }
        self.former_selection = None;
        self.store.hold_back(false);
        self.ledger.select(&self.place.selection);
        // The files that go are in the ledger before and after; if this fails they go all the same.
        self.compact();
        true
    }

    /// Looks at paths that nobody has looked at yet.
    fn survey(&mut self, touched: &BTreeSet<TargetPath>, outcome: &mut Outcome, now: Duration) {
        self.letters.begin();
        let unseen: Vec<_> = plan::unseen(touched, &self.store).map(|(path, content)| (path.clone(), content)).collect();
        let mut siblings = None;
        for (path, content) in unseen {
            let digester = self.store.digester().clone();
            match self.disk.look(path.folder(), path.name(), &content, &digester) {
                Ok(mut seen) => {
                    if seen == OnDisk::Obstacle(Obstacle::Folder) && self.folder_goes(&path) {
                        seen = OnDisk::Unknown;
                    }
                    let foreign = self.store.path(&path).is_some_and(|entry| entry.owner.is_none());
                    if foreign && matches!(seen, OnDisk::File(_)) {
                        let roots = self.disk.roots().clone();
                        let theirs = siblings.get_or_insert_with(|| sibling_paths(&mut self.disk.fs, &self.place, &roots));
                        match theirs {
                            Ok(theirs) if theirs.contains(&path) => seen = OnDisk::Obstacle(Obstacle::Sibling),
                            Ok(_) => {}
                            Err(error) => {
                                let error = error.to_string();
                                self.failed(&path, &error, outcome, now);
                                continue;
                            }
                        }
                    }
                    if matches!(seen, OnDisk::File(_)) && self.disk.ignores_case(path.folder()) {
                        seen = self.in_letters(&path, seen);
                    }
                    self.store.saw(&path, seen);
                }
                Err(error) => self.failed(&path, &error.to_string(), outcome, now),
            }
        }
    }

    /// Whether a folder that stands where a file is wanted is ours and about to be emptied.
    fn folder_goes(&self, path: &TargetPath) -> bool {
        self.folders.contains(path.as_str()) && self.store.owned_beneath(path.as_str()) > 0
    }

    /// Finds out whether FOLDER or the ledger were removed or replaced behind our back. Whether everything must be looked at again.
    fn check_place(&mut self) -> bool {
        let replaced = self.disk.folder_was_replaced();
        if replaced {
            self.letters = letters::Letters::default();
            self.store.forget_disk();
            self.disk.mark_for(&self.place);
        }
        if !self.ledger.is_in_place(&mut self.disk.fs, &self.place) {
            self.ledger_lost = true;
            let roots = self.disk.roots().clone();
            let Ok(opened) = LedgerFile::open(&mut self.disk.fs, &self.place, &roots) else {
                return replaced;
            };
            if replaced {
                // Another folder: only what its own ledger says is ours there.
                let lost: Vec<_> = self
                    .store
                    .paths()
                    .filter(|(path, entry)| entry.owner.is_some() && !opened.contents.owned.contains_key(*path))
                    .map(|(path, _)| path.clone())
                    .collect();
                lost.iter().for_each(|path| self.store.disown(path));
                self.folders.clear();
            }
            let is_free = |store: &Store, path: &TargetPath| store.path(path).is_none_or(|entry| entry.owner.is_none());
            lasting::adopt(&mut self.store, &opened.contents, self.settings.rules.annotations, is_free);
            self.folders.extend(opened.contents.folders);
            self.siblings.extend(opened.contents.siblings);
            self.left_out.extend(opened.left_out);
            self.disk.guard_ledger(&self.place);
            self.reacting.owed |= opened.contents.owed;
            self.reacting.finished |= opened.contents.finished;
            self.disk.sweep("", &opened.ids);
            self.disk.identify(opened.file.id());
            self.ledger = opened.file;
        }
        if self.former_selection.is_none() {
            self.ledger.select(&self.place.selection);
        }
        if self.ledger_lost {
            self.ledger_lost = !self.compact();
        }
        replaced
    }

    /// Whether the ledger is compact now. One that could not be compacted is as good as before, only longer.
    fn compact(&mut self) -> bool {
        self.rewrite(|ledger, fs, kept| ledger.compact(fs, kept)).is_ok()
    }

    /// Writes the ledger anew.
    fn rewrite(&mut self, write: impl FnOnce(&mut LedgerFile<F>, &mut F, &Kept<'_>) -> io::Result<()>) -> io::Result<()> {
        let owned = self.store.paths().filter_map(|(path, entry)| Some((path.clone(), (**entry.owner.as_ref()?).clone()))).collect();
        let (lasting, folders, siblings) = (lasting::paths(&self.store), &self.folders, &self.siblings);
        let reacting::Reacting { owed, debt, finished, .. } = &self.reacting;
        let kept = Kept { owned: &owned, lasting: &lasting, folders, siblings, owed: *owed, debt, finished: *finished };
        write(&mut self.ledger, &mut self.disk.fs, &kept)?;
        self.owed = Vec::new();
        Ok(())
    }
}

/// What the start found, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// Paths that the ledger owns.
    pub(crate) owned: usize,
    /// Temporary files of a crash that were removed.
    pub(crate) swept: usize,
    /// Ledgers of predecessors that were taken over.
    pub(crate) taken_over: Vec<String>,
    /// Why the ledger could not be read; nothing is removed then.
    pub(crate) unreadable: Option<String>,
    /// Broken records.
    pub(crate) skipped: usize,
    /// Whether files may have changed without the application being told.
    pub(crate) owed: bool,
    /// What is known of attempts to tell it.
    pub(crate) debt: Debt,
    /// Whether all files were there before: the application may have begun with those.
    pub(crate) continues: bool,
    /// Files that a new ledger took for ours by their marks.
    pub(crate) marked: usize,
    /// Whether FOLDER holds too much to look for all marks.
    pub(crate) cut: bool,
    /// Whether FOLDER's file system cannot spare foreign files as ADOPT says.
    pub unkeepable: bool,
}

/// A store over the sources of this run.
pub fn store(scopes: impl IntoIterator<Item = SourceScope>, order: crate::core::policy::Order, key: (u64, u64)) -> Store {
    Store::new(scopes, order, crate::core::digest::Digester::new(key))
}
