//! When events that wait for the engine were read.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Events that were read within so much time count as read at once.
const AT_ONCE: Duration = Duration::from_millis(1);

/// When waiting events were read: a time, and from which event on it holds, counted from the first ever. Of a list that is read
/// in a second there are at most a thousand, however many objects it has.
#[derive(Default)]
pub(super) struct ReadTimes(VecDeque<(usize, Instant)>);

impl ReadTimes {
    /// The event at this place was read then, and those before `first` wait no more.
    pub(super) fn note(&mut self, first: usize, at: usize, read: Instant) {
        if at == first {
            self.0.clear();
        }
        let apart = |last: Instant| read.saturating_duration_since(last).max(last.saturating_duration_since(read)) >= AT_ONCE;
        if self.0.back().is_none_or(|(_, last)| apart(*last)) {
            self.0.push_back((at, read));
        }
    }

    /// When the first of the events before this place was read, which wait no more.
    pub(super) fn take(&mut self, until: usize) -> Option<Instant> {
        let mut oldest = None;
        while let Some((_, read)) = self.0.front().copied().filter(|(from, _)| *from < until) {
            oldest = Some(oldest.map_or(read, |oldest: Instant| oldest.min(read)));
            // The last that begins before there holds for what is left.
            if self.0.get(1).is_none_or(|(next, _)| *next > until) {
                break;
            }
            self.0.pop_front();
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_those_that_are_taken_counts() {
        let (mut times, base) = (ReadTimes::default(), Instant::now());
        let at = |millis| base + Duration::from_millis(millis);
        [(0, 0), (1, 5), (2, 9)].into_iter().for_each(|(place, millis)| times.note(0, place, at(millis)));
        assert_eq!(times.take(2), Some(at(0)));
        times.note(2, 3, at(8));
        assert_eq!(times.take(4), Some(at(8)), "whoever waits for room is put in late");
        times.note(4, 4, at(30));
        assert_eq!(times.take(5), Some(at(30)), "what was taken counts no more");
    }

    #[test]
    fn few_times_are_kept_for_many_events() {
        let (mut times, base) = (ReadTimes::default(), Instant::now());
        // Four in a millisecond.
        for (place, number) in (0..1024).zip(0..) {
            times.note(0, place, base + Duration::from_micros(number * 250));
        }
        assert_eq!(times.0.len(), 256, "one for each millisecond");
        let taken: Vec<_> = [256, 512, 768, 1024].map(|until| times.take(until).unwrap().duration_since(base).as_millis()).into();
        assert_eq!(taken, [0, 64, 128, 192]);
    }
}
