mod model;

use super::*;
use crate::core::object::Kind;

const A: Option<u128> = Some(1);
const B: Option<u128> = Some(2);
const SOURCE: SourceId = SourceId(0);
/// Of content that nobody has read.
const UNKNOWN: u128 = 0;
/// What was there, and what is there now.
type Difference = (Option<u128>, Option<u128>);

const WINDOW: Duration = Duration::from_secs(2);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn object(name: &str) -> Arc<ObjectKey> {
    Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", name))
}

/// Files that are named like their objects.
fn owed<const N: usize>(names: [&str; N]) -> [(String, Arc<ObjectKey>); N] {
    names.map(|name| (name.to_owned(), object(name)))
}

/// The changed file is named like its object.
fn change(queue: &mut JobQueue, name: &str, (before, after): Difference, now: u64) {
    let owner = object(name.split('.').next().unwrap());
    let (before, after) = (before.map(Digest::of_number), after.map(Digest::of_number));
    queue.changed(Changed { path: name, owner: &owner, before, after }, BatchKey::Object(owner.clone()), seconds(now));
}

fn list(queue: &mut JobQueue, source: SourceId, name: &str, (before, after): Difference, now: u64) {
    let owner = object(name);
    let (before, after) = (before.map(Digest::of_number), after.map(Digest::of_number));
    queue.changed(Changed { path: name, owner: &owner, before, after }, BatchKey::List(source), seconds(now));
}

#[test]
fn a_delivery_is_as_new_as_the_last_of_its_changes_also_when_it_failed() {
    let mut queue = ready(Batching::Window(WINDOW));
    change(&mut queue, "a", (A, B), 3);
    change(&mut queue, "b", (A, B), 4);
    assert!(matches!(queue.next(seconds(6)), Todo::Job(_)));
    assert_eq!(queue.newest(), seconds(4));
    queue.failed();
    change(&mut queue, "a", (B, A), 7);
    assert!(matches!(queue.next(seconds(8)), Todo::Job(_)));
    assert_eq!(queue.newest(), seconds(4), "what came since has its own window");
    queue.failed();
    assert!(matches!(queue.next(seconds(9)), Todo::Job(_)));
    assert_eq!(queue.newest(), seconds(7));
}

fn ready(batching: Batching) -> JobQueue {
    let mut queue = JobQueue::new(batching);
    queue.flush(SOURCE);
    queue.ready();
    queue
}

/// Delivers all that is due now: the paths of each job, `!` before those of an initial one.
fn deliver(queue: &mut JobQueue, now: u64) -> Vec<String> {
    let mut told = Vec::new();
    while let Todo::Job(job) = queue.next(seconds(now)) {
        told.push(format!("{}{}", if job.initial { "!" } else { "" }, job.paths.join(" ")));
        queue.delivered();
    }
    told
}

fn wait(queue: &mut JobQueue, now: u64) -> Option<Duration> {
    match queue.next(seconds(now)) {
        Todo::Wait(until) => until,
        Todo::Job(job) => panic!("a job is due: {job:?}"),
    }
}

fn attempt(queue: &mut JobQueue, now: u64) -> (String, bool) {
    match queue.next(seconds(now)) {
        Todo::Job(job) => (job.paths.join(" "), !job.fresh.is_empty()),
        Todo::Wait(until) => panic!("no job until {until:?}"),
    }
}

#[test]
fn each_object_is_told_once_in_order() {
    let mut queue = ready(Batching::Each);
    for number in 0..1000 {
        change(&mut queue, &format!("{number:04}"), (A, B), 0);
    }
    let names: Vec<String> = (0..1000).map(|number| format!("{number:04}")).collect();
    assert_eq!(deliver(&mut queue, 0), names);
    assert!(queue.is_idle());
}

#[test]
fn files_of_one_object_are_told_together_and_later_changes_join_them() {
    let mut queue = ready(Batching::Each);
    for name in ["one.b", "two.a", "one.a", "one.b"] {
        change(&mut queue, name, (A, B), 0);
    }
    assert_eq!(deliver(&mut queue, 0), ["one.a one.b", "two.a"]);
}

#[test]
fn the_initial_pass_is_told_once_per_source_with_changes() {
    let mut queue = JobQueue::new(Batching::Each);
    for (source, name) in [(0, "a"), (1, "b"), (0, "c")] {
        list(&mut queue, SourceId(source), name, (None, A), 0);
    }
    (0..3).for_each(|source| queue.flush(SourceId(source)));
    list(&mut queue, SOURCE, "gone", (A, None), 1);
    assert_eq!(deliver(&mut queue, 1), Vec::<String>::new(), "not before it is ready");
    queue.ready();
    assert_eq!(deliver(&mut queue, 1), ["!a c gone", "!b"]);
    assert!(queue.is_idle());
}

#[test]
fn a_round_is_told_once_when_it_is_complete() {
    let mut queue = ready(Batching::Each);
    for name in ["a", "b"] {
        list(&mut queue, SOURCE, name, (A, B), 1);
        assert_eq!(wait(&mut queue, 1), None, "the list is not complete");
    }
    queue.flush(SOURCE);
    assert_eq!(deliver(&mut queue, 1), ["a b"], "not an initial one");
}

#[test]
fn a_source_that_joins_late_has_an_initial_pass_of_its_own() {
    let mut queue = ready(Batching::Each);
    list(&mut queue, SourceId(1), "late", (None, A), 1);
    assert_eq!(deliver(&mut queue, 1), Vec::<String>::new());
    queue.flush(SourceId(1));
    assert_eq!(deliver(&mut queue, 1), ["!late"]);
}

#[test]
fn what_is_as_it_was_is_not_told() {
    let table: [(&[Difference], usize); 7] = [
        (&[(A, A)], 0),
        (&[(None, None)], 0),
        (&[(A, B), (B, A)], 0),
        (&[(None, A), (A, B), (B, None)], 0),
        (&[(A, B), (B, A), (A, B)], 1),
        (&[(Some(UNKNOWN), A), (A, Some(UNKNOWN))], 1),
        (&[(Some(UNKNOWN), Some(UNKNOWN))], 1),
    ];
    for batching in [Batching::Each, Batching::Window(WINDOW)] {
        for (number, (changes, jobs)) in table.iter().enumerate() {
            let mut queue = ready(batching);
            changes.iter().for_each(|change_of| change(&mut queue, "a", *change_of, 0));
            assert_eq!(queue.is_idle(), *jobs == 0, "row {number}");
            assert_eq!(deliver(&mut queue, 100).len(), *jobs, "row {number}");
        }
    }
}

#[test]
fn a_job_of_which_one_file_is_as_it_was_tells_of_the_others() {
    let mut queue = ready(Batching::Each);
    change(&mut queue, "one.a", (A, B), 0);
    change(&mut queue, "one.b", (A, B), 0);
    change(&mut queue, "one.a", (B, A), 0);
    assert_eq!(deliver(&mut queue, 0), ["one.b"]);
}

#[test]
fn what_changed_back_while_the_application_was_told_is_told_again() {
    // The application may have read any of it then.
    let mut queue = ready(Batching::Each);
    change(&mut queue, "a", (A, B), 0);
    change(&mut queue, "b", (A, B), 0);
    assert_eq!(attempt(&mut queue, 0).0, "a");
    change(&mut queue, "c", (A, B), 0);
    change(&mut queue, "d", (A, B), 0);
    change(&mut queue, "d", (B, A), 0);
    queue.delivered();
    change(&mut queue, "b", (B, A), 0);
    change(&mut queue, "c", (B, A), 0);
    assert_eq!(deliver(&mut queue, 0), ["b", "c", "d"]);
}

#[test]
fn r12_what_waited_for_an_application_that_is_slow_is_told_as_one() {
    for slow in [false, true] {
        let mut queue = ready(Batching::Each);
        change(&mut queue, "a", (A, B), 0);
        assert_eq!(attempt(&mut queue, 0).0, "a");
        ["b", "c", "d"].iter().for_each(|name| change(&mut queue, name, (A, B), 1));
        if slow {
            queue.delivered_slowly()
        } else {
            queue.delivered()
        }
        let expected: &[&str] = if slow { &["b c d"] } else { &["b", "c", "d"] };
        assert_eq!(deliver(&mut queue, 20), expected);
        ["e", "f"].iter().for_each(|name| change(&mut queue, name, (A, B), 21));
        assert_eq!(deliver(&mut queue, 21), ["e", "f"], "once");
    }
}

#[test]
fn a_job_waits_for_the_downloads_of_its_objects_and_nobody_waits_for_it() {
    let mut queue = ready(Batching::Each);
    queue.downloading(&object("slow"), Some(SOURCE));
    change(&mut queue, "slow.a", (A, B), 0);
    change(&mut queue, "fast", (A, B), 0);
    assert_eq!(deliver(&mut queue, 0), ["fast"]);
    change(&mut queue, "slow.url", (A, B), 9);
    queue.downloaded(&object("slow"));
    assert_eq!(deliver(&mut queue, 9), ["slow.a slow.url"]);
}

#[test]
fn a_list_waits_for_the_downloads_of_any_of_its_objects() {
    let mut queue = JobQueue::new(Batching::Each);
    queue.downloading(&object("slow"), Some(SOURCE));
    ["fast", "slow"].iter().for_each(|name| list(&mut queue, SOURCE, name, (None, A), 0));
    queue.flush(SOURCE);
    queue.ready();
    queue.owe(owed(["old"]));
    assert_eq!(wait(&mut queue, 0), None, "what is owed goes with it");
    change(&mut queue, "slow.url", (None, A), 0);
    queue.downloaded(&object("slow"));
    assert_eq!(deliver(&mut queue, 0), ["fast old slow slow.url"]);
}

#[test]
fn a_window_ends_when_nothing_changes_and_at_latest_after_ten_times_its_length() {
    let mut queue = ready(Batching::Window(WINDOW));
    change(&mut queue, "a", (A, B), 0);
    assert_eq!(wait(&mut queue, 0), Some(seconds(2)));
    change(&mut queue, "b", (A, B), 1);
    assert_eq!(wait(&mut queue, 2), Some(seconds(3)));
    assert_eq!(deliver(&mut queue, 3), ["a b"]);
    for second in 10..=29 {
        change(&mut queue, &format!("{second}"), (A, B), second);
        assert!(wait(&mut queue, second).is_some(), "second {second}");
    }
    assert_eq!(deliver(&mut queue, 30).len(), 1);
}

#[test]
fn a_window_waits_for_readiness_and_for_downloads_but_not_for_ever() {
    let mut queue = JobQueue::new(Batching::Window(WINDOW));
    queue.downloading(&object("slow"), Some(SOURCE));
    list(&mut queue, SOURCE, "slow", (None, A), 0);
    assert_eq!(wait(&mut queue, 100), None, "not ready");
    queue.flush(SOURCE);
    queue.ready();
    assert_eq!(wait(&mut queue, 19), Some(seconds(20)), "downloads");
    assert_eq!(deliver(&mut queue, 20), ["!slow"]);
    change(&mut queue, "slow", (A, B), 30);
    queue.downloaded(&object("slow"));
    assert_eq!(deliver(&mut queue, 32), ["slow"]);
}

#[test]
fn a_burst_in_a_window_is_one_job() {
    let mut queue = ready(Batching::Window(WINDOW));
    (0..1000).for_each(|number| change(&mut queue, &format!("{number}"), (A, B), 0));
    assert_eq!(deliver(&mut queue, 2).len(), 1);
}

#[test]
fn while_a_delivery_fails_everything_that_waits_becomes_one_job() {
    let mut queue = ready(Batching::Each);
    ["a", "b", "c"].iter().for_each(|name| change(&mut queue, name, (A, B), 0));
    assert_eq!(attempt(&mut queue, 0), ("a".into(), true));
    queue.failed();
    assert_eq!(queue.news(seconds(0)), Some(seconds(0)));
    assert_eq!(attempt(&mut queue, 1), ("a b c".into(), true));
    queue.failed();
    assert_eq!(queue.news(seconds(2)), None);
    assert_eq!(attempt(&mut queue, 2), ("a b c".into(), false));
    queue.delivered();
    assert!(queue.is_idle());
}

#[test]
fn what_failed_stays_owed_although_the_file_is_as_it_was() {
    let mut queue = ready(Batching::Each);
    change(&mut queue, "a", (A, B), 0);
    attempt(&mut queue, 0);
    queue.failed();
    change(&mut queue, "a", (B, A), 0);
    assert!(!queue.is_idle());
    assert_eq!(deliver(&mut queue, 0), ["a"]);
}

#[test]
fn what_is_owed_goes_with_the_first_job_or_alone_and_is_no_initial_one() {
    let owed = || owed(["a", "old"]);
    let mut queue = JobQueue::new(Batching::Each);
    queue.owe(owed());
    assert_eq!(wait(&mut queue, 0), None, "not ready");
    list(&mut queue, SOURCE, "new", (None, A), 0);
    list(&mut queue, SourceId(1), "other", (None, A), 0);
    queue.ready();
    assert_eq!(deliver(&mut queue, 0), ["a new old", "!other"]);
    let mut queue = JobQueue::new(Batching::Window(WINDOW));
    queue.owe(owed());
    queue.ready();
    assert!(!queue.is_idle());
    assert_eq!(deliver(&mut queue, 0), ["a old"]);
    assert!(queue.is_idle());
}

#[test]
fn of_each_file_that_is_told_it_is_known_what_became_of_it_and_for_whom() {
    fn file_changes(queue: &JobQueue) -> Vec<String> {
        let shown =
            |(path, change): (Arc<str>, FileChange)| format!("{}{path} {}", if change.is_gone { "-" } else { "+" }, change.owner.name);
        queue.file_changes().into_iter().map(shown).collect()
    }
    let mut queue = ready(Batching::Window(WINDOW));
    queue.owe(owed(["gone", "old"]));
    change(&mut queue, "a", (A, None), 0);
    change(&mut queue, "b.x", (None, A), 0);
    change(&mut queue, "c", (A, B), 0);
    change(&mut queue, "gone", (A, None), 0);
    assert_eq!(file_changes(&queue), Vec::<String>::new());
    assert!(matches!(queue.next(seconds(2)), Todo::Job(_)));
    assert_eq!(file_changes(&queue), ["-a a", "+b.x b", "+c c", "-gone gone", "+old old"]);
    // What changes meanwhile is told later, and its last state counts, also beside what failed.
    let (a, other) = (object("a"), object("other"));
    for (after, owner) in [(B, &a), (None, &a), (A, &other)] {
        let changed = Changed { path: "a", owner, before: None, after: after.map(Digest::of_number) };
        queue.changed(changed, BatchKey::Object(owner.clone()), seconds(2));
    }
    change(&mut queue, "b.x", (A, None), 2);
    assert_eq!(file_changes(&queue)[..2], ["-a a", "+b.x b"]);
    queue.failed();
    assert!(matches!(queue.next(seconds(4)), Todo::Job(_)));
    assert_eq!(file_changes(&queue), ["+a other", "-b.x b", "+c c", "-gone gone", "+old old"]);
    queue.delivered();
    assert_eq!(file_changes(&queue), Vec::<String>::new());
}

#[test]
fn a_closed_queue_waits_for_nothing() {
    for batching in [Batching::Each, Batching::Window(WINDOW)] {
        let mut queue = JobQueue::new(batching);
        queue.downloading(&object("a"), Some(SOURCE));
        list(&mut queue, SOURCE, "a", (None, A), 0);
        queue.close();
        assert_eq!(deliver(&mut queue, 0), ["!a"]);
    }
}
