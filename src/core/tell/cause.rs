//! Why the application is told, when it is not because of its files: something in the cluster happened, and after a delay it is told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// However often something happens again, a delay ends after this many times its length.
pub(super) const WINDOWS_MAX: u32 = 10;
/// As many names are kept of what happened.
const NAMES_MAX: usize = 100;

/// Why the application is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cause {
    /// Files of the projection changed.
    Files,
    /// A pod became ready, or another one has its place.
    Pods,
    /// A Secret is new, or its data changed.
    Secrets,
    /// We have started, and whatever came before that is not known.
    Start,
}

impl Cause {
    /// All but files.
    pub(crate) const OTHERS: [Self; 3] = [Self::Pods, Self::Secrets, Self::Start];
}

/// What happened of one cause since it was last told.
pub(super) struct Happening {
    pub(super) cause: Cause,
    /// The number of the last time.
    pub(super) number: u64,
    /// How much later than others it is told.
    spread: Duration,
    delay: Duration,
    first: Duration,
    last: Duration,
    pub(super) names: BTreeSet<Arc<str>>,
}

impl Happening {
    pub(super) const fn new(cause: Cause, spread: Duration, now: Duration) -> Self {
        Self { cause, number: 0, spread, delay: Duration::ZERO, first: now, last: now, names: BTreeSet::new() }
    }

    /// It happened, once more: the delay begins anew.
    pub(super) fn happened(&mut self, number: u64, name: &str, delay: Duration, now: Duration) {
        (self.number, self.delay, self.last) = (number, delay, now);
        name_one(&mut self.names, name.into());
    }

    /// When it is to be told, by somebody who could tell since then.
    pub(super) fn due(&self, since: Duration) -> Duration {
        (self.last + self.delay).min(self.first + self.delay * WINDOWS_MAX).max(since) + self.spread
    }
}

/// Adds a name, unless there are too many.
pub(super) fn name_one(names: &mut BTreeSet<Arc<str>>, name: Arc<str>) {
    if names.len() < NAMES_MAX {
        names.insert(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::digest::Digest;
    use crate::core::object::{Kind, ObjectKey};
    use crate::core::policy::Batching;
    use crate::core::tell::queue::delivery::Job;
    use crate::core::tell::queue::{BatchKey, Changed, JobQueue, Todo};

    const MINUTE: Duration = Duration::from_secs(70);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ready() -> JobQueue {
        let mut queue = JobQueue::new(Batching::Each);
        queue.ready();
        queue
    }

    fn pod(queue: &mut JobQueue, name: &str, now: u64) {
        queue.happened(Cause::Pods, name, Duration::ZERO, seconds(now));
    }

    fn secret(queue: &mut JobQueue, name: &str, now: u64) {
        queue.happened(Cause::Secrets, name, MINUTE, seconds(now));
    }

    fn change(queue: &mut JobQueue, name: &str, now: u64) {
        let owner = Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", name));
        queue.changed(
            Changed { path: name, owner: &owner, before: Some(Digest::of_number(1)), after: Some(Digest::of_number(2)) },
            BatchKey::Object(owner.clone()),
            seconds(now),
        );
    }

    /// What is due now: its causes, then all that it names.
    fn due(queue: &mut JobQueue, now: u64) -> Option<String> {
        match queue.next(seconds(now)) {
            Todo::Job(Job { paths, names, fresh, .. }) => Some(format!("{fresh:?} {}", [paths, names].concat().join(" "))),
            Todo::Wait(_) => None,
        }
    }

    fn wake(queue: &mut JobQueue, now: u64) -> Option<Duration> {
        match queue.next(seconds(now)) {
            Todo::Wait(wake) => wake,
            Todo::Job(job) => panic!("a job is due: {job:?}"),
        }
    }

    #[test]
    fn two_edits_ten_seconds_apart_are_told_once_and_counted_from_the_second() {
        let mut queue = ready();
        secret(&mut queue, "tls", 0);
        secret(&mut queue, "tls", 10);
        assert_eq!(wake(&mut queue, 79), Some(seconds(80)));
        assert_eq!(due(&mut queue, 80).as_deref(), Some("[Secrets] tls"));
        queue.delivered();
        assert_eq!(wake(&mut queue, 10_000), None);
    }

    #[test]
    fn what_happens_again_and_again_is_told_after_ten_delays() {
        let mut queue = ready();
        (0..70).for_each(|now| secret(&mut queue, "tls", now * 10));
        assert_eq!(wake(&mut queue, 699), Some(seconds(700)));
        assert_eq!(due(&mut queue, 700).as_deref(), Some("[Secrets] tls"));
    }

    #[test]
    fn without_a_delay_it_is_told_at_once_with_all_that_happened() {
        let mut queue = ready();
        pod(&mut queue, "b", 0);
        pod(&mut queue, "a", 0);
        assert_eq!(due(&mut queue, 0).as_deref(), Some("[Pods] a b"));
    }

    #[test]
    fn each_cause_has_a_delay_of_its_own() {
        let mut queue = ready();
        secret(&mut queue, "tls", 0);
        pod(&mut queue, "a", 30);
        assert_eq!(due(&mut queue, 30).as_deref(), Some("[Pods] a"));
        queue.delivered();
        assert_eq!(wake(&mut queue, 30), Some(seconds(70)), "the other one is not counted anew");
    }

    #[test]
    fn what_is_due_together_is_told_as_one() {
        let mut queue = ready();
        secret(&mut queue, "tls", 0);
        pod(&mut queue, "a", 70);
        change(&mut queue, "file", 70);
        assert_eq!(due(&mut queue, 70).as_deref(), Some("[Files, Secrets, Pods] file a tls"));
    }

    #[test]
    fn it_waits_for_the_files_to_be_there() {
        let mut queue = JobQueue::new(Batching::Each);
        pod(&mut queue, "a", 0);
        assert_eq!(wake(&mut queue, 5), None);
        queue.ready();
        assert_eq!(due(&mut queue, 5).as_deref(), Some("[Pods] a"));
    }

    #[test]
    fn it_is_no_debt_while_it_waits_runs_or_fails() {
        let mut queue = ready();
        secret(&mut queue, "tls", 0);
        assert!(queue.is_idle(), "waiting");
        assert!(due(&mut queue, 70).is_some());
        assert!(queue.is_idle(), "running");
        queue.failed();
        assert!(queue.is_idle(), "failed");
        change(&mut queue, "file", 71);
        assert!(!queue.is_idle(), "a file");
        assert_eq!(due(&mut queue, 71).as_deref(), Some("[Files] file tls"));
        queue.failed();
        assert!(!queue.is_idle(), "failed with a file");
    }

    #[test]
    fn what_happens_while_a_delivery_has_failed_is_news_of_its_own_cause() {
        let mut queue = ready();
        change(&mut queue, "file", 0);
        assert_eq!(due(&mut queue, 0).as_deref(), Some("[Files] file"));
        queue.failed();
        secret(&mut queue, "tls", 1);
        assert_eq!(queue.news(seconds(2)), Some(seconds(71)));
        assert_eq!(due(&mut queue, 2).as_deref(), Some("[] file"));
        queue.failed();
        assert_eq!(due(&mut queue, 71).as_deref(), Some("[Secrets] file tls"));
    }

    #[test]
    fn of_very_many_only_some_are_named() {
        let mut queue = ready();
        (0..1000).for_each(|number| pod(&mut queue, &format!("{number:04}"), 0));
        let Todo::Job(job) = queue.next(Duration::ZERO) else { panic!("a job is due") };
        assert_eq!((job.names.len(), job.triggered_by().as_deref()), (NAMES_MAX, Some("0000, 0001, 0002, 0003, 0004 and 95 more")));
    }
}
