//! S1: neither the state nor the source nor the generation is lost, whatever meets whatever.

use super::*;
use crate::core::digest::Digester;
use crate::core::files::folded::Folded;
use crate::core::files::store::tests::rules;
use crate::core::files::store::{SourceScope, Store};
use crate::core::object::{Datum, Kind, ObjectKey, SourceId};
use crate::core::policy::Precedence;

const SOURCE: SourceId = SourceId(3);

/// Which of the events, with what it tells of its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kindly {
    Apply(u128, u64),
    Fetched(u128, u64),
    Unread(u128, u64),
    Keep,
    Unanswered,
    Delete,
}
use Kindly::{Apply, Delete, Fetched, Keep, Unanswered, Unread};

fn key() -> ObjectKey {
    ObjectKey::new(Kind::ConfigMap, "n", "a")
}

fn event(what: Kindly, source: SourceId, generation: u32) -> SourceEvent {
    let object = |uid, resource_version| {
        let data = vec![Datum::text("k", "1")];
        Box::new(Object { uid, resource_version, ..Object::new(key(), data) })
    };
    match what {
        Apply(uid, version) => SourceEvent::of(source, generation, ObjectEvent::Apply(object(uid, version))),
        Fetched(uid, version) => SourceEvent::of(source, generation, ObjectEvent::Fetched(object(uid, version))),
        Unread(uid, resource_version) => SourceEvent::of(source, generation, ObjectEvent::Unread { key: key(), uid, resource_version }),
        Keep => SourceEvent::of(source, generation, ObjectEvent::Keep(key())),
        Unanswered => SourceEvent::of(source, generation, ObjectEvent::Unanswered(key())),
        Delete => {
            SourceEvent::of(source, generation, ObjectEvent::Delete { key: key(), uid: 1, overrides: false, finalizers: Box::default() })
        }
    }
}

fn list_of(event: &SourceEvent) -> Option<(SourceId, u32)> {
    let SourceEvent::Object { source, generation, .. } = event else { return None };
    Some((*source, *generation))
}

fn told(event: &SourceEvent) -> Kindly {
    match event {
        SourceEvent::Object { event: ObjectEvent::Apply(object), .. } => Apply(object.uid, object.resource_version),
        SourceEvent::Object { event: ObjectEvent::Fetched(object), .. } => Fetched(object.uid, object.resource_version),
        SourceEvent::Object { event: ObjectEvent::Unread { uid, resource_version, .. }, .. } => Unread(*uid, *resource_version),
        SourceEvent::Object { event: ObjectEvent::Keep(_), .. } => Keep,
        SourceEvent::Object { event: ObjectEvent::Unanswered(_), .. } => Unanswered,
        SourceEvent::Object { event: ObjectEvent::Delete { .. }, .. } => Delete,
        _ => panic!("of no object"),
    }
}

const ALL: [Kindly; 10] =
    [Apply(1, 5), Apply(2, 6), Fetched(1, 4), Fetched(1, 6), Fetched(2, 7), Unread(1, 5), Unread(2, 6), Keep, Unanswered, Delete];

#[test]
fn s1_no_merge_loses_source_or_generation() {
    for (waiting, newer) in ALL.iter().flat_map(|waiting| ALL.iter().map(move |newer| (*waiting, *newer))) {
        for (before, after) in [(1, 2), (2, 1), (7, 7)] {
            let mut merged = event(waiting, SOURCE, before);
            assert!(merge(&mut merged, event(newer, SOURCE, after)).is_none(), "{waiting:?} {newer:?}");
            assert_eq!(list_of(&merged), Some((SOURCE, before.max(after))), "{waiting:?} {newer:?}");
            assert_eq!(merged.key(), Some(&key()));
        }
    }
}

#[test]
fn s1_what_is_of_another_source_or_object_is_left_alone() {
    for (waiting, newer) in ALL.iter().flat_map(|waiting| ALL.iter().map(move |newer| (*waiting, *newer))) {
        let mut merged = event(waiting, SOURCE, 1);
        let back = merge(&mut merged, event(newer, SourceId(4), 9)).expect("it is another source's");
        assert_eq!((told(&merged), list_of(&merged)), (waiting, Some((SOURCE, 1))));
        assert_eq!((told(&back), list_of(&back)), (newer, Some((SourceId(4), 9))));
    }
    let mut merged = event(Apply(1, 1), SOURCE, 1);
    let other = SourceEvent::of(SOURCE, 1, ObjectEvent::Keep(ObjectKey::new(Kind::Secret, "n", "a")));
    assert!(merge(&mut merged, other).is_some());
    assert!(merge(&mut merged, SourceEvent::ListEnd { source: SOURCE, generation: 1 }).is_some());
}

#[test]
fn s1_the_state_that_counts_is_the_latest_and_what_was_fetched_never_undoes_what_was_watched() {
    let expected = [
        // What was watched replaces what waits.
        (Apply(1, 5), Apply(1, 6), Apply(1, 6)),
        (Apply(1, 5), Delete, Delete),
        (Apply(2, 6), Delete, Apply(2, 6)),
        (Unread(2, 6), Delete, Unread(2, 6)),
        (Fetched(2, 6), Delete, Fetched(2, 6)),
        (Delete, Apply(2, 6), Apply(2, 6)),
        (Keep, Apply(1, 5), Apply(1, 5)),
        (Keep, Unread(1, 5), Unread(1, 5)),
        (Keep, Delete, Delete),
        (Apply(1, 5), Unread(1, 6), Unread(1, 6)),
        (Fetched(1, 9), Apply(1, 5), Apply(1, 5)),
        (Fetched(1, 9), Delete, Delete),
        // What is only known to exist changes nothing.
        (Apply(1, 5), Keep, Apply(1, 5)),
        (Unread(1, 5), Keep, Unread(1, 5)),
        (Fetched(1, 5), Keep, Fetched(1, 5)),
        (Delete, Keep, Delete),
        (Keep, Keep, Keep),
        // Nor what could not be read; but that is told where nothing else is known.
        (Unread(1, 5), Unanswered, Unread(1, 5)),
        (Apply(1, 5), Unanswered, Apply(1, 5)),
        (Keep, Unanswered, Unanswered),
        (Unanswered, Keep, Unanswered),
        (Unanswered, Fetched(1, 5), Fetched(1, 5)),
        (Unanswered, Delete, Delete),
        // What was fetched.
        (Delete, Fetched(1, 9), Delete),
        (Keep, Fetched(1, 5), Fetched(1, 5)),
        (Apply(1, 5), Fetched(1, 4), Apply(1, 5)),
        (Apply(1, 5), Fetched(1, 6), Apply(1, 6)),
        (Apply(1, 5), Fetched(2, 6), Apply(1, 5)),
        (Fetched(1, 5), Fetched(1, 6), Fetched(1, 6)),
        (Fetched(1, 6), Fetched(1, 5), Fetched(1, 6)),
        // Bytes for what was dropped.
        (Unread(1, 5), Fetched(1, 5), Apply(1, 5)),
        (Unread(1, 5), Fetched(1, 6), Apply(1, 6)),
        (Unread(1, 5), Fetched(1, 4), Unread(1, 5)),
        (Unread(1, 5), Fetched(2, 6), Unread(1, 5)),
        (Fetched(1, 6), Unread(1, 5), Apply(1, 6)),
        (Fetched(1, 4), Unread(1, 5), Unread(1, 5)),
    ];
    for (waiting, newer, result) in expected {
        let mut merged = event(waiting, SOURCE, 1);
        assert!(merge(&mut merged, event(newer, SOURCE, 1)).is_none());
        assert_eq!(told(&merged), result, "{waiting:?} and {newer:?}");
    }
}

/// What is left of the object after these events were merged as far as they can be, and folded.
fn left(events: Vec<SourceEvent>) -> Option<u128> {
    let mut waiting: Vec<SourceEvent> = Vec::new();
    for event in events {
        let apart = match waiting.last_mut() {
            Some(last) => merge(last, event),
            None => Some(event),
        };
        waiting.extend(apart);
    }
    let scope = SourceScope { kind: None, namespace: None, name: None };
    let mut store = Store::new([scope.clone(), scope.clone(), scope.clone(), scope], Precedence::Oldest, Digester::new((1, 2)));
    let fold = |store: &mut Store, event| store.fold(event, &rules(), &mut Folded::default());
    fold(&mut store, event(Apply(1, 5), SOURCE, 1));
    waiting.into_iter().for_each(|event| fold(&mut store, event));
    store.object(&key()).map(|live| live.uid())
}

#[test]
fn s1_the_end_of_two_namesakes_in_one_batch_ends_the_first_too() {
    let end = |uid| SourceEvent::of(SOURCE, 1, ObjectEvent::Delete { key: key(), uid, overrides: false, finalizers: Box::default() });
    for second in [Apply(2, 7), Unread(2, 7)] {
        assert_eq!(left(vec![end(1), event(second, SOURCE, 1), end(2)]), None);
        assert_eq!(left(vec![end(1), event(second, SOURCE, 1), end(2), end(2)]), None);
        assert_eq!(left(vec![end(1), event(second, SOURCE, 1)]), Some(2));
        assert_eq!(left(vec![event(second, SOURCE, 1), end(1)]), Some(2), "told late");
    }
    assert_eq!(left(vec![end(7)]), Some(1), "a watch that begins behind a list tells of what was over before");
}
