//! What is kept claim by claim is what a look at everything would say, and whatever it changes is touched.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::core::digest::Digester;
use crate::core::files::plan::rank;
use crate::core::files::store::SourceScope;
use crate::core::files::store::tests::rules;
use crate::core::object::{Datum, Kind, Object, ObjectEvent, SourceEvent, SourceId};
use crate::core::policy::Precedence;

const SOURCE: SourceId = SourceId(0);
/// Each is a file name too.
const FOLDERS: [&str; 5] = ["", "a", "a/b", "a/b/a", "b"];

#[derive(Clone, Debug)]
enum Step {
    Apply { name: usize, created: i64, folder: &'static str, keys: BTreeSet<&'static str> },
    Drop(usize),
    Delete(usize),
    List,
}

fn a_step() -> impl Strategy<Value = Step> {
    let keys = btree_set(select(&["a", "b", "c"][..]), 0..3);
    let apply = (0..6_usize, 0..3_i64, select(&FOLDERS[..]), keys);
    prop_oneof![
        8 => apply.prop_map(|(name, created, folder, keys)| Step::Apply { name, created, folder, keys }),
        1 => (0..6_usize).prop_map(Step::Drop),
        3 => (0..6_usize).prop_map(Step::Delete),
        1 => Just(Step::List),
    ]
}

fn key(name: usize) -> ObjectKey {
    ObjectKey::new(Kind::ConfigMap, "n", format!("o{name}"))
}

fn event(step: &Step, version: u64) -> SourceEvent {
    match step {
        Step::Apply { name, created, folder, keys } => {
            let datum = |key: &&str| Datum::text(*key, Vec::new());
            let object = Object {
                uid: 1,
                resource_version: version,
                created: *created,
                folder: Some((*folder).to_owned()),
                ..Object::new(key(*name), keys.iter().map(datum).collect())
            };
            SourceEvent::of(SOURCE, 0, ObjectEvent::Apply(Box::new(object)))
        }
        Step::Drop(name) => SourceEvent::of(SOURCE, 0, ObjectEvent::Unread { key: key(*name), uid: 1, resource_version: version }),
        Step::Delete(name) => {
            SourceEvent::of(SOURCE, 0, ObjectEvent::Delete { key: key(*name), uid: 0, overrides: false, finalizers: Box::default() })
        }
        // Nothing was stamped with it: everything is gone.
        Step::List => SourceEvent::ListEnd { source: SOURCE, generation: 9 },
    }
}

/// The claim that ranks first beneath a name, by a look at everything.
fn best_beneath(store: &Store, name: &str) -> Option<Arc<ObjectKey>> {
    store.first(store.beneath(name).filter_map(|path| store.path(path)).flat_map(|entry| entry.claimants.iter()))
}

/// Whether `left` ranks before `right`.
fn beats(store: &Store, left: &Arc<ObjectKey>, right: &Arc<ObjectKey>) -> bool {
    store.compare(left, right).is_lt()
}

/// Whose file stands at a name, by a look at everything.
fn stands(store: &Store, name: &str) -> Option<Arc<ObjectKey>> {
    let winner = store.first(store.path_named(name)?.claimants.iter())?;
    best_beneath(store, name).is_none_or(|best| !beats(store, &best, &winner)).then_some(winner)
}

/// Who keeps a path, by a look at everything.
fn keeper(store: &Store, path: &TargetPath) -> Option<Arc<ObjectKey>> {
    let winner = store.first(store.path(path)?.claimants.iter())?;
    let above = path.ancestors().find_map(|ancestor| stands(store, ancestor));
    let rival = above.or_else(|| best_beneath(store, path.as_str()).filter(|best| beats(store, best, &winner)));
    Some(rival.unwrap_or(winner))
}

fn keepers(store: &Store) -> BTreeMap<TargetPath, Option<Arc<ObjectKey>>> {
    store.paths().map(|(path, _)| (path.clone(), keeper(store, path))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s3_who_stands_is_what_a_look_at_everything_says(steps in vec(a_step(), 1..40), order in select(&[Precedence::Oldest, Precedence::Newest][..])) {
        let mut store = Store::new([SourceScope { kind: None, namespace: None, name: None }], order, Digester::new((1, 2)));
        let mut before: BTreeMap<TargetPath, Option<Arc<ObjectKey>>> = BTreeMap::new();
        for (version, step) in (1..).zip(&steps) {
            let mut folded = Folded::default();
            store.fold(event(step, version), &rules(), &mut folded);
            let now = keepers(&store);
            for (path, keeper) in &now {
                let told = rank(&store, path, store.path(path).unwrap()).map(|(winner, _)| winner);
                prop_assert!(told == *keeper, "{path}: {told:?}, but a look at everything says {keeper:?}");
            }
            let changed = now.iter().filter(|(path, keeper)| before.get(*path) != Some(keeper)).map(|(path, _)| path);
            let gone = before.keys().filter(|path| !now.contains_key(*path));
            for path in changed.chain(gone) {
                prop_assert!(folded.touched.contains(path), "{path} passed to somebody else and is not touched");
            }
            before = now;
        }
        let nothing_left = store.live().all(|(_, live)| live.claims.paths().next().is_none());
        prop_assert!(!nothing_left || (store.contests.by_name.is_empty() && store.folders.is_empty()), "nothing is kept of what is gone");
    }
}
