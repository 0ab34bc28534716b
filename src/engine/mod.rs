//! The sole owner of store, ledger and disk: folds what the sources say, plans the difference, applies it, tells what changed.
//!
//! Synchronous and without a clock: [`Engine::converge`] is called with a batch and the time, in order, from one place.
//! One call is one commit. Its cost follows what the batch touched, never how many files there are.

mod apply;
mod attempts;
mod lasting;
mod letters;
mod memory;
mod notes;
mod notices;
pub mod outcome;
mod place;
pub(crate) mod preview;
mod reacting;
pub(crate) mod shown;
mod standing;
mod turns;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::core::files::entry::{Obstacle, OnDisk};
use crate::core::files::folded::{Fate, Folded};
use crate::core::files::held::Held;
use crate::core::files::ledger::Record;
use crate::core::files::plan::{self, Batch, Plan};
use crate::core::files::store::{SourceScope, Store};
use crate::core::object::finalizers::FinalizerTask;
use crate::core::object::{ObjectKey, SourceEvent};
use crate::core::path::TargetPath;
use crate::core::policy::Adopt;
use crate::disk::Disk;
use crate::disk::fs::Fs;
use crate::disk::ledger::beside::{sibling_paths, unheld};
use crate::disk::ledger::{LedgerError, LedgerFile, Opened, Place};
use crate::engine::attempts::Agenda;
use crate::engine::notices::Notices;
use crate::engine::outcome::{Outcome, Settings};
use crate::engine::turns::Refusal;

/// What could not be cleaned up is tried again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Paths named among those that could not be made right.
const STUCK_NAMED: usize = 10;
/// More objects than this are not fetched one by one: the sources list again.
pub const FETCH_MAX: usize = 100;

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
    unrecorded: Vec<Record>,
    /// What is known of reactions; nothing costs anything where there are none.
    reacting: reacting::Reacting,
    attempts: Agenda,
    notices: Notices,
    /// The ledger is not where it should be, or does not hold what is ours: nothing new is made.
    ledger_lost: bool,
    /// When to look for empty folders of ours.
    prune_due: Option<Duration>,
    /// When to give back the room of what is gone.
    tidy_due: Option<Duration>,
    releasing: HashMap<Arc<ObjectKey>, FinalizerTask>,
    /// Files that nobody wants and that stay until new ones of their objects are written.
    held: Held,
    /// Who has a name, where file systems ignore case.
    letters: letters::Letters,
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
        let (ledger, mut opened) = LedgerFile::open(&mut disk.fs, &place, &roots)?;
        disk.identify(ledger.id());
        disk.guard_ledger(&place);
        disk.mark_for(&place);
        let protects = settings.adopt != Adopt::Overwrite;
        disk.keep_foreign(protects);
        let unkeepable = protects && !disk.can_spare("");
        let forgets = lasting::adopt(&mut store, &opened.contents, settings.rules.annotations, |_, _| true);
        store.hold_back(opened.former_selection.is_some());
        let swept = clean_up(&mut disk, &store, &opened);
        let contents = &mut opened.contents;
        // A ledger from before that note has files, and one that cannot be read may have said so.
        let continues = contents.finished || !contents.owned.is_empty() || opened.unreadable.is_some();
        let mut engine = Self {
            disk,
            ledger,
            place,
            settings,
            store,
            folders: std::mem::take(&mut contents.folders),
            siblings: std::mem::take(&mut contents.siblings),
            left_out: std::mem::take(&mut opened.left_out),
            unmarked: std::mem::take(&mut opened.found.unmarked),
            unrecorded: Vec::new(),
            reacting: reacting::Reacting::new(contents.owed, contents.debt.clone(), contents.finished),
            attempts: Agenda::default(),
            notices: Notices::default(),
            ledger_lost: false,
            prune_due: None,
            tidy_due: None,
            releasing: HashMap::new(),
            held: Held::default(),
            letters: letters::Letters::default(),
            former_selection: opened.former_selection.take(),
            ready: false,
        };
        if forgets {
            // If this fails it is the same at the next start.
            engine.compact();
        }
        Ok((engine, Start { opened, swept, continues, unkeepable }))
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
        self.attempts.failing.len() + self.notices.blocked.len() + self.held.len() + self.attempts.unanswered.len()
    }

    /// Whether a wanted file is missing or not right: it failed, is blocked, or waits for bytes that the API server has.
    pub(crate) fn is_amiss(&self) -> bool {
        self.stuck() > 0 || !self.attempts.is_empty()
    }

    /// How many such files there are, or objects whose files are not known. Costs as much as there are.
    pub(crate) fn amiss(&self) -> usize {
        let (failing, blocked) = (&self.attempts.failing, &self.notices.blocked);
        let others = self.attempts.count(|path| failing.contains_key(path) || blocked.contains_key(path));
        failing.len() + blocked.len() + self.held.len() + others
    }

    /// Some of them, for people.
    pub(crate) fn stuck_paths(&self) -> Vec<String> {
        let paths = self.attempts.failing.keys().chain(self.notices.blocked.keys()).chain(self.held.paths());
        let paths = paths.map(|path| self.disk.roots().show(path.as_str()));
        paths.chain(self.attempts.unanswered.iter().map(|key| format!("{key} (could not be read)"))).take(STUCK_NAMED).collect()
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
        if settled || released || ((self.attempts.is_degraded() || self.ledger_lost) && self.check_place()) {
            folded.touched.extend(self.store.paths().map(|(path, _)| path.clone()));
        }
        self.attempts.take_due(&mut self.store, &mut folded.touched, now);
        self.store.touch_lasting(&mut folded.touched);
        self.touch_held(&mut folded.touched);
        self.survey(&folded.touched, &mut outcome, now);
        let plan = self.plan(&folded, settled);
        self.notices.note_conflicts(&plan.conflicts, &self.store, &mut outcome.notes);
        self.notices.note_blocked(&folded.touched, &plan.blocked, &self.store, &mut outcome.notes);
        self.note_held(&folded.touched, &plan, &mut outcome);
        self.notices.note_rejections(std::mem::take(&mut folded.rejections), &mut outcome.notes);
        self.notices.note_outside(std::mem::take(&mut folded.outside), &mut outcome.notes);
        self.attempts.note_handing_over(&folded.touched, &plan.handing_over, now);
        let awaited = self.awaited(&folded, &plan);
        outcome.fetch.clone_from(&plan.fetch);
        outcome.ask.clone_from(&plan.ask);
        outcome.remotes = std::mem::take(&mut folded.remotes);
        outcome.answered = std::mem::take(&mut folded.answered);
        self.attempts.note_unanswered(std::mem::take(&mut folded.unanswered), &folded.seen);
        outcome.fetch.extend(self.attempts.take_unread(std::mem::take(&mut folded.unread), &folded.seen, &self.store, now));
        let inherited = plan.own.iter().map(|(_, owner)| owner.clone()).collect();
        self.apply(plan, &mut folded.bodies, &mut outcome, now);
        self.attempts.await_bytes(awaited, now);
        self.attempts.drop_moot(&folded.touched, &self.store, now);
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
        if !self.ready && self.store.settled() && self.attempts.are_made(&self.store) {
            self.ready = true;
            self.finished();
            let roots = self.disk.roots().clone();
            // Others who started with us have theirs by now.
            outcome.unheld = unheld(&mut self.disk.fs, &self.place, &roots).unwrap_or_default();
        }
        outcome.ready = self.ready;
        if self.settings.shows {
            outcome.looked_at = shown::looked_at(&folded.touched, &outcome);
        }
        self.make_room(went, &outcome, now);
        outcome.wake = self.wake(now);
        outcome
    }

    fn plan(&self, folded: &Folded, settled: bool) -> Plan {
        let at_hand = |path: &TargetPath, key: &Arc<ObjectKey>| folded.bodies.has(path, key);
        // What the lists leave over is known now only: a file that failed meanwhile may take the place of any of it.
        let lost: Vec<TargetPath> = if settled { self.attempts.failing.keys().cloned().collect() } else { Vec::new() };
        let in_vain = |path: &TargetPath| !settled && (self.attempts.failing.contains_key(path) || self.notices.blocked.contains_key(path));
        let (touched, adopt) = (&folded.touched, self.settings.adopt);
        plan::plan(&Batch { touched, at_hand: &at_hand, adopt, held: &self.held, in_vain: &in_vain, lost: &lost }, &self.store)
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
                                self.failed(&path, &Refusal::of(error), outcome, now);
                                continue;
                            }
                        }
                    }
                    if matches!(seen, OnDisk::File(_)) && self.disk.ignores_case(path.folder()) {
                        seen = self.in_letters(&path, seen);
                    }
                    self.store.saw(&path, seen);
                }
                Err(error) => self.failed(&path, &Refusal::of(&error), outcome, now),
            }
        }
    }

    /// Whether a folder that stands where a file is wanted is ours and about to be emptied.
    fn folder_goes(&self, path: &TargetPath) -> bool {
        self.folders.contains(path.as_str()) && self.store.owned_beneath(path.as_str()) > 0
    }

    /// Adds files that stay until one of the touched paths is written: that may be now.
    fn touch_held(&self, touched: &mut BTreeSet<TargetPath>) {
        if !self.held.is_empty() {
            let held: Vec<_> = touched.iter().flat_map(|path| self.held.waiting_for(path)).cloned().collect();
            touched.extend(held);
        }
    }

    /// Paths whose bytes are asked for.
    fn awaited(&self, folded: &Folded, plan: &Plan) -> Vec<TargetPath> {
        if plan.fetch.is_empty() && plan.ask.is_empty() {
            return Vec::new();
        }
        let asked: BTreeSet<&TargetPath> = plan.ask.iter().map(|(_, path)| path).collect();
        let fetched = |path: &TargetPath| {
            asked.contains(path)
                || self.store.path(path).is_some_and(|entry| entry.claimants.iter().any(|claimant| plan.fetch.contains(claimant)))
        };
        let written: BTreeSet<&TargetPath> = plan.write.iter().map(|write| &write.path).collect();
        folded.touched.iter().filter(|path| !written.contains(path) && fetched(path)).cloned().collect()
    }

    /// When to call again.
    fn wake(&self, now: Duration) -> Option<Duration> {
        let again = (self.ledger_lost || self.disk.has_leftovers()).then(|| now + LOOK_AGAIN);
        [self.attempts.next(), self.prune_due, self.tidy_due, again].into_iter().flatten().min()
    }
}

/// Sweeps temporary files of a crash, and finishes folders that it left.
fn clean_up<F: Fs>(disk: &mut Disk<F>, store: &Store, opened: &Opened) -> usize {
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
    swept
}

/// What the start found.
pub struct Start {
    /// What the ledger says, but for what the engine keeps of it.
    pub(crate) opened: Opened,
    /// Temporary files that were removed.
    pub(crate) swept: usize,
    /// Whether all files were there before: the application may have begun with those.
    pub(crate) continues: bool,
    /// Whether FOLDER's file system cannot spare foreign files as ADOPT says.
    pub unkeepable: bool,
}

/// A store over the sources of this run.
pub fn store(scopes: impl IntoIterator<Item = SourceScope>, order: crate::core::policy::Precedence, key: (u64, u64)) -> Store {
    Store::new(scopes, order, crate::core::digest::Digester::new(key))
}
