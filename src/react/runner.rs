//! Drives the reactions: one task takes jobs from the queue and fires each reaction in order, again and again until it worked.
//!
//! It never blocks the engine. The wiring starts it, hands every [`Outcome`] over, and lets the engine note when everything is told:
//!
//! ```ignore
//! let roots = settings.rules.roots.clone();
//! let setup = Setup { batching: config.batching, triggers: Triggers::Events, roots, pace: runner::PACE, health };
//! let runner = runner::start(vec![Box::new(script), Box::new(request)], setup);
//! // After Engine::open, with Settings { reacts: true, .. }:
//! if start.owed { runner.owe(engine.store().paths().filter(|(_, entry)| entry.owner.is_some()).map(|(path, _)| roots.show(path.as_str()))); }
//! // After each commit, between those who begin and those who end to wait for downloads (runner.waiting):
//! runner.tell(&outcome);
//! // In the engine's select!: () = runner.settled() => Input::Settled; then, and after each commit:
//! if runner.is_idle() && engine.owes_reaction() { engine.reacted() }     // on the disk thread
//! // Whoever watches pods: runner.occasions().happened(Cause::Pods, "Pod/shop/a", delay).
//! // METHOD=LIST, at its end: a failure unless runner.drain().await; at a stop: runner.stop(grace).await; then as above.
//! ```

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::core::cause::Cause;
use crate::core::object::{ObjectKey, SourceId};
use crate::core::path::Roots;
use crate::core::policy::Batching;
use crate::core::react::{Changed, Job, Next, Queue, Trigger};
use crate::core::retry::Attempts;
use crate::engine::outcome::{Difference, Outcome};
use crate::health::Health;
use crate::react::Reaction;
use crate::react::left::Left;

/// What could not be told within the bounds of retries is tried again this often.
pub const PACE: Duration = Duration::from_secs(300);

/// How often it is looked whether somebody who could not be told has found out by itself.
const LOOK: Duration = Duration::from_secs(5);

/// What the runner follows.
pub struct Setup {
    /// How often reactions run.
    pub batching: Batching,
    /// What a change belongs to.
    pub triggers: Triggers,
    /// The first source of the same kind and namespace, for each source: their lists are told as one.
    pub groups: Vec<SourceId>,
    /// Shows paths.
    pub roots: Roots,
    /// [`PACE`].
    pub pace: Duration,
    /// Is told which reactions fail.
    pub health: Option<Health>,
}

/// What a change belongs to after the initial pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Triggers {
    /// To its object: METHOD=WATCH.
    Events,
    /// To the list that brought it: METHOD=SLEEP, METHOD=LIST.
    Lists,
}

/// What became of one reaction, for /metrics.
#[derive(Default, Debug)]
pub struct Figures {
    /// What it is called.
    pub name: &'static str,
    /// Attempts.
    pub fired_total: AtomicU64,
    /// Attempts that failed.
    pub failed_total: AtomicU64,
    /// Attempts that followed a failed one.
    pub retried_total: AtomicU64,
    /// Files that it is still to be told of, of the delivery in hand.
    pub owed: AtomicU64,
}

/// The runner's handle. Dropping it ends the runner.
pub struct Runner {
    shared: Arc<Shared>,
    setup: Setup,
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
    figures: Vec<Figures>,
    started: Instant,
}

struct State {
    queue: Queue,
    /// Sources that were listed since their group was last told.
    listed: BTreeSet<SourceId>,
    /// The bounds of retries are reached: only news or the slow pace lead to another attempt.
    exhausted: bool,
}

/// Tells the runner what happened that is no change of files. Cheap to clone.
#[derive(Clone)]
pub struct Occasions(Arc<Shared>);

impl Occasions {
    /// Notes that something happened: see [`Queue::happened`]. Never waits.
    pub fn happened(&self, cause: Cause, name: &str, delay: Duration) {
        let now = self.0.now();
        self.0.put(|queue| queue.happened(cause, name, delay, now));
    }
}

/// Starts the runner.
pub fn start(reactions: Vec<Box<dyn Reaction>>, setup: Setup) -> Runner {
    let figures = reactions.iter().map(|reaction| Figures { name: reaction.name(), ..Figures::default() }).collect();
    let state = Mutex::new(State { queue: Queue::new(setup.batching), listed: BTreeSet::new(), exhausted: false });
    let shared = Arc::new(Shared { state, put: Notify::new(), settled: Notify::new(), figures, started: Instant::now() });
    let (stop, stopped) = watch::channel(false);
    let failing = reactions.iter().map(|_| None).collect();
    let health = setup.health.clone();
    let task = tokio::spawn(Task { shared: shared.clone(), reactions, stopped, pace: setup.pace, failing, health }.run().boxed());
    Runner { shared, setup, ready: AtomicBool::new(false), stop, task }
}

impl Runner {
    /// Takes what a commit changed, and how far the lists came. Never waits.
    pub fn tell(&self, outcome: &Outcome) {
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

    /// Notes that a former process may have changed these files and told nobody.
    pub fn owe(&self, paths: impl IntoIterator<Item = String>) {
        self.shared.put(|queue| queue.owe(paths));
    }

    /// Notes whether an object has downloads under way: see [`Queue::waiting`].
    pub fn waiting(&self, object: &Arc<ObjectKey>, source: Option<SourceId>, downloads: bool) {
        let group = source.map(|source| self.group(source));
        self.shared.put(|queue| queue.waiting(object, group, downloads));
    }

    /// There are no files to wait for: what happens is told.
    pub fn without_files(&self) {
        self.shared.put(Queue::ready);
    }

    /// Where to tell what happened otherwise.
    pub fn occasions(&self) -> Occasions {
        Occasions(self.shared.clone())
    }

    /// Whether the application was told of every change of its files.
    pub fn is_idle(&self) -> bool {
        self.shared.state().queue.is_idle()
    }

    /// Waits until it may have been told of everything: look at [`Self::is_idle`] then. For one waiter.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn settled(&self) {
        self.shared.settled.notified().await;
    }

    /// As [`Runner::settled`], and whether the task goes on: false when it ended although nobody asked it to.
    ///
    /// # Cancel safety
    /// Yes, until it was false.
    pub async fn settled_or_ended(&mut self) -> bool {
        tokio::select! {
            () = self.shared.settled.notified() => true,
            _ = &mut self.task => false,
        }
    }

    /// Resolves when the task ended although nobody asked it to. No more may be asked of it then.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn ended(&mut self) {
        // Whatever it ended by.
        let _ = (&mut self.task).await;
    }

    /// Tells everything that waits, without windows. Whether it was told; if not, the bounds of retries are reached.
    pub async fn drain(&mut self) -> bool {
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
    pub async fn stop(&mut self, grace: Duration) {
        let _ = self.stop.send(true);
        // One that ended before may have been joined.
        if !self.task.is_finished() && timeout(grace, &mut self.task).await.is_err() {
            tracing::warn!("stopped while a reaction runs");
            self.task.abort();
        }
    }

    /// Figures of each reaction, in order.
    pub fn figures(&self) -> &[Figures] {
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

    fn put(&self, put: impl FnOnce(&mut Queue)) {
        put(&mut self.state().queue);
        self.put.notify_one();
    }
}

struct Task {
    shared: Arc<Shared>,
    reactions: Vec<Box<dyn Reaction>>,
    stopped: watch::Receiver<bool>,
    pace: Duration,
    /// Why each reaction failed, until it works again. What is tried again within the bounds of retries has not failed.
    failing: Vec<Option<String>>,
    health: Option<Health>,
}

/// The runner was asked to stop.
struct Stopped;

impl Task {
    async fn run(mut self) {
        loop {
            let (next, idle) = {
                let mut state = self.shared.state();
                (state.queue.next(self.shared.now()), state.queue.is_idle())
            };
            let ended = match next {
                Next::Job(job) => self.deliver(job).await,
                Next::Wait(until) => {
                    if idle {
                        self.shared.settled.notify_one();
                    }
                    self.wait(until.map(|until| self.shared.started + until)).await
                }
            };
            if let Err(Stopped) = ended {
                return;
            }
        }
    }

    /// Waits for the time or for something new.
    async fn wait(&mut self, until: Option<Instant>) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stopped| *stopped) => Err(Stopped),
            () = self.shared.put.notified() => Ok(()),
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => Ok(()),
        }
    }

    /// Delivers a job, with everything that joins it while it fails.
    async fn deliver(&mut self, mut job: Job) -> Result<(), Stopped> {
        let mut left = Vec::new();
        loop {
            if !job.fresh.is_empty() {
                left = self.renewed(left, &job);
                self.reactions.iter_mut().filter(|reaction| heeds(reaction.as_ref(), &job)).for_each(|reaction| reaction.renew());
            }
            self.attempt(&mut left, &job).await?;
            if left.is_empty() {
                self.shared.state().queue.delivered();
                return Ok(());
            }
            self.shared.state().queue.failed();
            self.pause(&mut left).await?;
            let next = self.shared.state().queue.next(self.shared.now());
            match next {
                Next::Job(next) => job = next,
                // What failed is due at once: there is always a job.
                Next::Wait(_) => return Ok(()),
            }
        }
    }

    /// Everything there is to fire for a job that grew: each reaction that heeds what is new, and those that failed when their pause
    /// is over.
    fn renewed(&self, failed: Vec<Left>, job: &Job) -> Vec<Left> {
        let mut failed: Vec<Option<Left>> = failed.into_iter().map(Some).collect();
        let mut all = Vec::new();
        for at in 0..self.reactions.len() {
            let Some(reaction) = self.reactions.get(at) else { continue };
            let known = failed.iter_mut().find(|left| left.as_ref().is_some_and(|left| left.reaction == at)).and_then(Option::take);
            let new = || Left { reaction: at, attempts: Attempts::default(), tries: 0, due: Some(Instant::now()) };
            match known {
                Some(left) if left.due.is_some() || !heeds(reaction.as_ref(), job) => all.push(left),
                Some(_) => all.push(new()),
                None if heeds(reaction.as_ref(), job) => all.push(new()),
                None => {}
            }
        }
        all
    }

    /// Fires every reaction that is due, in order. Those that are to be fired again stay.
    async fn attempt(&mut self, left: &mut Vec<Left>, job: &Job) -> Result<(), Stopped> {
        let (mut again, paths, newest) = (Vec::new(), &job.paths, self.newest());
        for mut one in left.drain(..) {
            if self.reactions.get(one.reaction).is_some_and(|reaction| reaction.knows(newest)) {
                self.judged(one.reaction, None);
                continue;
            }
            if *self.stopped.borrow() {
                return Err(Stopped);
            }
            let (Some(reaction), Some(figures)) = (self.reactions.get_mut(one.reaction), self.shared.figures.get(one.reaction)) else {
                continue;
            };
            if one.due.is_none_or(|due| due > Instant::now()) {
                again.push(one);
                continue;
            }
            figures.owed.store(u64::try_from(paths.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
            figures.fired_total.fetch_add(1, Ordering::Relaxed);
            figures.retried_total.fetch_add(u64::from(one.tries > 0), Ordering::Relaxed);
            one.tries += 1;
            let fired = reaction.fire(paths).await;
            if fired.is_err() {
                figures.failed_total.fetch_add(1, Ordering::Relaxed);
            }
            let why = fired.as_ref().err().map(|fault| fault.why().to_owned());
            let stays = one.judge(fired, reaction.as_ref(), job);
            if !stays {
                figures.owed.store(0, Ordering::Relaxed);
            }
            if !stays || one.due.is_none() {
                self.judged(one.reaction, why);
            }
            if stays {
                again.push(one);
            }
        }
        *left = again;
        Ok(())
    }

    /// Notes that a reaction worked, or why it failed in the end.
    fn judged(&mut self, reaction: usize, why: Option<String>) {
        let (Some(failing), Some(reacts)) = (self.failing.get_mut(reaction), self.reactions.get(reaction)) else { return };
        *failing = why.map(|why| format!("{}: {why}", reacts.name()));
        if let Some(health) = &self.health {
            health.set_reload_failure(self.failing.iter().flatten().next().cloned());
        }
    }

    /// When there is more to tell than what failed.
    fn news(&self) -> Option<Instant> {
        self.shared.state().queue.news(self.shared.now()).map(|news| self.shared.started + news)
    }

    /// When the last of what is told changed.
    fn newest(&self) -> Instant {
        self.shared.started + self.shared.state().queue.newest()
    }

    /// Whether one of those that could not be told has found out by itself.
    fn one_knows(&self, left: &[Left]) -> bool {
        let newest = self.newest();
        left.iter().any(|left| self.reactions.get(left.reaction).is_some_and(|reaction| reaction.knows(newest)))
    }

    /// Waits until one of them is due; when the bounds are reached for all of them, for something new or the slow pace.
    async fn pause(&mut self, left: &mut [Left]) -> Result<(), Stopped> {
        if let Some(due) = left.iter().filter_map(|left| left.due).min() {
            loop {
                // What fails keeps its pause, but others are told of what is new.
                let until = self.news().map_or(due, |news| news.min(due));
                if until <= Instant::now() {
                    return Ok(());
                }
                self.wait(Some(until)).await?;
            }
        }
        let slow = Instant::now() + self.pace;
        loop {
            let news = self.news();
            self.shared.state().exhausted = news.is_none_or(|news| news > Instant::now());
            let until = news.map_or(slow, |news| news.min(slow));
            if until <= Instant::now() || self.one_knows(left) {
                break;
            }
            self.shared.settled.notify_one();
            self.wait(Some(until.min(Instant::now() + LOOK))).await?;
        }
        self.shared.state().exhausted = false;
        for left in left {
            (left.attempts, left.due) = (Attempts::default(), Some(Instant::now()));
        }
        Ok(())
    }
}

/// Whether what is new in a job is worth firing a reaction.
fn heeds(reaction: &dyn Reaction, job: &Job) -> bool {
    let skipped = |cause| cause == Cause::Files && job.initial && reaction.skips_initial();
    job.fresh.iter().any(|cause| reaction.heeds(*cause) && !skipped(*cause))
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
