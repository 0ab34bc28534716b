//! F20: what moves is written at its new place before it goes from the old one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube_projector::engine::outcome::What;
use rustix::io::Errno;

use super::faulty::Fault;
use super::harness::{Web, World};
use super::model::Thing;
use super::scenario::thing;

/// A world in which these are in place.
fn world(things: impl IntoIterator<Item = Thing>) -> World {
    let mut world = World::new();
    things.into_iter().for_each(|thing| world.put(thing));
    world.start("a");
    world.list_all();
    world.settle();
    world.assert_converged("before");
    world.notes.clear();
    world
}

/// What was put in its place and taken away from now on, in this order: `+new`, `-old`.
fn traced(world: &World) -> Arc<Mutex<Vec<String>>> {
    let trace = Arc::new(Mutex::new(Vec::new()));
    let sink = trace.clone();
    world.control.watch(move |call, name| {
        let sign = if call == "rename" { '+' } else { '-' };
        sink.lock().unwrap().push(format!("{sign}{name}"));
    });
    trace
}

fn take(trace: &Arc<Mutex<Vec<String>>>) -> Vec<String> {
    std::mem::take(&mut *trace.lock().unwrap())
}

fn failures(world: &World) -> usize {
    world.notes.iter().filter(|note| matches!(note.what, What::Failed { .. } | What::Held { .. })).count()
}

const CROWD: usize = 300;

/// Moves a crowd at once. After each call a reader looks for each object, first where it was.
fn moves(place: fn(usize, bool) -> (Option<&'static str>, String)) {
    let one = |number: usize, moved: bool| {
        let (folder, key) = place(number, moved);
        thing(&format!("object-{number}"), 5, folder, &[(&key, "1")])
    };
    let mut world = world((0..CROWD).map(|number| one(number, false)));
    let folder = world.folder.path().to_owned();
    let path = move |number, moved| {
        let (sub, key) = place(number, moved);
        folder.join(sub.unwrap_or_default()).join(key)
    };
    let (most, looks) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let (widest, looked) = (most.clone(), looks.clone());
    world.control.watch(move |_, _| {
        let mut in_both = 0;
        for number in 0..CROWD {
            let old = path(number, false).exists();
            let new = path(number, true).exists();
            assert!(old || new, "object-{number} is in neither place");
            in_both += usize::from(old && new);
        }
        let mut widest = widest.lock().unwrap();
        *widest = in_both.max(*widest);
        *looked.lock().unwrap() += 1;
    });
    (0..CROWD).for_each(|number| world.put(one(number, true)));
    world.settle();
    world.assert_converged("moved");
    assert_eq!(*most.lock().unwrap(), 1, "who has moved is gone from the old place before the next one moves");
    assert_eq!(*looks.lock().unwrap(), 2 * CROWD);
}

#[test]
fn f20_three_hundred_renamed_keys_are_never_in_neither_place() {
    moves(|number, moved| (None, format!("{}-{number}", if moved { "a" } else { "b" })));
}

#[test]
fn f20_three_hundred_changed_folders_are_never_in_neither_place() {
    moves(|number, moved| (Some(if moved { "old/er" } else { "new" }), format!("key-{number}")));
}

#[test]
fn f20_all_that_an_object_wants_is_there_before_any_of_its_old_files_goes() {
    let mut world = world([thing("many", 5, Some("sub"), &[("a", "1"), ("b", "2"), ("c", "3")])]);
    let trace = traced(&world);
    world.put(thing("many", 5, None, &[("a", "1"), ("b", "2"), ("z", "3")]));
    world.settle();
    world.assert_converged("moved");
    assert_eq!(take(&trace), ["+a", "+b", "+z", "-a", "-b", "-c"]);
}

#[test]
fn f20_no_removal_waits_for_the_writes_of_another_object() {
    let mut world = world([thing("goes", 5, None, &[("z", "1")]), thing("moves", 5, None, &[("m", "1")])]);
    let trace = traced(&world);
    world.delete(&thing("goes", 5, None, &[]).key());
    world.put(thing("comes", 5, None, &[("a", "1")]));
    world.put(thing("moves", 5, None, &[("n", "1")]));
    world.settle();
    world.assert_converged("moved");
    assert_eq!(take(&trace), ["-z", "+n", "-m", "+a"]);
}

#[test]
fn f20_no_removal_waits_for_bytes_that_are_not_here() {
    let mut world = World::new();
    world.web = Some(Web::default());
    world.put(thing("urls", 5, None, &[("old", "1")]));
    world.start("a");
    world.list_all();
    world.settle();
    let trace = traced(&world);
    world.put(thing("urls", 5, None, &[("new.url", "u0")]));
    world.commit(usize::MAX);
    assert_eq!(take(&trace), ["-old"]);
}

#[test]
fn f20_old_files_go_first_where_they_are_in_the_way() {
    // A file where the folder of the new one must be, of the same object and of another one.
    let mut file = world([thing("one", 5, None, &[("sub", "1"), ("k", "1")]), thing("two", 5, None, &[("deep", "1"), ("l", "1")])]);
    let trace = traced(&file);
    file.put(thing("one", 5, Some("sub"), &[("x", "1"), ("k", "1")]));
    file.put(thing("two", 5, None, &[("l", "2"), ("m", "2")]));
    file.put(thing("three", 5, Some("deep"), &[("y", "1")]));
    file.commit(usize::MAX);
    file.assert_converged("moved");
    assert_eq!(failures(&file), 0);
    let trace = take(&trace);
    assert_eq!(trace[..2], ["-deep", "-sub"], "{trace:?}");
    assert_eq!(trace[2..], ["+k", "+x", "-k", "+y", "+l", "+m"], "{trace:?}");
    // A folder where the new file must be.
    let mut folder = world([thing("one", 5, Some("sub"), &[("x", "1")])]);
    folder.put(thing("one", 5, None, &[("sub", "1")]));
    folder.settle();
    folder.assert_converged("moved");
    assert_eq!(failures(&folder), 0);
}

/// One commit, in which there is no room after so many writes, does all: old files go first.
fn commit_without_room(world: &mut World, writes: usize) {
    world.commit(usize::MAX);
    assert!(world.control.struck().is_some(), "{writes}: there was no room");
    world.assert_converged("at once");
    assert_eq!((failures(world), world.stuck()), (0, 0), "{writes}: nothing failed");
}

#[test]
fn f20_old_files_go_first_where_there_is_no_room_for_the_new_ones() {
    // The ledger has no room, or the first new file, or the second.
    for writes in 0..3 {
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            let mut world = world([thing("one", 5, None, &[("a", "1"), ("b", "2")]), thing("two", 5, None, &[("y", "1")])]);
            world.control.set(Fault::Full { writes, errno });
            world.put(thing("one", 5, None, &[("c", "1"), ("d", "2")]));
            world.put(thing("two", 5, None, &[("z", "1")]));
            commit_without_room(&mut world, writes);
        }
    }
}

#[test]
fn f20_a_new_file_without_room_is_written_where_another_object_makes_room() {
    let mut world = world([thing("gives", 5, None, &[("y", "1")]), thing("moves", 5, None, &[("b", "1")])]);
    world.control.set(Fault::Full { writes: 1, errno: Errno::NOSPC });
    world.put(thing("comes", 5, None, &[("a", "1")]));
    world.delete(&thing("gives", 5, None, &[]).key());
    world.put(thing("moves", 5, None, &[("c", "1")]));
    world.commit(usize::MAX);
    world.assert_converged("at once");
    assert_eq!(failures(&world), 0);
}

#[test]
fn f20_old_files_go_first_where_there_is_no_room_for_a_folder() {
    // The ledger has no room, or the outer folder, the inner one, or the file.
    for writes in 0..4 {
        let mut world = world([thing("one", 5, None, &[("a", "1")]), thing("two", 5, None, &[("y", "1")])]);
        world.control.set(Fault::Full { writes, errno: Errno::NOSPC });
        world.put(thing("one", 5, Some("deep/er"), &[("a", "1")]));
        world.put(thing("two", 5, None, &[("z", "1")]));
        commit_without_room(&mut world, writes);
    }
}

#[test]
fn f20_what_was_removed_for_room_in_vain_is_told_and_the_new_file_comes_when_there_is_room() {
    let mut world = world([thing("one", 5, None, &[("a", "1")])]);
    world.control.set(Fault::Refuses { writes: 1, errno: Errno::NOSPC });
    world.put(thing("one", 5, None, &[("b", "1")]));
    world.commit(usize::MAX);
    assert_eq!((world.found().len(), failures(&world), world.stuck()), (0, 1, 1));
    world.control.set(Fault::None);
    world.settle();
    world.assert_converged("in the end");
    assert_eq!(world.stuck(), 0);
}

/// An object whose new files cannot be written: `old` stays although nobody wants it, `kept` is as it was.
fn stuck() -> World {
    let mut world = world([thing("one", 5, None, &[("old", "1"), ("kept", "1")])]);
    world.control.set(Fault::Refuses { writes: 1, errno: Errno::IO });
    world.put(thing("one", 5, None, &[("new", "1"), ("kept", "1")]));
    world.commit(usize::MAX);
    // However often it is tried again, and by a look at everything.
    for _ in 0..6 {
        world.now += Duration::from_secs(60);
        world.commit(usize::MAX);
        world.commit(usize::MAX);
        world.verify();
        assert_eq!(world.found().keys().collect::<Vec<_>>(), ["kept", "old"]);
    }
    assert_eq!((world.stuck(), failures(&world)), (2, 2), "the new file and the old one");
    world
}

#[test]
fn f20_the_old_file_stays_while_the_new_one_fails_and_goes_when_it_is_there() {
    let mut world = stuck();
    world.control.set(Fault::None);
    world.settle();
    world.assert_converged("in the end");
    assert_eq!(world.stuck(), 0);
}

#[test]
fn f20_an_old_file_that_stays_goes_with_its_object_or_with_the_wish_for_the_new_one() {
    let mut deleted = stuck();
    deleted.delete(&thing("one", 5, None, &[]).key());
    deleted.commit(usize::MAX);
    assert_eq!((deleted.found().len(), deleted.stuck()), (0, 0));
    let mut edited = stuck();
    edited.put(thing("one", 5, None, &[("kept", "1")]));
    edited.commit(usize::MAX);
    assert_eq!((edited.found().into_keys().collect::<Vec<_>>(), edited.stuck()), (vec!["kept".to_owned()], 0));
    let mut back = stuck();
    back.put(thing("one", 5, None, &[("kept", "1"), ("old", "1")]));
    back.commit(usize::MAX);
    assert_eq!((back.found().len(), back.stuck()), (2, 0));
}

#[test]
fn f20_a_file_that_fails_holds_back_only_what_it_takes_the_place_of() {
    let mut world = stuck();
    world.put(thing("one", 5, None, &[("new", "1")]));
    world.commit(usize::MAX);
    assert_eq!(world.found().into_keys().collect::<Vec<_>>(), ["old"], "`kept` goes: `new` was failing before");
    world.put(thing("two", 5, None, &[("t", "1")]));
    world.control.set(Fault::None);
    world.settle();
    world.assert_converged("in the end");
}

#[test]
fn f20_the_old_file_stays_while_something_is_in_the_way_of_the_new_one() {
    let mut world = world([thing("one", 5, None, &[("old", "1"), ("kept", "1")])]);
    world.put_foreign("new/theirs", b"foreign");
    world.put(thing("one", 5, None, &[("new", "1"), ("kept", "1")]));
    for _ in 0..3 {
        world.settle();
        world.verify();
        assert_eq!(world.found().into_keys().collect::<Vec<_>>(), ["kept", "new/theirs", "old"]);
        assert_eq!((world.stuck(), failures(&world)), (2, 1), "the folder is in the way, and the old file stays");
    }
    world.put(thing("one", 5, None, &[("new", "1")]));
    world.settle();
    assert_eq!(world.found().into_keys().collect::<Vec<_>>(), ["new/theirs", "old"], "`kept` goes: something was in the way before");
    std::fs::remove_dir_all(world.folder.path().join("new")).unwrap();
    world.foreign.clear();
    world.verify();
    world.settle();
    world.assert_converged("in the end");
    assert_eq!(world.stuck(), 0);
}

#[test]
fn f20_a_file_that_fails_before_all_is_listed_holds_back_what_the_lists_leave_over() {
    let mut world = world([thing("one", 5, None, &[("old", "1")]), thing("secret-two", 5, None, &[("stale", "1")])]);
    world.stop();
    world.put(thing("one", 5, None, &[("new", "1")]));
    world.delete(&thing("secret-two", 5, None, &[]).key());
    world.start("a");
    world.control.set(Fault::Refuses { writes: 1, errno: Errno::IO });
    world.list(0, |_| true);
    world.commit(usize::MAX);
    world.list(1, |_| true);
    world.commit(usize::MAX);
    assert_eq!(world.found().into_keys().collect::<Vec<_>>(), ["old"]);
    world.control.set(Fault::None);
    world.settle();
    world.assert_converged("in the end");
    assert_eq!(world.stuck(), 0);
}

#[test]
fn f20_an_old_file_that_stays_is_no_longer_kept_where_somebody_wants_a_folder() {
    let mut world = stuck();
    world.control.set(Fault::None);
    world.put(thing("two", 5, Some("old"), &[("t", "1")]));
    world.commit(usize::MAX);
    assert!(world.found().contains_key("old/t"), "{}", super::harness::show(&world.found()));
    world.settle();
    world.assert_converged("in the end");
}

#[test]
fn f20_a_crash_between_the_write_and_the_removal_does_not_cost_the_file_where_case_does_not_count() {
    for calls in 1..60 {
        let mut world = World::new();
        world.control.ignore_case();
        world.put(thing("one", 5, None, &[("Rules", "1")]));
        world.start("a");
        world.list_all();
        world.settle();
        world.control.die_after(calls);
        world.put(thing("one", 5, None, &[("rules", "2")]));
        world.settle();
        let died = world.control.is_dead();
        world.control.set(Fault::None);
        world.start("a");
        world.list_all();
        world.settle();
        let files: Vec<_> = world.found().into_values().collect();
        assert!(files == [b"2"], "death after {calls} calls: {}", super::harness::show(&world.found()));
        if !died {
            return;
        }
    }
    panic!("the commit never came to its end");
}

#[test]
fn f20_an_edit_that_fails_holds_nothing_back() {
    let mut world = world([thing("one", 5, None, &[("a", "1"), ("b", "1")])]);
    world.control.set(Fault::Refuses { writes: 0, errno: Errno::IO });
    world.put(thing("one", 5, None, &[("a", "2")]));
    world.commit(usize::MAX);
    assert_eq!(world.found().into_keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn f20_where_case_does_not_count_the_old_name_is_not_removed() {
    for content in ["1", "2"] {
        let mut world = World::new();
        world.control.ignore_case();
        world.put(thing("one", 5, None, &[("Rules", "1"), ("b", "1")]));
        world.start("a");
        world.list_all();
        world.settle();
        world.put(thing("one", 5, None, &[("rules", content), ("B2", "1")]));
        world.settle();
        let files: Vec<(String, Vec<u8>)> = world.found().into_iter().collect();
        let wanted = [("B2", "1"), ("Rules", content)].map(|(name, bytes)| (name.to_owned(), bytes.as_bytes().to_vec()));
        assert!(files == wanted, "{}", super::harness::show(&world.found()));
        // It goes with its object, whatever it is called.
        world.delete(&thing("one", 5, None, &[]).key());
        world.settle();
        assert!(world.found().is_empty());
    }
}

#[test]
fn f20_where_case_does_not_count_a_file_that_passes_to_another_object_stays() {
    let mut world = World::new();
    world.control.ignore_case();
    world.put(thing("one", 5, None, &[("Rules", "1")]));
    world.start("a");
    world.list_all();
    world.settle();
    world.delete(&thing("one", 5, None, &[]).key());
    world.put(thing("two", 5, None, &[("rules", "1")]));
    world.settle();
    assert_eq!(world.found().into_keys().collect::<Vec<_>>(), ["Rules"]);
}
