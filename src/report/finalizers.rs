//! Keeps our finalizer on the objects that have files, and takes it off the others.
//!
//! State, not events: the latest task per object counts, so this may be slow, retried or refused without harm to the
//! files. Owns all finalizer patches of a running projector; never decides which object is wanted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::api::ApiServer;
use crate::core::backoff::{Backoff, random};
use crate::core::object::finalizers::{FinalizerTask, FinalizerVerb, Finalizers};
use crate::core::object::uid::uid_text;
use crate::core::object::{Kind, ObjectKey};
use crate::core::schedule::Schedule;
use crate::report::events::{EventReport, EventSender};
use crate::report::inbox::Inbox;
use crate::report::patch::{Aim, FinalizerSelector};
use crate::report::reason;
use crate::report::refusals::{LEFT_ALONE, Refusals};
use crate::report::settle::{Setback, Settled, settle};

/// Requests under way at once.
const CONCURRENCY: usize = 8;
/// Pauses after failures of any other sort.
const BACKOFF: Backoff = Backoff::up_to(Duration::from_secs(60));

/// Takes tasks from anywhere; never waits.
pub(crate) type FinalizerSender = Arc<Inbox>;

/// What does the tasks.
pub(crate) struct FinalizerWriter {
    api: ApiServer,
    ours: Arc<Finalizers>,
    which: Arc<FinalizerSelector>,
    events: Option<EventSender>,
    inbox: Arc<Inbox>,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Keys under way, and whether each is a release.
    busy: HashMap<ObjectKey, bool>,
    /// Tasks that came for keys under way.
    blocked: HashMap<ObjectKey, FinalizerTask>,
    /// Tasks that wait for a time of their own.
    later: Schedule<ObjectKey, FinalizerTask, Instant>,
    /// Where we may not patch.
    forbidden: Refusals<(Kind, Arc<str>)>,
    outages: u32,
    paused_until: Option<Instant>,
}

/// A writer and the way to send it tasks. Released objects are reported to `events`.
pub(crate) fn writer(api: ApiServer, ours: Finalizers, events: Option<EventSender>) -> (FinalizerSender, FinalizerWriter) {
    let inbox = Arc::new(Inbox::default());
    let writer = FinalizerWriter {
        api,
        which: Arc::new(FinalizerSelector::from(&ours)),
        ours: Arc::new(ours),
        events,
        inbox: Arc::clone(&inbox),
        under_way: FuturesUnordered::new(),
        busy: HashMap::new(),
        blocked: HashMap::new(),
        later: Schedule::default(),
        forbidden: Refusals::default(),
        outages: 0,
        paused_until: None,
    };
    (inbox, writer)
}

impl FinalizerWriter {
    /// Does tasks for ever.
    ///
    /// # Cancel safety
    /// Cancel safe: all state is in the writer, and [`FinalizerWriter::drain`] goes on from there.
    pub(crate) async fn run(&mut self) {
        loop {
            let wake = self.launch(Instant::now());
            tokio::select! {
                Some(done) = self.under_way.next() => self.finish(done, Instant::now()),
                () = self.inbox.changed() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    /// Releases what is still to be released, objects that are being deleted first, one try each, within `limit`.
    /// Nothing is guarded any more. Returns how many releases are left to the next start.
    pub(crate) async fn drain(&mut self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        let mut releases = self.leftovers();
        loop {
            while self.under_way.len() < CONCURRENCY
                && let Some((key, task)) = releases.pop_front()
            {
                self.begin(key, task);
            }
            let left = releases.len() + self.busy.values().filter(|&&release| release).count();
            if left == 0 {
                return 0;
            }
            tokio::select! {
                Some(done) = self.under_way.next() => {
                    self.busy.remove(&done.key);
                    if let Ok(settled) = done.result {
                        self.report(&done.key, &done.task, settled);
                    }
                }
                () = sleep_until(deadline) => return left,
            }
        }
    }

    /// All releases that wait for whatever reason, without those under way; tasks of any other sort are forgotten.
    fn leftovers(&mut self) -> VecDeque<(ObjectKey, FinalizerTask)> {
        let later = std::mem::take(&mut self.later);
        let mut tasks: HashMap<ObjectKey, FinalizerTask> = later.iter().map(|(key, task)| (key.clone(), task.clone())).collect();
        tasks.extend(std::mem::take(&mut self.blocked));
        tasks.extend(std::iter::from_fn(|| self.inbox.take()));
        tasks.retain(|key, task| task.is_release() && self.busy.get(key) != Some(&true));
        let mut releases: Vec<(ObjectKey, FinalizerTask)> = tasks.into_iter().collect();
        releases.sort_by_key(|(_, task)| task.verb != FinalizerVerb::ReleaseTerminating);
        releases.into()
    }

    /// Starts what may start now; says when to look again at the latest.
    fn launch(&mut self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.paused_until.filter(|&until| until > now) {
            return Some(until);
        }
        self.forbidden.forget(now);
        let due: Vec<ObjectKey> = self.later.due(now).cloned().collect();
        for key in due {
            if let Some(task) = self.later.remove(&key) {
                self.inbox.put_back(key, task);
            }
        }
        while self.under_way.len() < CONCURRENCY
            && let Some((key, task)) = self.inbox.take()
        {
            // What waits since before is older than what the inbox holds.
            self.later.remove(&key);
            let scope = (key.kind, key.namespace.clone());
            if self.busy.contains_key(&key) {
                self.blocked.insert(key, task);
            } else if let Some(until) = self.forbidden.until(&scope, now).filter(|_| task.verb != FinalizerVerb::Forget) {
                self.later.set(key, until, task);
            } else {
                self.begin(key, task);
            }
        }
        self.later.next().into_iter().chain(self.forbidden.next()).min()
    }

    fn begin(&mut self, key: ObjectKey, task: FinalizerTask) {
        if task.verb == FinalizerVerb::Forget {
            return;
        }
        self.busy.insert(key.clone(), task.is_release());
        let (api, ours, which) = (self.api.clone(), Arc::clone(&self.ours), Arc::clone(&self.which));
        self.under_way.push(Box::pin(async move {
            let aim = if task.is_release() { Aim::Release(&which) } else { Aim::Guard(&ours) };
            let result = settle(&api, &key, task.seen.clone(), aim).await;
            Done { key, task, result }
        }));
    }

    fn finish(&mut self, done: Done, now: Instant) {
        let Done { key, mut task, result } = done;
        self.busy.remove(&key);
        let newer = self.blocked.remove(&key);
        // There is a newer task: this one is not tried again.
        let is_over = newer.is_some();
        let newer = newer.and_then(|newer| self.still_to_do(newer, &task, &result));
        let again = match result {
            Ok(settled) => {
                self.outages = 0;
                if settled == Settled::Changed && self.forbidden.lift(&(key.kind, key.namespace.clone())) {
                    info!(resource = key.kind.plural(), namespace = %key.namespace, "finalizers can be patched now");
                }
                self.report(&key, &task, settled);
                None
            }
            Err(Setback { verb, failure }) if failure.code() == Some(403) => {
                self.refuse(verb, &key, now);
                Some(now + LEFT_ALONE)
            }
            Err(Setback { failure, .. }) => {
                let failures = if failure.is_outage() { &mut self.outages } else { &mut task.failures };
                *failures = failures.saturating_add(1);
                let pause = BACKOFF.spread_after(*failures, random());
                let pause = failure.retry_after().filter(|_| failure.is_outage()).unwrap_or(pause);
                debug!(object = %key, %failure, ?pause, "finalizer patch failed, trying again");
                // An outage is everybody's: what waits for its end goes on with the others, whoever of them was told of it last.
                let is_outage = failure.is_outage();
                self.paused_until = if is_outage { Some(now + pause) } else { self.paused_until };
                Some(if is_outage { now } else { now + pause })
            }
        };
        match (newer, again) {
            (Some(newer), _) => self.inbox.put_back(key, newer),
            (None, Some(at)) if !is_over => self.later.set(key, at, task),
            (None, _) => {}
        }
    }

    /// What a task that came during a patch comes to, now that the patch has ended. An object that is gone for us may only have left
    /// the selector: it must not keep the finalizer that it was just given.
    fn still_to_do(&self, newer: FinalizerTask, done: &FinalizerTask, result: &Result<Settled, Setback>) -> Option<FinalizerTask> {
        if newer.verb != FinalizerVerb::Forget {
            return Some(newer);
        }
        let may_be_guarded = match result {
            Ok(settled) => *settled == Settled::Changed,
            Err(Setback { failure, .. }) => failure.is_outage(),
        };
        (done.verb == FinalizerVerb::Guard && may_be_guarded)
            .then(|| FinalizerTask::release(done.seen.uid, vec![self.ours.name.clone()], false))
    }

    /// One warning per process: the files are what matters, and they work.
    fn refuse(&mut self, verb: &str, key: &ObjectKey, now: Instant) {
        if self.forbidden.note((key.kind, key.namespace.clone()), now) {
            warn!(
                verb, resource = key.kind.plural(), namespace = %key.namespace,
                "may not set finalizers: grant the verb or set FINALIZERS=false; files are kept up to date all the same"
            );
        }
    }

    fn report(&self, key: &ObjectKey, task: &FinalizerTask, settled: Settled) {
        match (task.verb, settled) {
            (FinalizerVerb::Guard, Settled::Changed) => debug!(object = %key, "finalizer added"),
            (FinalizerVerb::Release | FinalizerVerb::ReleaseTerminating, Settled::Changed) => {
                info!(object = %key, finalizer = %self.ours.name, "finalizer removed");
                if let Some(events) = &self.events {
                    let note = format!("finalizer {} removed", self.ours.name);
                    events.send(EventReport::new(key.clone(), uid_text(task.seen.uid), &reason::FINALIZER_RELEASED, note));
                }
            }
            (FinalizerVerb::Forget, _) | (_, Settled::Unchanged | Settled::Gone) => {}
        }
    }
}

struct Done {
    key: ObjectKey,
    task: FinalizerTask,
    result: Result<Settled, Setback>,
}

#[cfg(test)]
#[path = "finalizers_tests.rs"]
mod tests;
