//! How long to wait after failures in a row: twice as long after each, up to a longest pause.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

/// Pauses that double.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Backoff {
    /// The pause after the first failure.
    pub(crate) first: Duration,
    /// No pause is longer than this.
    pub(crate) longest: Duration,
}

impl Backoff {
    /// Pauses from half a second up to `longest`: how requests to the API server are tried again.
    pub(crate) const fn up_to(longest: Duration) -> Self {
        Self { first: Duration::from_millis(500), longest }
    }

    /// The pause after so many failures in a row.
    pub(crate) fn after(self, failures: u32) -> Duration {
        self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest)
    }

    /// The same for one of several that fail together: between half of that pause and all of it, as `random` has it.
    pub(crate) fn spread_after(self, failures: u32, random: u64) -> Duration {
        let half = self.after(failures) / 2;
        half + half.mul_f64(f64::from(u32::try_from(random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX))
    }
}

/// Sixty-four random bits, good for jitter and names, not for secrets.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_within_its_bounds() {
        let backoff = Backoff::up_to(Duration::from_secs(60));
        for (failures, nominal) in [(0, 500), (1, 500), (2, 1000), (3, 2000), (8, 60_000), (u32::MAX, 60_000)] {
            let nominal = Duration::from_millis(nominal);
            assert_eq!(backoff.after(failures), nominal);
            assert_eq!(backoff.spread_after(failures, 0), nominal / 2);
            assert_eq!(backoff.spread_after(failures, u64::MAX), nominal);
        }
    }
}
