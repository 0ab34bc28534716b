//! Drives the reactions: one task takes jobs from the queue and fires each reaction in order, again and again until it worked, when
//! [`crate::core::tell::pace`] says so.
//!
//! It never blocks the engine. Whoever keeps the ledger hands [`Runner::inherit`] what a former process left, then [`Runner::tell`] each
//! commit, and notes [`Runner::owed`] whenever [`Runner::settled_or_ended`] says that there may be something to note.

pub(crate) mod occasions;
mod task;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::core::debt::Debt;
use crate::core::object::{ObjectKey, SourceId};
use crate::core::path::Roots;
use crate::core::policy::Batching;
use crate::core::spread::Spread;
use crate::core::tell::cause::Cause;
use crate::core::tell::difference::Difference;
use crate::core::tell::pace::{FaultKind, Followup};
use crate::core::tell::queue::{BatchKey, Changed, JobQueue};
use crate::health::{Health, Owed};
use crate::metrics::Metrics;
use crate::tell::Reaction;
use crate::tell::herald::Herald;
use crate::tell::runner::task::{Observers, Task};

/// The time since 1970, as [`Setup::wall`] wants it.
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// What the runner follows.
pub(crate) struct Setup {
    /// How often reactions run.
    pub(crate) batching: Batching,
    /// What a change belongs to.
    pub(crate) grouping: Grouping,
    /// The first source of the same kind and namespace, for each source: their lists are told as one.
    pub(crate) groups: Vec<SourceId>,
    /// Shows paths.
    pub(crate) roots: Roots,
    /// How much later everything is told.
    pub(crate) spread: Spread,
    /// The time since 1970 when it starts.
    pub(crate) wall: Duration,
    /// Is told which reactions fail.
    pub(crate) health: Option<Health>,
    /// Counts attempts.
    pub(crate) metrics: Metrics,
    /// Tells of them on our own pod, where there is one.
    pub(crate) herald: Option<Herald>,
    /// Is told how each attempt goes.
    pub(crate) witness: Option<Witness>,
}

/// Whoever looks on. It must not wait.
pub(crate) type Witness = Box<dyn Fn(&Telling<'_>) + Send>;

/// How it goes with telling the application in one way.
#[derive(Clone, Copy)]
pub(crate) struct Telling<'a> {
    /// Which way.
    pub(crate) reaction: &'static str,
    /// Files that it is about, in order.
    pub(crate) paths: &'a [String],
    /// Attempts so far.
    pub(crate) attempts: u64,
    /// How it goes.
    pub(crate) state: TellingState,
}

/// See [`Telling`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TellingState {
    /// An attempt is under way.
    Begins,
    /// The application has found out by itself.
    Knows,
    /// An attempt ended: what was wrong, if anything was, and what follows.
    Ended(Option<FaultKind>, Followup),
}

/// What a change belongs to after the initial pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grouping {
    /// To its object: METHOD=WATCH.
    ByObject,
    /// To the list that brought it: METHOD=SLEEP, METHOD=LIST.
    ByList,
}

/// What a commit brought.
#[derive(Default)]
pub(crate) struct Commit<'a> {
    /// Objects that have downloads under way, and the source that lists each: what is told of them waits for that.
    pub(crate) downloading: Vec<(&'a Arc<ObjectKey>, Option<SourceId>)>,
    /// Files that changed.
    pub(crate) differences: &'a [Difference],
    /// Sources that a complete list came to its end of.
    pub(crate) listed: &'a [SourceId],
    /// Objects that have no more downloads under way.
    pub(crate) downloaded: Vec<&'a Arc<ObjectKey>>,
    /// Whether all files are there, as they were not before.
    pub(crate) is_ready: bool,
}

/// The runner's handle. Dropping it ends the runner.
pub(crate) struct Runner {
    shared: Arc<RunnerShared>,
    grouping: Grouping,
    groups: Vec<SourceId>,
    roots: Roots,
    health: Option<Health>,
    /// Reactions that are told of files.
    of_files: Vec<&'static str>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct RunnerShared {
    /// A mutex, because the queue is the mailbox between engine loop and runner: a channel in front of it would have to merge too,
    /// or be without bound. It is held for bookkeeping only.
    state: Mutex<RunnerState>,
    /// Something was put into the queue.
    put: Notify,
    /// The queue became idle, or the bounds of retries are reached.
    settled: Notify,
    /// Something was told that is no change of files: for whoever follows that.
    delivered: Notify,
    started: Instant,
    /// The time since 1970 when it was started.
    wall: Duration,
}

struct RunnerState {
    queue: JobQueue,
    /// Sources that were listed since their group was last told.
    listed: BTreeSet<SourceId>,
    /// The bounds of retries are reached: only news or the slow pace lead to another attempt.
    exhausted: bool,
    /// What a former process knew of attempts.
    inherited: Option<Debt>,
    /// What a next one has to know.
    debt: Debt,
    /// The same if we end before the attempt does that is under way.
    under_way: Option<Debt>,
}

/// Why a reaction is owed that this process has not tried yet.
const FORMER: &str = "a former process did not tell it, it waits for its turn";

/// Starts the runner.
pub(crate) fn start(reactions: Vec<Box<dyn Reaction>>, setup: Setup) -> Runner {
    let Setup { batching, grouping, groups, roots, spread, wall, health, metrics, herald, witness } = setup;
    let of_files = reactions.iter().filter(|reaction| reaction.heeds(Cause::Files)).map(|reaction| reaction.name()).collect();
    let mut queue = JobQueue::new(batching);
    queue.spread_by(spread);
    let state = RunnerState { queue, listed: BTreeSet::new(), exhausted: false, inherited: None, debt: Debt::default(), under_way: None };
    let (put, settled, delivered) = (Notify::new(), Notify::new(), Notify::new());
    let shared = Arc::new(RunnerShared { state: Mutex::new(state), put, settled, delivered, started: Instant::now(), wall });
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(
        Task::new(shared.clone(), reactions, stopped, Observers { health: health.clone(), metrics, herald, witness }).run().boxed(),
    );
    Runner { shared, grouping, groups, roots, health, of_files, stop, task }
}

impl Runner {
    /// Whether any reaction is told of files.
    pub(crate) const fn heeds_files(&self) -> bool {
        !self.of_files.is_empty()
    }

    /// Takes what a former process left untold, and knew of attempts: it may have changed these files, and told nobody. Health tells so
    /// until the first attempt does.
    pub(crate) fn inherit(&self, debt: Debt, paths: impl IntoIterator<Item = (String, Arc<ObjectKey>)>) {
        let paths: Vec<_> = paths.into_iter().collect();
        if let Some(health) = &self.health {
            let since = debt.since().map_or(self.shared.started, |since| self.shared.past(since));
            let owed = |reaction: &&'static str| Owed { reaction, files: paths.len(), since, attempts: 0, why: FORMER.to_owned() };
            health.set_owed(self.of_files.iter().map(owed).collect());
        }
        let mut state = self.shared.state();
        state.debt = debt.clone();
        state.inherited = Some(debt);
        state.queue.owe(paths);
        drop(state);
        self.shared.put.notify_one();
    }

    /// Takes what a commit brought. Never waits.
    pub(crate) fn tell(&self, commit: &Commit<'_>) {
        let Commit { downloading, differences, listed, downloaded, is_ready } = commit;
        if downloading.is_empty() && differences.is_empty() && listed.is_empty() && downloaded.is_empty() && !is_ready {
            return;
        }
        let now = self.shared.now();
        let mut state = self.shared.state();
        for (object, source) in downloading {
            state.queue.downloading(object, source.map(|source| self.group(source)));
        }
        for difference in *differences {
            let path = self.roots.show(difference.path.as_str());
            let Difference { object, before, after, .. } = difference;
            state.queue.changed(Changed { path: &path, owner: object, before: *before, after: *after }, self.key(difference), now);
        }
        listed.iter().for_each(|source| self.listed(*source, &mut state));
        downloaded.iter().for_each(|object| state.queue.downloaded(object));
        if *is_ready {
            state.queue.ready();
        }
        drop(state);
        self.shared.put.notify_one();
    }

    /// A source was listed: when all of its group were, what that brought is told.
    fn listed(&self, source: SourceId, state: &mut RunnerState) {
        let group = self.group(source);
        let numbered = (0..).map(SourceId).zip(&self.groups);
        let members: BTreeSet<SourceId> = numbered.filter(|(_, of)| **of == group).map(|(id, _)| id).collect();
        state.listed.insert(source);
        if members.is_subset(&state.listed) {
            state.listed.retain(|listed| !members.contains(listed));
            state.queue.flush(group);
        }
    }

    fn group(&self, source: SourceId) -> SourceId {
        self.groups.get(usize::from(source.0)).copied().unwrap_or(source)
    }

    fn key(&self, difference: &Difference) -> BatchKey {
        match difference.source {
            Some(source) if difference.initial || self.grouping == Grouping::ByList => BatchKey::List(self.group(source)),
            // Files of an object that nobody lists any more go with the first list.
            None if difference.initial => BatchKey::List(SourceId(0)),
            _ => BatchKey::Object(difference.object.clone()),
        }
    }

    /// What a next process has to know of attempts; nothing if the application was told of every change of its files.
    pub(crate) fn owed(&self) -> Option<Debt> {
        let state = self.shared.state();
        (!state.queue.is_idle()).then(|| state.debt.clone())
    }

    /// Waits until there may be something else to note of [`Self::owed`]. For one waiter. False when the task ended although nobody
    /// asked it to: no more may be asked of it then.
    ///
    /// # Cancel safety
    /// Yes, until it was false.
    pub(crate) async fn settled_or_ended(&mut self) -> bool {
        tokio::select! {
            () = self.shared.settled.notified() => true,
            _ = &mut self.task => false,
        }
    }

    /// Tells everything that waits, without windows. Whether it was told; if not, the bounds of retries are reached.
    pub(crate) async fn drain(&mut self) -> bool {
        let now = self.shared.now();
        {
            let mut state = self.shared.state();
            state.queue.close();
            state.exhausted &= state.queue.news(now).is_none();
        }
        self.shared.put.notify_one();
        loop {
            {
                let state = self.shared.state();
                if state.queue.is_idle() {
                    return true;
                }
                if state.exhausted || self.task.is_finished() {
                    return false;
                }
            }
            if !self.settled_or_ended().await {
                return false;
            }
        }
    }

    /// Lets the reaction that runs end within `grace`; everything else stays owed.
    pub(crate) async fn stop(&mut self, grace: Duration) {
        let _ = self.stop.send(true);
        // One that ended before may have been joined.
        if !self.task.is_finished() && timeout(grace, &mut self.task).await.is_err() {
            tracing::warn!("stopped while a reaction runs");
            self.task.abort();
            let mut state = self.shared.state();
            if let Some(debt) = state.under_way.take() {
                state.debt = debt;
            }
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RunnerShared {
    fn state(&self) -> MutexGuard<'_, RunnerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time since 1970, by a clock that nobody sets.
    fn wall(&self) -> Duration {
        self.wall + self.now()
    }

    /// When that was; our start, where that cannot be told.
    fn past(&self, wall: Duration) -> Instant {
        Instant::now().checked_sub(self.wall().saturating_sub(wall)).unwrap_or(self.started)
    }

    fn instant(&self, wall: Duration) -> Instant {
        self.started + wall.saturating_sub(self.wall)
    }

    fn put(&self, put: impl FnOnce(&mut JobQueue)) {
        put(&mut self.state().queue);
        self.put.notify_one();
    }
}

#[cfg(test)]
mod tests;
