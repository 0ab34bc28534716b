//! S15: what is left in the store of objects and namespaces that came and went.

use super::*;
use crate::core::digest::Digester;
use crate::core::files::folded::Folded;
use crate::core::files::store::SourceScope;
use crate::core::files::store::tests::rules;
use crate::core::object::{Datum, Kind, Object, ObjectEvent, SourceEvent, SourceId};
use crate::core::path::{Roots, TargetPath};
use crate::core::policy::Precedence;

const SOURCE: SourceId = SourceId(0);

fn store() -> Store {
    Store::new([SourceScope { kind: None, namespace: None, name: None }], Precedence::Oldest, Digester::new((1, 2)))
}

fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new(Kind::ConfigMap, namespace, name)
}

fn path(key: &ObjectKey) -> TargetPath {
    Roots::new("/f", []).recorded(&format!("{}/{}", key.namespace, key.name)).unwrap()
}

/// The object comes, and gets its file.
fn comes(store: &mut Store, key: &ObjectKey) {
    let object = Object {
        uid: 1,
        resource_version: 1,
        folder: Some(key.namespace.to_string()),
        ..Object::new(key.clone(), vec![Datum::text(key.name.to_string(), "1")])
    };
    fold(store, SourceEvent::of(SOURCE, 1, ObjectEvent::Apply(Box::new(object))));
    store.own(&path(key), key);
}

/// The object goes, and so does its file.
fn goes(store: &mut Store, key: &ObjectKey) {
    fold(store, gone(key));
    store.disown(&path(key));
    store.take_idle();
}

fn gone(key: &ObjectKey) -> SourceEvent {
    let key = key.clone();
    SourceEvent::of(SOURCE, 1, ObjectEvent::Delete { key, uid: 1, overrides: false, finalizers: Box::default() })
}

fn fold(store: &mut Store, event: SourceEvent) {
    store.fold(event, &rules(), &mut Folded::default());
}

/// What every book has in it, and has room for.
fn books(store: &Store) -> [(usize, usize); 4] {
    let Store { objects, paths, folders, namespaces, .. } = store;
    [
        (objects.len(), objects.capacity()),
        (paths.len(), paths.capacity()),
        (folders.len(), folders.capacity()),
        (namespaces.len(), namespaces.capacity()),
    ]
}

#[test]
fn s15_nothing_is_left_of_objects_that_came_and_went_in_namespaces_of_their_own() {
    let mut store = store();
    for number in 0..100 {
        comes(&mut store, &key("stays", &number.to_string()));
    }
    let before = books(&store);
    for wave in 0..10 {
        let storm: Vec<ObjectKey> =
            (0..10_000).map(|number| key(&format!("short-lived-{wave}-{}", number / 10), &number.to_string())).collect();
        storm.iter().for_each(|key| comes(&mut store, key));
        storm.iter().for_each(|key| goes(&mut store, key));
    }
    assert_eq!(books(&store).map(|(there, _)| there), before.map(|(there, _)| there), "all of it is gone");
    store.tidy();
    assert_eq!(books(&store), before, "and so is its room");
}

#[test]
fn s15_a_namespace_is_one_allocation_until_its_last_object_goes() {
    let (mut store, [first, second]) = (store(), ["a", "b"].map(|name| key("n", name)));
    // Another text for each, as they come from the API.
    comes(&mut store, &first);
    comes(&mut store, &key(&String::from("n"), "b"));
    let texts: Vec<Arc<str>> = store.live().map(|(key, _)| key.namespace.clone()).collect();
    assert!(Arc::ptr_eq(&texts[0], &texts[1]), "one allocation");
    goes(&mut store, &first);
    assert_eq!(store.namespaces.len(), 1);
    goes(&mut store, &second);
    assert_eq!(store.namespaces.len(), 0);
}

#[test]
fn s15_who_is_told_of_objects_that_it_does_not_know_keeps_nothing_of_them() {
    let mut store = store();
    for number in 0..100 {
        fold(&mut store, gone(&key(&format!("unknown-{number}"), "a")));
        fold(&mut store, SourceEvent::of(SOURCE, 1, ObjectEvent::Unanswered(key(&format!("unknown-{number}"), "b"))));
    }
    assert_eq!(books(&store).map(|(there, _)| there), [0; 4]);
}
