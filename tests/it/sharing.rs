//! Several projectors on one folder: whatever dies and comes back in whatever order, nobody removes what belongs to another.

use crate::common::{Setup, started};
use crate::support::projector::Builder;
use crate::support::*;

/// Two projectors of one folder that select by two labels, each with objects of its own and one path that both want.
struct Pair {
    // First, so that they are gone before the cluster is tidied up.
    running: [Option<Projector>; 2],
    builders: [Builder; 2],
    setup: Setup,
}

impl Pair {
    /// Both have run beside each other.
    fn started() -> Self {
        let setup = Setup::new();
        setup.foreign("sub/foreign", "theirs");
        for (name, label) in [("first", "one"), ("second", "two")] {
            let draft = setup.cluster.configmap(name, &[(name, "1"), ("gone", "1")]).target(&format!("sub/{name}"));
            draft.label(label, "").create();
            setup.cluster.secret(name, &[(&format!("{name}-secret"), "1")]).target("sub").label(label, "").create();
        }
        let builder = |label: &str| setup.projector().env("LABEL", label).env("FINALIZER_NAME", &format!("kube-projector.dev/{label}"));
        let builders = [builder("one"), builder("two")];
        let running = [Some(started(&builders[0])), Some(started(&builders[1]))];
        let pair = Self { setup, builders, running };
        pair.holds(&[("first", "1", true), ("second", "1", true)]);
        pair
    }

    /// Files of each: its name, its content, and whether the key is there that will be dropped.
    fn holds(&self, parts: &[(&str, &str, bool)]) {
        let mut expected = tree! { "sub/foreign" => "theirs" };
        for (name, content, both) in parts {
            expected.extend(tree! { format!("sub/{name}/{name}") => content, format!("sub/{name}-secret") => "1" });
            expected.extend(both.then(|| (format!("sub/{name}/gone"), b"1".to_vec())));
        }
        self.setup.holds(&expected);
    }

    fn kill(&mut self, which: usize) {
        self.running[which].take().unwrap().kill9();
    }

    fn start(&mut self, which: usize) {
        self.running[which] = Some(started(&self.builders[which]));
    }

    /// Drops a key and changes another one, while its projector may be down.
    fn edit(&self, name: &str) {
        self.setup.cluster.set_data(name, &[(name, "2")]);
    }
}

#[test]
fn one_killed_and_restarted_beside_the_other() {
    let mut pair = Pair::started();
    for which in [0, 1, 0] {
        pair.kill(which);
        pair.start(which);
        pair.holds(&[("first", "1", true), ("second", "1", true)]);
    }
    pair.kill(1);
    pair.edit("second");
    pair.edit("first");
    pair.holds(&[("first", "2", false), ("second", "1", true)]);
    pair.start(1);
    pair.holds(&[("first", "2", false), ("second", "2", false)]);
}

#[test]
fn both_killed_and_restarted_in_either_order() {
    for order in [[0, 1], [1, 0]] {
        let mut pair = Pair::started();
        pair.kill(order[0]);
        pair.kill(order[1]);
        pair.edit("first");
        pair.edit("second");
        pair.start(order[0]);
        // The other is down, but known as a sibling: its files stay, stale as they are.
        let parts = [("first", "2", false), ("second", "2", false)];
        let mut halfway = parts;
        let other = if order[0] == 0 { "second" } else { "first" };
        halfway[order[1]] = (other, "1", true);
        pair.holds(&halfway);
        pair.start(order[1]);
        pair.holds(&parts);
    }
}

#[test]
fn sibling_stays_one_over_several_restarts_of_the_other() {
    let mut pair = Pair::started();
    pair.kill(1);
    for _ in 0..3 {
        pair.kill(0);
        pair.start(0);
    }
    pair.holds(&[("first", "1", true), ("second", "1", true)]);
    pair.start(1);
    pair.edit("second");
    pair.holds(&[("first", "1", true), ("second", "2", false)]);
}

#[test]
fn path_that_both_want_stays_with_whom_it_is() {
    let setup = Setup::new();
    setup.cluster.configmap("first", &[("shared", "first"), ("a", "")]).label("one", "").create();
    setup.cluster.configmap("second", &[("shared", "second"), ("b", "")]).label("two", "").create();
    let builder = |label: &str| setup.projector().env("LABEL", label).env("FINALIZERS", "false");
    let mut first = started(&builder("one"));
    let mut second = started(&builder("two"));
    second.wait_output("another projector owns the file");
    let expected = tree! { "shared" => "first", "a" => "", "b" => "" };
    setup.holds(&expected);
    first.kill9();
    second.kill9();
    let _second = started(&builder("two"));
    setup.holds(&expected);
    let _first = started(&builder("one"));
    setup.holds(&expected);
}

#[test]
fn temporary_files_of_a_sibling_are_not_swept() {
    let mut pair = Pair::started();
    let ids = ledgers(&pair.setup.folder()).into_iter().map(|name| {
        let header = std::fs::read_to_string(pair.setup.path(&name)).unwrap();
        let header: serde_json::Value = serde_json::from_str(&header.lines().next().unwrap()[9..]).unwrap();
        (header["selection"].as_str().unwrap().contains("label=one"), header["id"].as_str().unwrap().to_owned())
    });
    let ids: std::collections::BTreeMap<_, _> = ids.collect();
    pair.kill(0);
    pair.kill(1);
    for id in ids.values() {
        pair.setup.foreign(&format!("sub/.kube-projector.{id}.99.tmp"), "half");
    }
    pair.start(0);
    assert_eq!(temps(&pair.setup.folder()), [format!("sub/.kube-projector.{}.99.tmp", ids[&false])]);
    pair.start(1);
    assert_eq!(temps(&pair.setup.folder()), Vec::<String>::new());
}

#[test]
fn same_selection_twice_waits_for_the_other_to_end() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut first = setup.start();
    let mut second = setup.projector().start();
    second.wait_output("waiting for it to end");
    second.wait_ready();
    first.terminate();
    second.wait_ready();
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2" });
}

#[test]
fn instances_with_one_selection_share_a_folder() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let builder = |name: &str| setup.projector().env("INSTANCE", name).env("UNIQUE_FILENAMES", if name == "x" { "false" } else { "true" });
    let mut first = started(&builder("x"));
    let mut second = started(&builder("y"));
    let expected = tree! { "a" => "1", format!("{}.configmap_a.a", setup.cluster.namespace()) => "1" };
    setup.holds(&expected);
    first.kill9();
    second.kill9();
    let _second = started(&builder("y").env("LABEL", "nothing-has-it").env("PRUNE_EMPTY", "true"));
    setup.holds(&tree! { "a" => "1" });
}
