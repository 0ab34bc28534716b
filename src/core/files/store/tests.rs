//! Which of two versions of an object counts, when they come late, twice, or without their bytes.

use super::*;
use crate::core::files::folded::Folded;
use crate::core::files::project::{FileNames, Rules, Urls};
use crate::core::object::{Datum, Object, ObjectEvent, SourceEvent};
use crate::core::path::Roots;

const SOURCE: SourceId = SourceId(0);

fn key() -> ObjectKey {
    ObjectKey::new(Kind::ConfigMap, "n", "a")
}

fn object(uid: u128, resource_version: u64) -> Box<Object> {
    Box::new(Object { uid, resource_version, ..Object::new(key(), vec![Datum::text("file", resource_version.to_string().into_bytes())]) })
}

fn apply(uid: u128, resource_version: u64) -> SourceEvent {
    SourceEvent::of(SOURCE, 1, ObjectEvent::Apply(object(uid, resource_version)))
}

fn fetched(uid: u128, resource_version: u64) -> SourceEvent {
    SourceEvent::of(SOURCE, 1, ObjectEvent::Fetched(object(uid, resource_version)))
}

fn dropped(uid: u128, resource_version: u64) -> SourceEvent {
    apply(uid, resource_version).without_body()
}

fn begin(consistent: bool) -> SourceEvent {
    SourceEvent::ListBegin { source: SOURCE, generation: 1, consistent }
}

pub(in crate::core) fn rules() -> Rules {
    Rules {
        roots: Roots::new("/f", []),
        names: FileNames::Key,
        folder_per_namespace: false,
        file_mode: 0o644,
        terminating_is_gone: false,
        urls: Urls::Plain,
        gzip_max: None,
        annotations: true,
        tells_outside: false,
    }
}

/// uid and resourceVersion of the object after these events, whether its bytes are missing, and how often they were asked for.
fn check(events: Vec<SourceEvent>, expected: Option<(u128, u64, bool)>, asked: usize) {
    let mut store = Store::new([SourceScope { kind: None, namespace: None, name: None }], Precedence::Oldest, Digester::new((1, 2)));
    let mut folded = Folded::default();
    events.into_iter().for_each(|event| store.fold(event, &rules(), &mut folded));
    assert_eq!(store.object(&key()).map(|live| (live.uid(), live.resource_version, live.unread)), expected);
    assert_eq!(folded.unread.len(), asked);
}

/// A store with a source for everything that is labelled, which was refused, and one for the object that was listed.
fn named(kept: &[ObjectKey]) -> Store {
    let scope =
        |name: Option<&str>| SourceScope { kind: Some(Kind::ConfigMap), namespace: name.map(|_| "n".into()), name: name.map(Into::into) };
    let store = Store::new([scope(None), scope(Some("a"))], Precedence::Oldest, Digester::new((1, 2)));
    let mut store = store.keeping(kept.iter().cloned());
    let mut folded = Folded::default();
    store.fold(SourceEvent::Refused { source: SOURCE }, &rules(), &mut folded);
    store.fold(SourceEvent::ListEnd { source: SourceId(1), generation: 1 }, &rules(), &mut folded);
    store
}

#[test]
fn only_the_source_of_a_named_object_tells_whether_it_is_there() {
    let store = named(&[]);
    assert!(store.absence_is_evidence(&key()));
    assert!(!store.absence_is_evidence(&ObjectKey::new(Kind::ConfigMap, "n", "b")));
    assert!(!store.absence_is_evidence(&ObjectKey::new(Kind::ConfigMap, "m", "a")));
    assert_eq!(store.source_of(&key()), Some(SourceId(1)));
}

#[test]
fn files_outlive_a_kept_object_and_no_living_one() {
    let mut store = named(&[key()]);
    assert!(store.outlives(&key()) && !store.outlives(&ObjectKey::new(Kind::ConfigMap, "n", "b")));
    store.fold(SourceEvent::of(SourceId(1), 1, ObjectEvent::Apply(object(1, 1))), &rules(), &mut Folded::default());
    assert!(store.keeps(&key()) && !store.outlives(&key()));
}

#[test]
fn older_versions_are_ignored_unless_a_consistent_list_brings_them() {
    check(vec![apply(1, 7), apply(1, 6)], Some((1, 7, false)), 0);
    check(vec![apply(1, 7), begin(true), apply(1, 6)], Some((1, 6, false)), 0);
}

#[test]
fn an_older_namesake_from_a_stale_cache_is_ignored() {
    check(vec![apply(2, 7), begin(false), apply(1, 6)], Some((2, 7, false)), 0);
    check(vec![apply(1, 6), apply(2, 7)], Some((2, 7, false)), 0);
}

#[test]
fn what_was_fetched_before_a_body_was_dropped_does_not_stand_for_it() {
    check(vec![apply(1, 5), dropped(1, 7), fetched(1, 6)], Some((1, 7, true)), 1);
    check(vec![apply(1, 5), dropped(1, 7), fetched(1, 7)], Some((1, 7, false)), 1);
    check(vec![dropped(1, 7), fetched(1, 9)], Some((1, 9, false)), 1);
}

#[test]
fn a_namesake_whose_body_was_dropped_is_fetched_under_its_own_uid() {
    check(vec![apply(1, 5), dropped(2, 7), fetched(2, 7)], Some((2, 7, false)), 1);
    check(vec![apply(1, 5), dropped(2, 7), fetched(1, 8)], Some((2, 7, true)), 1);
}

#[test]
fn a_body_that_was_dropped_and_is_known_is_not_asked_for() {
    check(vec![apply(1, 5), begin(false), dropped(1, 5)], Some((1, 5, false)), 0);
    check(vec![apply(1, 5), begin(false), dropped(1, 4)], Some((1, 5, false)), 0);
}

#[test]
fn a_deletion_counts_for_its_own_object_only() {
    let delete = |uid| SourceEvent::of(SOURCE, 1, ObjectEvent::Delete { key: key(), uid, overrides: false, finalizers: Box::default() });
    check(vec![apply(1, 5), delete(1)], None, 0);
    check(vec![apply(2, 5), delete(1)], Some((2, 5, false)), 0);
    check(vec![dropped(2, 5), delete(1)], Some((2, 5, true)), 1);
}
