//! The process dies at every call that it makes to the file system, and is started again.

use super::faulty::Fault;
use super::harness::{World, show};
use super::model::Files;
use super::scenario::{PHASES, change, start, thing, world};
use crate::support::every;

/// One phase: the objects change and the engine follows, as far as it lives.
pub fn phase(world: &mut World, phase: usize, look: impl FnMut(&World)) {
    if change(world, phase) {
        start(world);
    }
    world.settle_looking(look);
}

/// P3, and no file that is wanted before and after is ever missing: it holds its old bytes or its new ones, whole.
pub fn assert_old_or_new(old: &Files, world: &World, when: &str) {
    let (wanted, found) = (world.wanted(), world.found());
    for (path, before) in old {
        let Some(after) = wanted.get(path) else { continue };
        let bytes = found.get(path).unwrap_or_else(|| panic!("{when}: {path} is missing; found {}", show(&found)));
        assert!(bytes == before || bytes == after, "{when}: {path} holds neither the old bytes nor the new ones");
    }
    let claimed = |path: &str, bytes: &[u8]| {
        let name = path.rsplit('/').next().unwrap();
        world.objects.values().any(|thing| thing.data.get(name).is_some_and(|data| data == bytes))
    };
    for (path, bytes) in found.iter().filter(|(path, _)| !old.contains_key(*path)) {
        assert!(claimed(path, bytes), "{when}: {path} holds bytes that nobody asked for");
    }
}

/// How many calls the scenario makes when nothing goes wrong.
pub fn calls() -> usize {
    let mut world = world();
    for number in 0..PHASES {
        phase(&mut world, number, |_| {});
        world.assert_converged(&format!("phase {number}"));
    }
    world.control.calls()
}

#[test]
fn p3_p4_p5_p6_a_death_at_any_call_leaves_whole_files_and_the_next_start_converges() {
    let total = calls();
    for at in every(total, 0) {
        let mut world = world();
        world.control.set(Fault::Dies { at });
        for number in 0..PHASES {
            let old = world.found();
            let settled_before = number > 0;
            phase(&mut world, number, |_| {});
            if let Some(call) = world.control.struck() {
                let when = format!("death at call {at} ({call}) in phase {number}");
                assert_old_or_new(&old, &world, &when);
                world.assert_owned(&when);
                if settled_before && !world.settled() {
                    let found = world.found();
                    assert!(old.keys().all(|path| found.contains_key(path)), "{when}: a file was removed before the lists were complete");
                }
                world.control.set(Fault::None);
                start(&mut world);
                world.settle();
            }
            world.assert_converged(&format!("call {at}, after phase {number}"));
        }
    }
    assert!(total > 150, "the scenario makes only {total} calls");
}

#[test]
fn p6_nothing_is_removed_until_every_source_is_listed() {
    let mut world = world();
    phase(&mut world, 0, |_| {});
    world.stop();
    world.delete(&thing("plain", 5, None, &[]).key());
    let old = world.found();
    world.start("a");
    world.list(0, |_| true);
    world.commit(usize::MAX);
    assert!(world.found() == old, "the Secrets are not listed yet");
    world.list(1, |_| true);
    world.settle();
    world.assert_converged("listed");
    assert!(world.found() != old);
}

/// A new process over what the scenario's first phase left; only the ConfigMaps are listed so far.
fn half_listed(change: impl FnOnce(&mut World)) -> World {
    let mut world = world();
    phase(&mut world, 0, |_| {});
    world.stop();
    change(&mut world);
    world.start("a");
    world.list(0, |_| true);
    world.commit(usize::MAX);
    world
}

#[test]
fn p6_what_the_watch_deletes_stays_until_every_source_is_listed() {
    let mut world = half_listed(|_| {});
    let old = world.found();
    world.delete(&thing("plain", 5, None, &[]).key());
    world.put(thing("deep", 3, Some("elsewhere"), &[("d", "d1")]));
    world.commit(usize::MAX);
    assert!(old.keys().all(|path| world.found().contains_key(path)), "the Secrets are not listed yet");
    world.list(1, |_| true);
    world.settle();
    world.assert_converged("listed");
}

#[test]
fn p6_a_path_that_the_ledger_gives_to_another_is_not_overwritten_until_every_source_is_listed() {
    // The Secret keeps sub/s; the newcomer is younger, but is listed first.
    let mut world = half_listed(|world| world.put(thing("newcomer", 30, Some("sub"), &[("s", "from the newcomer")])));
    assert_eq!(world.found()["sub/s"], b"s1", "the Secrets are not listed yet");
    world.list(1, |_| true);
    world.settle();
    world.assert_converged("listed");
    assert_eq!(world.found()["sub/s"], b"s1");
}
