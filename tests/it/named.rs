//! OBJECT and ON_DELETE: objects that are followed each by itself, whatever their labels.

use crate::common::{OURS, Setup, started};
use crate::support::projector::Builder;
use crate::support::*;

/// A launch that follows these objects of the test's namespace and no label.
fn following(setup: &Setup, objects: &[&str]) -> Builder {
    let of_namespace = |object: &&str| {
        let (kind, name) = object.split_once('/').unwrap();
        format!("{kind}/{}/{name}", setup.cluster.namespace())
    };
    let objects: Vec<String> = objects.iter().map(of_namespace).collect();
    setup.projector().without("LABEL").without("NAMESPACE").env("OBJECT", &objects.join(","))
}

/// The same, beside what carries the label.
fn beside_the_label(setup: &Setup, objects: &[&str]) -> Builder {
    following(setup, objects).env("LABEL", "find").env("NAMESPACE", setup.cluster.namespace())
}

/// Waits until a change of a named object that comes now is on disk: all that came before it is through.
fn caught_up(setup: &Setup, name: &str, files: &Tree) {
    let mut data: Vec<(&str, &str)> = files.iter().map(|(path, bytes)| (path.as_str(), std::str::from_utf8(bytes).unwrap())).collect();
    data.push(("marker", "here"));
    setup.cluster.set_data(name, &data);
    wait_for("the file of the last change", DEADLINE, || setup.path("marker").exists());
}

#[test]
fn named_objects_are_followed_without_a_label_and_others_are_not() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.secret("b", &[("b", "2")]).unlabelled().create();
    setup.cluster.configmap("b", &[("other-kind", "")]).create();
    setup.cluster.configmap("c", &[("other-name", "")]).create();
    let namespace = setup.cluster.create_namespace();
    setup.cluster.configmap("a", &[("other-namespace", "")]).in_namespace(&namespace).create();
    let mut projector = started(&following(&setup, &["configmap/a", "Secret/b"]));
    assert_tree(&setup.folder(), &tree! { "a" => "1", "b" => "2" });
    setup.cluster.set_secret("b", &[("b", "3"), ("new", "4")]);
    setup.holds(&tree! { "a" => "1", "b" => "3", "new" => "4" });
    setup.cluster.set_secret("b", &[("new", "4")]);
    setup.holds(&tree! { "a" => "1", "new" => "4" });
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn the_flag_names_objects_too_and_may_be_repeated() {
    let setup = Setup::new();
    for name in ["a", "b", "c"] {
        setup.cluster.configmap(name, &[(name, name)]).unlabelled().create();
    }
    let object = |name: &str| format!("--object=configmap/{}/{name}", setup.cluster.namespace());
    let list = format!("{},configmap/{}/b", object("a"), setup.cluster.namespace());
    let _projector = started(&following(&setup, &[]).without("OBJECT").args(&["run", &list, &object("c")]));
    assert_tree(&setup.folder(), &tree! { "a" => "a", "b" => "b", "c" => "c" });
}

#[test]
fn with_a_label_both_sets_are_projected() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("labelled", &[("l", "1")]).create();
    let namespace = setup.cluster.create_namespace();
    setup.cluster.secret("far", &[("far", "1")]).unlabelled().in_namespace(&namespace).create();
    let object = format!("configmap/{}/a,secret/{namespace}/far", setup.cluster.namespace());
    // NAMESPACE and RESOURCE say where labels count.
    let _projector = started(&beside_the_label(&setup, &[]).env("OBJECT", &object).env("RESOURCE", "configmap"));
    assert_tree(&setup.folder(), &tree! { "a" => "1", "far" => "1", "l" => "1" });
    setup.cluster.set_data("labelled", &[("l", "2")]);
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2", "far" => "1", "l" => "2" });
}

#[test]
fn labels_of_a_named_object_come_and_go_without_any_change() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("b", &[("b", "1")]).create();
    // Were the labelled source to speak of them too, it would tell of a deletion each time, before their own source or after it.
    let launch = beside_the_label(&setup, &["configmap/a", "configmap/b"]);
    let projector = started(&launch.env("ON_DELETE", "remove").env("FINALIZERS", "false"));
    let before = inode(&setup.path("a"));
    for _ in 0..10 {
        for (name, label) in [("a", Some("me")), ("b", None), ("a", None), ("b", Some("me"))] {
            setup.cluster.relabel("configmaps", name, &[("find", label)]);
        }
    }
    setup.cluster.relabel("configmaps", "b", &[("find", None)]);
    setup.settles_at(&tree! { "a" => "1", "b" => "1" });
    assert_eq!(inode(&setup.path("a")), before);
    assert!(!projector.output().contains("file removed"), "{}", projector.output());
    // It is followed as before.
    setup.cluster.set_data("b", &[("b", "2")]);
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2", "b" => "2" });
}

#[test]
fn labelled_objects_go_with_their_files_whatever_on_delete_says_of_named_ones() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("labelled", &[("l", "1")]).create();
    let projector = started(&beside_the_label(&setup, &["configmap/a"]));
    setup.cluster.delete("configmaps", "a");
    setup.cluster.delete("configmaps", "labelled");
    setup.holds(&tree! { "a" => "1" });
    projector.wait_output("object is gone, its files stay");
    setup.settles_at(&tree! { "a" => "1" });
}

#[test]
fn files_of_a_deleted_object_stay_and_go_to_the_next_one() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).unlabelled().create();
    let projector = started(&following(&setup, &["configmap/a"]));
    setup.cluster.delete("configmaps", "a");
    projector.wait_output("object is gone, its files stay");
    assert_tree(&setup.folder(), &tree! { "a" => "1", "b" => "1" });
    setup.cluster.configmap("a", &[("b", "2"), ("c", "2")]).unlabelled().create();
    setup.holds(&tree! { "b" => "2", "c" => "2" });
}

#[test]
fn files_of_an_object_that_was_deleted_while_nobody_ran_stay() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).unlabelled().create();
    let launch = following(&setup, &["configmap/a"]);
    started(&launch).terminate();
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    let projector = started(&launch);
    projector.wait_output("there is no such object");
    assert_tree(&setup.folder(), &tree! { "a" => "1", "b" => "1" });
    let plan = launch.clone().arg("plan").run();
    assert_eq!((plan.code, plan.stdout.trim()), (Some(0), "Nothing to do."), "{}", plan.stderr);
    setup.cluster.configmap("a", &[("b", "2")]).unlabelled().create();
    setup.holds(&tree! { "b" => "2" });
}

#[test]
fn files_of_an_object_that_is_named_no_more_are_removed() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("b", &[("b", "1")]).unlabelled().create();
    let one = |objects: &[&str]| following(&setup, objects).env("INSTANCE", "one");
    started(&one(&["configmap/a", "configmap/b"])).terminate();
    setup.cluster.delete("configmaps", "a");
    let plan = one(&["configmap/b"]).args(&["plan", "--output", "json"]).run();
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((plan["steps"][0]["action"].as_str(), plan["steps"].as_array().unwrap().len()), (Some("remove"), 1), "{plan}");
    let _projector = started(&one(&["configmap/b"]));
    setup.holds(&tree! { "b" => "1" });
}

#[test]
fn with_on_delete_remove_files_go_with_their_object() {
    let setup = Setup::new();
    for name in ["a", "b", "c"] {
        setup.cluster.configmap(name, &[(name, "1")]).unlabelled().create();
    }
    let launch = following(&setup, &["configmap/a", "configmap/b", "configmap/c"]).env("ON_DELETE", "remove");
    let mut projector = started(&launch);
    for name in ["a", "b", "c"] {
        setup.has_finalizers("configmaps", name, &[OURS]);
    }
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.holds(&tree! { "b" => "1", "c" => "1" });
    projector.terminate();
    // While nobody runs it waits for us.
    setup.cluster.delete("configmaps", "b");
    let _projector = started(&launch);
    setup.cluster.wait_gone("configmaps", "b");
    setup.holds(&tree! { "c" => "1" });
}

#[test]
fn objects_whose_files_stay_get_no_finalizer_and_lose_one_of_other_days() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().finalizer(OURS).create();
    setup.cluster.configmap("b", &[("b", "1")]).unlabelled().create();
    setup.cluster.configmap("labelled", &[("l", "1")]).create();
    let _projector = started(&beside_the_label(&setup, &["configmap/a", "configmap/b"]));
    setup.has_finalizers("configmaps", "a", &[]);
    setup.has_finalizers("configmaps", "labelled", &[OURS]);
    assert_eq!(setup.cluster.finalizers_of("configmaps", "b"), Vec::<String>::new());
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    caught_up(&setup, "b", &tree! { "b" => "1" });
    assert_tree(&setup.folder(), &tree! { "a" => "1", "b" => "1", "l" => "1", "marker" => "here" });
}

#[test]
fn an_object_that_is_named_no_more_loses_its_finalizer() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("b", &[("b", "1")]).unlabelled().create();
    let launch = |objects: &[&str]| following(&setup, objects).env("INSTANCE", "one").env("ON_DELETE", "remove");
    let mut projector = started(&launch(&["configmap/a", "configmap/b"]));
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.has_finalizers("configmaps", "b", &[OURS]);
    projector.terminate();
    let _projector = started(&launch(&["configmap/b"]));
    setup.has_finalizers("configmaps", "a", &[]);
    setup.holds(&tree! { "b" => "1" });
    assert_eq!(setup.cluster.finalizers_of("configmaps", "b"), [OURS]);
}

#[test]
fn get_and_watch_on_the_one_name_are_enough() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("b", &[("b", "1")]).unlabelled().create();
    let account = setup.cluster.restricted(&[]);
    setup.cluster.grant_named(&account, "a", &[("", "configmaps", &["get", "watch"])]);
    let launch = following(&setup, &["configmap/a"]).kubeconfig(&account.kubeconfig).env("FINALIZERS", "false");
    let check = launch.clone().arg("check").run();
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    // A pause between readings that nobody would wait for: changes come by the watch.
    let mut projector = started(&launch.env("SLEEP_TIME", "86400"));
    setup.holds(&tree! { "a" => "1" });
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2" });
    setup.cluster.delete("configmaps", "a");
    projector.wait_output("object is gone, its files stay");
    setup.cluster.configmap("a", &[("a", "3")]).unlabelled().create();
    setup.holds(&tree! { "a" => "3" });
    assert!(!projector.output().contains("forbidden") && !projector.output().contains("answered 403"), "{}", projector.output());
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn without_rights_to_it_the_files_of_a_named_object_wait_and_others_do_not() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("b", &[("b", "1")]).unlabelled().create();
    let account = setup.cluster.restricted(&[]);
    setup.cluster.grant_named(&account, "a", &[("", "configmaps", &["get", "watch"])]);
    let launch = following(&setup, &["configmap/a", "configmap/b"]).kubeconfig(&account.kubeconfig).env("FINALIZERS", "false");
    let _projector = started(&launch);
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    setup.cluster.grant(&account, &[("", "configmaps", &["get", "watch"])]);
    setup.holds(&tree! { "a" => "1", "b" => "1" });
}

#[test]
fn with_method_list_what_is_absent_stays_and_what_is_there_is_written() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("b", &[("b", "1")]).unlabelled().create();
    let launch = following(&setup, &["configmap/a", "configmap/b"]).arg("--once");
    assert_eq!(launch.run().code, Some(0));
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.cluster.set_data("b", &[("b", "2")]);
    assert_eq!(launch.run().code, Some(0));
    assert_tree(&setup.folder(), &tree! { "a" => "1", "b" => "2" });
}

#[test]
fn objects_of_a_folder_of_manifests_can_be_named() {
    let setup = Setup::in_process();
    let manifest =
        |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: ns}}\ndata: {{{name}: x}}\n---\n");
    let source = setup.beside("manifests");
    crate::common::put(&source.join("all.yaml"), format!("{}{}", manifest("a"), manifest("b")));
    let launch = Projector::builder().folder(&setup.folder()).env("SOURCE", &source.display().to_string()).env("OBJECT", "configmap/ns/a");
    let projector = started(&launch);
    assert_tree(&setup.folder(), &tree! { "a" => "x" });
    crate::common::put(&source.join("all.yaml"), manifest("b"));
    projector.wait_output("object is gone, its files stay");
    assert_tree(&setup.folder(), &tree! { "a" => "x" });
}
