//! Drives the reactions: one task takes jobs from the queue and fires each reaction in order, again and again until it worked, when
//! [`crate::core::tell::pace`] says so.
//!
//! It never blocks the engine. The wiring starts it, hands every [`Outcome`] over, and lets the engine note when everything is told:
//!
//! ```ignore
//! let roots = settings.rules.roots.clone();
//! let setup = Setup { batching: config.batching, triggers: Triggers::Events, roots, wall: runner::wall(), health, herald };
//! let runner = runner::start(vec![Box::new(script), Box::new(request)], setup);
//! // After Engine::open, with Settings { reacts: true, .. }:
//! if start.owed { runner.inherit(start.debt); runner.owe(engine.store().paths().filter_map(|(path, entry)| Some((roots.show(path.as_str()), entry.owner.clone()?)))); }
//! if start.continues { runner.continues(); }
//! // After each commit, between those who begin and those who end to wait for downloads (runner.waiting):
//! runner.tell(&outcome);
//! // In the engine's select!: going = runner.settled_or_ended() => Input::Told if it goes on; then, and after each commit:
//! if runner.is_idle() && engine.owes_reaction() { engine.reacted() } else { engine.note_debt(runner.debt()) }    // on the disk thread
//! // Whoever watches pods: runner.occasions().happened(Cause::Pods, "Pod/shop/a", delay).
//! // METHOD=LIST, at its end: a failure unless runner.drain().await; at a stop: runner.stop(grace).await; then as above.
//! ```

pub(crate) mod occasions;
mod task;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
use crate::core::tell::cause::Cause;
use crate::core::tell::queue::{Changed, Queue, Trigger};
use crate::engine::outcome::{Difference, Outcome};
use crate::health::{Health, Owed};
use crate::tell::Reaction;
use crate::tell::herald::Herald;
use crate::tell::runner::task::Task;

/// The time since 1970, as [`Setup::wall`] wants it.
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// What the runner follows.
pub(crate) struct Setup {
    /// How often reactions run.
    pub(crate) batching: Batching,
    /// What a change belongs to.
    pub(crate) triggers: Triggers,
    /// The first source of the same kind and namespace, for each source: their lists are told as one.
    pub(crate) groups: Vec<SourceId>,
    /// Shows paths.
    pub(crate) roots: Roots,
    /// The time since 1970 when it starts.
    pub(crate) wall: Duration,
    /// Is told which reactions fail.
    pub(crate) health: Option<Health>,
    /// Tells of them on our own pod, where there is one.
    pub(crate) herald: Option<Herald>,
}

/// What a change belongs to after the initial pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Triggers {
    /// To its object: METHOD=WATCH.
    Events,
    /// To the list that brought it: METHOD=SLEEP, METHOD=LIST.
    Lists,
}

/// What became of one reaction, for /metrics.
#[derive(Default, Debug)]
pub(crate) struct Figures {
    /// Attempts.
    pub(crate) fired_total: AtomicU64,
    /// Attempts that failed.
    pub(crate) failed_total: AtomicU64,
    /// Attempts that followed a failed one.
    pub(crate) retried_total: AtomicU64,
    /// Files that it is still to be told of, of the delivery in hand.
    pub(crate) owed: AtomicU64,
}

/// The runner's handle. Dropping it ends the runner.
pub(crate) struct Runner {
    shared: Arc<Shared>,
    setup: Setup,
    /// Reactions that are told of files.
    of_files: Vec<&'static str>,
    /// Whether the queue knows that the files are there.
    ready: AtomicBool,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    /// A mutex, because the queue is the mailbox between engine loop and runner: a channel in front of it would have to merge too,
    /// or be without bound. It is held for bookkeeping only.
    state: Mutex<State>,
    /// Something was put into the queue.
    put: Notify,
    /// The queue became idle, or the bounds of retries are reached.
    settled: Notify,
    /// Something was told that is no change of files: for whoever follows that.
    delivered: Notify,
    figures: Vec<Figures>,
    started: Instant,
    /// The time since 1970 when it was started.
    wall: Duration,
}

struct State {
    queue: Queue,
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
pub(crate) fn start(reactions: Vec<Box<dyn Reaction>>, mut setup: Setup) -> Runner {
    let figures = reactions.iter().map(|_| Figures::default()).collect();
    let of_files = reactions.iter().filter(|reaction| reaction.heeds(Cause::Files)).map(|reaction| reaction.name()).collect();
    let queue = Queue::new(setup.batching);
    let state =
        Mutex::new(State { queue, listed: BTreeSet::new(), exhausted: false, inherited: None, debt: Debt::default(), under_way: None });
    let (started, wall) = (Instant::now(), setup.wall);
    let shared = Arc::new(Shared { state, put: Notify::new(), settled: Notify::new(), delivered: Notify::new(), figures, started, wall });
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(Task::new(shared.clone(), reactions, stopped, (setup.health.clone(), setup.herald.take())).run().boxed());
    Runner { shared, setup, of_files, ready: AtomicBool::new(false), stop, task }
}

impl Runner {
    /// Takes what a commit changed, and how far the lists came. Never waits.
    pub(crate) fn tell(&self, outcome: &Outcome) {
        let ready = outcome.ready && !self.ready.swap(true, Ordering::Relaxed);
        if outcome.differences.is_empty() && outcome.listed.is_empty() && !ready {
            return;
        }
        let now = self.shared.now();
        let mut state = self.shared.state();
        for difference in &outcome.differences {
            let path = self.setup.roots.show(difference.path.as_str());
            let Difference { object, before, after, .. } = difference;
            state.queue.changed(Changed { path: &path, owner: object, before: *before, after: *after }, self.trigger(difference), now);
        }
        outcome.listed.iter().for_each(|source| self.listed(*source, &mut state));
        if ready {
            state.queue.ready();
        }
        drop(state);
        self.shared.put.notify_one();
    }

    /// A source was listed: when all of its group were, what that brought is told.
    fn listed(&self, source: SourceId, state: &mut State) {
        let group = self.group(source);
        let numbered = (0..).map(SourceId).zip(&self.setup.groups);
        let members: BTreeSet<SourceId> = numbered.filter(|(_, of)| **of == group).map(|(id, _)| id).collect();
        state.listed.insert(source);
        if members.is_subset(&state.listed) {
            state.listed.retain(|listed| !members.contains(listed));
            state.queue.flush(group);
        }
    }

    fn group(&self, source: SourceId) -> SourceId {
        self.setup.groups.get(usize::from(source.0)).copied().unwrap_or(source)
    }

    fn trigger(&self, difference: &Difference) -> Trigger {
        match difference.source {
            Some(source) if difference.initial || self.setup.triggers == Triggers::Lists => Trigger::Batch(self.group(source)),
            // Files of an object that nobody lists any more go with the first list.
            None if difference.initial => Trigger::Batch(SourceId(0)),
            _ => Trigger::Object(difference.object.clone()),
        }
    }

    /// Notes that a former process may have changed these files and told nobody. Health tells so until the first attempt does.
    pub(crate) fn owe(&self, paths: impl IntoIterator<Item = (String, Arc<ObjectKey>)>) {
        let paths: Vec<_> = paths.into_iter().collect();
        if let Some(health) = &self.setup.health {
            let since = match self.debt().since {
                0 => self.shared.started,
                since => self.shared.past(Duration::from_secs(since)),
            };
            let owed = |reaction: &&'static str| Owed { reaction, files: paths.len(), since, attempts: 0, why: FORMER.to_owned() };
            health.set_owed(self.of_files.iter().map(owed).collect());
        }
        self.shared.put(|queue| queue.owe(paths));
    }

    /// Takes what a former process knew of attempts; before [`Self::owe`].
    pub(crate) fn inherit(&self, debt: Debt) {
        let mut state = self.shared.state();
        state.debt = debt.clone();
        state.inherited = Some(debt);
    }

    /// What a next process has to know of attempts, while the application is owed anything.
    pub(crate) fn debt(&self) -> Debt {
        self.shared.state().debt.clone()
    }

    /// Notes whether an object has downloads under way: see [`Queue::waiting`].
    pub(crate) fn waiting(&self, object: &Arc<ObjectKey>, source: Option<SourceId>, downloads: bool) {
        let group = source.map(|source| self.group(source));
        self.shared.put(|queue| queue.waiting(object, group, downloads));
    }

    /// Whether the application was told of every change of its files.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.state().queue.is_idle()
    }

    /// Waits until it may have been told of everything: look at [`Self::is_idle`] then. For one waiter. False when the task ended
    /// although nobody asked it to.
    ///
    /// # Cancel safety
    /// Yes, until it was false.
    pub(crate) async fn settled_or_ended(&mut self) -> bool {
        tokio::select! {
            () = self.shared.settled.notified() => true,
            _ = &mut self.task => false,
        }
    }

    /// Resolves when the task ended although nobody asked it to. No more may be asked of it then.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn ended(&mut self) {
        // Whatever it ended by.
        let _ = (&mut self.task).await;
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

    /// Figures of each reaction, in order.
    #[cfg(test)]
    pub(crate) fn figures(&self) -> &[Figures] {
        &self.shared.figures
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
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

    fn put(&self, put: impl FnOnce(&mut Queue)) {
        put(&mut self.state().queue);
        self.put.notify_one();
    }
}

#[cfg(test)]
mod tests;
