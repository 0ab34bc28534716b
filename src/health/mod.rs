//! What the health endpoints answer from: every loop and every watch says here how it is, and by when it speaks again.
//!
//! Liveness speaks for this program, not for the API server: a loop fails only when it misses a deadline that it set itself.
//! Waiting for a disk or for input, and backing off within the deadline, count as advancing, so an outage of the API restarts
//! no pod. Holds no values of objects; error texts name things only.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # let _guard = runtime.enter();
//! use std::time::Duration;
//! use kube_projector::health::{Health, Readiness};
//!
//! let health = Health::new(None);
//! let beat = health.looped("engine");
//! beat.expect_within(Duration::from_secs(60));
//! health.set_readiness(Readiness::Ready);
//! assert!(health.report().is_alive());
//! # Ok::<(), std::io::Error>(())
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::core::object::Kind;
use crate::core::policy::OnReloadFailure;
use crate::health::overview::WatchTrouble;
use crate::health::report::{Report, WatchReport};

mod figures;
pub(crate) mod overview;
pub(crate) mod report;

/// The longest error text that is kept, in characters.
const LONGEST_ERROR: usize = 300;

/// Shared state that the health endpoints read. Written by the loops.
#[derive(Clone)]
pub struct Health {
    // One mutex, because loops write and the endpoint reads; held for a few assignments only.
    state: Arc<Mutex<HealthState>>,
}

struct HealthState {
    started: Instant,
    stale_after: Option<Duration>,
    readiness: Readiness,
    on_reload_failure: OnReloadFailure,
    owed: Vec<Owed>,
    dead_child: Option<DeadChild>,
    loops: Vec<LoopRow>,
    watches: Vec<WatchRow>,
    /// What is answered as it was said.
    report: Report,
}

struct LoopRow {
    name: &'static str,
    deadline: Option<Instant>,
}

struct WatchRow {
    name: WatchName,
    deadline: Option<Instant>,
    last_contact: Option<Instant>,
    last_bookmark: Option<Instant>,
    /// How often it broke off.
    restarts: u64,
    /// When it tries again.
    retry: Option<Instant>,
    /// What is wrong, and since when.
    trouble: Option<(WatchTrouble, Instant)>,
    /// Why single objects of it cannot be read, if they cannot.
    unread: Option<String>,
    /// What is answered of it, but for what follows from the time.
    report: WatchReport,
}

/// Whether consumers may rely on the files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Every source is listed or definitely refused, and every wanted file was attempted.
    Ready,
    /// What is waited for.
    Waiting(String),
}

/// A child that ended, and is to be started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DeadChild {
    /// Its exit code.
    pub(crate) code: u8,
    /// When it is started again.
    pub(crate) due: Instant,
}

/// What a watch looks at; neither part for a folder of manifests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WatchName {
    /// The kind, unless it is several.
    pub(crate) kind: Option<Kind>,
    /// The namespace, unless it is all.
    pub(crate) namespace: Option<String>,
    /// The name, if it is one object.
    pub(crate) name: Option<String>,
}

/// What a watch is doing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WatchState {
    /// Opening its first call.
    #[default]
    Connecting,
    /// Receiving a list.
    Listing,
    /// Waiting for changes.
    Watching,
    /// Waiting before it tries again.
    BackingOff,
    /// Told that it may not list; it goes on asking.
    Refused,
    /// Reading single objects.
    Reading,
}

/// What the application is still to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owed {
    /// Which reaction.
    pub(crate) reaction: &'static str,
    /// Of how many files.
    pub(crate) files: usize,
    /// Since when.
    pub(crate) since: Instant,
    /// Attempts of this process so far.
    pub(crate) attempts: u64,
    /// Why it was not told yet; the text must not hold values of objects.
    pub(crate) why: String,
}

/// What a watch counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counter {
    /// A list was begun anew.
    Relist,
    /// A call or a read failed.
    Error,
    /// A line of a watch was not understood.
    SkippedLine,
    /// A watch that was open broke off.
    Restart,
}

impl Health {
    /// Nothing registered, not ready. With `stale_after` a watch without contact for so long fails liveness.
    ///
    /// # Assumptions
    /// Called within a tokio runtime with time enabled.
    pub fn new(stale_after: Option<Duration>) -> Self {
        let state = HealthState {
            started: Instant::now(),
            stale_after,
            readiness: Readiness::Waiting("the first list".to_owned()),
            on_reload_failure: OnReloadFailure::Report,
            owed: Vec::new(),
            dead_child: None,
            loops: Vec::new(),
            watches: Vec::new(),
            report: Report::default(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Registers a watch: a row of the answer.
    pub(crate) fn watch(&self, name: WatchName) -> Contact {
        let mut state = self.lock();
        let report = WatchReport::of(&name);
        state.watches.push(WatchRow {
            name,
            deadline: None,
            last_contact: None,
            last_bookmark: None,
            restarts: 0,
            retry: None,
            trouble: None,
            unread: None,
            report,
        });
        Contact { health: self.clone(), row: state.watches.len() - 1 }
    }

    /// Registers a loop of ours, such as `engine`. Until it sets a deadline it counts as waiting.
    pub fn looped(&self, name: &'static str) -> Beat {
        let mut state = self.lock();
        state.loops.push(LoopRow { name, deadline: None });
        Beat { health: self.clone(), row: state.loops.len() - 1 }
    }

    /// Says whether `/readyz` answers 200. The engine never takes it back because of the API.
    pub fn set_readiness(&self, readiness: Readiness) {
        self.lock().readiness = readiness;
    }

    /// Says how many files are committed.
    pub(crate) fn set_files(&self, files: usize) {
        self.lock().report.files = files;
    }

    /// Says which paths cannot be written or removed now; names only.
    pub(crate) fn set_stuck(&self, stuck: Vec<String>) {
        self.lock().report.stuck = stuck;
    }

    /// Says what a reload that fails means: nothing but a reason in the answer, unless this is called.
    pub(crate) fn set_on_reload_failure(&self, policy: OnReloadFailure) {
        self.lock().on_reload_failure = policy;
    }

    /// Says why the application could not be told of a change, or that it was; the text must not hold values of objects.
    pub(crate) fn set_reload_failure(&self, why: Option<String>) {
        self.lock().report.reload_failure = why.map(shortened);
    }

    /// Says what the application is still to be told, whatever comes of it.
    pub(crate) fn set_owed(&self, mut owed: Vec<Owed>) {
        owed.iter_mut().for_each(|owed| owed.why = shortened(std::mem::take(&mut owed.why)));
        self.lock().owed = owed;
    }

    /// Says what the application was told and never answered; the text must not hold values of objects.
    pub(crate) fn set_unanswered(&self, what: Option<String>) {
        self.lock().report.unanswered = what.map(shortened);
    }

    /// Says that the child ended and when it is started again, or that it runs.
    pub(crate) fn set_dead_child(&self, dead: Option<DeadChild>) {
        self.lock().dead_child = dead;
    }

    /// From now on nothing has to advance: what there was to do is done, and only the end of the child is waited for.
    pub(crate) fn stopping(&self) {
        let mut state = self.lock();
        state.loops.iter_mut().for_each(|row| row.deadline = None);
        state.watches.iter_mut().for_each(|row| row.deadline = None);
        state.stale_after = None;
    }

    /// How everything is now.
    pub fn report(&self) -> Report {
        self.lock().report(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, HealthState> {
        // Every critical section is a few assignments: a poisoned state is still a valid one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watch's handle on its row.
#[derive(Clone)]
pub(crate) struct Contact {
    health: Health,
    row: usize,
}

impl Contact {
    /// Says what the watch does now.
    pub(crate) fn state(&self, state: WatchState) {
        self.change(|row| row.report.state = state);
    }

    /// Says that the other side spoke just now, whatever it said.
    pub(crate) fn contacted(&self) {
        let now = Instant::now();
        self.change(|row| row.last_contact = Some(now));
    }

    /// Says that a bookmark came just now: the watch lives, although there is nothing new.
    pub(crate) fn bookmarked(&self) {
        let now = Instant::now();
        self.change(|row| row.last_bookmark = Some(now));
    }

    /// Says that it is tried again after this.
    pub(crate) fn retry_in(&self, pause: Duration) {
        let due = Instant::now().checked_add(pause);
        self.change(|row| row.retry = due);
    }

    /// Counts one more.
    pub(crate) fn counted(&self, counter: Counter) {
        self.change(|row| {
            let count = match counter {
                Counter::Relist => &mut row.report.relists,
                Counter::Restart => &mut row.restarts,
                Counter::Error => &mut row.report.errors,
                Counter::SkippedLine => &mut row.report.skipped_lines,
            };
            *count = count.saturating_add(1);
        });
    }

    /// Sets how many lists were begun anew.
    pub(crate) fn relists(&self, relists: u64) {
        self.change(|row| row.report.relists = relists);
    }

    /// Notes the last error, and what it is in our own words; the text must not hold values of objects.
    pub(crate) fn error(&self, trouble: WatchTrouble, text: impl Into<String>) {
        let (text, now) = (shortened(text.into()), Instant::now());
        self.change(|row| {
            row.report.last_error = Some(text);
            let since = row.trouble.map_or(now, |(_, since)| since);
            row.trouble = Some((trouble, since));
        });
    }

    /// What went wrong is got over.
    pub(crate) fn recovered(&self) {
        self.change(|row| (row.report.last_error, row.trouble) = (None, None));
    }

    /// Says why single objects cannot be read, or that they can; the text must not hold values of objects.
    pub(crate) fn unread(&self, why: Option<String>) {
        self.change(|row| row.unread = why.map(shortened));
    }

    /// Says how many objects the watch gives.
    pub(crate) fn objects(&self, objects: usize) {
        self.change(|row| row.report.objects = objects);
    }

    /// Promises that this loop speaks again within `time`; liveness fails when it does not.
    pub(crate) fn expect_within(&self, time: Duration) {
        let deadline = Instant::now().checked_add(time);
        self.change(|row| row.deadline = deadline);
    }

    /// Waits for the disk or for the engine, with no deadline: counts as advancing.
    pub(crate) fn waiting(&self) {
        self.change(|row| row.deadline = None);
    }

    fn change(&self, change: impl FnOnce(&mut WatchRow)) {
        // Rows are never removed, so the row is there.
        if let Some(row) = self.health.lock().watches.get_mut(self.row) {
            change(row);
        }
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_ERROR) {
        text.truncate(end);
    }
    text
}

/// A loop's handle on its row.
#[derive(Clone)]
pub struct Beat {
    health: Health,
    row: usize,
}

impl Beat {
    /// Promises that this loop speaks again within `time`; liveness fails when it does not.
    pub fn expect_within(&self, time: Duration) {
        let deadline = Instant::now().checked_add(time);
        self.change(deadline);
    }

    /// Waits for the disk or for input, with no deadline: counts as advancing.
    pub(crate) fn waiting(&self) {
        self.change(None);
    }

    fn change(&self, deadline: Option<Instant>) {
        if let Some(row) = self.health.lock().loops.get_mut(self.row) {
            row.deadline = deadline;
        }
    }
}

impl std::fmt::Display for WatchName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.kind, &self.namespace) {
            (None, None) => f.write_str("source of manifests"),
            (None, Some(namespace)) => write!(f, "watch on namespace {namespace}"),
            (Some(kind), None) => write!(f, "watch on {}", kind.plural()),
            (Some(kind), Some(namespace)) => write!(f, "watch on {} in {namespace}", kind.plural()),
        }
    }
}

#[cfg(test)]
mod tests;
