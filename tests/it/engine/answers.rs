//! S4: objects that are asked for and cannot be read. What is there stays as long as the answer is missing.

use std::time::Duration;

use super::harness::{FINALIZER, World};
use super::scenario::thing;

fn content(world: &World, path: &str) -> Option<String> {
    world.found().get(path).map(|bytes| String::from_utf8(bytes.clone()).unwrap())
}

/// Two objects want `c`; the older one goes, and the younger one cannot be read.
fn handing_over() -> World {
    let mut world = World::new();
    world.guards = true;
    world.put(thing("older", 1, None, &[("c", "from the older")]));
    world.put(thing("younger", 2, None, &[("c", "from the younger")]));
    world.start("a");
    world.list_all();
    world.settle();
    world.refuses = true;
    world.finalizer_tasks.clear();
    world
}

fn released(world: &World) -> usize {
    world.finalizer_tasks.iter().filter(|(key, task)| task.is_release() && *key.name == *"older").count()
}

#[test]
fn s4_a_file_stays_as_long_as_its_new_owner_cannot_be_read() {
    let mut world = handing_over();
    let older = world.objects.values().find(|thing| thing.name == "older").cloned().unwrap();
    // It is marked first: what it wanted counts no more, and it waits for us.
    world.end(&older, vec![FINALIZER.to_owned()]);
    for round in 0..200 {
        world.commit(usize::MAX);
        assert_eq!(content(&world, "c").as_deref(), Some("from the older"), "round {round}");
        if world.now < Duration::from_secs(30) {
            assert_eq!(released(&world), 0, "at {:?}", world.now);
        }
        world.pass_until_wake();
    }
    assert!(world.now > Duration::from_secs(300), "only {:?} went by", world.now);
    assert_eq!(released(&world), 1, "nobody waits for it longer than for a while");
    assert_eq!(world.stuck(), 1);
    world.refuses = false;
    world.settle();
    world.assert_converged("in the end");
    assert_eq!(world.stuck(), 0);
}

#[test]
fn s4_who_has_other_files_too_is_released_when_they_are_gone() {
    let mut world = handing_over();
    world.put(thing("older", 1, None, &[("c", "from the older"), ("d", "1")]));
    world.settle();
    let older = world.objects.values().find(|thing| thing.name == "older").cloned().unwrap();
    world.end(&older, vec![FINALIZER.to_owned()]);
    for _ in 0..100 {
        world.commit(usize::MAX);
        world.pass_until_wake();
    }
    assert_eq!((content(&world, "d"), released(&world)), (None, 1));
}

#[test]
fn s4_readiness_waits_for_no_answer_that_does_not_come() {
    let mut world = World::new();
    world.put(thing("dropped", 1, None, &[("a", "1")]));
    world.put(thing("other", 1, None, &[("b", "1")]));
    world.start("a");
    world.refuses = true;
    world.list(0, |thing| thing.name != "dropped");
    world.list(1, |_| true);
    world.commit(usize::MAX);
    assert!(!world.ready, "it is asked for");
    world.commit(usize::MAX);
    assert!(world.ready);
    assert_eq!((content(&world, "b").as_deref(), world.stuck()), (Some("1"), 1));
    world.refuses = false;
    world.settle();
    world.assert_converged("in the end");
    assert_eq!(world.stuck(), 0);
}

#[test]
fn s4_an_object_that_goes_while_it_cannot_be_read_is_not_counted_any_more() {
    let mut world = World::new();
    world.put(thing("dropped", 1, None, &[("a", "1")]));
    world.start("a");
    world.refuses = true;
    world.list(0, |_| false);
    world.list(1, |_| true);
    world.commit(usize::MAX);
    world.commit(usize::MAX);
    assert_eq!(world.stuck(), 1);
    world.delete(&thing("dropped", 1, None, &[]).key());
    world.commit(usize::MAX);
    assert_eq!(world.stuck(), 0);
}
