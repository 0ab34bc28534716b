//! How long a child that ends again and again is left alone.

use std::time::Duration;

/// The shortest pause: also a change waits for it.
pub(crate) const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The pauses so far.
#[derive(Default)]
pub(crate) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The pause before the next start of a child that ran for so long: one second, doubled each time up to a minute; one second
    /// again after it ran for longer than the longest pause.
    pub(crate) fn after(&mut self, ran: Duration) -> Duration {
        let last = self.last.filter(|_| ran <= LONGEST);
        let pause = last.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.last = Some(pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_good_run() {
        let mut backoff = Backoff::default();
        let pauses = [0, 1, 0, 60, 0, 5, 0, 0, 61, 0].map(|ran| backoff.after(Duration::from_secs(ran)).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 1, 2]);
    }
}
