//! Files of named objects that are deleted stay: they hold their paths until the object is back, or is named no more.

use std::collections::{BTreeMap, BTreeSet};

use kube_projector::core::object::{Kind, ObjectKey};
use kube_projector::engine::outcome::What;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::harness::{SOURCES, World, show};
use super::model::{Files, Thing, wanted};
use super::scenario::thing;

const KEPT: &str = "named";

fn kept() -> ObjectKey {
    ObjectKey::new(Kind::ConfigMap, "default", KEPT)
}

fn files(expected: &[(&str, &str)]) -> Files {
    expected.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.as_bytes().to_vec())).collect()
}

fn world(keeps: bool) -> World {
    let mut world = World::new();
    world.kept = if keeps { vec![kept()] } else { Vec::new() };
    world.put(thing(KEPT, 5, None, &[("a", "1"), ("b", "2")]));
    world.start("a");
    world.list_all();
    world.settle();
    world
}

fn holds(world: &World, expected: &[(&str, &str)]) {
    assert!(world.found() == files(expected), "found {}", show(&world.found()));
    world.assert_owned("at rest");
}

#[test]
fn files_of_a_deleted_object_stay_until_the_next_one_takes_them_over() {
    let mut world = world(true);
    world.delete(&kept());
    world.settle();
    holds(&world, &[("a", "1"), ("b", "2")]);
    world.put(thing(KEPT, 9, None, &[("b", "3"), ("c", "4")]));
    world.settle();
    holds(&world, &[("b", "3"), ("c", "4")]);
    world.put(thing(KEPT, 9, None, &[("c", "4")]));
    world.settle();
    holds(&world, &[("c", "4")]);
}

#[test]
fn files_of_an_object_that_was_deleted_while_nobody_ran_stay_too() {
    let mut world = world(true);
    world.stop();
    world.delete(&kept());
    world.start("a");
    world.list_all();
    world.settle();
    world.verify();
    world.settle();
    holds(&world, &[("a", "1"), ("b", "2")]);
    world.put(thing(KEPT, 9, None, &[("b", "3")]));
    world.settle();
    holds(&world, &[("b", "3")]);
}

#[test]
fn files_of_an_object_that_is_named_no_more_are_removed() {
    let mut world = world(true);
    world.delete(&kept());
    world.settle();
    world.kept.clear();
    world.start("a");
    world.list_all();
    world.settle();
    holds(&world, &[]);
}

#[test]
fn nobody_takes_the_path_of_a_file_that_was_kept_and_whoever_wants_it_is_told() {
    let mut world = world(true);
    world.put(thing("rival", 7, None, &[("a", "rival"), ("d", "rival")]));
    world.settle();
    world.delete(&kept());
    world.settle();
    holds(&world, &[("a", "1"), ("b", "2"), ("d", "rival")]);
    let lost = |world: &World| world.notes.iter().filter(|note| matches!(note.what, What::Conflict { .. })).count();
    let before = lost(&world);
    world.put(thing("other", 1, None, &[("b", "other")]));
    world.settle();
    holds(&world, &[("a", "1"), ("b", "2"), ("d", "rival")]);
    assert_eq!(lost(&world), before + 1);
    // It ends with the name: then each path goes to whoever wants it.
    world.kept.clear();
    world.start("a");
    world.list_all();
    world.settle();
    holds(&world, &[("a", "rival"), ("b", "other"), ("d", "rival")]);
}

#[test]
fn files_of_an_object_that_is_not_to_be_kept_go_with_it() {
    let mut world = world(false);
    world.delete(&kept());
    world.settle();
    holds(&world, &[]);
}

#[derive(Clone, Debug)]
enum Step {
    Put(Thing),
    Delete(usize),
    List,
    Verify,
    /// A new process, which names the object or not.
    Restart(bool),
}

fn a_thing() -> impl Strategy<Value = Thing> {
    let data = btree_map(select(&["k1", "k2", "k3"][..]), select(&["x", "y"][..]), 0..4);
    (select(&[KEPT, "one", "two"][..]), 0..3_i64, data).prop_map(|(name, created, data)| {
        let data: Vec<_> = data.into_iter().collect();
        thing(name, created, None, &data)
    })
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => a_thing().prop_map(Step::Put),
        5 => (0..3_usize).prop_map(Step::Delete),
        1 => Just(Step::List),
        1 => Just(Step::Verify),
        2 => select(&[true, true, false][..]).prop_map(Step::Restart),
    ]
}

/// What stays of the kept object, and what the living want of the rest.
struct Model {
    stays: Files,
}

impl Model {
    fn files(&self, world: &World) -> Files {
        let mut files = wanted(world.objects.values(), &Files::new());
        files.extend(self.stays.clone());
        files
    }

    /// Files that are the kept object's, with what it wants in them.
    fn of_the_kept(&self, world: &World) -> Files {
        let Some(thing) = world.objects.get(&kept()) else { return Files::new() };
        let others: Vec<_> = world.objects.values().filter(|other| other.key() != kept()).collect();
        let (all, without) = (wanted(world.objects.values(), &Files::new()), wanted(others.iter().copied(), &Files::new()));
        let rank = |thing: &Thing| (thing.created, thing.name.clone());
        let wins = |path: &str| others.iter().filter(|other| other.data.contains_key(path)).all(|other| rank(thing) < rank(other));
        let paths: BTreeSet<&String> = thing.data.keys().filter(|path| !without.contains_key(*path) || wins(path)).collect();
        paths.into_iter().map(|path| (path.clone(), all[path].clone())).collect::<BTreeMap<_, _>>()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::support::cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_the_objects_when_it_went_stays_as_long_as_it_is_named(steps in vec(a_step(), 1..40)) {
        let mut world = World::new();
        world.kept = vec![kept()];
        world.start("a");
        world.list_all();
        world.settle();
        let mut model = Model { stays: Files::new() };
        for step in steps {
            match step {
                Step::Put(thing) => {
                    if thing.key() == kept() {
                        model.stays.clear();
                    }
                    world.put(thing);
                }
                Step::Delete(index) => {
                    let Some(key) = world.objects.keys().nth(index).cloned() else { continue };
                    if key == kept() && !world.kept.is_empty() {
                        model.stays = model.of_the_kept(&world);
                    }
                    world.delete(&key);
                }
                Step::List => world.list_all(),
                Step::Verify => world.verify(),
                Step::Restart(named) => {
                    world.kept = if named { vec![kept()] } else { Vec::new() };
                    if !named {
                        model.stays.clear();
                    }
                    world.start("a");
                    world.list_all();
                }
            }
            world.settle();
            let wanted = model.files(&world);
            prop_assert!(world.found() == wanted, "found {} wanted {}", show(&world.found()), show(&wanted));
            world.assert_owned("on the way");
        }
    }
}

#[test]
fn a_file_that_is_kept_passes_to_nobody_before_it_is_known_whether_its_object_lives() {
    let mut world = world(true);
    world.stop();
    world.delete(&kept());
    let rival = Thing { kind: Kind::Secret, ..thing("rival", 7, None, &[("a", "1")]) };
    let rival_key = ObjectKey::new(Kind::Secret, "default", "rival");
    world.put(rival);
    world.start("a");
    let of = |kind| SOURCES.iter().position(|(_, known)| *known == kind).unwrap();
    // The same bytes are wanted by an object that is listed first.
    world.list(of(Kind::Secret), |_| true);
    world.settle();
    world.list(of(Kind::ConfigMap), |_| true);
    world.settle();
    world.delete(&rival_key);
    world.settle();
    holds(&world, &[("a", "1"), ("b", "2")]);
}
