//! S8, S9: file systems that cannot do what others can, played by a stand-in. `rows::fuse` asks real ones.

use std::collections::BTreeMap;

use kube_projector::core::files::entry::Obstacle;
use kube_projector::core::files::ledger;
use kube_projector::core::files::plan::Barrier;
use kube_projector::core::path::Roots;
use kube_projector::core::policy::Adopt;
use kube_projector::disk::mount::Lack;
use kube_projector::disk::told::ToldFile;
use kube_projector::engine::outcome::{Act, What};

use super::crash::phase;
use super::faulty::{Control, Faulty, Modes, Odd};
use super::harness::World;
use super::scenario::{PHASES, thing, world};

const PLAIN: Odd = Odd { plain: true, modes: None, coarse: false, renumbers: false, caseless: false, lockless: false };
const IGNORED: Odd = Odd { plain: false, modes: Some(Modes::Ignored), ..PLAIN };
const REFUSED: Odd = Odd { plain: false, modes: Some(Modes::Refused), ..PLAIN };
const COARSE: Odd = Odd { plain: false, coarse: true, ..PLAIN };
const RENUMBERS: Odd = Odd { plain: false, renumbers: true, ..PLAIN };
const CASELESS: Odd = Odd { plain: false, caseless: true, ..PLAIN };
/// As SMB, exFAT and FUSE come, all at once.
const EVERYTHING: Odd = Odd { plain: true, modes: Some(Modes::Refused), coarse: true, renumbers: true, caseless: true, lockless: false };

/// A world on such a file system, with two files that are there.
fn on(odd: Odd) -> World {
    let mut world = World::new();
    world.control.be(odd);
    world.put(thing("rules", 1, None, &[("a", "1"), ("b", "2")]));
    world.put(thing("deep", 1, Some("sub"), &[("c", "3")]));
    begin(&mut world);
    world
}

fn begin(world: &mut World) {
    world.start("a");
    world.list_all();
    world.settle();
}

fn lacks(world: &World) -> Vec<Vec<Lack>> {
    world.odd.iter().map(|mount| mount.lacks.clone()).collect()
}

/// How many files are written while nothing changes: by two passes of RESYNC, a new start and one more pass.
fn written_for_nothing(world: &mut World) -> Vec<String> {
    world.changes.clear();
    for _ in 0..2 {
        world.verify();
        world.settle();
    }
    begin(world);
    world.verify();
    world.settle();
    let written = world.changes.iter().filter(|change| matches!(change.act, Act::Written { .. }));
    written.map(|change| change.path.as_str().to_owned()).collect()
}

#[test]
fn s8_new_files_appear_where_nothing_renames_without_replacing_and_there_are_no_links() {
    let world = on(PLAIN);
    world.assert_converged("new files");
    assert_eq!(world.stuck(), 0);
    assert_eq!(lacks(&world), [[Lack::Sparing]], "one warning a mount");
}

#[test]
fn s8_where_no_name_can_be_spared_adopt_never_and_equal_do_not_start() {
    for adopt in [Adopt::Never, Adopt::Equal] {
        let mut world = World::new();
        world.control.be(PLAIN);
        world.adopt = adopt;
        assert_eq!(world.open().err().as_deref(), Some("ADOPT cannot be kept"), "{adopt:?}");
        world.control.be(Odd::default());
        assert!(world.open().is_ok(), "{adopt:?} on a file system that can");
        assert_eq!(crate::support::temps(world.folder.path()), Vec::<String>::new());
        world.adopt = Adopt::Overwrite;
        world.control.be(PLAIN);
        assert!(world.open().is_ok(), "overwrite");
    }
}

#[test]
fn s9_modes_that_do_not_stick_are_no_change_of_somebody_else() {
    for odd in [IGNORED, REFUSED] {
        let mut world = on(odd);
        world.assert_converged("new files");
        assert_eq!(world.stuck(), 0, "{odd:?}");
        world.put(thing("rules", 1, None, &[("a", "changed"), ("b", "2")]));
        world.settle();
        world.assert_converged("an edit");
        assert_eq!(written_for_nothing(&mut world), Vec::<String>::new(), "{odd:?}");
        assert!(world.odd.iter().all(|mount| mount.lacks == [Lack::Modes]), "{:?}", world.odd);
        assert_eq!(world.odd.len(), 2, "one warning a mount and start");
    }
}

#[test]
fn s9_a_mode_that_somebody_changes_is_set_again_where_modes_stick() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = on(Odd::default());
    std::fs::set_permissions(world.folder.path().join("a"), PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(written_for_nothing(&mut world), ["a"]);
    assert_eq!(world.odd, []);
}

#[test]
fn s9_where_times_are_coarse_resync_compares_digests() {
    let mut world = on(COARSE);
    // Within the second, in place, of the same length.
    std::fs::write(world.folder.path().join("a"), "9").unwrap();
    world.verify();
    world.settle();
    world.assert_converged("repaired");
    assert_eq!(written_for_nothing(&mut world), Vec::<String>::new());
    assert_eq!(lacks(&world), [[Lack::Times], [Lack::Times]], "one warning a mount and start");
}

#[test]
fn s9_inode_numbers_that_change_by_themselves_make_nothing_new() {
    let mut world = on(RENUMBERS);
    world.assert_converged("new files");
    assert_eq!(written_for_nothing(&mut world), Vec::<String>::new());
    world.put(thing("more", 1, None, &[("m", "1")]));
    world.delete(&thing("deep", 1, None, &[]).key());
    world.settle();
    world.assert_converged("after RESYNC the ledger is still taken for ours");
    assert_eq!(world.stuck(), 0);
    std::fs::write(world.folder.path().join("a"), "9").unwrap();
    world.verify();
    world.settle();
    world.assert_converged("repaired");
}

#[test]
fn s9_of_two_names_that_are_one_the_same_file_gets_it_for_ever() {
    for plain in [false, true] {
        let mut world = World::new();
        world.control.be(Odd { plain, ..CASELESS });
        world.put(thing("upper", 1, None, &[("RULES", "upper")]));
        world.put(thing("lower", 2, None, &[("rules", "lower"), ("other", "1")]));
        begin(&mut world);
        let held = || BTreeMap::from([("RULES".to_owned(), b"upper".to_vec()), ("other".to_owned(), b"1".to_vec())]);
        assert_eq!(world.found(), held());
        assert_eq!(world.stuck(), 1);
        let blocked = world.notes.iter().filter(|note| matches!(note.what, What::Blocked { by: Barrier::Obstacle(Obstacle::Case), .. }));
        assert_eq!(blocked.count(), 1);
        assert_eq!(written_for_nothing(&mut world), Vec::<String>::new());
        assert_eq!(world.found(), held());
        // Whoever does not have the place may go without taking it along.
        let lower = thing("lower", 2, None, &[]).key();
        world.delete(&lower);
        world.settle();
        world.assert_converged("the other is gone");
        world.put(thing("lower", 2, None, &[("rules", "lower")]));
        world.settle();
        world.delete(&thing("upper", 1, None, &[]).key());
        world.settle();
        // RULES is how the folder spells the name that is free now, or the new file's own.
        assert_eq!(world.found().values().cloned().collect::<Vec<_>>(), [b"lower".to_vec()], "who waited has the place");
        assert_eq!(world.stuck(), 0);
    }
}

#[test]
fn s9_names_in_folders_that_are_one_are_one() {
    let mut world = World::new();
    world.control.be(CASELESS);
    world.put(thing("upper", 1, Some("Sub"), &[("a", "upper")]));
    world.put(thing("lower", 2, Some("sub"), &[("a", "lower"), ("b", "1")]));
    begin(&mut world);
    assert_eq!(world.stuck(), 1);
    let found = world.found();
    assert_eq!(written_for_nothing(&mut world), Vec::<String>::new());
    assert_eq!(world.found(), found);
    assert_eq!(found.len(), 2);
}

#[test]
fn s9_a_key_that_changes_only_its_case_keeps_its_file() {
    for adopt in [Adopt::Overwrite, Adopt::Never] {
        let mut world = World::new();
        world.adopt = adopt;
        world.control.be(CASELESS);
        world.put(thing("rules", 1, None, &[("rules", "1"), ("z", "1")]));
        begin(&mut world);
        world.put(thing("rules", 1, None, &[("RULES", "2"), ("z", "1")]));
        world.commit(usize::MAX);
        let found = |world: &World| world.found().into_values().collect::<Vec<_>>();
        assert_eq!(found(&world), [b"2".to_vec(), b"1".to_vec()], "in one commit, {adopt:?}");
        world.settle();
        assert_eq!(found(&world), [b"2".to_vec(), b"1".to_vec()]);
        assert_eq!(world.stuck(), 0);
        assert!(!world.notes.iter().any(|note| matches!(note.what, What::Replaced(_) | What::Blocked { .. })), "it was ours");
        assert_eq!(written_for_nothing(&mut world), Vec::<String>::new());
        world.delete(&thing("rules", 1, None, &[]).key());
        world.settle();
        assert_eq!(found(&world), Vec::<Vec<u8>>::new());
    }
}

#[test]
fn s9_the_ledger_is_no_file_in_other_letters() {
    let mut world = World::new();
    world.ledger = Some("ledger");
    world.control.be(CASELESS);
    world.put(thing("rules", 1, None, &[("LEDGER", "not ours"), ("a", "1")]));
    begin(&mut world);
    written_for_nothing(&mut world);
    let roots = Roots::new(&world.folder.path().display().to_string(), []);
    let found = world.found();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "ledger"]);
    assert!(ledger::read(&found["ledger"], &roots).is_ok_and(|contents| contents.owned.len() == 1));
}

/// A ledger that belongs to nobody, and files too: what is stale goes all the same.
#[test]
fn s9_a_whole_life_on_the_oddest_file_system_ends_as_on_any_other() {
    for odd in [PLAIN, IGNORED, REFUSED, COARSE, RENUMBERS, CASELESS, EVERYTHING] {
        let mut world = world();
        world.control.be(odd);
        for number in 0..PHASES {
            phase(&mut world, number, |_| {});
            world.assert_converged(&format!("{odd:?}, phase {number}"));
            assert_eq!(world.stuck(), 0, "{odd:?}, phase {number}");
        }
    }
}

#[test]
fn s9_a_file_system_that_can_do_everything_costs_one_look_once() {
    let mut world = World::new();
    begin(&mut world);
    let mut calls = |key: &str| {
        let before = world.control.calls();
        world.put(thing(key, 1, None, &[(key, "1")]));
        world.settle();
        world.control.calls() - before
    };
    let (first, second, third) = (calls("a"), calls("b"), calls("c"));
    assert_eq!((first, second), (third + 1, third));
    world.verify();
    world.settle();
    assert_eq!(world.odd, []);
}

#[test]
fn what_was_told_of_pods_is_kept_where_nothing_can_be_locked() {
    let folder = tempfile::tempdir().unwrap();
    let (place, control) = (ToldFile::beside(&folder.path().join("ledger")), Control::default());
    control.be(Odd { lockless: true, ..Odd::default() });
    let mut fs = Faulty::new(&control);
    place.replace(&mut fs, b"told").unwrap();
    assert_eq!(place.read(&mut fs).unwrap(), b"told");
}
