//! How instances part that do the same at the same moment: each waits for a time of its own.
//!
//! ```
//! use std::time::Duration;
//!
//! use kube_projector::core::spread::Spread;
//!
//! let most = Duration::from_secs(10);
//! let mut spread = Spread::new(most, 42);
//! assert!((0..100).all(|_| spread.draw() <= most));
//! assert_eq!(Spread::default().draw(), Duration::ZERO);
//! ```

use std::time::Duration;

/// Waits of any length up to the longest, one as likely as the other. The default has none.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Spread {
    most: Duration,
    state: u64,
}

impl Spread {
    /// Waits of up to `most`. Callers draw the seed at random.
    pub const fn new(most: Duration, seed: u64) -> Self {
        Self { most, state: seed }
    }

    /// Whether there are no waits.
    pub(crate) const fn is_none(&self) -> bool {
        self.most.is_zero()
    }

    /// The next wait.
    pub fn draw(&mut self) -> Duration {
        if self.is_none() {
            return Duration::ZERO;
        }
        // SplitMix64, of which the upper half is as good as any.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default();
        self.most.saturating_mul(part) / u32::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_over_all_of_the_time_whatever_the_seed() {
        let most = Duration::from_secs(100);
        for seed in [0, 1, u64::MAX] {
            let mut spread = Spread::new(most, seed);
            let mut tenths = [0_u32; 10];
            for _ in 0..1000 {
                let drawn = spread.draw();
                assert!(drawn <= most);
                tenths[usize::try_from(drawn.as_secs() / 10).unwrap().min(9)] += 1;
            }
            assert!(tenths.iter().all(|count| (50..200).contains(count)), "{tenths:?}");
        }
    }

    #[test]
    fn neighbouring_seeds_have_waits_of_their_own() {
        let firsts: std::collections::BTreeSet<Duration> =
            (0..1000).map(|seed| Spread::new(Duration::from_secs(1000), seed).draw()).collect();
        assert_eq!(firsts.len(), 1000);
    }

    #[test]
    fn the_longest_setting_does_not_overflow() {
        let most = Duration::from_secs(86_400);
        let mut spread = Spread::new(most, 7);
        assert!((0..100).map(|_| spread.draw()).any(|drawn| drawn > most / 2));
    }
}
