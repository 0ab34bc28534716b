//! DRY_RUN: what a history would do is what it does, and nothing of it is done.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::faulty::Fault;
use super::harness::World;
use super::properties::{Step, a_step, new_world, take};
use super::scenario::thing;
use crate::support::{standing, tree_with_dots};

/// What was told so far: changes, notes, finalizers.
fn told(world: &World) -> [Vec<String>; 3] {
    fn lines<T: std::fmt::Debug>(of: &[T]) -> Vec<String> {
        of.iter().map(|one| format!("{one:?}")).collect()
    }
    [lines(&world.changes), lines(&world.notes), lines(&world.finalizer_tasks)]
}

fn history(steps: &[Step]) -> World {
    let mut world = new_world();
    (world.reacts, world.guards) = (true, true);
    steps.iter().for_each(|step| take(&mut world, step.clone()));
    world.stop();
    world.control.set(Fault::None);
    (world.changes, world.notes, world.differences, world.finalizer_tasks) = Default::default();
    world
}

/// A step that a process takes by itself, with nobody else at its files.
fn own_step() -> impl Strategy<Value = Step> {
    a_step().prop_filter("of somebody else", |step| !matches!(step, Step::Meddle(..) | Step::Die(_) | Step::Restart(_)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::support::cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p6_after_any_history_what_a_dry_run_tells_is_what_is_done(
        former in vec(a_step(), 0..30),
        label in select(&["a", "a", "b"][..]),
        steps in vec(own_step(), 1..40),
    ) {
        let [mut real, mut dry] = [history(&former), history(&former)];
        dry.dry = true;
        let before = standing(dry.folder.path());
        for world in [&mut real, &mut dry] {
            world.start(label);
            world.list_all();
        }
        for step in steps {
            for world in [&mut real, &mut dry] {
                take(world, step.clone());
            }
            prop_assert_eq!(told(&real), told(&dry), "{:?}", step);
            prop_assert!(real.differences == dry.differences);
        }
        for world in [&mut real, &mut dry] {
            world.settle();
            world.verify();
            world.settle();
        }
        prop_assert_eq!(told(&real), told(&dry), "in the end");
        prop_assert_eq!((real.ready, real.stuck(), real.undisputed()), (dry.ready, dry.stuck(), dry.undisputed()));
        prop_assert_eq!(standing(dry.folder.path()), before);
    }
}

fn dry_world() -> World {
    let mut world = World::new();
    world.dry = true;
    world
}

#[test]
fn each_change_is_told_once_and_the_folder_stays_empty() {
    let mut world = dry_world();
    world.start("a");
    world.put(thing("rules", 1, Some("sub"), &[("a", "1"), ("b", "1")]));
    world.list_all();
    world.settle();
    assert_eq!(world.changes.len(), 2, "{:?}", world.changes);
    for _ in 0..3 {
        world.verify();
        world.list_all();
        world.settle();
    }
    assert_eq!(world.changes.len(), 2, "once: {:?}", world.changes);
    world.put(thing("rules", 1, Some("sub"), &[("a", "2")]));
    world.settle();
    assert_eq!(world.changes.len(), 4, "one anew, one removed: {:?}", world.changes);
    assert_eq!(std::fs::read_dir(world.folder.path()).unwrap().count(), 0);
}

#[test]
fn what_others_do_meanwhile_is_seen() {
    let mut world = dry_world();
    world.start("a");
    world.put(thing("rules", 1, None, &[("a", "1"), ("b", "1")]));
    world.list_all();
    world.settle();
    // Somebody writes one as it would be, and one otherwise.
    for (name, bytes) in [("a", "1"), ("b", "other")] {
        std::fs::write(world.folder.path().join(name), bytes).unwrap();
        std::fs::set_permissions(world.folder.path().join(name), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    }
    world.changes.clear();
    world.verify();
    world.settle();
    assert_eq!(world.changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["b"], "{:?}", world.changes);
    assert_eq!(tree_with_dots(world.folder.path())["b"], b"other");
    std::fs::remove_file(world.folder.path().join("b")).unwrap();
    world.verify();
    world.settle();
    assert_eq!(world.changes.len(), 2, "it is gone: {:?}", world.changes);
}

#[test]
fn staging_and_a_ledger_elsewhere_are_not_made() {
    let mut world = dry_world();
    // On the mount of FOLDER.
    let home = tempfile::tempdir_in(world.folder.path().parent().unwrap()).unwrap();
    (world.staging, world.beside) = (Some(home.path().join("staging")), Some(home.path().to_owned()));
    world.start("a");
    world.put(thing("rules", 1, Some("sub"), &[("a", "1")]));
    world.list_all();
    world.settle();
    assert_eq!((world.changes.len(), &world.unstaged), (1, &Vec::new()));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(world.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_missing_is_not_made_and_what_would_be_there_is_told() {
    let mut world = dry_world();
    std::fs::remove_dir(world.folder.path()).unwrap();
    world.start("a");
    world.put(thing("rules", 1, Some("sub"), &[("a", "1")]));
    world.list_all();
    world.settle();
    world.verify();
    world.settle();
    assert_eq!((world.changes.len(), world.ready), (1, true), "{:?}", world.changes);
    assert!(!world.folder.path().exists());
    // It is there from now on, with nothing in it.
    std::fs::create_dir(world.folder.path()).unwrap();
    world.verify();
    world.settle();
    assert_eq!(world.changes.len(), 2, "{:?}", world.changes);
    assert_eq!(std::fs::read_dir(world.folder.path()).unwrap().count(), 0);
}
