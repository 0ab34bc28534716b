use super::*;
use crate::core::annotations::Annotations;
use crate::core::object::Payload;

const SOURCE: SourceId = SourceId(0);

fn watched() -> Watched {
    Watched::new([SOURCE].into(), (1, 2))
}

fn object(kind: Kind, name: &str, uid: u128, data: &[(&str, &str)]) -> Object {
    let datum =
        |(key, value): &(&str, &str)| Datum { key: (*key).to_owned(), payload: Some(Payload(value.as_bytes().to_vec())), encoded: false };
    Object {
        key: ObjectKey::new(kind, "mail", name),
        uid,
        resource_version: 1,
        created: 0,
        terminating: false,
        finalizers: Vec::new(),
        held: Vec::new(),
        folder: None,
        annotations: Annotations::default(),
        data: data.iter().map(datum).collect(),
    }
}

fn secret(name: &str, data: &[(&str, &str)]) -> Object {
    object(Kind::Secret, name, 1, data)
}

/// A pod that is ready since then at this address.
fn pod(uid: u128, address: &str, since: &str) -> Object {
    object(Kind::Pod, "a", uid, &[("podIP", address), ("Ready", since)])
}

fn unready() -> Object {
    object(Kind::Pod, "a", 1, &[])
}

fn see(watched: &mut Watched, generation: u32, object: Object) -> bool {
    let expected = if object.key.kind == Kind::Pod { Cause::Pods } else { Cause::Secrets };
    let key = object.key.clone();
    match watched.fold(SourceEvent::Apply { source: SOURCE, generation, object: Box::new(object) }) {
        News::Nothing => false,
        news => {
            assert_eq!(news, News::Happened(expected, key));
            true
        }
    }
}

fn list(watched: &mut Watched, generation: u32, objects: Vec<Object>) -> usize {
    watched.fold(SourceEvent::ListBegin { source: SOURCE, generation, consistent: false });
    let told = objects.into_iter().filter(|object| see(watched, generation, object.clone())).count();
    watched.fold(SourceEvent::ListEnd { source: SOURCE, generation });
    told
}

fn gone(watched: &mut Watched, object: Object) -> News {
    let Object { key, uid, finalizers, .. } = object;
    watched.fold(SourceEvent::Delete { source: SOURCE, generation: 1, key, uid, overrides: false, finalizers })
}

/// How each of these states of one object after the other is taken; the first is the baseline.
fn check(states: Vec<(Object, bool)>) {
    let mut watched = watched();
    for (number, (object, expected)) in states.into_iter().enumerate() {
        let told = if number == 0 { list(&mut watched, 1, vec![object]) > 0 } else { see(&mut watched, 1, object) };
        assert_eq!(told, expected, "state {number}");
    }
}

#[test]
fn the_first_list_is_the_baseline_and_what_comes_after_it_is_told() {
    let mut watched = watched();
    assert_eq!(list(&mut watched, 1, vec![secret("old", &[("k", "v")])]), 0);
    assert!(see(&mut watched, 1, secret("new", &[("k", "v")])));
}

#[test]
fn a_pod_that_becomes_ready_is_told_once() {
    check(vec![(unready(), false), (unready(), false), (pod(1, "10.0.0.1", "t"), true), (pod(1, "10.0.0.1", "t"), false)]);
}

#[test]
fn a_pod_that_became_ready_anew_is_told_although_nobody_saw_it_unready() {
    check(vec![(pod(1, "10.0.0.1", "t"), false), (pod(1, "10.0.0.1", "later"), true)]);
}

#[test]
fn a_pod_that_was_unready_for_less_than_a_second_is_told() {
    check(vec![(pod(1, "10.0.0.1", "t"), false), (unready(), false), (pod(1, "10.0.0.1", "t"), true)]);
}

#[test]
fn another_address_or_another_pod_of_the_name_is_told() {
    check(vec![(pod(1, "10.0.0.1", "t"), false), (pod(1, "10.0.0.2", "t"), true), (pod(2, "10.0.0.2", "t"), true)]);
}

#[test]
fn a_pod_that_terminates_is_not_told() {
    let terminating = Object { terminating: true, ..pod(1, "10.0.0.2", "t") };
    check(vec![(pod(1, "10.0.0.1", "t"), false), (terminating, false)]);
}

#[test]
fn a_secret_is_told_when_its_data_differ_and_not_otherwise() {
    let data = [("tls.crt", "1"), ("tls.key", "2")];
    let reversed = [("tls.key", "2"), ("tls.crt", "1")];
    let other_annotations = Object { resource_version: 9, folder: Some("x".into()), ..secret("a", &data) };
    check(vec![
        (secret("a", &data), false),
        (other_annotations, false),
        (secret("a", &reversed), false),
        (secret("a", &[("tls.crt", "2"), ("tls.key", "1")]), true),
        (secret("a", &[("tls.crt", "2")]), true),
        (secret("a", &[]), true),
    ]);
}

#[test]
fn a_later_list_is_compared_with_what_was_known() {
    let mut watched = watched();
    let all = |changed: &str| ["a", "b", "c"].map(|name| secret(name, &[("k", if name == changed { "other" } else { "v" })])).to_vec();
    assert_eq!(list(&mut watched, 1, all("")), 0);
    assert_eq!(list(&mut watched, 2, all("b")), 1);
    assert_eq!(list(&mut watched, 3, all("b")), 0);
}

#[test]
fn what_a_later_list_lacks_is_new_when_it_comes_back() {
    let mut watched = watched();
    list(&mut watched, 1, vec![secret("a", &[("k", "v")])]);
    list(&mut watched, 2, vec![]);
    assert!(see(&mut watched, 2, secret("a", &[("k", "v")])));
    assert_eq!(gone(&mut watched, secret("a", &[])), News::Nothing);
    assert!(see(&mut watched, 2, secret("a", &[("k", "v")])));
}

#[test]
fn a_source_that_was_refused_is_settled_and_its_first_list_is_its_baseline() {
    let mut watched = watched();
    assert!(!watched.is_settled());
    assert_eq!(watched.fold(SourceEvent::Refused { source: SOURCE }), News::Nothing);
    assert!(watched.is_settled());
    assert_eq!(list(&mut watched, 1, vec![unready(), secret("a", &[])]), 0);
    assert!(see(&mut watched, 1, pod(1, "10.0.0.1", "t")));
}

#[test]
fn it_is_settled_when_every_source_is() {
    let mut watched = Watched::new([SOURCE, SourceId(1)].into(), (1, 2));
    list(&mut watched, 1, vec![]);
    assert!(!watched.is_settled());
    watched.fold(SourceEvent::Refused { source: SOURCE });
    assert!(!watched.is_settled(), "one source counts once");
    watched.fold(SourceEvent::ListEnd { source: SourceId(1), generation: 1 });
    assert!(watched.is_settled());
}

#[test]
fn a_state_that_was_lost_is_asked_for_and_then_compared() {
    let mut watched = watched();
    list(&mut watched, 1, vec![secret("a", &[("k", "v")])]);
    let key = ObjectKey::new(Kind::Secret, "mail", "a");
    let lost = SourceEvent::Unread { source: SOURCE, generation: 1, key, uid: 1, resource_version: 2 };
    assert_eq!(watched.fold(lost), News::Lost(SOURCE));
    assert_eq!(list(&mut watched, 2, vec![secret("a", &[("k", "other")])]), 1);
}

#[test]
fn s15_nothing_is_left_of_pods_that_came_and_went() {
    let mut watched = watched();
    for number in 0..10_000 {
        see(&mut watched, 1, object(Kind::Pod, &number.to_string(), 1, &[]));
    }
    for number in 0..10_000 {
        gone(&mut watched, object(Kind::Pod, &number.to_string(), 1, &[]));
    }
    assert!(watched.known.capacity() < 100, "room for {}", watched.known.capacity());
    list(&mut watched, 2, (0..10_000).map(|number| object(Kind::Pod, &number.to_string(), 1, &[])).collect());
    list(&mut watched, 3, Vec::new());
    assert!(watched.known.capacity() < 100, "room for {}", watched.known.capacity());
}
