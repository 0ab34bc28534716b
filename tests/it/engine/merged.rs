//! S1: an object is read again while its source lists it, and the answer meets the list's item in the mailbox. Neither is lost.

use kube_projector::engine::outcome::Act;

use super::harness::World;
use super::model::Thing;
use super::scenario::thing;

const ROUNDS: usize = 1000;

fn edited(round: usize) -> Thing {
    thing("one", 5, None, &[("a", &format!("round {round}")), ("b", "kept")])
}

/// A file is edited by a consumer, so that its object is asked for. A list names the object, the object changes, and only then it is
/// read for the engine: the answer is newer than the list's item, which still waits. Returns whether anything was lost.
fn round(world: &mut World, number: usize, watches: bool) -> bool {
    std::fs::write(world.folder.path().join("b"), "edited by a consumer").unwrap();
    world.verify();
    let before = world.sent - world.taken;
    world.list_with(
        0,
        |_| true,
        |world| {
            world.put_unseen(edited(number));
            assert_eq!(world.deliver(), 1, "the object is asked for once a round");
        },
    );
    let mut complete = true;
    world.settle_looking(|world| complete &= world.found().len() == 2);
    assert_eq!(world.sent - world.taken - before, 1, "round {number}: the answer was merged with the item that waited");
    // With METHOD=SLEEP nobody tells of the object until the next list.
    if watches {
        world.tell_again(&edited(number).key(), true);
        world.settle();
    }
    let removed = world.changes.drain(..).any(|change| matches!(change.act, Act::Removed { .. }));
    !complete || removed
}

fn rounds(watches: bool) {
    let mut world = World::new();
    world.put(edited(0));
    world.start("a");
    world.list_all();
    world.settle();
    let lost = (1..=ROUNDS).filter(|number| round(&mut world, *number, watches)).count();
    assert_eq!(lost, 0, "of {ROUNDS} rounds");
    world.assert_converged("in the end");
}

#[test]
fn s1_an_answer_that_overtakes_a_lists_item_loses_nothing_with_a_watch() {
    rounds(true);
}

#[test]
fn s1_an_answer_that_overtakes_a_lists_item_loses_nothing_with_sleep() {
    rounds(false);
}
