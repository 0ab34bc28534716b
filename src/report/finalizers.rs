//! Keeps our finalizer on the objects that have files, and takes it off the others.
//!
//! State, not events: the latest wish per object counts, so this may be slow, retried or refused without harm to the
//! files. Owns all finalizer patches of a running projector; never decides which object is wanted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::api::ApiServer;
use crate::core::backoff::{Backoff, random};
use crate::core::object::uid::uid_text;
use crate::core::object::{Kind, ObjectKey};
use crate::report::events::{EventSender, Report};
use crate::report::patch::{Aim, Finalizers, Which};
use crate::report::reason;
use crate::report::refusals::{LEFT_ALONE, Refusals};
use crate::report::settle::{Known, Setback, Settled, settle};
use crate::report::wishes::{Inbox, Later, Wanted, WantedAim, Wish};

/// Requests under way at once.
const CONCURRENCY: usize = 8;
/// Pauses after failures of any other sort.
const BACKOFF: Backoff = Backoff::up_to(Duration::from_secs(60));

/// Takes wishes from anywhere; never waits. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FinalizerSender(Arc<Inbox>);

impl FinalizerSender {
    /// Replaces what was wished for this object before.
    pub(crate) fn send(&self, wish: Wish) {
        let (key, wanted) = Wanted::from_wish(wish);
        self.0.put(key, wanted);
    }

    /// Wishes that nobody has begun to fulfil.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.0.len()
    }
}

/// The task that fulfils wishes.
pub(crate) struct FinalizerWriter {
    api: ApiServer,
    ours: Arc<Finalizers>,
    which: Arc<Which>,
    events: Option<EventSender>,
    inbox: Arc<Inbox>,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Keys under way, and whether each is a release.
    busy: HashMap<ObjectKey, bool>,
    /// Wishes that came for keys under way.
    blocked: HashMap<ObjectKey, Wanted>,
    later: Later,
    /// Where we may not patch.
    forbidden: Refusals<(Kind, Arc<str>)>,
    warned: bool,
    outages: u32,
    paused_until: Option<Instant>,
}

/// A writer and the way to send it wishes. Released objects are reported to `events`.
pub(crate) fn writer(api: ApiServer, ours: Finalizers, events: Option<EventSender>) -> (FinalizerSender, FinalizerWriter) {
    let inbox = Arc::new(Inbox::default());
    let writer = FinalizerWriter {
        api,
        which: Arc::new(ours.to_which()),
        ours: Arc::new(ours),
        events,
        inbox: Arc::clone(&inbox),
        under_way: FuturesUnordered::new(),
        busy: HashMap::new(),
        blocked: HashMap::new(),
        later: Later::default(),
        forbidden: Refusals::default(),
        warned: false,
        outages: 0,
        paused_until: None,
    };
    (FinalizerSender(inbox), writer)
}

impl FinalizerWriter {
    /// Fulfils wishes for ever.
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
                && let Some((key, wanted)) = releases.pop_front()
            {
                self.begin(key, wanted);
            }
            let left = releases.len() + self.busy.values().filter(|&&release| release).count();
            if left == 0 {
                return 0;
            }
            tokio::select! {
                Some(done) = self.under_way.next() => {
                    self.busy.remove(&done.key);
                    if let Ok(settled) = done.result {
                        self.report(&done.key, &done.wanted, settled);
                    }
                }
                () = sleep_until(deadline) => return left,
            }
        }
    }

    /// All releases that wait for whatever reason, without those under way; wishes of any other sort are forgotten.
    fn leftovers(&mut self) -> VecDeque<(ObjectKey, Wanted)> {
        let mut wanted: HashMap<ObjectKey, Wanted> = std::mem::take(&mut self.later).entries().collect();
        wanted.extend(std::mem::take(&mut self.blocked));
        wanted.extend(self.inbox.take_all());
        let busy: HashSet<&ObjectKey> = self.busy.iter().filter(|&(_, &release)| release).map(|(key, _)| key).collect();
        let mut releases: Vec<(ObjectKey, Wanted)> =
            wanted.into_iter().filter(|(key, wanted)| wanted.aim.is_release() && !busy.contains(key)).collect();
        releases.sort_by_key(|(_, wanted)| wanted.aim != WantedAim::ReleaseTerminating);
        releases.into()
    }

    /// Starts what may start now; says when to look again at the latest.
    fn launch(&mut self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.paused_until.filter(|&until| until > now) {
            return Some(until);
        }
        self.forbidden.forget(now);
        for (key, wanted) in self.later.due(now) {
            self.inbox.put_back(key, wanted);
        }
        while self.under_way.len() < CONCURRENCY
            && let Some((key, wanted)) = self.inbox.take()
        {
            // What waits since before is older than what the inbox holds.
            self.later.forget(&key);
            let scope = (key.kind, key.namespace.clone());
            if self.busy.contains_key(&key) {
                self.blocked.insert(key, wanted);
            } else if let Some(until) = self.forbidden.until(&scope, now).filter(|_| wanted.aim != WantedAim::Forget) {
                self.later.put(until, key, wanted);
            } else {
                self.begin(key, wanted);
            }
        }
        self.later.next().into_iter().chain(self.forbidden.next()).min()
    }

    fn begin(&mut self, key: ObjectKey, wanted: Wanted) {
        if wanted.aim == WantedAim::Forget {
            return;
        }
        self.busy.insert(key.clone(), wanted.aim.is_release());
        let (api, ours, which) = (self.api.clone(), Arc::clone(&self.ours), Arc::clone(&self.which));
        self.under_way.push(Box::pin(async move {
            let aim = if wanted.aim.is_release() { Aim::Release(&which) } else { Aim::Guard(&ours) };
            let result = settle(&api, &key, wanted.known.clone(), aim).await;
            Done { key, wanted, result }
        }));
    }

    fn finish(&mut self, done: Done, now: Instant) {
        let Done { key, mut wanted, result } = done;
        self.busy.remove(&key);
        let newer = self.blocked.remove(&key);
        // There is a newer wish: this one is not tried again.
        let is_over = newer.is_some();
        let newer = newer.and_then(|newer| self.still_to_do(newer, &wanted, &result));
        match result {
            Ok(settled) => {
                self.outages = 0;
                if settled == Settled::Changed && self.forbidden.lift(&(key.kind, key.namespace.clone())) {
                    info!(resource = key.kind.plural(), namespace = %key.namespace, "finalizers can be patched now");
                }
                self.report(&key, &wanted, settled);
            }
            Err(Setback { verb, failure }) if failure.code() == Some(403) => {
                self.refuse(verb, &key, now);
                if !is_over {
                    self.later.put(now + LEFT_ALONE, key.clone(), wanted);
                }
            }
            Err(Setback { failure, .. }) if failure.is_outage() => {
                self.outages = self.outages.saturating_add(1);
                let pause = failure.retry_after().unwrap_or_else(|| BACKOFF.spread_after(self.outages, random()));
                debug!(object = %key, %failure, ?pause, "finalizer patch failed, trying again");
                self.paused_until = Some(now + pause);
                if !is_over {
                    self.inbox.put_back(key.clone(), wanted);
                }
            }
            Err(Setback { failure, .. }) => {
                wanted.failures = wanted.failures.saturating_add(1);
                let pause = BACKOFF.spread_after(wanted.failures, random());
                debug!(object = %key, %failure, ?pause, "finalizer patch failed, trying again");
                if !is_over {
                    self.later.put(now + pause, key.clone(), wanted);
                }
            }
        }
        if let Some(newer) = newer {
            self.inbox.put_back(key, newer);
        }
    }

    /// What a wish that came during a patch comes to, now that the patch has ended. An object that is gone for us may only have left
    /// the selector: it must not keep the finalizer that it was just given.
    fn still_to_do(&self, newer: Wanted, done: &Wanted, result: &Result<Settled, Setback>) -> Option<Wanted> {
        if newer.aim != WantedAim::Forget {
            return Some(newer);
        }
        let may_be_guarded = match result {
            Ok(settled) => *settled == Settled::Changed,
            Err(Setback { failure, .. }) => failure.is_outage(),
        };
        let known = Known { uid: done.known.uid, finalizers: vec![self.ours.name.clone()] };
        (done.aim == WantedAim::Guard && may_be_guarded).then_some(Wanted { aim: WantedAim::Release, known, failures: 0 })
    }

    /// One warning per process: the files are what matters, and they work.
    fn refuse(&mut self, verb: &str, key: &ObjectKey, now: Instant) {
        self.forbidden.note((key.kind, key.namespace.clone()), now);
        if !std::mem::replace(&mut self.warned, true) {
            warn!(
                verb, resource = key.kind.plural(), namespace = %key.namespace,
                "may not set finalizers: grant the verb or set FINALIZERS=false; files are kept up to date all the same"
            );
        }
    }

    fn report(&self, key: &ObjectKey, wanted: &Wanted, settled: Settled) {
        match (wanted.aim, settled) {
            (WantedAim::Guard, Settled::Changed) => debug!(object = %key, "finalizer added"),
            (WantedAim::Release | WantedAim::ReleaseTerminating, Settled::Changed) => {
                info!(object = %key, finalizer = %self.ours.name, "finalizer removed");
                if let Some(events) = &self.events {
                    let note = format!("finalizer {} removed", self.ours.name);
                    events.send(Report::new(key.clone(), uid_text(wanted.known.uid), &reason::FINALIZER_RELEASED, note));
                }
            }
            (WantedAim::Forget, _) | (_, Settled::Unchanged | Settled::Gone) => {}
        }
    }
}

struct Done {
    key: ObjectKey,
    wanted: Wanted,
    result: Result<Settled, Setback>,
}

#[cfg(test)]
#[path = "finalizers_tests.rs"]
mod tests;
