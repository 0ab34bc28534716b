//! When a reaction that has not worked is tried again: quick retries first, then a slow pace that never ends.
//!
//! A new change ends a pause, but neither one that the server asked for, nor the one after refused credentials, nor the first moment
//! after an attempt. Times are those since 1970, so that what must survive a restart ([`Debt`]) means the same afterwards. It never
//! reads the clock: the runner says what it is, and obeys.
//!
//! ```
//! use std::time::Duration;
//!
//! use kube_projector::core::tell::pace::{FaultKind, Followup, Pace};
//! use kube_projector::core::retry::Retry;
//!
//! let bounds = Retry { total: 5, connect: 10, read: 5, backoff: Duration::from_secs(1) };
//! let (mut pace, now) = (Pace::default(), Duration::from_secs(1_000));
//! pace.begin(now);
//! assert_eq!(pace.failed(FaultKind::Answered(None), now, &bounds), Followup::Slow { first: true });
//! assert_eq!(pace.due(), now + Duration::from_secs(5));
//! ```

use std::fmt;
use std::time::Duration;

use crate::core::debt::Debt;
use crate::core::retry::{Attempts, RETRY_AFTER_MAX, Retry, RetryReason};

/// A change brings no attempt nearer than this to the one before.
const APART: Duration = Duration::from_secs(1);
/// The same from the third such attempt in a row on: somebody edits all the time.
const FURTHER_APART: Duration = Duration::from_secs(2);
/// A change brings no attempt nearer than this to one that was refused without our having said who we are.
const ANONYMOUS_APART: Duration = Duration::from_secs(5);
/// Credentials that are refused are shown at most so often …
const REFUSALS_MAX: usize = 3;
/// … within this time: others lock an account after a few.
const REFUSALS_WITHIN: Duration = Duration::from_secs(300);
/// Refusals that are remembered.
const REMEMBERED: usize = 16;

/// What tells credentials apart, and them from nobody else. Lives in memory; nothing prints it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

/// Why an attempt was no success, as far as the next one depends on it. What we are asked for is how long to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Something that may be over in a moment, and what we are asked for.
    Trouble(RetryReason, Option<Duration>),
    /// An answer that is no success and not worth a quick retry, and what we are asked for.
    Answered(Option<Duration>),
    /// We may not.
    Refused {
        /// Who we said that we are, if we did.
        credentials: Option<Fingerprint>,
        /// How long we are asked to wait.
        wish: Option<Duration>,
    },
    /// Some of several refuse who we are, and are spared each by itself; the others were told. A change is worth an attempt.
    Spared {
        /// Who we said that we are.
        credentials: Fingerprint,
        /// Whether any of them was shown that now.
        shown: bool,
    },
    /// It was told, and may be at work: no answer came in time.
    Unanswered,
    /// Somebody wants no other attempt.
    Permanent,
}

/// What follows an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Followup {
    /// Nothing: it worked.
    Told,
    /// Nothing: it failed, and there is no other attempt.
    Never,
    /// Nothing: it was told often enough, and never answered.
    Enough,
    /// A quick retry.
    Quick,
    /// Another attempt at the slow pace.
    Slow {
        /// Whether it is the first of them for this state of the files.
        first: bool,
    },
}

/// Credentials that were refused.
#[derive(Clone, Copy)]
struct RefusedCredentials {
    at: Duration,
    tag: u8,
    /// Nothing where a former process showed them.
    credentials: Option<Fingerprint>,
}

/// See the module's header.
#[derive(Clone, Default)]
pub struct Pace {
    attempts: Attempts,
    /// Pauses of the slow pace so far, once there are no quick retries any more.
    slow: Option<u32>,
    /// When to try again.
    due: Duration,
    /// Not before this, whatever changes; and what of that the server asked for.
    held: Duration,
    asked: Duration,
    /// When the last attempt ended.
    ended: Duration,
    /// Whether a change brought the next attempt nearer, and how many in a row it brought nearer before.
    hurries: bool,
    hurried: u32,
    /// How often this state of the files was told without an answer.
    unanswered: u32,
    /// Whether the last attempt was refused, and the credentials that the pause is for, if there are any.
    is_refused: bool,
    spares: Option<RefusedCredentials>,
    /// How often in a row the same credentials were refused.
    refused: u32,
    refusals: Vec<RefusedCredentials>,
}

impl FaultKind {
    /// What both mean, where several were asked and failed: as seldom another attempt as the one of them that wants it most seldom.
    pub(crate) fn and(self, other: Self) -> Self {
        let wish = self.wish().max(other.wish());
        match (self, other) {
            (Self::Refused { credentials: one, .. }, Self::Refused { credentials: other, .. }) => {
                Self::Refused { credentials: one.or(other), wish }
            }
            (Self::Refused { credentials, .. }, _) | (_, Self::Refused { credentials, .. }) => Self::Refused { credentials, wish },
            (Self::Trouble(one, _), Self::Trouble(other, _)) => Self::Trouble(one.max(other), wish),
            (Self::Unanswered | Self::Permanent, same) if self == same => self,
            _ => Self::Answered(wish),
        }
    }

    /// How long the other side asks us to wait.
    const fn wish(self) -> Option<Duration> {
        match self {
            Self::Trouble(_, wish) | Self::Answered(wish) | Self::Refused { wish, .. } => wish,
            Self::Spared { .. } | Self::Unanswered | Self::Permanent => None,
        }
    }
}

impl Fingerprint {
    /// By a hash of the credentials.
    pub(crate) const fn new(hash: u64) -> Self {
        Self(hash)
    }

    const fn tag(self) -> u8 {
        self.0.to_le_bytes()[0]
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl RefusedCredentials {
    const fn of(credentials: Fingerprint, at: Duration) -> Self {
        Self { at, tag: credentials.tag(), credentials: Some(credentials) }
    }

    fn is_of(&self, credentials: Fingerprint) -> bool {
        self.credentials.map_or(self.tag == credentials.tag(), |known| known == credentials)
    }
}

/// The pause of this number at the slow pace: 5, 10, 20 seconds, then 30 for ten minutes, then 60, 120, 240, and 300 for ever.
pub(crate) const fn slow_pause(number: u32) -> Duration {
    Duration::from_secs(match number {
        0 => 5,
        1 => 10,
        2 => 20,
        3..=22 => 30,
        23 => 60,
        24 => 120,
        25 => 240,
        _ => 300,
    })
}

/// The pause after credentials were refused for this number of times in a row.
const fn refused_pause(refused: u32) -> Duration {
    Duration::from_secs(match refused {
        0 | 1 => 60,
        2 => 120,
        3 => 240,
        _ => 300,
    })
}

/// When those of these credentials that are meant may be shown again.
fn spared(refusals: &[RefusedCredentials], are_meant: impl Fn(&RefusedCredentials) -> bool) -> Duration {
    let meant = refusals.iter().rev().filter(|refusal| are_meant(refusal));
    meant.map(|refusal| refusal.at + REFUSALS_WITHIN).nth(REFUSALS_MAX - 1).unwrap_or_default()
}

fn capped(wish: Option<Duration>) -> Duration {
    wish.unwrap_or_default().min(RETRY_AFTER_MAX)
}

impl Pace {
    /// There is something to tell.
    pub fn begin(&mut self, now: Duration) {
        self.due = self.due.max(now);
    }

    /// When to try, or try again.
    pub const fn due(&self) -> Duration {
        self.due
    }

    /// Whether there are no quick retries any more.
    pub(crate) const fn is_slow(&self) -> bool {
        self.slow.is_some()
    }

    /// Whether other credentials would be worth an attempt at once.
    pub(crate) const fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// There is more to tell than what failed. It is another state of the files, so it is worth an attempt soon.
    pub(crate) fn changed(&mut self, now: Duration) {
        self.unanswered = 0;
        self.slow = self.slow.map(|_| 0);
        let apart = if self.hurried < 2 { APART } else { FURTHER_APART };
        let soon = now.max(self.ended + apart).max(self.held);
        if soon < self.due {
            (self.due, self.hurries) = (soon, true);
        }
    }

    /// While it is refused: these would be shown now. Whether they are others, which are shown at once if they may be.
    pub(crate) fn would_show(&mut self, credentials: Option<Fingerprint>, now: Duration) -> bool {
        if !self.is_refused {
            return false;
        }
        let Some(credentials) = credentials else {
            // A file that cannot be read for a moment is no reason; a process that has none shows none.
            let is_inherited = self.spares.take_if(|spared| spared.credentials.is_none()).is_some();
            if is_inherited {
                self.due = self.asked.max(now);
                self.held = self.due;
            }
            return is_inherited;
        };
        if self.spares.is_some_and(|spared| spared.is_of(credentials)) {
            return false;
        }
        self.spares = Some(RefusedCredentials::of(credentials, now));
        self.due = self.spared(credentials).max(self.asked).max(now);
        self.held = self.due;
        true
    }

    /// Whether any credentials were refused lately, so that [`Self::may_show`] is to be asked before an attempt.
    pub(crate) const fn has_refusals(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Whether these may be shown now; if not, it is tried later.
    pub(crate) fn may_show(&mut self, credentials: Option<Fingerprint>, now: Duration) -> bool {
        let spared = credentials.map(|credentials| self.spared(credentials)).unwrap_or_default();
        if spared > now {
            self.due = self.due.max(spared);
            self.held = self.due;
        }
        spared <= now
    }

    /// Notes how an attempt failed, and says what follows.
    pub fn failed(&mut self, kind: FaultKind, now: Duration, bounds: &Retry) -> Followup {
        self.ended = now;
        self.hurried = if std::mem::take(&mut self.hurries) { self.hurried.saturating_add(1) } else { 0 };
        self.is_refused = matches!(kind, FaultKind::Refused { .. } | FaultKind::Spared { .. });
        match kind {
            FaultKind::Trouble(trouble, wish) => {
                let pause = if self.is_slow() { None } else { self.attempts.failed(trouble, wish, bounds) };
                let Some(pause) = pause else { return self.slower(wish, now) };
                self.asked = now + capped(wish);
                (self.due, self.held) = (now + pause, self.asked);
                Followup::Quick
            }
            FaultKind::Answered(wish) => self.slower(wish, now),
            FaultKind::Refused { credentials: None, wish } => {
                (self.refused, self.spares) = (0, None);
                let next = self.slower(wish, now);
                // Nobody is locked out, but somebody who edits all the time is no reason to insist.
                self.held = self.held.max(now + ANONYMOUS_APART).min(self.due);
                next
            }
            FaultKind::Refused { credentials: Some(credentials), wish } => self.refused(credentials, wish, now),
            FaultKind::Spared { credentials, shown } => {
                let refusal = RefusedCredentials::of(credentials, now);
                if shown {
                    self.note(refusal);
                }
                self.spares = Some(refusal);
                self.slower(None, now)
            }
            FaultKind::Unanswered => {
                self.unanswered = self.unanswered.saturating_add(1);
                if self.unanswered > bounds.read { Followup::Enough } else { self.slower(None, now) }
            }
            FaultKind::Permanent => Followup::Never,
        }
    }

    fn slower(&mut self, wish: Option<Duration>, now: Duration) -> Followup {
        let number = self.slow.unwrap_or_default();
        self.slow = Some(number.saturating_add(1));
        let wish = capped(wish);
        self.asked = now + wish;
        (self.due, self.held) = (now + slow_pause(number).max(wish), self.asked);
        Followup::Slow { first: number == 0 }
    }

    fn refused(&mut self, credentials: Fingerprint, wish: Option<Duration>, now: Duration) -> Followup {
        let are_same = self.refusals.last().is_some_and(|refusal| refusal.is_of(credentials));
        self.refused = if are_same { self.refused.saturating_add(1) } else { 1 };
        let refusal = RefusedCredentials::of(credentials, now);
        self.note(refusal);
        self.spares = Some(refusal);
        self.slow.get_or_insert_default();
        self.asked = now + capped(wish);
        self.due = (now + refused_pause(self.refused)).max(self.asked).max(self.spared(credentials));
        self.held = self.due;
        Followup::Slow { first: self.refused == 1 }
    }

    fn note(&mut self, refusal: RefusedCredentials) {
        if self.refusals.len() >= REMEMBERED {
            self.refusals.remove(0);
        }
        self.refusals.push(refusal);
    }

    /// When these credentials may be shown again.
    fn spared(&self, credentials: Fingerprint) -> Duration {
        spared(&self.refusals, |refusal| refusal.is_of(credentials))
    }

    /// It worked: everything is forgotten.
    pub(crate) fn told(&mut self) {
        *self = Self::default();
    }

    /// It is not to be told any more. Which credentials were refused is not forgotten.
    pub(crate) fn dropped(&mut self) {
        let refusals = std::mem::take(&mut self.refusals);
        *self = Self { refusals, ..Self::default() };
    }

    /// What a next process has to know.
    pub(crate) fn debt(&self, since: Duration) -> Debt {
        // Rounded up, so that nothing comes too early.
        let seconds = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
        Debt {
            since: since.as_secs(),
            unanswered: self.unanswered,
            last: if self.unanswered > 0 { seconds(self.ended) } else { 0 },
            refused: self.refused,
            refusals: self.refusals.iter().map(|refusal| (seconds(refusal.at), refusal.tag)).collect(),
            clean: false,
        }
    }

    /// What a former process knew. A time that is still to come is one of a clock that was wrong.
    pub(crate) fn inherited(debt: &Debt, now: Duration) -> Self {
        let time = |seconds: u64| Duration::from_secs(seconds).min(now);
        let refusals: Vec<RefusedCredentials> =
            debt.refusals.iter().map(|(at, tag)| RefusedCredentials { at: time(*at), tag: *tag, credentials: None }).collect();
        let mut pace = Self { refused: debt.refused, unanswered: debt.unanswered, ..Self::default() };
        if debt.unanswered > 0 {
            pace.ended = time(debt.last);
            pace.slow = Some(debt.unanswered);
            pace.due = pace.ended + slow_pause(debt.unanswered - 1);
        }
        if let Some(last) = refusals.last().copied().filter(|_| debt.refused > 0) {
            (pace.is_refused, pace.spares) = (true, Some(last));
            pace.ended = pace.ended.max(last.at);
            pace.slow.get_or_insert_default();
            let spared = spared(&refusals, |refusal| refusal.tag == last.tag);
            pace.due = pace.due.max(last.at + refused_pause(debt.refused)).max(spared);
            pace.held = pace.due;
        }
        Self { refusals, ..pace }
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
