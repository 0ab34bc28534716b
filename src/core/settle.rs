//! When something that others write counts as settled: only then is what is missing in it evidence.
//!
//! Writers truncate, unlink and create anew, one file after the other. So what is missing counts when nothing has changed for a
//! while, and at the latest when it has been missing for [`AT_MOST`] times as long.
//!
//! ```
//! use std::time::Duration;
//! use kube_projector::core::settle::Settle;
//!
//! let (second, zero) = (Duration::from_secs(1), Duration::ZERO);
//! let mut settle = Settle::new(second);
//! settle.looks_like(7, Some(second), zero);
//! assert!(settle.moment(zero, None).counts(zero), "quiet for long by its own times");
//! settle.changed(second);
//! assert!(!settle.moment(second, None).counts(second));
//! assert_eq!(settle.due(second, None), 2 * second);
//! assert!(settle.moment(2 * second, None).counts(second));
//! ```

use std::time::Duration;

/// What is missing counts at the latest after so many times the period.
pub(crate) const AT_MOST: u32 = 10;

/// How something that others write was seen to change. All times count from one moment.
pub struct Settle {
    period: Duration,
    /// What it looked like last.
    seen: Option<u64>,
    /// When it is settled unless it changes again.
    settled_at: Duration,
}

/// A moment at which it is judged what counts.
#[derive(Clone, Copy, Default, Debug)]
pub struct Moment {
    /// Now.
    pub(crate) now: Duration,
    is_settled: bool,
    limit: Duration,
}

impl Settle {
    /// Of something that is settled when it has not changed for `period`.
    pub fn new(period: Duration) -> Self {
        Self { period, seen: None, settled_at: Duration::ZERO }
    }

    /// For how long nothing may have changed.
    pub(crate) fn period(&self) -> Duration {
        self.period
    }

    /// After how long what is missing counts in every case.
    pub(crate) fn limit(&self) -> Duration {
        self.period.saturating_mul(AT_MOST)
    }

    /// Notes that it changed.
    pub fn changed(&mut self, now: Duration) {
        self.settled_at = now.saturating_add(self.period);
    }

    /// Notes what it looks like. At the first look its own times say for how long it has been so, if they say anything; later only
    /// what was seen counts.
    pub fn looks_like(&mut self, fingerprint: u64, age: Option<Duration>, now: Duration) {
        match self.seen.replace(fingerprint) {
            None => self.settled_at = now.saturating_add(self.period.saturating_sub(age.unwrap_or_default())),
            Some(before) if before != fingerprint => self.changed(now),
            Some(_) => {}
        }
    }

    /// Now; `open` is since when somebody has been writing to a part of it, which is the opposite of settled.
    pub fn moment(&self, now: Duration, open: Option<Duration>) -> Moment {
        Moment { now, is_settled: now >= self.quiet_at(open), limit: self.limit() }
    }

    /// When to judge again something that has been missing since then.
    pub fn due(&self, since: Duration, open: Option<Duration>) -> Duration {
        self.quiet_at(open).min(since.saturating_add(self.limit()))
    }

    fn quiet_at(&self, open: Option<Duration>) -> Duration {
        open.map_or(self.settled_at, |since| self.settled_at.max(since.saturating_add(self.limit())))
    }
}

impl Moment {
    /// Whether it counts that something has been missing since then.
    pub fn counts(&self, since: Duration) -> bool {
        self.is_settled || self.is_over(since)
    }

    /// Whether waiting since then was long enough, settled or not.
    pub(crate) fn is_over(&self, since: Duration) -> bool {
        self.now.saturating_sub(since) >= self.limit
    }

    /// The same, found to be not settled after all.
    #[must_use]
    pub(crate) fn unsettled(self) -> Self {
        Self { is_settled: false, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(1);

    fn millis(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn m4_the_first_look_believes_the_times_that_it_finds() {
        for (age, due) in [(Some(5000), 300), (Some(1000), 300), (Some(400), 900), (Some(0), 1300), (None, 1300)] {
            let mut settle = Settle::new(PERIOD);
            settle.looks_like(1, age.map(millis), millis(300));
            assert_eq!(settle.due(Duration::ZERO, None), millis(due), "{age:?}");
            assert!(settle.moment(millis(due), None).counts(millis(due)), "{age:?}");
            assert!(due == 300 || !settle.moment(millis(due - 1), None).counts(Duration::ZERO), "{age:?}");
        }
    }

    #[test]
    fn m4_every_change_begins_anew_and_ten_times_the_period_is_the_end() {
        let mut settle = Settle::new(PERIOD);
        settle.looks_like(1, Some(PERIOD), millis(0));
        settle.looks_like(1, Some(Duration::ZERO), millis(100));
        assert!(settle.moment(millis(100), None).counts(millis(100)), "it looks as it did");
        settle.looks_like(2, Some(PERIOD), millis(200));
        assert!(!settle.moment(millis(1199), None).counts(millis(200)));
        settle.changed(millis(1100));
        assert!(!settle.moment(millis(1200), None).counts(millis(200)));
        assert_eq!(settle.due(millis(200), None), millis(2100));
        settle.changed(millis(10_100));
        assert_eq!(settle.due(millis(200), None), millis(10_200));
        let moment = settle.moment(millis(10_200), None);
        assert!(moment.counts(millis(200)) && !moment.counts(millis(201)), "by itself, whatever else is missing");
    }

    #[test]
    fn m4_what_somebody_writes_to_is_not_settled() {
        let mut settle = Settle::new(PERIOD);
        settle.looks_like(1, Some(PERIOD), millis(0));
        assert!(!settle.moment(millis(9999), Some(millis(0))).counts(millis(5000)));
        assert!(settle.moment(millis(10_000), Some(millis(0))).counts(millis(9999)), "a file that is open for ever");
        assert_eq!(settle.due(millis(5000), Some(millis(0))), millis(10_000));
    }

    #[test]
    fn without_a_period_everything_counts_at_once() {
        let mut settle = Settle::new(Duration::ZERO);
        settle.looks_like(1, None, millis(5));
        settle.changed(millis(6));
        assert!(settle.moment(millis(6), Some(millis(6))).counts(millis(6)));
    }
}
