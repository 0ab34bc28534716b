//! P1 and P2: however the news come, whatever dies meanwhile, the folder ends as the model says.

use std::collections::BTreeSet;

use kube_projector::core::object::Kind;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::faulty::Fault;
use super::harness::{SOURCES, World};
use super::model::Thing;

/// Keys that are also names of folders, so that files and folders meet.
const KEYS: [&str; 5] = ["k1", "k2", "sub", "deep", "ünï-no"];
const FOLDERS: [&str; 6] = ["sub", "./sub/", "sub/deep", "ünï", "k1", "theirs"];
const NAMES: [&str; 3] = ["one", "two", "three"];
const FOREIGN: [&str; 3] = ["k1.bak", ".k2", "theirs/k9"];

#[derive(Clone, Debug)]
enum Step {
    Put(Thing),
    Delete(usize),
    Again(usize),
    Unread(usize),
    List(usize, bool),
    Commit(usize),
    Settle,
    Verify,
    Restart(&'static str),
    Die(usize),
    /// A consumer removes (false) or edits (true) one of the files.
    Meddle(usize, bool),
}

fn a_thing() -> impl Strategy<Value = Thing> {
    let data = btree_map(select(&KEYS[..4]).prop_map(str::to_owned), vec(select(&b"abc"[..]), 0..3), 0..4);
    let labels = select(vec![vec!["a"], vec!["a"], vec!["a", "b"], vec!["b"], vec![]]);
    let who = (select(&Kind::ALL[..]), select(&["n", "m"][..]), select(&NAMES[..]));
    (who, 0..3_i64, labels, option::of(select(&FOLDERS[..])), data).prop_map(|((kind, namespace, name), created, labels, folder, data)| {
        Thing {
            kind,
            namespace,
            name: name.to_owned(),
            // Another age is another object of the same name.
            uid: u128::from(created.unsigned_abs()) + 1,
            version: 0,
            created,
            labels: labels.into_iter().collect::<BTreeSet<_>>(),
            folder,
            data,
        }
    })
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => a_thing().prop_map(Step::Put),
        4 => (0..12_usize).prop_map(Step::Delete),
        2 => (0..12_usize).prop_map(Step::Again),
        2 => (0..12_usize).prop_map(Step::Unread),
        2 => (0..2_usize, any::<bool>()).prop_map(|(index, bodies)| Step::List(index, bodies)),
        8 => (1..6_usize).prop_map(Step::Commit),
        3 => Just(Step::Settle),
        1 => Just(Step::Verify),
        2 => select(&["a", "a", "b"][..]).prop_map(Step::Restart),
        3 => (0..40_usize).prop_map(Step::Die),
        1 => (0..6_usize, any::<bool>()).prop_map(|(index, edit)| Step::Meddle(index, edit)),
    ]
}

fn take(world: &mut World, step: Step) {
    let nth = |world: &World, index: usize| world.objects.keys().nth(index).cloned();
    match step {
        Step::Put(thing) => world.put(thing),
        Step::Delete(index) => nth(world, index).iter().for_each(|key| world.delete(key)),
        Step::Again(index) => nth(world, index).iter().for_each(|key| world.tell_again(key, true)),
        Step::Unread(index) => nth(world, index).iter().for_each(|key| world.tell_again(key, false)),
        Step::List(index, bodies) => world.list(index % SOURCES.len(), |thing| bodies || thing.name == "one"),
        Step::Commit(count) => world.commit(count),
        Step::Settle => world.settle(),
        Step::Verify => world.verify(),
        Step::Restart(label) => {
            world.start(label);
            world.list_all();
        }
        Step::Die(calls) => world.control.die_after(calls),
        Step::Meddle(index, edit) => {
            let path = world.found().into_keys().filter(|path| !world.foreign.contains_key(path)).nth(index);
            if let Some(file) = path.map(|path| world.folder.path().join(path)) {
                if edit { std::fs::write(file, "edited").unwrap() } else { std::fs::remove_file(file).unwrap() }
            }
        }
    }
    if world.control.is_dead() {
        world.assert_owned("dead");
        world.control.set(Fault::None);
        world.start(world.label);
        world.list_all();
    }
}

fn new_world() -> World {
    let mut world = World::new();
    FOREIGN.iter().for_each(|path| world.put_foreign(path, b"foreign"));
    world.start("a");
    world.list_all();
    world
}

/// Ends what was begun, and has everything looked at once more, as each resync does.
fn end(world: &mut World) {
    world.control.set(Fault::None);
    world.settle();
    assert!(world.settled(), "every source was listed");
    world.verify();
    world.settle();
}

proptest! {
    // PROPTEST_CASES changes the number of cases.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p1_p4_p5_any_history_ends_in_the_files_that_the_live_objects_want(steps in vec(a_step(), 1..60)) {
        let mut world = new_world();
        for step in steps {
            take(&mut world, step);
            world.assert_owned("on the way");
        }
        end(&mut world);
        world.assert_converged("in the end");
        prop_assert_eq!(world.stuck(), world.blocked());
    }

    #[test]
    fn p1_without_meddling_no_look_at_the_disk_is_needed(steps in vec(a_step().prop_filter("touches the disk", |step| !matches!(step, Step::Meddle(..) | Step::Verify)), 1..60)) {
        let mut world = new_world();
        for step in steps {
            take(&mut world, step);
        }
        world.control.set(Fault::None);
        world.settle();
        world.assert_converged("in the end");
    }

    #[test]
    fn p2_the_order_of_the_news_does_not_matter(things in vec(a_thing(), 1..12), order in vec(any::<prop::sample::Index>(), 12), cuts in vec(1..4_usize, 24)) {
        let files = |reorder: bool| {
            let mut world = new_world();
            let mut left: Vec<Thing> = Vec::new();
            // One state an object: the order of what is told of one object is kept by its watch.
            for thing in &things {
                left.retain(|known| known.key() != thing.key());
                left.push(thing.clone());
            }
            for (index, cut) in order.iter().zip(&cuts) {
                if left.is_empty() {
                    break;
                }
                let at = if reorder { index.index(left.len()) } else { 0 };
                world.put(left.remove(at));
                world.commit(if reorder { *cut } else { usize::MAX });
            }
            world.settle();
            world.assert_converged("told");
            world.found()
        };
        prop_assert!(files(false) == files(true));
    }
}
