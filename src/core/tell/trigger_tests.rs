use super::*;
use crate::core::object::Object;
use crate::core::object::pod::{PodState, Ready};

const SOURCE: SourceId = SourceId(0);

fn watched() -> Watched {
    Watched::new([SOURCE].into(), (1, 2))
}

impl From<Object> for ObjectEvent {
    fn from(object: Object) -> Self {
        Self::Apply(Box::new(object))
    }
}

impl From<PodState> for ObjectEvent {
    fn from(pod: PodState) -> Self {
        Self::Pod(pod.into())
    }
}

fn secret(name: &str, data: &[(&str, &str)]) -> Object {
    let data = data.iter().map(|(key, value)| Datum::text(*key, *value)).collect();
    Object { uid: 1, resource_version: 1, ..Object::new(ObjectKey::new(Kind::Secret, "mail", name), data) }
}

/// A pod that is ready since then at this address.
fn pod(uid: u128, address: &str, since: &str) -> PodState {
    PodState { uid, ready: Some(Ready { address: address.to_owned(), since: since.to_owned() }), ..unready("a") }
}

fn unready(name: &str) -> PodState {
    PodState { key: ObjectKey::new(Kind::Pod, "mail", name), uid: 1, ready: None }
}

fn see(watched: &mut Watched, generation: u32, event: impl Into<ObjectEvent>) -> bool {
    let event = event.into();
    let key = event.key().clone();
    let expected = if key.kind == Kind::Pod { Cause::Pods } else { Cause::Secrets };
    match watched.fold(SourceEvent::of(SOURCE, generation, event)) {
        News::Nothing => false,
        news => {
            assert_eq!(news, News::Happened(expected, key));
            true
        }
    }
}

fn list(watched: &mut Watched, generation: u32, objects: Vec<ObjectEvent>) -> usize {
    watched.fold(SourceEvent::ListBegin { source: SOURCE, generation, consistent: false });
    let told = objects.into_iter().map(|object| see(watched, generation, object)).filter(|is_told| *is_told).count();
    match watched.fold(SourceEvent::ListEnd { source: SOURCE, generation }) {
        News::Untold(_, keys) => told + keys.len(),
        news => {
            assert_eq!(news, News::Nothing);
            told
        }
    }
}

fn gone(watched: &mut Watched, event: impl Into<ObjectEvent>) -> News {
    let key = event.into().key().clone();
    watched.fold(SourceEvent::of(SOURCE, 1, ObjectEvent::Delete { key, uid: 1, overrides: false, finalizers: Box::default() }))
}

/// How each of these states of one object after the other is taken; the first is the baseline.
fn check<E: Into<ObjectEvent>>(states: Vec<(E, bool)>) {
    let mut watched = watched();
    for (number, (object, expected)) in states.into_iter().enumerate() {
        let told = if number == 0 { list(&mut watched, 1, vec![object.into()]) > 0 } else { see(&mut watched, 1, object) };
        assert_eq!(told, expected, "state {number}");
    }
}

#[test]
fn the_first_list_is_the_baseline_and_what_comes_after_it_is_told() {
    let mut watched = watched();
    assert_eq!(list(&mut watched, 1, vec![secret("old", &[("k", "v")]).into()]), 0);
    assert!(see(&mut watched, 1, secret("new", &[("k", "v")])));
}

#[test]
fn a_pod_that_becomes_ready_is_told_once() {
    check(vec![(unready("a"), false), (unready("a"), false), (pod(1, "10.0.0.1", "t"), true), (pod(1, "10.0.0.1", "t"), false)]);
}

#[test]
fn a_pod_that_became_ready_anew_is_told_although_nobody_saw_it_unready() {
    check(vec![(pod(1, "10.0.0.1", "t"), false), (pod(1, "10.0.0.1", "later"), true)]);
}

#[test]
fn a_pod_that_was_unready_for_less_than_a_second_is_told() {
    check(vec![(pod(1, "10.0.0.1", "t"), false), (unready("a"), false), (pod(1, "10.0.0.1", "t"), true)]);
}

#[test]
fn another_address_or_another_pod_of_the_name_is_told() {
    check(vec![(pod(1, "10.0.0.1", "t"), false), (pod(1, "10.0.0.2", "t"), true), (pod(2, "10.0.0.2", "t"), true)]);
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
    let all = |changed: &str| ["a", "b", "c"].map(|name| secret(name, &[("k", if name == changed { "other" } else { "v" })]).into()).into();
    assert_eq!(list(&mut watched, 1, all("")), 0);
    assert_eq!(list(&mut watched, 2, all("b")), 1);
    assert_eq!(list(&mut watched, 3, all("b")), 0);
}

#[test]
fn what_a_later_list_lacks_is_new_when_it_comes_back() {
    let mut watched = watched();
    list(&mut watched, 1, vec![secret("a", &[("k", "v")]).into()]);
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
    assert_eq!(list(&mut watched, 1, vec![unready("a").into(), secret("a", &[]).into()]), 0);
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
    list(&mut watched, 1, vec![secret("a", &[("k", "v")]).into()]);
    let key = ObjectKey::new(Kind::Secret, "mail", "a");
    let lost = SourceEvent::of(SOURCE, 1, ObjectEvent::Unread { key, uid: 1, resource_version: 2 });
    assert_eq!(watched.fold(lost), News::Lost(SOURCE));
    assert_eq!(list(&mut watched, 2, vec![secret("a", &[("k", "other")]).into()]), 1);
}

#[test]
fn s15_nothing_is_left_of_pods_that_came_and_went() {
    let mut watched = watched();
    for number in 0..10_000 {
        see(&mut watched, 1, unready(&number.to_string()));
    }
    for number in 0..10_000 {
        gone(&mut watched, unready(&number.to_string()));
    }
    assert!(watched.known.capacity() < 100, "room for {}", watched.known.capacity());
    list(&mut watched, 2, (0..10_000).map(|number| unready(&number.to_string()).into()).collect());
    list(&mut watched, 3, Vec::new());
    assert!(watched.known.capacity() < 100, "room for {}", watched.known.capacity());
}

/// What follows a former process that told this.
fn after(told: &Told) -> Watched {
    watched().after(told.clone())
}

/// What was told when a process ends that saw these objects first and told of everything.
fn told_of(objects: Vec<ObjectEvent>) -> Told {
    let mut watched = after(&Told::nothing("us".to_owned()));
    tell_all(&mut watched, 1, objects);
    kept(&mut watched).unwrap()
}

/// Lists, and tells of what that brings.
fn tell_all(watched: &mut Watched, generation: u32, objects: Vec<ObjectEvent>) {
    let keys: Vec<ObjectKey> = objects.iter().map(|object| object.key().clone()).collect();
    list(watched, generation, objects);
    for key in keys {
        watched.expect(&key, 1);
    }
    watched.told(Cause::Pods, 1);
    watched.told(Cause::Secrets, 1);
}

/// What is to be kept, if it is newer than before.
fn kept(watched: &mut Watched) -> Option<Told> {
    watched.take_changed().map(|bytes| Told::read(&bytes, "us".to_owned()))
}

fn edited(mut secret: Object, version: u64) -> Object {
    secret.resource_version = version;
    secret
}

#[test]
fn r15_what_was_told_is_not_told_again_and_all_else_is() {
    let told = told_of(vec![secret("a", &[("k", "v")]).into(), secret("b", &[("k", "v")]).into(), pod(1, "10.0.0.1", "t").into()]);
    let again = |objects| list(&mut after(&told), 1, objects);
    assert_eq!(again(vec![secret("a", &[("k", "v")]).into(), pod(1, "10.0.0.1", "t").into()]), 0);
    assert_eq!(again(vec![edited(secret("a", &[("k", "other")]), 2).into()]), 1, "renewed");
    assert_eq!(again(vec![edited(secret("a", &[("k", "v")]), 2).into()]), 1, "nobody knows what was changed of it");
    assert_eq!(again(vec![Object { uid: 2, ..secret("a", &[("k", "v")]) }.into()]), 1, "another of the name");
    assert_eq!(again(vec![secret("c", &[("k", "v")]).into()]), 1, "new");
    assert_eq!(again(vec![pod(2, "10.0.0.1", "t").into()]), 1, "another pod");
    assert_eq!(again(vec![pod(1, "10.0.0.1", "later").into()]), 1, "ready anew");
    assert_eq!(again(vec![unready("a").into()]), 0);
    assert_eq!(list(&mut after(&Told::nothing("us".to_owned())), 1, vec![secret("a", &[("k", "v")]).into()]), 1, "nothing was told before");
}

#[test]
fn r15_only_what_was_told_is_kept() {
    let mut watched = after(&Told::nothing("us".to_owned()));
    assert_eq!(list(&mut watched, 1, vec![secret("a", &[("k", "v")]).into(), secret("b", &[("k", "v")]).into()]), 2);
    watched.told(Cause::Secrets, 9);
    assert_eq!(kept(&mut watched), None, "they have no number");
    let (a, b) = (secret("a", &[]).key, secret("b", &[]).key);
    watched.expect(&a, 1);
    watched.expect(&b, 2);
    watched.told(Cause::Pods, 9);
    assert_eq!(kept(&mut watched), None);
    watched.told(Cause::Secrets, 1);
    let told = kept(&mut watched).unwrap();
    assert_eq!((told.state(&a).is_some(), told.state(&b).is_some()), (true, false));
    // What happens while it is told is told by another run.
    assert!(see(&mut watched, 1, edited(secret("b", &[("k", "other")]), 2)));
    watched.expect(&b, 3);
    watched.told(Cause::Secrets, 2);
    assert_eq!(kept(&mut watched), None);
    watched.told(Cause::Secrets, 3);
    assert_eq!(kept(&mut watched).unwrap().state(&b), Some(&ToldState::of(&edited(secret("b", &[]), 2))));
    assert_eq!(kept(&mut watched), None, "taken");
    watched.lost();
    assert!(kept(&mut watched).is_some(), "it did not get there");
}

#[test]
fn r15_an_edit_that_is_not_told_is_kept_and_not_told_by_a_next_start() {
    let mut watched = after(&told_of(vec![secret("a", &[("k", "v")]).into()]));
    assert_eq!(list(&mut watched, 1, vec![secret("a", &[("k", "v")]).into()]), 0);
    assert_eq!(kept(&mut watched), None);
    let annotated = edited(secret("a", &[("k", "v")]), 2);
    assert!(!see(&mut watched, 1, annotated.clone()));
    let told = kept(&mut watched).unwrap();
    assert_eq!(list(&mut after(&told), 1, vec![annotated.into()]), 0);
}

#[test]
fn r15_an_edit_of_what_is_still_to_be_told_does_not_make_it_told() {
    let mut watched = after(&Told::nothing("us".to_owned()));
    assert_eq!(list(&mut watched, 1, vec![secret("a", &[("k", "v")]).into()]), 1);
    watched.expect(&secret("a", &[]).key, 1);
    assert!(!see(&mut watched, 1, edited(secret("a", &[("k", "v")]), 2)));
    assert_eq!(kept(&mut watched), None);
}

#[test]
fn r15_what_goes_or_is_not_ready_any_more_is_forgotten() {
    let all = || vec![secret("a", &[("k", "v")]).into(), pod(1, "10.0.0.1", "t").into()];
    let told = told_of(all());
    let states = |told: &Told| all().iter().map(|object: &ObjectEvent| told.state(object.key()).is_some()).collect::<Vec<_>>();
    assert_eq!(states(&told), [true, true]);
    let mut watched = after(&told);
    list(&mut watched, 1, all());
    gone(&mut watched, secret("a", &[]));
    assert_eq!(states(&kept(&mut watched).unwrap()), [false, true]);
    assert!(!see(&mut watched, 1, unready("a")));
    assert_eq!(states(&kept(&mut watched).unwrap()), [false, false]);
    // What a list lacks went while nobody watched, once every list is there.
    let mut watched = after(&told);
    list(&mut watched, 1, vec![]);
    assert_eq!(states(&kept(&mut watched).unwrap()), [false, false]);
    let mut watched = Watched::new([SOURCE, SourceId(1)].into(), (1, 2)).after(told);
    list(&mut watched, 1, vec![]);
    watched.fold(SourceEvent::Refused { source: SourceId(1) });
    assert_eq!(kept(&mut watched), None);
}
