//! How often something is tried again, and when: the REQ_RETRY settings.

use std::time::Duration;

use crate::core::backoff::Backoff;

/// The longest pause between two attempts.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(120);
/// The longest Retry-After that is honoured.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// A `Retry-After` in seconds, capped; dates and garbage count as absent.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // A number too large for the type is still a number: the cap answers it.
    digits.then(|| value.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs).min(RETRY_AFTER_MAX))
}

/// Bounds of retries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    /// REQ_RETRY_TOTAL: retries after answers that say "later".
    pub total: u32,
    /// REQ_RETRY_CONNECT: retries while no connection comes about.
    pub connect: u32,
    /// REQ_RETRY_READ: retries after a connection that broke.
    pub read: u32,
    /// REQ_RETRY_BACKOFF_FACTOR, as time: the second retry waits for twice this, each later one for twice as long.
    pub backoff: Duration,
}

impl Retry {
    /// So many of each kind.
    pub(crate) const fn times(count: u32, backoff: Duration) -> Self {
        Self { total: count, connect: count, read: count, backoff }
    }
}

/// Why an attempt failed, as far as it matters whether there is another one: first that of which there are most retries, usually.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RetryReason {
    /// No connection.
    Connect,
    /// The connection broke, or was silent for too long.
    Read,
    /// An answer that says "later": 429, 500, 502, 503, 504.
    Later,
}

/// The attempts made so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Attempts {
    connect: u32,
    read: u32,
    later: u32,
}

impl Attempts {
    /// Notes a failure. Returns the pause before the next attempt, or nothing when the bounds are reached.
    ///
    /// Pauses are 0, 2, 4, 8 … times [`Retry::backoff`], at most [`PAUSE_MAX`]; the server's own wish counts where it is longer.
    pub(crate) fn failed(&mut self, trouble: RetryReason, wish: Option<Duration>, bounds: &Retry) -> Option<Duration> {
        let (count, bound) = match trouble {
            RetryReason::Connect => (&mut self.connect, bounds.connect),
            RetryReason::Read => (&mut self.read, bounds.read.min(bounds.total)),
            RetryReason::Later => (&mut self.later, bounds.total),
        };
        *count += 1;
        if *count > bound {
            return None;
        }
        let failures = self.connect + self.read + self.later;
        let pause = match failures {
            0 | 1 => Duration::ZERO,
            more => Backoff { first: bounds.backoff, longest: PAUSE_MAX }.after(more),
        };
        Some(pause.max(wish.unwrap_or_default().min(RETRY_AFTER_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Retry = Retry { total: 5, connect: 10, read: 3, backoff: Duration::from_millis(1100) };

    fn pauses(trouble: RetryReason) -> Vec<f64> {
        let mut attempts = Attempts::default();
        std::iter::from_fn(|| attempts.failed(trouble, None, &BOUNDS)).map(|pause| pause.as_secs_f64()).collect()
    }

    #[test]
    fn each_kind_of_failure_has_its_bound_and_pauses_double() {
        assert_eq!(pauses(RetryReason::Later), [0.0, 2.2, 4.4, 8.8, 17.6]);
        assert_eq!(pauses(RetryReason::Read), [0.0, 2.2, 4.4]);
        assert_eq!(pauses(RetryReason::Connect), [0.0, 2.2, 4.4, 8.8, 17.6, 35.2, 70.4, 120.0, 120.0, 120.0]);
    }

    #[test]
    fn a_server_that_asks_for_time_gets_some() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.failed(RetryReason::Later, Some(Duration::from_secs(7)), &BOUNDS), Some(Duration::from_secs(7)));
        assert_eq!(attempts.failed(RetryReason::Later, Some(Duration::from_secs(700)), &BOUNDS), Some(RETRY_AFTER_MAX));
    }
}
