//! What a commit's steps come to, told without a disk.

use std::collections::HashSet;

use super::*;
use crate::core::digest::Digester;
use crate::core::files::entry::OnDisk;
use crate::core::files::folded::Folded;
use crate::core::files::plan::plan;
use crate::core::files::store::SourceScope;
use crate::core::files::store::tests::rules;
use crate::core::object::{Datum, Kind, Object, ObjectEvent, SourceEvent, SourceId};
use crate::core::path::Roots;
use crate::core::policy::{self, Adopt};

const SOURCE: SourceId = SourceId(0);

struct World {
    store: Store,
    held: Held,
    in_vain: HashSet<TargetPath>,
    version: u64,
}

fn path(text: &str) -> TargetPath {
    Roots::new("/f", []).recorded(text).unwrap()
}

fn paths(texts: &[&str]) -> Vec<TargetPath> {
    texts.iter().map(|text| path(text)).collect()
}

impl World {
    /// Objects by name with their keys, which are files already.
    fn new(objects: &[(&str, &[&str])]) -> Self {
        let scope = SourceScope { kind: None, namespace: None, name: None };
        let store = Store::new([scope], policy::Precedence::Oldest, Digester::new((1, 2)));
        let mut world = Self { store, held: Held::default(), in_vain: HashSet::new(), version: 1 };
        for (name, keys) in objects {
            world.put(name, keys);
            for key in *keys {
                world.store.own(&path(key), &ObjectKey::new(Kind::ConfigMap, "n", *name));
            }
        }
        world.fold(SourceEvent::ListEnd { source: SOURCE, generation: 1 });
        world
    }

    fn fold(&mut self, event: SourceEvent) -> Folded {
        let mut folded = Folded::default();
        self.store.fold(event, &rules(), &mut folded);
        folded
    }

    fn put(&mut self, name: &str, keys: &[&str]) -> BTreeSet<TargetPath> {
        self.version += 1;
        let datum = |key: &&str| Datum::text(*key, "1");
        let object = Object {
            uid: 1,
            resource_version: self.version,
            ..Object::new(ObjectKey::new(Kind::ConfigMap, "n", name), keys.iter().map(datum).collect())
        };
        self.fold(SourceEvent::of(SOURCE, 1, ObjectEvent::Apply(Box::new(object)))).touched
    }

    fn plan(&mut self, touched: &BTreeSet<TargetPath>, absent: &[&str], lost: &[TargetPath]) -> Plan {
        absent.iter().for_each(|text| self.store.saw(&path(text), OnDisk::Absent));
        let in_vain = |path: &TargetPath| self.in_vain.contains(path);
        let batch = Batch { touched, at_hand: &|_, _| true, adopt: Adopt::Overwrite, held: &self.held, in_vain: &in_vain, lost };
        plan(&batch, &self.store)
    }

    /// `-first`, then each turn as `+new -old`.
    fn show(&self, plan: Plan) -> Vec<String> {
        let order = order(plan.remove, plan.write, &plan.twins, &self.store, &self.held);
        let removed = |removals: &[Removal]| removals.iter().map(|removal| format!("-{}", removal.path)).collect::<Vec<_>>();
        let turn = |turn: &Turn| turn.write.iter().map(|write| format!("+{}", write.path)).chain(removed(&turn.remove)).collect::<Vec<_>>();
        let turns = order.turns.iter().map(|each| turn(each).join(" ")).filter(|text| !text.is_empty());
        removed(&order.first).into_iter().chain(turns).collect()
    }
}

#[test]
fn an_object_writes_before_it_removes_and_waits_for_no_other() {
    let mut world = World::new(&[("b", &["b1", "b2"]), ("gone", &["g"]), ("moves", &["m"])]);
    let mut touched = world.put("b", &["b3"]);
    touched.extend(world.put("gone", &[]));
    touched.extend(world.put("moves", &["l"]));
    touched.extend(world.put("new", &["n"]));
    let plan = world.plan(&touched, &["b3", "l", "n"], &[]);
    assert_eq!(world.show(plan), ["-g", "+b3 -b1 -b2", "+l -m", "+n"]);
}

#[test]
fn what_stays_waits_for_a_file_that_is_missed_and_for_nothing_else() {
    let mut world = World::new(&[("one", &["old"])]);
    let touched = world.put("one", &["new"]);
    world.held.hold(&path("old"), paths(&["new"]));
    // Its bytes are here: it is tried, and `old` waits for how that ends.
    let plan = world.plan(&touched, &["new"], &[]);
    assert!(plan.held.is_empty() && plan.write[0].fresh);
    assert_eq!(world.show(plan), ["+new -old"]);
    // Only `old` is looked at.
    let plan = world.plan(&paths(&["old"]).into_iter().collect(), &[], &[]);
    assert_eq!((plan.held, plan.remove.len()), (vec![(path("old"), paths(&["new"]))], 0));
    // The object does not want it any more.
    let touched = world.put("one", &[]).into_iter().chain(paths(&["old"])).collect();
    let plan = world.plan(&touched, &[], &[]);
    assert_eq!((plan.held.len(), plan.remove.len()), (0, 1));
}

#[test]
fn what_failed_before_the_lists_were_complete_counts_when_they_are() {
    let mut world = World::new(&[("one", &["old"]), ("two", &["stale"])]);
    let mut touched = world.put("one", &["new"]);
    touched.extend(world.put("two", &[]));
    touched.remove(&path("new"));
    let plan = world.plan(&touched, &["new"], &paths(&["new"]));
    assert_eq!((plan.held.clone(), world.show(plan)), (vec![(path("old"), paths(&["new"]))], vec!["-stale".to_owned()]));
}

#[test]
fn a_write_that_was_in_vain_before_holds_nothing_back() {
    let mut world = World::new(&[("one", &["kept"])]);
    world.in_vain.insert(path("new"));
    let touched = world.put("one", &["new"]);
    assert!(!world.plan(&touched, &["new"], &[]).write[0].fresh);
}

#[test]
fn names_that_differ_in_case_only_are_twins_where_one_is_wanted() {
    let mut world = World::new(&[("one", &["Rules", "b"])]);
    let touched = world.put("one", &["rules", "c"]);
    let plan = world.plan(&touched, &["rules", "c"], &[]);
    assert_eq!(plan.twins, Twins::from([(path("Rules"), path("rules"))]));
    assert_eq!(folded(&path("STRASSE/Ä")), folded(&path("straße/ä")));
}
