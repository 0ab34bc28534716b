//! How long a child that ends again and again is left alone.

use std::time::Duration;

use crate::core::backoff::Backoff;

/// Its first pause is the shortest: also a change waits for it.
pub(crate) const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// How often in a row the child ended soon.
#[derive(Default)]
pub(crate) struct Restarts(u32);

impl Restarts {
    /// The pause before the next start of a child that ran for so long: one second, doubled each time up to a minute; one second
    /// again after it ran for longer than the longest pause.
    pub(crate) fn after(&mut self, ran: Duration) -> Duration {
        self.0 = if ran > BACKOFF.longest { 1 } else { self.0.saturating_add(1) };
        BACKOFF.after(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_good_run() {
        let mut restarts = Restarts::default();
        let pauses = [0, 1, 0, 60, 0, 5, 0, 0, 61, 0].map(|ran| restarts.after(Duration::from_secs(ran)).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 1, 2]);
    }
}
