//! What waits to be told: changes of files, and what a former process may have left untold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::digest::Digest;
use crate::core::object::ObjectKey;
use crate::core::policy::Batching;
use crate::core::tell::cause::{Cause, Happening, WINDOWS_MAX};
use crate::core::tell::queue::{BatchKey, FileChange, JobQueue};

/// What a path of a waiting job was and is.
pub(super) struct Entry {
    /// What reactions last acted on.
    pub(super) acted: Option<Digest>,
    /// What it is now, and for whom.
    pub(super) change: FileChange,
    /// The epoch in which `acted` was certain.
    pub(super) epoch: u64,
}

/// Changes that are told together.
pub(super) struct WaitingBatch {
    /// Nothing: the job of the window.
    pub(super) key: Option<BatchKey>,
    pub(super) initial: bool,
    /// The list that it belongs to is not complete.
    pub(super) open: bool,
    pub(super) first: Duration,
    pub(super) last: Duration,
    pub(super) paths: BTreeMap<Arc<str>, Entry>,
}

/// What is told although nobody knows that it changed.
#[derive(Default)]
pub(super) struct Untold {
    /// Each with its owner.
    pub(super) paths: BTreeMap<Arc<str>, Arc<ObjectKey>>,
    /// Since when it is to be told of all that is there, and of the initial pass with it; nothing: only of what was left untold.
    pub(super) all_since: Option<Duration>,
}

impl JobQueue {
    /// When a job can be told; nothing while it is held.
    pub(super) fn time(&self, job: &WaitingBatch) -> Option<Duration> {
        if self.closed {
            return Some(Duration::ZERO);
        }
        let held = job.open || (!self.downloading.is_empty() && self.downloads_for(job));
        let time = match self.batching {
            Batching::Each if held => return None,
            Batching::Each => job.first,
            Batching::Window(length) => {
                let latest = job.first + length * WINDOWS_MAX;
                if held { latest } else { latest.min(job.last + length) }
            }
        };
        Some(time.max(self.since.unwrap_or_default()))
    }

    /// Whether downloads are under way that belong to a job.
    fn downloads_for(&self, job: &WaitingBatch) -> bool {
        let of_list = |source| self.downloading.values().any(|late| *late == Some(source));
        matches!(job.key, Some(BatchKey::List(source)) if of_list(source))
            || job.paths.values().any(|entry| self.downloading.contains_key(&entry.change.owner))
    }

    /// Files are about to wait: draws how much later they are told, unless others wait already. Those that are held do not count, once
    /// what was drawn for them is over.
    pub(super) fn draw(&mut self) {
        if self.spread.is_none() || self.owed.is_some() {
            return;
        }
        if self.jobs.is_empty() || (self.later.is_zero() && self.jobs.values().all(|job| self.time(job).is_none())) {
            self.later = self.spread.draw();
        }
    }

    /// Before this nothing is told of files that wait, so that replicas part; nothing where there is no such time, or once it was over
    /// for the first of them: the others follow as they come.
    pub(super) fn gate(&self) -> Option<Duration> {
        if self.closed || self.later.is_zero() {
            return None;
        }
        let first = self.jobs.values().filter_map(|job| self.time(job)).chain(self.owed_time()).min()?;
        Some(first + self.later)
    }

    /// The same for what is told now. An attempt that is made anyway tells of everything.
    pub(super) fn open(&mut self, now: Duration) -> Duration {
        self.since.get_or_insert(now);
        let gate = self.gate().unwrap_or_default();
        if !gate.is_zero() && gate <= now {
            self.later = Duration::ZERO;
        }
        if self.failed.as_ref().is_some_and(|failed| failed.files) { Duration::ZERO } else { gate }
    }

    /// When what is owed can be told by itself. It goes with the initial pass where there is one, which may still wait for downloads.
    pub(super) fn owed_time(&self) -> Option<Duration> {
        self.owed.as_ref().filter(|_| self.jobs.values().all(|job| !job.initial))?;
        Some(if self.closed { Duration::ZERO } else { self.since.unwrap_or_default() })
    }

    /// When what happened otherwise is told by itself. A start goes with the initial pass where that brings anything, and with
    /// what is owed.
    pub(super) fn happening_alone(&self, happening: &Happening) -> Option<Duration> {
        let goes_with = happening.cause == Cause::Start && (self.owed.is_some() || self.jobs.values().any(|job| job.initial));
        (!goes_with).then(|| self.happening_time(happening))
    }

    fn happening_time(&self, happening: &Happening) -> Duration {
        if self.closed { Duration::ZERO } else { happening.due(self.since.unwrap_or_default()) }
    }

    /// Takes out what happened otherwise and is due, beside files or by itself.
    pub(super) fn take_happened(&mut self, with_files: bool, now: Duration) -> Vec<Happening> {
        let all = std::mem::take(&mut self.happened);
        let (due, later) = all.into_iter().partition(|happening| {
            // Files wait by chance, and so does a start: it goes with them when they go.
            let goes_along = with_files && happening.cause == Cause::Start;
            goes_along || self.happening_alone(happening).is_some_and(|time| time <= now)
        });
        self.happened = later;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::object::{Kind, SourceId};
    use crate::core::spread::Spread;
    use crate::core::tell::queue::delivery::Job;
    use crate::core::tell::queue::{Changed, Todo};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A file of the object of its name differs.
    fn change(queue: &mut JobQueue, path: &str, list: Option<u16>, now: u64) {
        let owner = Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", path));
        let key = list.map_or_else(|| BatchKey::Object(owner.clone()), |list| BatchKey::List(SourceId(list)));
        queue.changed(
            Changed { path, owner: &owner, before: Some(Digest::of_number(1)), after: Some(Digest::of_number(2)) },
            key,
            seconds(now),
        );
    }

    /// The first pass of two sources, each of which brings a file.
    fn first_pass(queue: &mut JobQueue) {
        for (list, path) in [(0, "a"), (1, "s")] {
            change(queue, path, Some(list), 0);
            queue.flush(SourceId(list));
        }
        queue.ready();
    }

    /// The jobs that are due now, one after the other: paths, and whether they are initial.
    fn due(queue: &mut JobQueue, now: u64) -> Vec<(String, bool)> {
        let mut all = Vec::new();
        while let Todo::Job(Job { paths, initial, names, .. }) = queue.next(seconds(now)) {
            all.push(([paths, names].concat().join(" "), initial));
            queue.delivered();
        }
        all
    }

    fn wake(queue: &mut JobQueue, now: Duration) -> Option<Duration> {
        match queue.next(now) {
            Todo::Wait(wake) => wake,
            Todo::Job(job) => panic!("a job is due: {job:?}"),
        }
    }

    /// These files, each of the object of its name.
    fn all<const N: usize>(paths: [&str; N]) -> [(String, Arc<ObjectKey>); N] {
        paths.map(|path| (path.to_owned(), Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", path))))
    }

    fn jobs(expected: &[(&str, bool)]) -> Vec<(String, bool)> {
        expected.iter().map(|(paths, initial)| ((*paths).to_owned(), *initial)).collect()
    }

    #[test]
    fn r14_after_an_earlier_process_no_job_is_an_initial_one() {
        for batching in [Batching::Each, Batching::Window(seconds(1))] {
            let mut queue = JobQueue::new(batching);
            first_pass(&mut queue);
            assert!(due(&mut queue, 1).iter().all(|(_, initial)| *initial));
            let mut queue = JobQueue::new(batching);
            queue.continues();
            first_pass(&mut queue);
            let told = due(&mut queue, 1);
            assert!(!told.is_empty() && told.iter().all(|(_, initial)| !initial), "{told:?}");
        }
    }

    #[test]
    fn r14_all_that_is_there_is_told_once_whatever_changed() {
        let all = all(["a", "s", "same"]);
        for batching in [Batching::Each, Batching::Window(seconds(1))] {
            for spread in [Spread::default(), Spread::new(seconds(8), 1)] {
                let mut queue = JobQueue::new(batching);
                queue.spread_by(spread.clone());
                queue.owe_all(all.clone(), seconds(0));
                assert_eq!(queue.next(seconds(5)), Todo::Wait(None), "the files are not there");
                first_pass(&mut queue);
                let mut told = due(&mut queue, 5);
                told.extend((6..20).flat_map(|now| due(&mut queue, now)));
                assert_eq!(told, jobs(&[("a s same", false)]), "{batching:?} {spread:?}");
                let mut queue = JobQueue::new(batching);
                queue.spread_by(spread.clone());
                queue.owe_all(all.clone(), seconds(0));
                queue.ready();
                assert!(!queue.is_idle());
                let told: Vec<_> = (0..20).flat_map(|now| due(&mut queue, now)).collect();
                assert_eq!(told, jobs(&[("a s same", false)]), "nothing changed, {batching:?} {spread:?}");
                assert!(queue.is_idle());
            }
        }
    }

    #[test]
    fn r14_who_began_before_all_was_there_is_told_of_all() {
        let mut queue = JobQueue::new(Batching::Each);
        queue.owe_all(all(["a"]), seconds(3));
        queue.ready();
        assert!(matches!(queue.next(seconds(3)), Todo::Job(_)));
        assert_eq!((queue.newest(), queue.enough_since()), (seconds(0), seconds(3)), "no file changed");
    }

    #[test]
    fn r14_a_delay_by_chance_begins_when_it_could_be_told_and_takes_what_comes_meanwhile() {
        for batching in [Batching::Each, Batching::Window(seconds(2))] {
            let mut queue = JobQueue::new(batching);
            queue.spread_by(Spread::new(seconds(1000), 7));
            change(&mut queue, "a", Some(0), 0);
            queue.flush(SourceId(0));
            // A list that takes long takes long everywhere.
            let ready = seconds(100_000);
            assert_eq!(wake(&mut queue, ready), None);
            queue.ready();
            let time = wake(&mut queue, ready).unwrap();
            assert!(time > ready && time <= ready + seconds(1000), "{time:?}");
            assert_eq!(wake(&mut queue, time - seconds(1)), Some(time), "it is drawn once");
            let Todo::Job(job) = queue.next(time) else { panic!("a job is due") };
            assert_eq!(job.paths, ["a"]);
            queue.delivered();
            let later = seconds(200_000);
            change(&mut queue, "b", None, later.as_secs());
            let time = wake(&mut queue, later).unwrap();
            change(&mut queue, "b", None, later.as_secs() + 1);
            assert!(time > later && wake(&mut queue, later + seconds(1)).unwrap() >= time);
            queue.close();
            assert_eq!(due(&mut queue, later.as_secs() + 1), jobs(&[("b", false)]), "at the end nothing is waited for");
        }
    }

    #[test]
    fn r14_what_waits_together_is_told_from_one_moment_on() {
        let mut queue = JobQueue::new(Batching::Each);
        queue.spread_by(Spread::new(seconds(1000), 7));
        queue.ready();
        change(&mut queue, "first", None, 10);
        let time = wake(&mut queue, seconds(10)).unwrap();
        (0..9).for_each(|number| change(&mut queue, &format!("{number}"), None, 11 + number));
        assert_eq!(wake(&mut queue, seconds(20)), Some(time));
        assert_eq!(due(&mut queue, time.as_secs() + 1).len(), 10);
        change(&mut queue, "alone", None, 5000);
        assert!(wake(&mut queue, seconds(5000)).unwrap() > seconds(5000), "there is another one for what comes after that");
    }

    #[test]
    fn r14_what_is_held_does_not_use_the_time_of_others_up() {
        let mut queue = JobQueue::new(Batching::Each);
        queue.spread_by(Spread::new(seconds(1000), 7));
        queue.ready();
        queue.downloading(&Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", "held")), Some(SourceId(0)));
        change(&mut queue, "held", None, 10);
        assert_eq!(wake(&mut queue, seconds(10)), None);
        for now in [20, 5000] {
            change(&mut queue, "a", None, now);
            let time = wake(&mut queue, seconds(now)).unwrap();
            assert!(time > seconds(now));
            assert_eq!(due(&mut queue, time.as_secs() + 1), jobs(&[("a", false)]));
        }
    }

    #[test]
    fn r14_a_retry_takes_along_what_is_still_to_wait_and_news_are_as_late_as_ever() {
        let mut queue = JobQueue::new(Batching::Each);
        queue.ready();
        change(&mut queue, "a", None, 0);
        assert!(matches!(queue.next(seconds(0)), Todo::Job(_)));
        queue.failed();
        queue.spread_by(Spread::new(seconds(1000), 7));
        change(&mut queue, "b", None, 1);
        let news = queue.news(seconds(1)).unwrap();
        assert!(news > seconds(1) && queue.news(news) == Some(news));
        assert_eq!(due(&mut queue, 5), jobs(&[("a b", false)]));
        assert!(queue.is_idle());
        // What could not be told is no file: there is no attempt to tell of any.
        queue.happened(Cause::Pods, "pod", Duration::ZERO, seconds(10));
        assert!(matches!(queue.next(seconds(2000)), Todo::Job(_)));
        queue.failed();
        change(&mut queue, "c", None, 2000);
        assert_eq!(due(&mut queue, 2001), jobs(&[("pod", true)]));
    }

    #[test]
    fn r14_what_happens_otherwise_and_what_is_owed_are_spread_too() {
        let mut queue = JobQueue::new(Batching::Each);
        queue.spread_by(Spread::new(seconds(1000), 7));
        queue.owe(all(["o"]));
        queue.ready();
        let owed = wake(&mut queue, seconds(50)).unwrap();
        assert!(owed > seconds(50));
        queue.happened(Cause::Pods, "pod", Duration::ZERO, seconds(50));
        let both: Vec<_> = (50..2000).flat_map(|now| due(&mut queue, now)).map(|(paths, _)| paths).collect();
        assert!(both == ["o", "pod"] || both == ["pod", "o"], "{both:?}");
    }

    #[test]
    fn r15_a_start_is_told_with_what_the_first_pass_brings_or_by_itself() {
        let start = |queue: &mut JobQueue| queue.happened(Cause::Start, "start", Duration::ZERO, seconds(0));
        let mut queue = JobQueue::new(Batching::Window(seconds(1)));
        start(&mut queue);
        change(&mut queue, "a", Some(0), 3);
        queue.flush(SourceId(0));
        queue.ready();
        assert_eq!(wake(&mut queue, seconds(3)), Some(seconds(4)));
        assert_eq!(due(&mut queue, 4), jobs(&[("a start", true)]));
        let mut queue = JobQueue::new(Batching::Window(seconds(1)));
        start(&mut queue);
        queue.ready();
        assert_eq!(due(&mut queue, 3), jobs(&[("start", true)]));
    }

    #[test]
    fn r15_a_start_is_told_with_what_is_owed_however_late_that_is() {
        for seed in 0..20 {
            let mut queue = JobQueue::new(Batching::Each);
            queue.spread_by(Spread::new(seconds(100), seed));
            queue.owe(all(["o"]));
            queue.happened(Cause::Start, "start", Duration::ZERO, seconds(0));
            queue.ready();
            let told: Vec<_> = (0..200).flat_map(|now| due(&mut queue, now)).collect();
            assert_eq!(told, jobs(&[("o start", false)]));
        }
    }

    #[test]
    fn r15_what_was_told_is_known_by_its_number() {
        let mut queue = JobQueue::new(Batching::Each);
        queue.ready();
        let happened = |queue: &mut JobQueue, cause, delay, now| queue.happened(cause, "x", seconds(delay), seconds(now));
        let (pod, secret) = (happened(&mut queue, Cause::Pods, 0, 0), happened(&mut queue, Cause::Secrets, 70, 0));
        assert!(matches!(queue.next(seconds(0)), Todo::Job(_)));
        let during = happened(&mut queue, Cause::Pods, 0, 1);
        assert_eq!((queue.told(Cause::Pods), queue.told(Cause::Secrets)), (0, 0), "it is being told");
        queue.failed();
        assert_eq!(queue.told(Cause::Pods), 0);
        assert!(!queue.heard(Cause::Pods), "nobody is being told");
        assert!(matches!(queue.next(seconds(1)), Todo::Job(_)));
        assert_eq!((queue.heard(Cause::Pods), queue.heard(Cause::Pods), queue.heard(Cause::Secrets)), (true, false, false));
        queue.delivered();
        assert!(pod < during);
        assert_eq!((queue.told(Cause::Pods), queue.told(Cause::Secrets)), (during, 0));
        assert!(matches!(queue.next(seconds(70)), Todo::Job(_)));
        assert!(queue.heard(Cause::Secrets));
        queue.delivered();
        assert_eq!((queue.told(Cause::Pods), queue.told(Cause::Secrets)), (during, secret));
        happened(&mut queue, Cause::Pods, 0, 80);
        assert!(matches!(queue.next(seconds(80)), Todo::Job(_)));
        queue.delivered();
        assert_eq!(queue.told(Cause::Pods), during, "somebody gave up");
    }
}
