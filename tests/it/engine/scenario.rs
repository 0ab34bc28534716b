//! A life of objects in phases, each of which is one thing that the engine must survive a fault in.

use std::collections::BTreeSet;

use kube_projector::core::object::Kind;
use kube_projector::core::object::annotations::Annotations;

use super::harness::World;
use super::model::Thing;

pub const PHASES: usize = 8;

pub fn thing(name: &str, created: i64, folder: Option<&'static str>, data: &[(&str, &str)]) -> Thing {
    let kind = if name.starts_with("secret") { Kind::Secret } else { Kind::ConfigMap };
    let uid = name.bytes().fold(u128::from(created.unsigned_abs()), |uid, byte| uid * 31 + u128::from(byte));
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    let (labels, annotations) = (BTreeSet::from(["a"]), Annotations::default());
    Thing { kind, namespace: "default", name: name.to_owned(), uid, version: 0, created, labels, folder, annotations, data }
}

fn labelled(mut thing: Thing, labels: &[&'static str]) -> Thing {
    thing.labels = labels.iter().copied().collect();
    thing
}

/// A world with foreign files of similar names, before the first start.
pub fn world() -> World {
    let mut world = World::new();
    world.put_foreign("a.txt.bak", b"foreign");
    world.put_foreign(".kube-projector-like", b"foreign");
    world.put_foreign("theirs/s", b"foreign");
    world.put(thing("plain", 5, None, &[("a.txt", "1"), ("b.txt", "2"), ("empty", "")]));
    world.put(labelled(thing("secret-one", 5, Some("sub"), &[("s", "s1"), ("t", "t1")]), &["a", "b"]));
    world.put(thing("older", 1, None, &[("c", "from the older")]));
    world.put(labelled(thing("younger", 2, None, &[("c", "from the younger")]), &["a", "b"]));
    world.put(thing("deep", 3, Some("ünï/deep"), &[("d", "d1")]));
    world.put(thing("a-file", 9, None, &[("x", "file")]));
    world.put(thing("a-folder", 8, Some("x"), &[("y", "in the folder")]));
    world.put(thing("guest", 8, Some("theirs"), &[("g", "beside a foreign file")]));
    world
}

/// Changes the objects; the engine hears of it in the phase that follows. Whether it does so by a new start.
pub fn change(world: &mut World, phase: usize) -> bool {
    let large = "L".repeat(70_000);
    match phase {
        0 => return true,
        1 => {
            world.put(thing("plain", 5, None, &[("a.txt", &large), ("n", "new"), ("empty", "")]));
            world.put(labelled(thing("secret-one", 5, Some("sub"), &[("s", "s2"), ("t", "t1")]), &["a", "b"]));
        }
        // A file takes the place of a folder, and a loser of a conflict that of its winner.
        2 => {
            world.delete(&thing("a-folder", 8, None, &[]).key());
            world.delete(&thing("older", 1, None, &[]).key());
        }
        3 => {
            world.put(thing("deep", 3, Some("sub"), &[("d", "d1"), ("e", "e1")]));
            world.delete(&thing("guest", 8, None, &[]).key());
        }
        // A folder takes the place of a file.
        4 => world.put(thing("a-folder", 0, Some("x/below"), &[("y", "again")])),
        5 => {
            world.stop();
            world.delete(&thing("plain", 5, None, &[]).key());
            world.put(thing("older", 1, None, &[("c", "the older is back")]));
            world.put(labelled(thing("secret-one", 5, Some("moved"), &[("s", "s3")]), &["a", "b"]));
            return true;
        }
        6 => {
            world.delete(&thing("deep", 3, None, &[]).key());
            world.put(thing("older", 1, Some("sub"), &[("c", "moved away")]));
        }
        // Another selection: what the former one left is taken over.
        _ => {
            world.stop();
            world.label = "b";
            world.put(labelled(thing("only-b", 7, Some("b"), &[("o", "b")]), &["b"]));
            return true;
        }
    }
    false
}

/// Starts a process and lets it list: one source after the other, in small commits.
pub fn start(world: &mut World) {
    world.start(world.label);
    for index in 0..2 {
        world.list(index, |_| true);
        for _ in 0..4 {
            world.commit(2);
        }
        world.commit(usize::MAX);
    }
}
