//! S3: what an edit costs, counted in looks at paths, never in time.

use super::harness::World;
use super::model::Thing;
use super::scenario::thing;

const FEW: usize = 20;
const MANY: usize = 2_000;

/// A world with so many files below `sub/`, beside a rival that wants a file of that name.
fn beneath(files: usize, rival: &Thing) -> World {
    let mut world = World::new();
    for number in 0..files {
        let name = format!("beneath-{number}");
        world.put(thing(&name, 5, Some("sub"), &[(&name, "1")]));
    }
    world.put(rival.clone());
    world.start("a");
    world.list_all();
    world.settle();
    world
}

/// Looks at paths until nothing is left to do after a change.
fn looks(world: &mut World, change: impl FnOnce(&mut World)) -> u64 {
    let before = world.looked();
    change(world);
    world.settle();
    world.looked() - before
}

/// The rival, younger or older than what lies beneath.
fn rival(created: i64, content: &str) -> Thing {
    thing("rival", created, None, &[("sub", content)])
}

fn check(created: i64, change: impl Fn(&mut World)) {
    let [few, many] = [FEW, MANY].map(|files| looks(&mut beneath(files, &rival(created, "1")), &change));
    assert!(many <= 2 * few, "{many} looks with {MANY} files beneath, {few} with {FEW}");
}

#[test]
fn s3_an_edit_costs_the_same_whatever_lies_beneath() {
    for created in [1, 9] {
        // Of the rival itself,
        check(created, |world| world.put(rival(created, "2")));
        // of a file beneath it,
        check(created, |world| world.put(thing("beneath-7", 5, Some("sub"), &[("beneath-7", "2")])));
        // of one that comes and goes there,
        check(created, |world| world.put(thing("new", 6, Some("sub/deep"), &[("new", "2")])));
        check(created, |world| world.delete(&thing("beneath-7", 5, None, &[]).key()));
        // and of one that has nothing to do with it.
        check(created, |world| world.put(thing("other", 5, None, &[("other", "2")])));
    }
}

#[test]
fn s3_a_first_list_beneath_a_rival_costs_the_same_a_file() {
    for created in [1, 9] {
        let [few, many] = [FEW, MANY].map(|files| beneath(files, &rival(created, "1")).looked() / u64::try_from(files).unwrap());
        assert!(many <= 2 * few, "{many} looks a file with {MANY} files beneath, {few} with {FEW}");
    }
}
