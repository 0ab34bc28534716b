//! What objects say of their own files: any history of it, with restarts, crashes and changes while nobody ran.
//!
//! Which files stay is told by what the ledger said and the folder held before, never by what the engine says.

use std::collections::{BTreeMap, BTreeSet};

use kube_projector::core::object::annotations::{Annotations, FILE_MODE, ON_DELETE, SKIP, Said};
use kube_projector::core::object::{Kind, ObjectKey};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rustix::io::Errno;

use super::faulty::Fault;
use super::harness::{FINALIZER, World, show};
use super::model::{Files, Thing, is_in_the_way};
use super::scenario::thing;

#[derive(Clone, Debug)]
enum Step {
    Put(Thing),
    Delete(usize),
    Unread(usize),
    Verify,
    Restart,
    /// These things happen while nobody runs.
    Away(Vec<Step>),
    /// The process dies after so many calls of the next step.
    Die(usize),
}

fn said() -> impl Strategy<Value = Annotations> {
    let mode = select(&["", "", "", "600", "440", "777", "rwx"][..]);
    let skip = select(&["", "", "", "", "false", "true", "yes"][..]);
    let keep = select(&["", "", "keep", "keep", "drop"][..]);
    (mode, skip, keep).prop_map(|(mode, skip, keep)| {
        let mut said = Annotations::default();
        for (name, value) in [(FILE_MODE, mode), (SKIP, skip), (ON_DELETE, keep)] {
            if !value.is_empty() {
                said.note(name, value);
            }
        }
        said
    })
}

fn a_thing() -> impl Strategy<Value = Thing> {
    let keys = select(&["k1", "k2", "k3", "k1.gz", "k2.gz", "folder"][..]).prop_map(str::to_owned);
    let data = btree_map(keys, vec(select(&b"abc!"[..]), 0..3), 0..4);
    let labels = select(vec![vec!["a"], vec!["a"], vec!["a"], vec![]]);
    let who = (select(&Kind::ALL[..]), select(&["one", "two", "three"][..]));
    let folder = option::of(select(&["sub", "folder"][..]));
    (who, 0..3_i64, labels, folder, said(), data).prop_map(|((kind, name), created, labels, folder, annotations, mut data)| {
        let is_wrong = annotations.mode(kind, super::harness::FILE_MODE).is_err();
        // A file that stays because of a wrong annotation keeps others from making a folder there: they try for ever, and do not settle.
        let may_meet = name == "three";
        if !may_meet {
            data.remove("folder");
        }
        Thing {
            kind,
            labels: labels.into_iter().collect::<BTreeSet<_>>(),
            folder: folder.filter(|folder| *folder != "folder" || may_meet),
            annotations: if may_meet && is_wrong { Annotations::default() } else { annotations },
            data,
            ..thing(name, created, None, &[])
        }
    })
}

fn a_step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![4 => a_thing().prop_map(Step::Put), 2 => (0..6_usize).prop_map(Step::Delete)];
    prop_oneof![
        10 => a_thing().prop_map(Step::Put),
        6 => (0..6_usize).prop_map(Step::Delete),
        1 => (0..6_usize).prop_map(Step::Unread),
        1 => Just(Step::Verify),
        2 => Just(Step::Restart),
        3 => vec(change, 0..3).prop_map(Step::Away),
        2 => (0..30_usize).prop_map(Step::Die),
    ]
}

/// What a settled world holds of files whose fate may not depend on what is wanted.
struct Before {
    files: Files,
    ledger: BTreeMap<String, (ObjectKey, bool)>,
}

impl Before {
    fn of(world: &World) -> Self {
        Self { files: world.found(), ledger: world.ledger() }
    }

    /// Whatever the step was, what stays is there as it was.
    fn assert_kept(&self, world: &World, step: &Step) {
        let (files, ledger, selected) = (world.found(), world.ledger(), world.selected());
        for (path, (key, lasts)) in self.ledger.iter().filter(|(path, _)| self.files.contains_key(*path)) {
            let takes_back = world.objects.get(key).is_some_and(|thing| {
                thing.labels.contains(world.label) && thing.annotations.skips() && thing.annotations.keep == Said::Nothing
            });
            let wanted = selected.iter().any(|thing| thing.data.keys().any(|name| thing.path(name) == *path));
            let kept = *lasts && !world.is_live(key) && !takes_back && !wanted && !is_in_the_way(path, &selected);
            if kept || world.is_withheld(key) {
                assert!(files.get(path) == self.files.get(path), "{path} after {step:?}: {}", show(&files));
                assert_eq!(ledger.get(path).map(|(owner, _)| owner), Some(key), "{path} after {step:?}");
            }
        }
        for (path, (key, lasts)) in &ledger {
            if let Some(thing) = world.objects.get(key).filter(|_| world.is_live(key) && !world.is_withheld(key)) {
                assert_eq!(*lasts, thing.annotations.keep == Said::Value(()), "{path} of {thing:?} after {step:?}");
            }
        }
    }
}

fn change(world: &mut World, step: &Step) {
    let nth = |world: &World, index: usize| world.objects.keys().nth(index).cloned();
    match step {
        Step::Put(thing) => world.put(thing.clone()),
        Step::Delete(index) => nth(world, *index).iter().for_each(|key| world.delete(key)),
        Step::Unread(index) => nth(world, *index).iter().for_each(|key| world.tell_again(key, false)),
        Step::Verify => world.verify(),
        Step::Restart | Step::Die(_) | Step::Away(_) => {}
    }
}

fn begin(world: &mut World) {
    world.start("a");
    world.list_all();
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Die(calls) => return world.control.die_after(*calls),
        Step::Restart => begin(world),
        Step::Away(steps) => {
            world.stop();
            steps.iter().for_each(|step| change(world, step));
            begin(world);
        }
        step => change(world, step),
    }
    world.settle();
    if world.control.is_dead() {
        world.control.set(Fault::None);
        begin(world);
    }
    world.control.set(Fault::None);
    world.settle();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::support::cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_objects_say_of_their_files_holds_through_any_history(steps in vec(a_step(), 1..40)) {
        let mut world = World::new();
        world.gzip_max = Some(100);
        begin(&mut world);
        world.settle();
        for step in &steps {
            let before = Before::of(&world);
            take(&mut world, step);
            if matches!(step, Step::Die(_)) {
                continue;
            }
            // Two changes of one object while nobody ran may leave none of what either said.
            if !matches!(step, Step::Away(changes) if changes.len() > 1) {
                before.assert_kept(&world, step);
            }
            world.assert_owned("on the way");
            let wanted = world.wanted();
            prop_assert!(world.found() == wanted, "{step:?}: found {} wanted {}", show(&world.found()), show(&wanted));
        }
        world.assert_converged("in the end");
    }
}

fn said_of(annotations: &[(&str, &str)]) -> Annotations {
    let mut said = Annotations::default();
    annotations.iter().for_each(|(name, value)| said.note(name, value));
    said
}

fn kept(name: &str, data: &[(&str, &str)]) -> Thing {
    Thing { annotations: said_of(&[(ON_DELETE, "keep")]), ..thing(name, 5, None, data) }
}

fn running(things: &[Thing]) -> World {
    let mut world = World::new();
    things.iter().for_each(|thing| world.put(thing.clone()));
    begin(&mut world);
    world.settle();
    world
}

fn files(expected: &[(&str, &str)]) -> Files {
    expected.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.as_bytes().to_vec())).collect()
}

#[test]
fn a_ledger_that_takes_no_record_keeps_nothing_until_it_does() {
    let mut world = running(&[thing("a", 5, None, &[("a", "1")])]);
    let said = kept("a", &[("a", "1")]);
    world.control.set(Fault::Refuses { writes: 0, errno: Errno::NOSPC });
    world.put(said.clone());
    world.commit(usize::MAX);
    assert!(!world.ledger()["a"].1, "there is no room for the record");
    assert_eq!(world.stuck(), 1);
    world.control.set(Fault::None);
    world.settle();
    assert_eq!((world.ledger()["a"].1, world.stuck()), (true, 0));
    world.delete(&said.key());
    world.settle();
    assert_eq!(world.found(), files(&[("a", "1")]));
}

#[test]
fn a_guarded_object_is_let_go_when_the_ledger_says_that_its_files_stay() {
    let mut world = World::new();
    world.guards = true;
    world.put(kept("a", &[("a", "1")]));
    begin(&mut world);
    world.settle();
    assert_eq!(world.finalizer_tasks, [], "nothing has to be done before it goes");
    world.end(&kept("a", &[]), vec![FINALIZER.to_owned()]);
    world.settle();
    assert_eq!(world.finalizer_tasks.len(), 1, "{:?}", world.finalizer_tasks);
    assert_eq!(world.found(), files(&[("a", "1")]));
}

#[test]
fn annotations_cost_a_commit_nothing_where_there_are_none() {
    let edit = |said: Annotations| {
        let mut world = running(&[Thing { annotations: said, ..thing("rules", 5, None, &[("a", "1")]) }]);
        let before = (world.control.calls(), world.looked());
        world.put(Thing { annotations: said, ..thing("rules", 5, None, &[("a", "2")]) });
        world.settle();
        (world.control.calls() - before.0, world.looked() - before.1)
    };
    let (plain, mode, keep) = (edit(Annotations::default()), edit(said_of(&[(FILE_MODE, "600")])), edit(said_of(&[(ON_DELETE, "keep")])));
    assert_eq!((plain, mode), ((6, 3), (6, 3)), "as many calls and looks as ever");
    assert_eq!(keep, (6, 4), "one look for files in the way of others");
}

#[test]
fn without_a_ledger_a_mark_says_that_a_file_stays() {
    let mut world = World::new();
    world.elsewhere = Some(tempfile::tempdir().unwrap());
    world.put(kept("a", &[("a", "1")]));
    world.put(thing("b", 5, None, &[("b", "1")]));
    world.put(thing("c", 5, None, &[("c", "1")]));
    begin(&mut world);
    world.settle();
    // Said of a file that was there already.
    world.put(kept("c", &[("c", "1")]));
    world.settle();
    world.stop();
    ["a", "b", "c"].iter().for_each(|name| world.delete(&thing(name, 5, None, &[]).key()));
    world.elsewhere = Some(tempfile::tempdir().unwrap());
    begin(&mut world);
    world.settle();
    assert_eq!(world.found(), files(&[("a", "1"), ("c", "1")]));
}

#[test]
fn what_was_to_stay_goes_where_annotations_do_not_count() {
    let mut world = running(&[kept("a", &[("a", "1")]), kept("gone", &[("gone", "1")])]);
    world.delete(&kept("gone", &[]).key());
    world.settle();
    assert_eq!(world.found(), files(&[("a", "1"), ("gone", "1")]));
    world.annotations = false;
    begin(&mut world);
    world.settle();
    assert_eq!(world.found(), files(&[("a", "1")]));
    assert!(!world.ledger()["a"].1);
}

#[test]
fn an_object_that_is_named_and_kept_is_skipped_all_the_same() {
    let named = thing("named", 5, None, &[("a", "1")]);
    let mut world = World::new();
    world.kept = vec![named.key()];
    world.put(named.clone());
    begin(&mut world);
    world.settle();
    world.put(Thing { annotations: said_of(&[(SKIP, "true")]), ..named.clone() });
    world.settle();
    assert_eq!(world.found(), files(&[]));
    world.put(named.clone());
    world.settle();
    world.delete(&named.key());
    world.settle();
    assert_eq!(world.found(), files(&[("a", "1")]), "deleted is not skipped");
}
