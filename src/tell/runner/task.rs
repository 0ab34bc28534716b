//! The one task that fires the reactions.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::core::debt::Debt;
use crate::core::tell::cause::Cause;
use crate::core::tell::pace::{Ended, Pace};
use crate::core::tell::queue::{Job, Next};
use crate::health::{Health, Owed};
use crate::tell::Reaction;
use crate::tell::herald::Herald;
use crate::tell::left::{Left, Verdict};
use crate::tell::runner::Shared;

/// How often it is looked whether somebody who could not be told has found out by itself.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is looked whether there are other credentials than those that were refused.
const LOOK_AT_CREDENTIALS: Duration = Duration::from_secs(2);
/// An application that takes longer than this for a request is slow: what waits meanwhile is told at once.
const SLOW: Duration = Duration::from_secs(2);

/// See the module's header.
pub(super) struct Task {
    shared: Arc<Shared>,
    reactions: Vec<Box<dyn Reaction>>,
    stopped: watch::Receiver<bool>,
    /// When each reaction is tried again.
    paces: Vec<Pace>,
    /// Since when a former process owed what is told first.
    since: Option<Duration>,
    /// Why each reaction failed, until it works again. What is tried again within the bounds of retries has not failed.
    failing: Vec<Option<String>>,
    health: Option<Health>,
    herald: Option<Herald>,
}

/// The runner was asked to stop.
struct Stopped;

impl Task {
    pub(super) fn new(
        shared: Arc<Shared>,
        reactions: Vec<Box<dyn Reaction>>,
        stopped: watch::Receiver<bool>,
        (health, herald): (Option<Health>, Option<Herald>),
    ) -> Self {
        let failing = reactions.iter().map(|_| None).collect();
        let paces = reactions.iter().map(|_| Pace::default()).collect();
        Self { shared, reactions, stopped, paces, since: None, failing, health, herald }
    }

    pub(super) async fn run(mut self) {
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
            let is_slow = self.attempt(&mut left, &job).await?;
            self.note_heard(&left);
            self.tell_owed(&left, &job);
            self.remember(&left);
            if left.is_empty() {
                let mut state = self.shared.state();
                if is_slow {
                    state.queue.delivered_slowly();
                } else {
                    state.queue.delivered();
                }
                return Ok(());
            }
            self.shared.state().queue.failed();
            self.pause(&left).await?;
            let next = self.shared.state().queue.next(self.shared.now());
            match next {
                Next::Job(next) => job = next,
                // What failed is due at once: there is always a job.
                Next::Wait(_) => return Ok(()),
            }
        }
    }

    /// Everything there is to fire for a job that grew: each reaction that heeds what is new, and those that failed.
    fn renewed(&mut self, failed: Vec<Left>, job: &Job) -> Vec<Left> {
        if job.fresh.contains(&Cause::Files) {
            self.take_inherited();
        }
        // What only a former process owed is the state that it told of.
        let is_other = self.newest() > self.shared.started || job.fresh.iter().any(|cause| *cause != Cause::Files);
        let (now, since) = (self.shared.wall(), self.since.take());
        let mut failed: Vec<Option<Left>> = failed.into_iter().map(Some).collect();
        let mut all = Vec::new();
        for (at, (reaction, pace)) in self.reactions.iter().zip(&mut self.paces).enumerate() {
            let known = failed.iter_mut().find(|left| left.as_ref().is_some_and(|left| left.reaction == at)).and_then(Option::take);
            let is_heeded = heeds(reaction.as_ref(), job);
            if known.is_none() && !is_heeded {
                continue;
            }
            pace.begin(now);
            if is_heeded && is_other {
                pace.changed(now);
            }
            all.push(known.unwrap_or_else(|| Left::new(at, since.unwrap_or(now))));
        }
        all
    }

    /// What a former process knew counts for the reaction that is remembered.
    fn take_inherited(&mut self) {
        let Some(debt) = self.shared.state().inherited.take() else { return };
        let now = self.shared.wall();
        self.since = Some(Duration::from_secs(debt.since)).filter(|since| !since.is_zero() && *since < now);
        for (reaction, pace) in self.reactions.iter().zip(&mut self.paces).filter(|(reaction, _)| reaction.is_remembered()) {
            tracing::debug!(reaction = reaction.name(), "a former process has tried to tell the application");
            *pace = Pace::inherited(&debt, now);
        }
    }

    /// Fires every reaction that is due, in order. Those that are to be fired again stay. Whether the application is slow.
    async fn attempt(&mut self, left: &mut Vec<Left>, job: &Job) -> Result<bool, Stopped> {
        let (mut is_slow, enough) = (false, self.enough_since());
        for at in 0..left.len() {
            let Some(one) = left.get(at) else { break };
            let index = one.reaction;
            if *self.stopped.borrow() {
                return Err(Stopped);
            }
            let (Some(reaction), Some(pace)) = (self.reactions.get_mut(index), self.paces.get_mut(index)) else { continue };
            if reaction.knows(enough) {
                pace.told();
                self.herald.iter_mut().for_each(|herald| herald.tell_known(reaction.name()));
                self.judged(index, None);
                left.get_mut(at).into_iter().for_each(|left| left.is_over = true);
                continue;
            }
            let now = self.shared.wall();
            if pace.has_refusals() {
                let credentials = reaction.credentials().await;
                pace.would_show(credentials, now);
                if pace.due() <= now && !reaction.spares_credentials() && !pace.may_show(credentials, now) {
                    continue;
                }
            }
            if pace.due() > now {
                continue;
            }
            left.get_mut(at).into_iter().for_each(Left::begins);
            self.tell_owed(left, job);
            self.shared.state().under_way = left.get(at).and_then(|one| self.debt_if_unanswered(one));
            let began = Instant::now();
            if let Some(one) = left.get_mut(at) {
                self.fire(one, job).await;
            }
            self.shared.state().under_way = None;
            self.remember(left);
            is_slow |= began.elapsed() > SLOW && self.reactions.get(index).is_some_and(|reaction| reaction.is_remembered());
        }
        left.retain(|left| !left.is_over);
        Ok(is_slow)
    }

    /// Fires one reaction.
    async fn fire(&mut self, one: &mut Left, job: &Job) {
        let at = one.reaction;
        let (Some(reaction), Some(figures), Some(pace)) = (self.reactions.get_mut(at), self.shared.figures.get(at), self.paces.get_mut(at))
        else {
            return;
        };
        figures.owed.store(u64::try_from(job.paths.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        figures.fired_total.fetch_add(1, Ordering::Relaxed);
        figures.retried_total.fetch_add(u64::from(one.tries > 1), Ordering::Relaxed);
        reaction.learn(&|| self.shared.state().queue.fates());
        let fired = reaction.fire(&job.paths).await;
        let why = fired.as_ref().err().map(|fault| fault.why().to_owned());
        figures.failed_total.fetch_add(u64::from(why.is_some()), Ordering::Relaxed);
        let verdict = one.judge(fired, reaction.as_ref(), job, (pace, self.shared.wall()));
        one.is_over = !verdict.stays();
        if one.is_over {
            figures.owed.store(0, Ordering::Relaxed);
        }
        let owed_for = self.shared.wall().saturating_sub(one.since);
        self.herald.iter_mut().for_each(|herald| herald.tell(reaction.name(), verdict, why.as_deref().unwrap_or_default(), owed_for));
        let unanswered = why.clone().filter(|_| verdict == Verdict::Unanswered);
        if let Some(health) = self.health.as_ref().filter(|_| reaction.is_remembered()) {
            health.set_unanswered(unanswered.map(|why| format!("{}: told, never answered: {why}", reaction.name())));
        }
        match verdict {
            Verdict::Told | Verdict::Unanswered => self.judged(at, None),
            Verdict::Final | Verdict::Slow => self.judged(at, why),
            Verdict::Quick => {}
        }
    }

    /// Notes what everybody was told of who heeds it, for whoever follows what is no change of a file. Who gave up was not told.
    fn note_heard(&self, left: &[Left]) {
        let is_told = |cause| {
            let heeding = self.reactions.iter().zip(&self.failing).enumerate().filter(|(_, (reaction, _))| reaction.heeds(cause));
            let mut over = heeding.map(|(at, (_, failing))| failing.is_none() && left.iter().all(|left| left.reaction != at));
            over.all(|is_told| is_told)
        };
        let mut state = self.shared.state();
        let heard = Cause::OTHERS.into_iter().filter(|cause| is_told(*cause) && state.queue.heard(*cause)).count();
        drop(state);
        if heard > 0 {
            self.shared.delivered.notify_one();
        }
    }

    /// Tells health what is owed.
    fn tell_owed(&self, left: &[Left], job: &Job) {
        let Some(health) = &self.health else { return };
        let owed = left.iter().filter(|left| !left.is_over).filter_map(|left| {
            let reaction = self.reactions.get(left.reaction)?.name();
            let (since, why) = (self.shared.past(left.since), left.why.clone());
            Some(Owed { reaction, files: job.paths.len(), since, attempts: left.tries, why })
        });
        health.set_owed(owed.collect());
    }

    /// What a next process has to know if we end before this attempt does.
    fn debt_if_unanswered(&self, one: &Left) -> Option<Debt> {
        let mut pace = self.paces.get(one.reaction)?.clone();
        let reaction = self.reactions.get(one.reaction).filter(|reaction| reaction.is_remembered())?;
        pace.failed(Ended::Unanswered, self.shared.wall(), &reaction.retry());
        Some(pace.debt(one.since))
    }

    /// Notes what a next process has to know, for whoever keeps the ledger.
    fn remember(&self, left: &[Left]) {
        let left = left.iter().filter(|left| !left.is_over);
        let slow = || left.clone().filter_map(|left| Some((left, self.paces.get(left.reaction).filter(|pace| pace.is_slow())?)));
        let since = slow().map(|(left, _)| left.since).min().unwrap_or_default();
        let is_remembered = |left: &Left| self.reactions.get(left.reaction).is_some_and(|reaction| reaction.is_remembered());
        let remembered = slow().find(|(left, _)| is_remembered(left)).map(|(_, pace)| pace.debt(since));
        let debt = remembered.unwrap_or_else(|| Debt { since: since.as_secs(), ..Debt::default() });
        let mut state = self.shared.state();
        // What a former process owed may still be to come: what that knew counts until then.
        if state.inherited.is_none() && state.debt != debt {
            state.debt = debt;
            self.shared.settled.notify_one();
        }
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

    /// Whoever has read all files since then needs not be told.
    fn enough_since(&self) -> Instant {
        self.shared.started + self.shared.state().queue.enough_since()
    }

    /// Whether one of those that could not be told has found out by itself.
    fn one_knows(&self, left: &[Left]) -> bool {
        let enough = self.enough_since();
        left.iter().any(|left| self.reactions.get(left.reaction).is_some_and(|reaction| reaction.knows(enough)))
    }

    /// Looks whether there are other credentials than those that were refused.
    async fn look_at_credentials(&mut self, left: &[Left]) -> bool {
        let mut looks = false;
        for at in left.iter().map(|left| left.reaction) {
            let (Some(reaction), Some(pace)) = (self.reactions.get_mut(at), self.paces.get_mut(at)) else { continue };
            if pace.is_refused() {
                looks = true;
                let credentials = reaction.credentials().await;
                pace.would_show(credentials, self.shared.wall());
            }
        }
        looks
    }

    /// Waits until one of them is due, or something is new. What fails keeps its pause then, but others are told.
    async fn pause(&mut self, left: &[Left]) -> Result<(), Stopped> {
        loop {
            let looks = self.look_at_credentials(left).await;
            let paces = || left.iter().filter_map(|left| self.paces.get(left.reaction));
            let is_slow = paces().all(Pace::is_slow);
            let due = self.shared.instant(paces().map(Pace::due).min().unwrap_or_default());
            let news = self.news();
            let until = news.map_or(due, |news| news.min(due));
            if until <= Instant::now() || (is_slow && self.one_knows(left)) {
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

/// Whether what is new in a job is worth firing a reaction.
fn heeds(reaction: &dyn Reaction, job: &Job) -> bool {
    let skipped = |cause| cause == Cause::Files && job.initial && reaction.skips_initial();
    job.fresh.iter().any(|cause| reaction.heeds(*cause) && !skipped(*cause))
}
