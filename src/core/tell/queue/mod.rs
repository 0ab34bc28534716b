//! When the application is told of which files, and of what else happened: the queue in front of the reactions.
//!
//! It keeps state, not events: per path what reactions last acted on and what is there now. A file that is back at what they acted on
//! costs nothing. What happens otherwise waits for its own delay, which begins anew when it happens again. It never reads the clock, and it
//! never runs anything: [`JobQueue::next`] says what to do now, and the runner tells how that ended.
//!
//! # Invariants
//! - P7: a queue that is idle has had every path delivered since it last changed, or the path is what it was at the delivery before.
//! - Nothing is delivered before [`JobQueue::ready`].
//! - Memory is bounded: a path waits in one job, an object has one waiting job, a source has one, and so has each other cause.
//! - What is told because of files is a debt, by which [`JobQueue::is_idle`] goes. What is told because of something else is none: whoever
//!   wants to know what was told of it at a next start asks [`JobQueue::told`].
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use kube_projector::core::digest::Digester;
//! use kube_projector::core::tell::cause::Cause;
//! use kube_projector::core::object::{Kind, ObjectKey};
//! use kube_projector::core::policy::Batching;
//! use kube_projector::core::tell::queue::delivery::Job;
//! use kube_projector::core::tell::queue::{BatchKey, Changed, JobQueue, Todo};
//!
//! let mut queue = JobQueue::new(Batching::Each);
//! let owner = Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", "rules"));
//! let after = Some(Digester::new((1, 2)).digest(b"a: 1"));
//! let changed = Changed { path: "a.yaml", owner: &owner, before: None, after };
//! queue.changed(changed, BatchKey::Object(owner.clone()), Duration::ZERO);
//! queue.ready();
//! let job = Job { paths: vec!["a.yaml".into()], initial: false, names: vec![], fresh: vec![Cause::Files] };
//! assert_eq!(queue.next(Duration::ZERO), Todo::Job(job));
//! queue.delivered();
//! assert!(queue.is_idle());
//! ```

pub mod delivery;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::core::digest::Digest;
use crate::core::memory::give_back;
use crate::core::object::{ObjectKey, SourceId};
use crate::core::policy::Batching;
use crate::core::spread::Spread;
use crate::core::tell::cause::{Cause, Happening};
use crate::core::tell::queue::delivery::{Delivery, Job};
use crate::core::tell::queue::waiting::{Entry, Untold, WaitingBatch};

/// What a change belongs to: all changes of one are told together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BatchKey {
    /// The list of a source: its first one, the one of METHOD=LIST, or a round of METHOD=SLEEP.
    List(SourceId),
    /// An event about one object.
    Object(Arc<ObjectKey>),
}

/// A file that changed.
#[derive(Clone, Copy)]
pub struct Changed<'a> {
    /// Where, as reactions are told.
    pub path: &'a str,
    /// For whom it is, or was: its downloads are waited for.
    pub owner: &'a Arc<ObjectKey>,
    /// What was there; nothing where there was no file.
    pub before: Option<Digest>,
    /// What is there now; nothing where there is no file.
    pub after: Option<Digest>,
}

impl Changed<'_> {
    fn change(&self) -> FileChange {
        FileChange { owner: self.owner.clone(), is_gone: self.after.is_none() }
    }
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Todo {
    /// Tell the application; then call [`JobQueue::delivered`] or [`JobQueue::failed`].
    Job(Job),
    /// Nothing before this time, or before something is told to the queue.
    Wait(Option<Duration>),
}

/// What became of a file that is told of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileChange {
    /// For whom the file is, or was.
    pub(crate) owner: Arc<ObjectKey>,
    /// Whether it is gone; else it is there with what is new.
    pub(crate) is_gone: bool,
}

/// See the module's header.
#[derive(Default)]
pub struct JobQueue {
    batching: Batching,
    ready: bool,
    /// Nothing more comes: nothing is waited for.
    closed: bool,
    /// Sources whose first list is complete.
    listed: BTreeSet<SourceId>,
    /// Objects with downloads under way, and the source to whose initial pass these belong.
    downloading: HashMap<Arc<ObjectKey>, Option<SourceId>>,
    /// By number, in the order in which they came.
    jobs: BTreeMap<u64, WaitingBatch>,
    by_key: HashMap<Option<BatchKey>, u64>,
    /// In which job a path waits.
    by_path: HashMap<Arc<str>, u64>,
    /// What happened otherwise: at most one entry a cause.
    happened: Vec<Happening>,
    /// How many times anything happened otherwise, and up to which of these all of each cause were told.
    times: u64,
    told: BTreeMap<Cause, u64>,
    /// What is told although nobody knows that it changed: it goes with the first job.
    owed: Option<Untold>,
    /// Whether an earlier process had all files there: what the first pass of ours changes is no beginning for the application.
    continues: bool,
    spread: Spread,
    /// How much later than it could be the application is told of files. What waits together waits for one time.
    later: Duration,
    /// When somebody first could be told.
    since: Option<Duration>,
    running: Option<Delivery>,
    failed: Option<Delivery>,
    /// What is due next is told as one: it waited for an application that is slow.
    gathers: bool,
    /// Grows when a delivery begins and when it ends. An application reads all its files whenever it is told of one, so what it
    /// acted on is certain only for changes since the last delivery.
    epoch: u64,
    numbers: u64,
}

impl JobQueue {
    /// An empty queue.
    pub fn new(batching: Batching) -> Self {
        Self { batching, ..Self::default() }
    }

    /// Everything is told so much later.
    pub(crate) fn spread_by(&mut self, spread: Spread) {
        self.spread = spread;
    }

    /// Notes that a former process changed some of these files, nobody knows which, and told nobody.
    /// They go with the first job, which then is not an initial one, or by themselves when there is none. Each comes with its owner.
    pub(crate) fn owe(&mut self, paths: impl IntoIterator<Item = (String, Arc<ObjectKey>)>) {
        self.draw();
        let owed = self.owed.get_or_insert_default();
        owed.paths.extend(paths.into_iter().map(|(path, owner)| (Arc::from(path), owner)));
    }

    /// The application is to be told of these files once, whatever changed, and of the whole initial pass with them.
    pub(crate) fn owe_all(&mut self, paths: impl IntoIterator<Item = (String, Arc<ObjectKey>)>, now: Duration) {
        self.owe(paths);
        self.owed.iter_mut().for_each(|owed| owed.all_since = Some(now));
    }

    /// An earlier process had all files there, and the application may have begun with those: no job is an initial one.
    pub(crate) fn continues(&mut self) {
        self.continues = true;
    }

    /// Notes a change. All changes of a list come before [`Self::flush`] of its source, those of the initial pass before [`Self::ready`].
    pub fn changed(&mut self, changed: Changed<'_>, key: BatchKey, now: Duration) {
        if same(changed.before, changed.after) {
            return;
        }
        let late = self.downloading.get(changed.owner).copied().flatten();
        let open = late.is_none() && matches!(key, BatchKey::List(_));
        let key = late.map_or(key, BatchKey::List);
        // An application that waited for the files to be there has not seen what came after that.
        let initial = matches!(key, BatchKey::List(source) if self.is_initial(source));
        if let Some(number) = self.by_path.get(changed.path).copied() {
            return self.changed_again(number, changed, initial, now);
        }
        let path: Arc<str> = changed.path.into();
        let number = self.job(key, open, now);
        if let Some(job) = self.jobs.get_mut(&number) {
            job.initial &= initial;
            job.last = now;
            job.paths.insert(path.clone(), Entry { acted: changed.before, change: changed.change(), epoch: self.epoch });
            self.by_path.insert(path, number);
        }
    }

    /// A path that waits already stays in its job, whatever changed it now.
    fn changed_again(&mut self, number: u64, changed: Changed<'_>, initial: bool, now: Duration) {
        let certain = self.running.is_none();
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let Some(entry) = job.paths.get_mut(changed.path) else { return };
        if certain && entry.epoch == self.epoch && same(entry.acted, changed.after) {
            job.paths.remove(changed.path);
            self.by_path.remove(changed.path);
            if job.paths.is_empty() {
                self.take(number);
            }
            give_back(&mut self.by_path);
            return;
        }
        entry.change = changed.change();
        job.last = now;
        job.initial &= initial;
    }

    /// The number of the job that has the changes of this key.
    fn job(&mut self, key: BatchKey, open: bool, now: Duration) -> u64 {
        let (key, open) = match self.batching {
            Batching::Each => (Some(key), open),
            Batching::Window(_) => (None, false),
        };
        if let Some(known) = self.by_key.get(&key) {
            return *known;
        }
        self.draw();
        self.numbers += 1;
        self.by_key.insert(key.clone(), self.numbers);
        self.jobs.insert(self.numbers, WaitingBatch { key, initial: true, open, first: now, last: now, paths: BTreeMap::new() });
        self.numbers
    }

    /// Notes that something happened that is no change of files: it is told after this delay, counted from the last time that it
    /// happened, and at the latest after ten times the delay. What is due together is told as one. Returns its number: see
    /// [`Self::told`].
    pub(crate) fn happened(&mut self, cause: Cause, name: &str, delay: Duration, now: Duration) -> u64 {
        self.times += 1;
        if !self.happened.iter().any(|happening| happening.cause == cause) {
            self.happened.push(Happening::new(cause, self.spread.draw(), now));
        }
        let waiting = self.happened.iter_mut().filter(|happening| happening.cause == cause);
        waiting.for_each(|happening| happening.happened(self.times, name, delay, now));
        self.times
    }

    /// Everybody who heeds this cause was told of what happened of it, as far as that is being delivered. Whether there was anything.
    pub(crate) fn heard(&mut self, cause: Cause) -> bool {
        let number = self.running.as_mut().and_then(|running| running.happened.remove(&cause));
        self.told.extend(number.map(|number| (cause, number)));
        number.is_some()
    }

    /// Up to which number what happened of this cause was told.
    pub(crate) fn told(&self, cause: Cause) -> u64 {
        self.told.get(&cause).copied().unwrap_or_default()
    }

    /// The list of a source is complete, and so is the job of its changes.
    pub(crate) fn flush(&mut self, source: SourceId) {
        self.listed.insert(source);
        let number = self.by_key.get(&Some(BatchKey::List(source)));
        if let Some(job) = number.and_then(|number| self.jobs.get_mut(number)) {
            job.open = false;
        }
    }

    /// The files are there: from now on jobs are delivered. Every source has been listed by now, or never will be.
    pub fn ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.jobs.values_mut().for_each(|job| job.open = false);
        }
    }

    /// Nothing more comes: no list, no download and no window is waited for any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.ready();
    }

    /// Notes that an object of a source has downloads under way, before the changes of that commit. What is told of it waits for them:
    /// in a window at most until that must end. Those that begin in the initial pass belong to it, and it waits for all of them.
    pub(crate) fn downloading(&mut self, object: &Arc<ObjectKey>, source: Option<SourceId>) {
        let initial = source.filter(|source| self.is_initial(*source));
        self.downloading.entry(object.clone()).or_insert(initial);
    }

    /// Notes that an object has no more downloads under way, after the changes of that commit.
    pub(crate) fn downloaded(&mut self, object: &Arc<ObjectKey>) {
        self.downloading.remove(object);
        give_back(&mut self.downloading);
    }

    /// Whether what a source tells now belongs to the initial pass.
    fn is_initial(&self, source: SourceId) -> bool {
        !self.ready || !self.listed.contains(&source)
    }

    fn take(&mut self, number: u64) -> Option<WaitingBatch> {
        let job = self.jobs.remove(&number)?;
        self.by_key.remove(&job.key);
        for path in job.paths.keys() {
            self.by_path.remove(path);
        }
        give_back(&mut self.by_key);
        give_back(&mut self.by_path);
        Some(job)
    }

    /// Whether the application knows the newest state of every file.
    pub fn is_idle(&self) -> bool {
        let told = |delivery: &Option<Delivery>| delivery.as_ref().is_none_or(|delivery| !delivery.files);
        self.jobs.is_empty() && self.owed.is_none() && told(&self.running) && told(&self.failed)
    }
}

/// Whether two contents are known to be the same: what nobody has read equals nothing, not even itself.
fn same(left: Option<Digest>, right: Option<Digest>) -> bool {
    left == right && left != Some(Digest::UNREAD)
}

#[cfg(test)]
mod tests;
