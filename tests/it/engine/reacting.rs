//! What the engine notes for reactions: in the ledger before a file changes, and in its outcomes.

use kube_projector::core::object::SourceId;

use super::crash::{calls, phase};
use super::faulty::Fault;
use super::harness::World;
use super::scenario::{PHASES, start, thing, world};
use crate::support::{every, times};

fn reacting() -> World {
    let mut world = world();
    world.reacts = true;
    world
}

/// (path, initial, source, created, removed) of what changed since the last call.
fn differences(world: &mut World) -> Vec<(String, bool, Option<u16>, bool, bool)> {
    let taken = std::mem::take(&mut world.differences);
    let row = |difference: kube_projector::core::tell::difference::Difference| {
        let source = difference.source.map(|SourceId(source)| source);
        (difference.path.as_str().to_owned(), difference.initial, source, difference.before.is_none(), difference.after.is_none())
    };
    taken.into_iter().map(row).collect()
}

#[test]
fn p7_reactions_are_owed_in_the_ledger_before_the_first_file_changes() {
    let mut deaths = 0;
    for at in every(calls() + 5 * PHASES, 1) {
        let mut world = reacting();
        world.control.set(Fault::Dies { at });
        for number in 0..PHASES {
            let old = world.found();
            phase(&mut world, number, |_| {});
            if let Some(call) = world.control.struck() {
                let changed = world.found() != old;
                assert!(!changed || world.owed(), "death at call {at} ({call}) in phase {number}: files changed, nothing owed");
                deaths += usize::from(changed);
                break;
            }
            assert!(world.found() == old || world.owed(), "phase {number}: files changed, nothing owed");
            world.reacted();
            if world.control.struck().is_some() {
                break;
            }
            assert!(!world.owed(), "phase {number}: done");
        }
    }
    assert!(deaths > times(50), "only {deaths} deaths left changed files");
}

#[test]
fn p7_nothing_is_owed_after_a_restart_on_equal_files() {
    let mut world = reacting();
    phase(&mut world, 0, |_| {});
    world.reacted();
    world.differences.clear();
    start(&mut world);
    world.settle();
    assert_eq!((differences(&mut world), world.owed()), (Vec::new(), false));
}

#[test]
fn what_is_owed_stays_owed_through_a_restart_and_a_ledger_written_anew() {
    let mut world = reacting();
    phase(&mut world, 0, |_| {});
    for _ in 0..3 {
        start(&mut world);
        world.settle();
        assert!(world.owed());
    }
    let ledger = world.folder.path().join(".kube-projector.a.ledger");
    std::fs::remove_file(&ledger).unwrap();
    world.verify();
    assert!(ledger.exists() && world.owed());
}

#[test]
fn nothing_is_owed_where_nothing_reacts() {
    let mut world = world();
    phase(&mut world, 0, |_| {});
    assert_eq!((world.owed(), differences(&mut world)), (false, Vec::new()));
}

#[test]
fn a_difference_says_whether_it_belongs_to_the_first_list_and_what_was_there() {
    let mut world = World::new();
    world.reacts = true;
    world.put(thing("one", 1, None, &[("a", "1")]));
    world.start("a");
    world.list_all();
    world.settle();
    assert_eq!(differences(&mut world), [("a".into(), true, Some(0), true, false)]);
    world.put(thing("one", 1, None, &[("a", "2")]));
    world.settle();
    assert_eq!(differences(&mut world), [("a".into(), false, Some(0), false, false)]);
    world.put(thing("one", 1, None, &[("a", "2")]));
    world.settle();
    assert_eq!(differences(&mut world), []);
    let gone = thing("one", 1, None, &[]).key();
    world.stop();
    world.delete(&gone);
    world.put(thing("two", 1, None, &[("b", "1")]));
    world.start("a");
    world.list(0, |_| true);
    world.commit(usize::MAX);
    assert_eq!(differences(&mut world), [("b".into(), true, Some(0), true, false)]);
    world.list(1, |_| true);
    world.settle();
    assert_eq!(differences(&mut world), [("a".into(), true, Some(0), false, true)], "removals wait for every list and are part of it");
    world.delete(&thing("two", 1, None, &[]).key());
    world.settle();
    assert_eq!(differences(&mut world), [("b".into(), false, Some(0), false, true)]);
}

#[test]
fn it_is_noted_once_however_much_changes_until_it_is_done() {
    let mut world = reacting();
    phase(&mut world, 0, |_| {});
    let ledger = world.folder.path().join(".kube-projector.a.ledger");
    let noted = || std::fs::read_to_string(&ledger).unwrap().matches(" \"owed\"\n").count();
    assert_eq!(noted(), 1);
    world.put(thing("another", 1, None, &[("another", "1")]));
    world.settle();
    assert_eq!(noted(), 1);
}
