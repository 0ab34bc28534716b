//! The one task that fires the reactions.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::core::debt::Debt;
use crate::core::tell::cause::Cause;
use crate::core::tell::pace::{FaultKind, Followup, Pace};
use crate::core::tell::queue::Todo;
use crate::core::tell::queue::delivery::Job;
use crate::health::{Health, Owed};
use crate::metrics::labels::ReactionKind;
use crate::metrics::{AttemptEnd, Metrics};
use crate::tell::Reaction;
use crate::tell::herald::Herald;
use crate::tell::pending::Pending;
use crate::tell::runner::{RunnerShared, Telling, TellingState, Witness};

/// How often it is looked whether somebody who could not be told has found out by itself.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is looked whether there are other credentials than those that were refused.
const LOOK_AT_CREDENTIALS: Duration = Duration::from_secs(2);
/// An application that takes longer than this for a request is slow: what waits meanwhile is told at once.
const SLOW: Duration = Duration::from_secs(2);

/// See the module's header.
pub(super) struct Task {
    shared: Arc<RunnerShared>,
    tellers: Vec<Teller>,
    stopped: watch::Receiver<bool>,
    /// Since when a former process owed what is told first.
    since: Option<Duration>,
    observers: Observers,
}

/// Whoever is told how it goes.
pub(super) struct Observers {
    pub(super) health: Option<Health>,
    pub(super) metrics: Metrics,
    pub(super) herald: Option<Herald>,
    pub(super) witness: Option<Witness>,
}

/// A reaction, and how it goes with it.
struct Teller {
    reaction: Box<dyn Reaction>,
    /// When it is tried again.
    pace: Pace,
    /// What is left to do of the delivery in hand.
    pending: Option<Pending>,
    /// Why it failed, until it works again. What is tried again within the bounds of retries has not failed.
    failing: Option<String>,
}

/// The runner was asked to stop.
struct Stopped;

impl Task {
    pub(super) fn new(
        shared: Arc<RunnerShared>,
        reactions: Vec<Box<dyn Reaction>>,
        stopped: watch::Receiver<bool>,
        observers: Observers,
    ) -> Self {
        let teller = |reaction| Teller { reaction, pace: Pace::default(), pending: None, failing: None };
        Self { shared, tellers: reactions.into_iter().map(teller).collect(), stopped, since: None, observers }
    }

    pub(super) async fn run(mut self) {
        loop {
            let (next, idle) = {
                let mut state = self.shared.state();
                (state.queue.next(self.shared.now()), state.queue.is_idle())
            };
            let ended = match next {
                Todo::Job(job) => self.deliver(job).await,
                Todo::Wait(until) => {
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
        loop {
            if !job.fresh.is_empty() {
                self.renew(&job);
            }
            let is_slow = self.attempt(&job).await?;
            self.note_heard();
            self.tell_owed(&job);
            self.remember();
            if self.pending().next().is_none() {
                let mut state = self.shared.state();
                if is_slow {
                    state.queue.delivered_slowly();
                } else {
                    state.queue.delivered();
                }
                return Ok(());
            }
            self.shared.state().queue.failed();
            self.pause().await?;
            let next = self.shared.state().queue.next(self.shared.now());
            match next {
                Todo::Job(next) => job = next,
                // What failed is due at once: there is always a job.
                Todo::Wait(_) => return Ok(()),
            }
        }
    }

    /// Those that have not worked yet.
    fn pending(&self) -> impl Iterator<Item = (&Teller, &Pending)> + Clone {
        self.tellers.iter().filter_map(|teller| Some((teller, teller.pending.as_ref()?)))
    }

    /// There is more to tell than what failed: whoever heeds that is fired too.
    fn renew(&mut self, job: &Job) {
        if job.fresh.contains(&Cause::Files) {
            self.take_inherited();
        }
        // What only a former process owed is the state that it told of.
        let is_other = !self.shared.state().queue.newest().is_zero() || job.fresh.iter().any(|cause| *cause != Cause::Files);
        let (now, since) = (self.shared.wall(), self.since.take());
        for Teller { reaction, pace, pending, .. } in &mut self.tellers {
            let is_heeded = heeds(reaction.as_ref(), job);
            if is_heeded || pending.is_some() {
                pace.begin(now);
            }
            if is_heeded {
                if is_other {
                    pace.changed(now);
                }
                pending.get_or_insert_with(|| Pending::new(since.unwrap_or(now)));
                reaction.renew();
            }
        }
    }

    /// What a former process knew counts for the reaction that is remembered.
    fn take_inherited(&mut self) {
        let Some(debt) = self.shared.state().inherited.take() else { return };
        let now = self.shared.wall();
        self.since = debt.since().filter(|since| *since < now);
        for Teller { reaction, pace, .. } in self.tellers.iter_mut().filter(|teller| teller.reaction.is_remembered()) {
            tracing::debug!(reaction = reaction.name(), "a former process has tried to tell the application");
            *pace = Pace::inherited(&debt, now);
        }
    }

    /// Fires every reaction that is due, in order. Whether the application is slow.
    async fn attempt(&mut self, job: &Job) -> Result<bool, Stopped> {
        let (mut is_slow, enough) = (false, self.enough_since());
        for at in 0..self.tellers.len() {
            let Some(teller) = self.tellers.get_mut(at).filter(|teller| teller.pending.is_some()) else { continue };
            if *self.stopped.borrow() {
                return Err(Stopped);
            }
            if teller.reaction.knows(enough) {
                teller.pace.told();
                (teller.pending, teller.failing) = (None, None);
                let reaction = teller.reaction.name();
                self.observers.known(reaction);
                self.show(Telling { reaction, paths: &job.paths, attempts: 0, state: TellingState::Knows });
                self.tell_failing();
                continue;
            }
            if !teller.is_due(self.shared.wall()).await {
                continue;
            }
            teller.pending.iter_mut().for_each(Pending::begins);
            let (is_remembered, debt) = (teller.reaction.is_remembered(), teller.debt_if_unanswered(self.shared.wall()));
            self.tell_owed(job);
            self.begins(at, job);
            self.shared.state().under_way = debt;
            let began = Instant::now();
            self.fire(at, job).await;
            self.shared.state().under_way = None;
            self.remember();
            is_slow |= began.elapsed() > SLOW && is_remembered;
        }
        Ok(is_slow)
    }

    /// Fires one reaction.
    async fn fire(&mut self, at: usize, job: &Job) {
        let Some(Teller { reaction, pace, pending: left, failing }) = self.tellers.get_mut(at) else { return };
        let Some(pending) = left else { return };
        reaction.learn(&|| self.shared.state().queue.file_changes());
        let fired = reaction.fire(&job.paths).await;
        let (name, now) = (reaction.name(), self.shared.wall());
        let followup = pending.judge(&fired, reaction.as_ref(), job, (pace, now));
        let (fault, attempts) = (fired.as_ref().err().map(|fault| fault.kind), pending.tries);
        self.observers.tried(name, fault);
        let (why, owed_for) = (fired.err().map(|fault| fault.why), now.saturating_sub(pending.since));
        self.observers.herald.iter_mut().for_each(|herald| herald.tell(name, followup, why.as_deref().unwrap_or_default(), owed_for));
        if let Some(health) = self.observers.health.as_ref().filter(|_| reaction.is_remembered()) {
            let unanswered = why.as_ref().filter(|_| followup == Followup::Enough);
            health.set_unanswered(unanswered.map(|why| format!("{name}: told, never answered: {why}")));
        }
        match followup {
            Followup::Told | Followup::Enough => (*left, *failing) = (None, None),
            Followup::Never => (*left, *failing) = (None, why.map(|why| format!("{name}: {why}"))),
            Followup::Slow { .. } => *failing = why.map(|why| format!("{name}: {why}")),
            Followup::Quick => {}
        }
        self.show(Telling { reaction: name, paths: &job.paths, attempts, state: TellingState::Ended(fault, followup) });
        self.tell_failing();
    }

    fn show(&self, telling: Telling<'_>) {
        if let Some(witness) = &self.observers.witness {
            witness(&telling);
        }
    }

    /// Shows that an attempt begins.
    fn begins(&self, at: usize, job: &Job) {
        let Some((reaction, pending)) = self.tellers.get(at).and_then(|teller| Some((teller.reaction.name(), teller.pending.as_ref()?)))
        else {
            return;
        };
        self.show(Telling { reaction, paths: &job.paths, attempts: pending.tries, state: TellingState::Begins });
    }

    /// Notes what everybody was told of who heeds it, for whoever follows what is no change of a file. Who gave up was not told.
    fn note_heard(&self) {
        let is_told = |cause| {
            let mut heeding = self.tellers.iter().filter(|teller| teller.reaction.heeds(cause));
            heeding.all(|teller| teller.failing.is_none() && teller.pending.is_none())
        };
        let mut state = self.shared.state();
        let heard = Cause::OTHERS.into_iter().filter(|cause| is_told(*cause) && state.queue.heard(*cause)).count();
        drop(state);
        if heard > 0 {
            self.shared.delivered.notify_one();
        }
    }

    /// Tells health what is owed.
    fn tell_owed(&self, job: &Job) {
        let Some(health) = &self.observers.health else { return };
        let owed = self.pending().map(|(Teller { reaction, .. }, Pending { tries, since, why, .. })| {
            let (since, why) = (self.shared.past(*since), why.clone());
            Owed { reaction: reaction.name(), files: job.paths.len(), since, attempts: *tries, why }
        });
        health.set_owed(owed.collect());
    }

    /// Notes what a next process has to know, for whoever keeps the ledger.
    fn remember(&self) {
        let slow = self.pending().filter(|(teller, _)| teller.pace.is_slow());
        let since = slow.clone().map(|(_, pending)| pending.since).min().unwrap_or_default();
        let remembered = slow.clone().find(|(teller, _)| teller.reaction.is_remembered()).map(|(teller, _)| teller.pace.debt(since));
        let debt = remembered.unwrap_or_else(|| Debt { since: since.as_secs(), ..Debt::default() });
        let mut state = self.shared.state();
        // What a former process owed may still be to come: what that knew counts until then.
        if state.inherited.is_none() && state.debt != debt {
            state.debt = debt;
            self.shared.settled.notify_one();
        }
    }

    /// Tells health which reaction failed, if any did.
    fn tell_failing(&self) {
        if let Some(health) = &self.observers.health {
            health.set_reload_failure(self.tellers.iter().find_map(|teller| teller.failing.clone()));
        }
    }

    /// Whoever has read all files since then needs not be told.
    fn enough_since(&self) -> Instant {
        self.shared.started + self.shared.state().queue.enough_since()
    }

    /// Whether one of those that could not be told has found out by itself.
    fn one_knows(&self) -> bool {
        let enough = self.enough_since();
        self.pending().any(|(teller, _)| teller.reaction.knows(enough))
    }

    /// Looks whether there are other credentials than those that were refused.
    async fn look_at_credentials(&mut self) -> bool {
        let mut looks = false;
        for Teller { reaction, pace, .. } in self.tellers.iter_mut().filter(|teller| teller.pending.is_some() && teller.pace.is_refused()) {
            looks = true;
            let credentials = reaction.credentials().await;
            pace.would_show(credentials, self.shared.wall());
        }
        looks
    }

    /// Waits until one of them is due, or something is new. What fails keeps its pause then, but others are told.
    async fn pause(&mut self) -> Result<(), Stopped> {
        loop {
            let looks = self.look_at_credentials().await;
            let is_slow = self.pending().all(|(teller, _)| teller.pace.is_slow());
            let due = self.shared.instant(self.pending().map(|(teller, _)| teller.pace.due()).min().unwrap_or_default());
            // When there is more to tell than what failed.
            let news = self.shared.state().queue.news(self.shared.now()).map(|news| self.shared.started + news);
            let until = news.map_or(due, |news| news.min(due));
            if until <= Instant::now() || (is_slow && self.one_knows()) {
                break;
            }
            self.shared.state().exhausted = is_slow && news.is_none_or(|news| news > Instant::now());
            if is_slow {
                self.shared.settled.notify_one();
            }
            let look = if looks { LOOK_AT_CREDENTIALS } else { LOOK };
            self.wait(Some(if is_slow { until.min(Instant::now() + look) } else { until })).await?;
        }
        self.shared.state().exhausted = false;
        Ok(())
    }
}

impl Observers {
    /// An attempt has ended.
    fn tried(&self, name: &str, fault: Option<FaultKind>) {
        let Some(kind) = ReactionKind::named(name) else { return };
        let end = match fault {
            None => AttemptEnd::Told,
            Some(FaultKind::Unanswered) => AttemptEnd::Unanswered,
            Some(_) => AttemptEnd::Failed,
        };
        self.metrics.attempted(kind, end, SystemTime::now());
    }

    /// What it was to tell is known by now.
    fn known(&mut self, name: &'static str) {
        self.herald.iter_mut().for_each(|herald| herald.tell_known(name));
        ReactionKind::named(name).into_iter().for_each(|kind| self.metrics.known(kind));
    }
}

impl Teller {
    /// Whether to fire it now. Credentials that were refused lately are spared.
    async fn is_due(&mut self, now: Duration) -> bool {
        let Self { reaction, pace, .. } = self;
        if pace.has_refusals() {
            let credentials = reaction.credentials().await;
            pace.would_show(credentials, now);
            if pace.due() <= now && !reaction.spares_credentials() && !pace.may_show(credentials, now) {
                return false;
            }
        }
        pace.due() <= now
    }

    /// What a next process has to know if we end before this attempt does.
    fn debt_if_unanswered(&self, now: Duration) -> Option<Debt> {
        let (pending, mut pace) = (self.pending.as_ref().filter(|_| self.reaction.is_remembered())?, self.pace.clone());
        pace.failed(FaultKind::Unanswered, now, &self.reaction.retry());
        Some(pace.debt(pending.since))
    }
}

/// Whether what is new in a job is worth firing a reaction.
fn heeds(reaction: &dyn Reaction, job: &Job) -> bool {
    let skipped = |cause| cause == Cause::Files && job.initial && reaction.skips_initial();
    job.fresh.iter().any(|cause| reaction.heeds(*cause) && !skipped(*cause))
}
