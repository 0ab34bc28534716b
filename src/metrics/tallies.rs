//! The numbers themselves: atomics, in arrays where a label tells them apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::metrics::labels::{AnswerCode, DownloadResult, FileErrorClass, Label, ReactionKind, StuckReason, Verb};

/// Upper bounds of the buckets of delays, in microseconds; all beyond is one more.
const BOUNDS_MICROS: [u64; 13] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000, 60_000_000];

/// Everything that is counted as it happens, or stands as it was said last.
pub(super) struct Tallies {
    /// When we were started, in milliseconds since 1970.
    pub(super) started_millis: u64,
    pub(super) objects: AtomicU64,
    pub(super) files: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) rejections: AtomicU64,
    pub(super) stuck: PerLabel<{ StuckReason::ALL.len() }>,
    pub(super) writes: AtomicU64,
    pub(super) removals: AtomicU64,
    pub(super) errors: PerLabel<{ FileErrorClass::ALL.len() }>,
    pub(super) delay: Delays,
    pub(super) ledger_appends: AtomicU64,
    pub(super) ledger_bytes: AtomicU64,
    /// Verb after verb, each with all its codes.
    pub(super) requests: PerLabel<{ Verb::ALL.len() * AnswerCode::ALL.len() }>,
    /// 1 where the application is told of anything.
    pub(super) tells: AtomicU64,
    pub(super) attempts: PerLabel<{ ReactionKind::ALL.len() }>,
    pub(super) failures: PerLabel<{ ReactionKind::ALL.len() }>,
    pub(super) unanswered: PerLabel<{ ReactionKind::ALL.len() }>,
    /// 1 from a failure until it works.
    pub(super) failing: PerLabel<{ ReactionKind::ALL.len() }>,
    /// When the application was told last, in milliseconds since 1970; 0: it never was.
    pub(super) told_millis: AtomicU64,
    pub(super) downloads: PerLabel<{ DownloadResult::ALL.len() }>,
}

impl Tallies {
    /// Nothing counted.
    pub(super) fn new(started: SystemTime) -> Self {
        let started = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let zero = || AtomicU64::new(0);
        Self {
            started_millis: u64::try_from(started.as_millis()).unwrap_or_default(),
            objects: zero(),
            files: zero(),
            bytes: zero(),
            conflicts: zero(),
            rejections: zero(),
            stuck: PerLabel::default(),
            writes: zero(),
            removals: zero(),
            errors: PerLabel::default(),
            delay: Delays::default(),
            ledger_appends: zero(),
            ledger_bytes: zero(),
            requests: PerLabel::default(),
            tells: zero(),
            attempts: PerLabel::default(),
            failures: PerLabel::default(),
            unanswered: PerLabel::default(),
            failing: PerLabel::default(),
            told_millis: zero(),
            downloads: PerLabel::default(),
        }
    }
}

/// Counts more. Nobody decides anything by it, so that the order among numbers does not matter.
pub(super) fn add(number: &AtomicU64, more: u64) {
    number.fetch_add(more, Ordering::Relaxed);
}

/// Says what a number is now.
pub(super) fn set(number: &AtomicU64, now: u64) {
    number.store(now, Ordering::Relaxed);
}

/// What a number is now.
pub(super) fn get(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

/// A number for each value of a label.
pub(super) struct PerLabel<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for PerLabel<N> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> PerLabel<N> {
    /// Counts one more of this value.
    pub(super) fn count(&self, at: usize) {
        self.0.get(at).into_iter().for_each(|number| add(number, 1));
    }

    /// Says what the number of this value is now.
    pub(super) fn set(&self, at: usize, now: u64) {
        self.0.get(at).into_iter().for_each(|number| set(number, now));
    }

    /// The numbers, in the order of the values.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(get)
    }
}

/// How long files took, in seconds.
pub(super) struct DelayFigures {
    /// Upper bounds, and how many are below each and above the one before.
    pub(super) buckets: Vec<(f64, u64)>,
    /// The sum of all.
    pub(super) sum: f64,
}

/// How long files took.
#[derive(Default)]
pub(super) struct Delays {
    /// The last is of those beyond every bound.
    buckets: PerLabel<{ BOUNDS_MICROS.len() + 1 }>,
    micros: AtomicU64,
}

impl Delays {
    /// So many files took so long.
    pub(super) fn observe(&self, delay: Duration, files: u64) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_MICROS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS_MICROS.len());
        self.buckets.0.get(at).into_iter().for_each(|bucket| add(bucket, files));
        add(&self.micros, micros.saturating_mul(files));
    }

    /// What was observed so far.
    pub(super) fn read(&self) -> DelayFigures {
        let bounds = BOUNDS_MICROS.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        DelayFigures { buckets: bounds.zip(self.buckets.numbers()).collect(), sum: seconds(get(&self.micros)) }
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_counted_in_the_first_bucket_that_holds_it() {
        let delays = Delays::default();
        delays.observe(Duration::from_millis(1), 2);
        delays.observe(Duration::from_micros(1_001), 1);
        delays.observe(Duration::from_secs(61), 1);
        let DelayFigures { buckets, sum } = delays.read();
        let filled: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.0025, 1), (f64::INFINITY, 1)]);
        assert_eq!(sum, 61.003_001);
    }
}
