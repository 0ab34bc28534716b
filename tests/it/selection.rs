//! S14 and S19: what a ledger of another selection means, and a selection that matches nothing.

use serde_json::{Value, json};

use crate::common::{OURS, Setup, started};
use crate::support::projector::Builder;
use crate::support::*;

fn labelled(setup: &Setup, label: &str) -> Builder {
    setup.projector().env("LABEL", label).env("FINALIZERS", "false")
}

/// One object a label, `one` and `two`, each with a file of its name.
fn two() -> Setup {
    let setup = Setup::new();
    for name in ["one", "two"] {
        setup.cluster.configmap(name, &[(name, "1")]).unlabelled().label(name, "").create();
    }
    setup
}

/// The value that the warning says to give.
fn advised(output: &str) -> String {
    let (_, rest) = output.split_once("set LEDGER_FORMER=").expect("the ledger that nobody holds is told");
    rest.split(['"', ' ', '\n']).next().unwrap().to_owned()
}

#[test]
fn s14_a_neighbour_that_is_away_for_a_day_loses_nothing() {
    let setup = two();
    let neighbour = labelled(&setup, "two");
    assert_eq!(started(&neighbour).terminate().code(), Some(0));
    let theirs = ledgers(&setup.folder()).pop().unwrap();
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    for name in [&*theirs, "two"] {
        std::fs::File::open(setup.path(name)).unwrap().set_modified(yesterday).unwrap();
    }
    let before = inode(&setup.path("two"));
    for round in 0..10 {
        let mut ours = started(&labelled(&setup, "one"));
        setup.holds(&tree! { "one" => "1", "two" => "1" });
        assert_eq!(ours.terminate().code(), Some(0));
        let output = ours.output();
        assert_eq!(advised(&output), theirs, "round {round}");
        let warning = output.lines().find(|line| line.contains("LEDGER_FORMER")).unwrap();
        assert!(warning.contains("\"files\":1") && warning.contains("WARN"), "{warning}");
    }
    let _ours = started(&labelled(&setup, "one"));
    let _neighbour = started(&neighbour);
    assert_eq!(inode(&setup.path("two")), before, "nothing was written again");
    setup.cluster.set_data("two", &[("two", "2")]);
    setup.holds(&tree! { "one" => "1", "two" => "2" });
}

#[test]
fn s14_two_lists_with_other_labels_leave_each_others_files() {
    let setup = two();
    for label in ["one", "two", "one"] {
        let finished = labelled(&setup, label).env("METHOD", "LIST").run();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }
    assert_tree(&setup.folder(), &tree! { "one" => "1", "two" => "1" });
}

#[test]
fn s14_a_ledger_that_is_named_as_a_former_one_is_taken_over() {
    let setup = two();
    setup.foreign("foreign", "theirs");
    started(&labelled(&setup, "two")).terminate();
    let mut first = started(&labelled(&setup, "one"));
    first.wait_output("LEDGER_FORMER=");
    first.terminate();
    let former = advised(&first.output());
    let renamed = labelled(&setup, "one").env("LEDGER_FORMER", &format!("gone.ledger,{former}"));
    for round in 0..2 {
        let mut projector = started(&renamed);
        setup.holds(&tree! { "one" => "1", "foreign" => "theirs" });
        projector.terminate();
        assert_eq!(ledgers(&setup.folder()).len(), 1, "round {round}");
    }
    // By its path as well, and never one that is held.
    let mut second = started(&labelled(&setup, "two"));
    let held = ledgers(&setup.folder()).into_iter().map(|name| setup.path(&name).display().to_string()).collect::<Vec<_>>().join(",");
    let renamed = labelled(&setup, "one").env("LEDGER_FORMER", &held);
    started(&renamed).terminate();
    setup.holds(&tree! { "one" => "1", "two" => "1", "foreign" => "theirs" });
    second.terminate();
    let _projector = started(&renamed);
    setup.holds(&tree! { "one" => "1", "foreign" => "theirs" });
}

#[test]
fn s14_ledgers_of_two_folders_in_one_place_are_strangers() {
    let setup = two();
    let place = setup.beside("ledgers");
    std::fs::create_dir(&place).unwrap();
    let other = setup.beside("other");
    std::fs::create_dir(&other).unwrap();
    let at =
        |name: &str| labelled(&setup, "one").env("LEDGER", &place.join(format!(".kube-projector.{name}.ledger")).display().to_string());
    started(&at("a").folder(&other)).terminate();
    setup.foreign("one", "1");
    started(&at("b")).terminate();
    assert_eq!(ledgers(&place).len(), 2, "none was taken over");
    assert!(other.join("one").is_file());
}

fn instance(setup: &Setup, label: &str) -> Builder {
    setup.projector().env("INSTANCE", "app").env("LABEL", label)
}

#[test]
fn s19_a_selection_that_matches_nothing_by_mistake_touches_nothing() {
    let setup = two();
    setup.cluster.configmap("more", &[("more", "1")]).target("sub").unlabelled().label("one", "").create();
    let mut first = started(&instance(&setup, "one"));
    setup.has_finalizers("configmaps", "one", &[OURS]);
    first.terminate();
    let files = tree! { "one" => "1", "sub/more" => "1" };
    setup.holds(&files);
    let before = ["one", "sub/more"].map(|name| inode(&setup.path(name)));
    let finalizers = || setup.cluster.finalizers_of("configmaps", "one");
    assert_eq!(finalizers().len(), 1);
    for typo in ["oen", "oen", "noe"] {
        let mut projector = started(&instance(&setup, typo));
        projector.wait_output("they stay until something does, or PRUNE_EMPTY=true");
        projector.wait_ready();
        assert_eq!(projector.terminate().code(), Some(0));
        setup.holds(&files);
        let output = projector.output();
        let warnings: Vec<&str> = output.lines().filter(|line| line.contains("PRUNE_EMPTY")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains("\"files\":2") && warnings[0].contains("label=one"), "{warnings:?}");
        assert_eq!(finalizers().len(), 1, "the sweep waits");
    }
    let mut projector = started(&instance(&setup, "one"));
    setup.holds(&files);
    assert_eq!(["one", "sub/more"].map(|name| inode(&setup.path(name))), before);
    assert_eq!(finalizers().len(), 1);
    projector.terminate();
    // Meant this time.
    let mut projector = started(&instance(&setup, "oen").env("PRUNE_EMPTY", "true"));
    setup.holds(&tree! {});
    wait_for("the sweep", DEADLINE, || finalizers().is_empty());
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn s19_the_first_object_that_matches_ends_the_wait() {
    let setup = two();
    started(&instance(&setup, "one")).terminate();
    let mut projector = started(&instance(&setup, "three").env("RESYNC", "1"));
    projector.wait_output("PRUNE_EMPTY");
    setup.holds(&tree! { "one" => "1" });
    setup.cluster.configmap("three", &[("three", "1")]).unlabelled().label("three", "").create();
    setup.holds(&tree! { "three" => "1" });
    wait_for("the sweep", DEADLINE, || setup.cluster.finalizers_of("configmaps", "one").is_empty());
    // It is our selection now: one that becomes empty is pruned as ever.
    projector.terminate();
    setup.cluster.patch("configmaps", "three", &json!({"metadata": {"finalizers": Value::Null}}));
    setup.cluster.delete("configmaps", "three");
    let _projector = started(&instance(&setup, "three"));
    setup.holds(&tree! {});
}

#[test]
fn s19_plan_says_that_nothing_goes() {
    let setup = two();
    started(&instance(&setup, "one")).terminate();
    let plan = |label: &str, prune: &str| {
        let finished = instance(&setup, label).env("PRUNE_EMPTY", prune).arg("plan").args(&["--output", "json"]).run();
        let plan: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.stdout));
        plan["steps"].as_array().unwrap().iter().filter(|step| step["action"] == "remove").count()
    };
    assert_eq!((plan("oen", "false"), plan("oen", "true"), plan("two", "false")), (0, 1, 1));
}
