//! When paths are tried again, on a clock that only the test moves.

use super::*;
use crate::core::object::Kind;
use crate::core::path::Roots;

const NOW: Duration = Duration::from_secs(100);

fn path(text: &str) -> TargetPath {
    Roots::new("/f", []).recorded(text).unwrap()
}

fn store() -> Store {
    crate::engine::store([], crate::core::policy::Precedence::Oldest, (1, 2))
}

/// A store whose ledger gives each path to an object of its name.
fn owning(paths: &[&str]) -> Store {
    let mut store = store();
    paths.iter().for_each(|name| store.own(&path(name), &ObjectKey::new(Kind::Secret, "n", *name)));
    store
}

fn due(attempts: &mut Agenda, now: Duration) -> Vec<String> {
    let mut touched = BTreeSet::new();
    attempts.take_due(&mut store(), &mut touched, now);
    touched.iter().map(|path| path.as_str().to_owned()).collect()
}

#[test]
fn waits_grow_with_failures_up_to_a_bound_and_a_failure_is_news_once() {
    let mut attempts = Agenda::default();
    let mut fail = |at: Duration| (attempts.failed(&path("a"), FileErrorClass::Other, at), attempts.next().map(|due| (due - at).as_secs()));
    let found: Vec<_> = (0..7).map(|_| fail(NOW)).collect();
    let waits = [1, 2, 4, 8, 16, 30, 30].map(Some);
    assert_eq!(found, waits.into_iter().enumerate().map(|(at, wait)| (at == 0, wait)).collect::<Vec<_>>());
}

#[test]
fn while_writes_fail_one_path_is_tried_at_a_time_until_one_works() {
    let (mut attempts, store) = (Agenda::default(), owning(&["a", "b"]));
    assert!(attempts.failed(&path("a"), FileErrorClass::Other, NOW) && attempts.failed(&path("b"), FileErrorClass::Other, NOW));
    let later = NOW + Duration::from_secs(5);
    assert_eq!(due(&mut attempts, later), ["a"]);
    assert_eq!((due(&mut attempts, later).len(), attempts.next()), (0, Some(later + APART)));
    assert!(attempts.succeeded(&path("a"), &store, later) && !attempts.is_degraded());
    assert_eq!(due(&mut attempts, later), ["b"]);
    assert_eq!(attempts.failing.len(), 1);
}

#[test]
fn what_was_due_and_found_nothing_to_do_is_over_but_not_what_the_next_commit_is_to_look_at() {
    let (mut attempts, store, touched) = (Agenda::default(), owning(&["a", "b"]), BTreeSet::from([path("a"), path("b")]));
    attempts.await_bytes(vec![path("a")], NOW - FETCH_PATIENCE);
    attempts.look_anew(path("b"), NOW, None);
    attempts.drop_moot(&touched, &store, NOW);
    assert_eq!((due(&mut attempts, NOW).len(), due(&mut attempts, NOW + NEXT_COMMIT)), (0, vec!["b".to_owned()]));
}

#[test]
fn bytes_that_do_not_come_are_waited_for_a_few_times() {
    let (mut attempts, store) = (Agenda::default(), owning(&["a"]));
    let waits = |attempts: &mut Agenda| {
        attempts.await_bytes(vec![path("a")], NOW);
        !attempts.are_made(&store)
    };
    assert_eq!([(); 5].map(|()| waits(&mut attempts)), [true, true, true, false, false]);
    let mut failed = Agenda::default();
    failed.failed(&path("a"), FileErrorClass::Other, NOW);
    assert!(failed.are_made(&store) && !waits(&mut failed), "a write was tried");
}

#[test]
fn an_owner_may_go_when_its_path_stood_long_enough_for_the_next() {
    let (mut attempts, mut store, touched) = (Agenda::default(), owning(&["a"]), BTreeSet::from([path("a")]));
    let owner = store.path(&path("a")).and_then(|entry| entry.owner.clone()).unwrap();
    attempts.note_handing_over(&touched, &[path("a")], NOW);
    assert_eq!(attempts.next(), Some(NOW + HAND_OVER_MAX));
    attempts.take_due(&mut store, &mut BTreeSet::new(), NOW);
    assert!(!attempts.may_go(&owner, &store));
    attempts.take_due(&mut store, &mut BTreeSet::new(), NOW + HAND_OVER_MAX);
    assert!(attempts.may_go(&owner, &store) && store.take_idle().contains(&owner));
    attempts.note_handing_over(&touched, &[], NOW);
    assert!(!attempts.may_go(&owner, &store), "it is wanted as before");
}
