//! F21: what somebody meets who lists FOLDER before each call to the file system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::crash::phase;
use super::faulty::{Fault, Modes, Odd};
use super::harness::World;
use super::scenario::{PHASES, start, thing, world};
use crate::support::{every, temps, tree_with_dots};

/// What a lister met.
#[derive(Default)]
struct Met {
    /// What each path may hold: whatever an object ever wanted there.
    allowed: BTreeMap<String, BTreeSet<Vec<u8>>>,
    listings: usize,
    temporary: usize,
    foreign: BTreeSet<String>,
    torn: BTreeSet<String>,
}

impl Met {
    fn allow(&mut self, world: &World) {
        for thing in world.objects.values() {
            for (key, bytes) in &thing.data {
                self.allowed.entry(thing.path(key)).or_default().insert(bytes.clone());
            }
        }
        for (path, bytes) in &world.foreign {
            self.allowed.entry(path.clone()).or_default().insert(bytes.clone());
        }
    }

    fn list(&mut self, folder: &Path) {
        self.listings += 1;
        for (path, bytes) in tree_with_dots(folder) {
            if path.rsplit('/').next().unwrap().starts_with(".kube-projector.") {
                self.temporary += 1;
                if !self.allowed.values().any(|contents| contents.contains(&bytes)) {
                    self.torn.insert(path);
                }
                continue;
            }
            match self.allowed.get(&path) {
                None => drop(self.foreign.insert(path)),
                Some(contents) if !contents.contains(&bytes) => drop(self.torn.insert(path)),
                Some(_) => {}
            }
        }
    }
}

/// A place on the same mount as the folder of a world: for the ledger, and for files that are being made.
fn beside(world: &mut World, staged: bool) -> TempDir {
    let beside = TempDir::new_in(world.folder.path().parent().unwrap()).unwrap();
    std::fs::create_dir(beside.path().join("state")).unwrap();
    world.beside = Some(beside.path().join("state"));
    world.staging = staged.then(|| beside.path().join("staging"));
    beside
}

/// Lists the folder of the world before each call from now on.
fn lister(world: &World) -> Arc<Mutex<Met>> {
    let met = Arc::new(Mutex::new(Met::default()));
    let (seen, folder) = (met.clone(), world.folder.path().to_owned());
    world.control.before(move || seen.lock().unwrap().list(&folder));
    met
}

/// The whole scenario under the eyes of a lister, who writes down only what somebody else may not put there.
fn listed(staged: bool) -> Met {
    let mut world = world();
    let beside = beside(&mut world, staged);
    let met = lister(&world);
    for number in 0..PHASES {
        met.lock().unwrap().allow(&world);
        // The phase changes the objects before anything is told of them.
        let mut objects = super::scenario::world();
        for number in 0..=number {
            super::scenario::change(&mut objects, number);
        }
        met.lock().unwrap().allow(&objects);
        phase(&mut world, number, |_| {});
        world.assert_converged(&format!("phase {number}"));
    }
    assert_eq!(temps(beside.path()), Vec::<String>::new());
    assert_eq!(world.unstaged, Vec::<String>::new());
    world.control.before(|| {});
    drop(world);
    Arc::into_inner(met).expect("nobody lists any more").into_inner().unwrap()
}

#[test]
fn f21_with_staging_a_lister_meets_wanted_names_with_their_content_and_nothing_else() {
    let met = listed(true);
    assert!(met.listings > 150, "{} listings", met.listings);
    assert_eq!((met.temporary, met.foreign, met.torn), (0, BTreeSet::new(), BTreeSet::new()));
}

#[test]
fn f21_without_staging_the_only_other_names_are_those_of_whole_temporary_files() {
    let met = listed(false);
    assert!(met.temporary > 10, "between link and rename: {} of {}", met.temporary, met.listings);
    assert_eq!((met.foreign, met.torn), (BTreeSet::new(), BTreeSet::new()));
}

#[test]
fn f21_a_death_at_any_call_leaves_nothing_in_staging_that_the_next_start_does_not_sweep() {
    let calls = {
        let mut world = world();
        let _beside = beside(&mut world, true);
        (0..PHASES).for_each(|number| phase(&mut world, number, |_| {}));
        world.control.calls()
    };
    for at in every(calls, 2) {
        let mut world = world();
        let beside = beside(&mut world, true);
        world.control.set(Fault::Dies { at });
        for number in 0..PHASES {
            phase(&mut world, number, |_| {});
            if let Some(call) = world.control.struck() {
                world.assert_owned(&format!("death at call {at} ({call}) in phase {number}"));
                world.control.set(Fault::None);
                start(&mut world);
                world.settle();
            }
            world.assert_converged(&format!("call {at}, after phase {number}"));
        }
        assert_eq!(temps(beside.path()), Vec::<String>::new(), "call {at}");
    }
}

/// A world with one file, made in STAGING.
fn small() -> (World, TempDir) {
    let mut world = World::new();
    let beside = beside(&mut world, true);
    world.put(thing("one", 5, None, &[("a", "1")]));
    world.start("a");
    world.list_all();
    world.settle();
    world.assert_converged("at first");
    assert_eq!(world.unstaged, Vec::<String>::new());
    (world, beside)
}

#[test]
fn f21_where_staging_goes_away_files_are_made_beside_their_place_until_it_is_back() {
    let (mut world, beside) = small();
    std::fs::remove_dir(beside.path().join("staging")).unwrap();
    world.put(thing("one", 5, None, &[("a", "2")]));
    world.settle();
    world.assert_converged("without it");
    assert_eq!((world.unstaged.len(), world.stuck()), (1, 0), "{:?}", world.unstaged);
    let met = lister(&world);
    world.put(thing("one", 5, None, &[("a", "3"), ("b", "3")]));
    world.settle();
    world.assert_converged("made again");
    assert_eq!((met.lock().unwrap().temporary, world.unstaged.len()), (0, 1));
    // In vain: something else has the name. It is told once.
    std::fs::remove_dir(beside.path().join("staging")).unwrap();
    std::fs::write(beside.path().join("staging"), "").unwrap();
    for content in ["4", "5", "6"] {
        world.put(thing("one", 5, None, &[("a", content)]));
        world.settle();
        world.assert_converged("in vain");
    }
    assert_eq!((world.unstaged.len(), world.stuck()), (2, 0), "{:?}", world.unstaged);
}

#[test]
fn f21_staging_works_on_file_systems_that_lack_what_others_have() {
    let odd = Odd { modes: Some(Modes::Refused), coarse: true, renumbers: true, ..Odd::default() };
    let mut world = World::new();
    let _beside = beside(&mut world, true);
    world.control.be(odd);
    let met = lister(&world);
    for content in ["1", "2"] {
        world.put(thing("one", 5, None, &[("a", content), ("b", content)]));
        met.lock().unwrap().allow(&world);
        world.start("a");
        world.list_all();
        world.settle();
        world.assert_converged("odd");
    }
    assert_eq!((world.unstaged.len(), world.stuck(), met.lock().unwrap().torn.len()), (0, 0, 0), "{:?}", world.unstaged);
    // Where no name can be spared a new file is made beside its place.
    world.control.be(Odd { plain: true, ..Odd::default() });
    world.put(thing("one", 5, None, &[("a", "3"), ("c", "3")]));
    world.settle();
    world.assert_converged("plain");
    assert_eq!((world.unstaged.len(), world.stuck()), (1, 0), "{:?}", world.unstaged);
}

#[test]
fn f21_a_full_staging_is_a_full_disk() {
    let (mut world, _beside) = small();
    world.control.set(Fault::Full { writes: 1, errno: rustix::io::Errno::NOSPC });
    world.put(thing("one", 5, None, &[("b", "1")]));
    world.commit(usize::MAX);
    world.assert_converged("at once");
    assert_eq!((world.unstaged.len(), world.stuck()), (0, 0), "{:?}", world.unstaged);
}
