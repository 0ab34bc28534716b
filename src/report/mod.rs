//! What people are told and what objects carry: Events, finalizers, permissions.
//!
//! Owns every write to the API server. It keeps state, not events, so it can be slow, retried or absent without harm
//! to the files; nothing here is ever waited for by the engine.

pub(crate) mod events;
pub(crate) mod farewell;
pub(crate) mod finalizers;
pub(crate) mod patch;
pub(crate) mod reason;
pub(crate) mod refusals;
pub(crate) mod release;
pub(crate) mod series;
pub(crate) mod settle;
pub(crate) mod sweep;
pub(crate) mod wishes;

#[cfg(test)]
pub(crate) mod stub;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// How long to wait after so many failures in a row: from half a second, doubled up to `max`, spread by `random`.
///
/// # Guarantees
/// Between half of and the whole nominal time, never more than `max`.
pub(crate) fn backoff(failures: u32, max: Duration, random: u64) -> Duration {
    let nominal = Duration::from_millis(500).saturating_mul(1 << failures.saturating_sub(1).min(16)).min(max);
    let half = nominal / 2;
    half + half.mul_f64(f64::from(u32::try_from(random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX))
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
        let max = Duration::from_secs(60);
        for (failures, nominal) in [(0, 500), (1, 500), (2, 1000), (3, 2000), (8, 60_000), (u32::MAX, 60_000)] {
            let nominal = Duration::from_millis(nominal);
            assert_eq!(backoff(failures, max, 0), nominal / 2);
            assert_eq!(backoff(failures, max, u64::MAX), nominal);
        }
    }
}
