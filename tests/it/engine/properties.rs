//! P1 and P2: however the news come, whatever dies meanwhile, the folder ends as the model says.

use std::collections::BTreeSet;

use kube_projector::core::object::Kind;
use kube_projector::core::object::annotations::{Annotations, FILE_MODE, ON_DELETE, SKIP};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::faulty::Fault;
use super::harness::{SOURCES, Web, World};
use super::model::Thing;

/// Keys that are also names of folders, so that files and folders meet.
const KEYS: [&str; 5] = ["k1", "k2", "sub", "deep", "ünï-no"];
const FOLDERS: [&str; 6] = ["sub", "./sub/", "sub/deep", "ünï", "k1", "theirs"];
const NAMES: [&str; 3] = ["one", "two", "three"];
const FOREIGN: [&str; 3] = ["k1.bak", ".k2", "theirs/k9"];

#[derive(Clone, Debug)]
pub(super) enum Step {
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

/// What an object may say of its files that it can say.
fn said() -> impl Strategy<Value = Annotations> {
    let values = (select(&["", "", "", "", "600", "440"][..]), select(&["", "", "", "", "", "false", "true"][..]), 0..4_usize);
    values.prop_map(|(mode, skip, keep)| {
        let mut said = Annotations::default();
        for (name, value) in [(FILE_MODE, mode), (SKIP, skip), (ON_DELETE, if keep == 0 { "keep" } else { "" })] {
            if !value.is_empty() {
                said.note(name, value);
            }
        }
        said
    })
}

fn a_thing() -> impl Strategy<Value = Thing> {
    let plain = btree_map(select(&KEYS[..4]).prop_map(str::to_owned), vec(select(&b"abc"[..]), 0..3), 0..4);
    // What begins with an exclamation mark is broken.
    let packed = btree_map(select(&["k1.gz", "k2.gz", "sub.gz"][..]).prop_map(str::to_owned), vec(select(&b"ab!"[..]), 0..3), 0..2);
    let data = (plain, packed).prop_map(|(plain, packed)| plain.into_iter().chain(packed).collect());
    let labels = select(vec![vec!["a"], vec!["a"], vec!["a", "b"], vec!["b"], vec![]]);
    let who = (select(&Kind::ALL[..]), select(&["n", "m"][..]), select(&NAMES[..]));
    let where_and_what = (option::of(select(&FOLDERS[..])), said(), data);
    (who, 0..3_i64, labels, where_and_what).prop_map(|((kind, namespace, name), created, labels, (folder, annotations, data))| {
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
            annotations,
            data,
        }
    })
}

pub(super) fn a_step() -> impl Strategy<Value = Step> {
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

pub(super) fn take(world: &mut World, step: Step) {
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

pub(super) fn new_world() -> World {
    let mut world = World::new();
    world.gzip_max = Some(100);
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
    #![proptest_config(ProptestConfig { cases: crate::support::cases(), failure_persistence: None, ..ProptestConfig::default() })]

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

/// What can happen to files behind URLs.
#[derive(Clone, Debug)]
enum Beside {
    Step(Step),
    /// A server gives these bytes from now on, or dies.
    Serve(usize, Option<Vec<u8>>),
    Answer(usize, bool),
    Late(usize),
}

const URLS: [&str; 3] = ["u0", "u1", "u2"];
/// What nobody may ever write.
const LATE: &[u8] = b"late";

fn a_thing_with_urls() -> impl Strategy<Value = Thing> {
    let urls = btree_map(select(&["k1.url", "k2.url", "sub.url"][..]), select(&URLS[..]), 0..3);
    (a_thing(), urls).prop_map(|(mut thing, urls)| {
        thing.data.extend(urls.into_iter().map(|(key, url)| (key.to_owned(), url.as_bytes().to_vec())));
        thing
    })
}

fn beside() -> impl Strategy<Value = Beside> {
    let serve = (0..URLS.len(), option::of(vec(select(&b"xyz"[..]), 0..3)));
    prop_oneof![
        5 => a_thing_with_urls().prop_map(|thing| Beside::Step(Step::Put(thing))),
        6 => a_step().prop_filter("waits for servers", |step| !matches!(step, Step::Settle)).prop_map(Beside::Step),
        2 => serve.prop_map(|(index, bytes)| Beside::Serve(index, bytes)),
        5 => (0..8_usize, any::<bool>()).prop_map(|(index, unchanged)| Beside::Answer(index, unchanged)),
        1 => (0..8_usize).prop_map(Beside::Late),
    ]
}

fn take_beside(world: &mut World, step: Beside) {
    match step {
        Beside::Step(step) => {
            let edited = matches!(step, Step::Meddle(..));
            let (before, undisputed) = (world.found(), world.undisputed());
            take(world, step);
            if !edited {
                // Who has a path and keeps it loses the file to nobody.
                let lost: Vec<_> = world
                    .undisputed()
                    .intersection(&undisputed)
                    .filter(|path| before.contains_key(*path) && !world.found().contains_key(*path))
                    .cloned()
                    .collect();
                assert!(lost.is_empty(), "lost: {lost:?}");
            }
        }
        Beside::Serve(index, bytes) => {
            let served = &mut world.web.as_mut().unwrap().served;
            match bytes {
                Some(bytes) => served.insert(URLS[index].to_owned(), bytes),
                None => served.remove(URLS[index]),
            };
        }
        Beside::Answer(index, unchanged) => world.answer(index, unchanged),
        Beside::Late(index) => world.answer_late(index, LATE),
    }
    world.pass_until_wake();
    assert!(!world.found().values().any(|bytes| bytes == LATE), "an answer to an old question counted");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::support::cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p1_p4_p5_files_behind_urls_end_as_their_servers_have_them(steps in vec(beside(), 1..60)) {
        let mut world = World::new();
        (world.web, world.gzip_max) = (Some(Web::default()), Some(100));
        FOREIGN.iter().for_each(|path| world.put_foreign(path, b"foreign"));
        world.start("a");
        world.list_all();
        for step in steps {
            take_beside(&mut world, step);
            world.assert_owned("on the way");
        }
        world.control.set(Fault::None);
        let web = world.web.as_mut().unwrap();
        for url in URLS {
            web.served.entry(url.to_owned()).or_insert_with(|| b"alive".to_vec());
        }
        world.settle();
        world.answer_all();
        end(&mut world);
        world.assert_converged("in the end");
        prop_assert_eq!(world.stuck(), world.blocked());
    }
}

#[test]
fn an_answer_and_an_event_of_its_object_in_one_batch_lose_nothing() {
    let mut world = World::new();
    world.web = Some(Web::default());
    world.start("a");
    let thing = super::scenario::thing("urls", 1, None, &[("dead.url", "u0"), ("good.url", "u1")]);
    world.put(thing.clone());
    world.list_all();
    world.settle();
    world.web.as_mut().unwrap().served.insert("u1".to_owned(), b"good".to_vec());
    world.answer(0, false);
    world.answer(1, false);
    world.put(thing);
    world.commit(usize::MAX);
    let files = [("dead", &b""[..]), ("good", b"good")].map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    assert!(world.found() == files.into(), "{}", super::harness::show(&world.found()));
}
