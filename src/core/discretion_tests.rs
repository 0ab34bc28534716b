//! Silence on the model, and in a store whose paths change hands.

use super::*;
use crate::core::digest::Digester;
use crate::core::files::entry::OnDisk;
use crate::core::files::store::Store;
use crate::core::object::{Kind, ObjectKey};
use crate::core::path::Roots;
use crate::core::policy::Precedence;

fn silent(listener: &Listener) -> bool {
    listener.frankness(listener.begins()) == Frankness::Silent
}

/// It was told, whatever it said.
fn told(listener: &mut Listener) {
    let since = listener.begins();
    listener.told(since);
}

#[test]
fn r13_a_file_of_a_secret_silences_until_it_is_gone_and_that_was_told() {
    let discretion = Discretion::new(ReactOutput::Guarded);
    let (secrets, mut listener) = (Secrets::known_to(discretion.clone()), discretion.listener());
    assert!(!silent(&listener), "there never was any");
    secrets.gained();
    assert!(silent(&listener));
    told(&mut listener);
    assert!(silent(&listener), "it is there");
    secrets.lost();
    assert!(silent(&listener), "whoever was not told may still know it");
    told(&mut listener);
    assert!(!silent(&listener));
}

#[test]
fn r13_a_file_that_comes_or_goes_while_somebody_speaks_silences_too() {
    let discretion = Discretion::new(ReactOutput::Guarded);
    let (secrets, mut listener) = (Secrets::known_to(discretion.clone()), discretion.listener());
    let since = listener.begins();
    secrets.gained();
    assert_eq!(listener.frankness(since), Frankness::Silent, "it came");
    secrets.lost();
    assert_eq!(listener.frankness(since), Frankness::Silent, "it came and went");
    listener.told(since);
    assert!(silent(&listener), "what was told began before");
}

#[test]
fn r13_doubt_silences_once_and_always_means_always() {
    let (guarded, open) = (Discretion::new(ReactOutput::Guarded), Discretion::new(ReactOutput::Always));
    let (mut listener, frank) = (guarded.listener(), open.listener());
    assert!(guarded.is_clean());
    guarded.doubt();
    assert!(silent(&listener) && !guarded.is_clean());
    told(&mut listener);
    assert!(!silent(&listener));
    open.gained();
    assert_eq!(frank.frankness(frank.begins()), Frankness::Open);
}

#[test]
fn r13_a_path_that_a_secret_gives_up_to_another_object_counts_until_its_file_is_another() {
    let discretion = Discretion::new(ReactOutput::Guarded);
    let digester = Digester::new((1, 2));
    let mut store = Store::new([], Precedence::Oldest, digester).discreet(discretion.clone());
    let path = Roots::new("/folder", []).recorded("a").unwrap();
    let (secret, map) = (ObjectKey::new(Kind::Secret, "n", "s"), ObjectKey::new(Kind::ConfigMap, "n", "m"));
    store.own(&path, &map);
    assert_eq!(discretion.files(), 0);
    store.own(&path, &secret);
    assert_eq!(discretion.files(), 1);
    store.own(&path, &map);
    assert_eq!(discretion.files(), 1, "its bytes are still there");
    store.own(&path, &ObjectKey::new(Kind::ConfigMap, "n", "another"));
    assert_eq!(discretion.files(), 1, "whoever has it next");
    store.saw(&path, OnDisk::Unknown);
    assert_eq!(discretion.files(), 1, "nobody knows");
    store.saw(&path, OnDisk::Absent);
    assert_eq!(discretion.files(), 0);
    store.own(&path, &secret);
    store.own(&path, &map);
    store.disown(&path);
    assert_eq!(discretion.files(), 0, "it is gone, or somebody else's");
    store.own(&path, &secret);
    store.own(&path, &secret);
    assert_eq!(discretion.files(), 1);
    store.disown(&path);
    assert_eq!(discretion.files(), 0);
}
