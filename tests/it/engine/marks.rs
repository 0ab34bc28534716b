//! F22: marks, with a crash at every call, and what they cost where they are not needed.

use super::faulty::Fault;
use super::harness::World;
use super::scenario::thing;
use crate::support::folders;

/// Files of two objects, one of which is gone since, and so is the ledger.
fn bereft() -> World {
    let mut world = World::new();
    world.elsewhere = Some(tempfile::tempdir().unwrap());
    world.put_foreign("foreign", b"foreign");
    world.put(thing("stays", 5, None, &[("a", "1"), ("b", "1")]));
    world.put(thing("doomed", 5, Some("sub"), &[("stale", "1")]));
    world.start("a");
    world.list_all();
    world.settle();
    world.stop();
    world.delete(&thing("doomed", 5, None, &[]).key());
    world.put(thing("stays", 5, None, &[("a", "2"), ("b", "1")]));
    world.elsewhere = Some(tempfile::tempdir().unwrap());
    world
}

fn live(world: &mut World) {
    world.start("a");
    world.list_all();
    world.settle();
}

#[test]
fn f22_a_crash_at_any_call_forgets_no_mark() {
    for calls in 0.. {
        let mut world = bereft();
        world.control.die_after(calls);
        live(&mut world);
        let died = world.control.is_dead();
        world.control.set(Fault::None);
        live(&mut world);
        assert!(world.found() == world.wanted(), "after {calls} calls: {}", super::harness::show(&world.found()));
        assert_eq!(folders(world.folder.path()), Vec::<String>::new(), "after {calls} calls");
        if !died {
            assert!(calls > 30, "{calls} calls");
            return;
        }
    }
}

#[test]
fn f22_where_the_ledger_lies_in_folder_a_commit_makes_no_call_more() {
    let edit = |elsewhere: bool| {
        let mut world = World::new();
        world.elsewhere = elsewhere.then(|| tempfile::tempdir().unwrap());
        world.put(thing("rules", 5, None, &[("a", "1")]));
        live(&mut world);
        let before = world.control.calls();
        world.put(thing("rules", 5, None, &[("a", "2")]));
        world.settle();
        world.control.calls() - before
    };
    // A file costs what it did: a nameless one, its bytes, mode and two names, a look, and looks before and after. Marks are two calls more.
    assert_eq!((edit(false), edit(true)), (6, 8));
}
