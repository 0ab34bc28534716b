//! Contract 1.6: what changes and deletions of objects do to files, and the faults of the original, each by its letter.

use serde_json::{Value, json};

use super::{passes, sidecar};
use crate::common::{Setup, count, put, started, two_seconds_after};
use crate::support::*;

const ANNOTATION: &str = "k8s-sidecar-target-directory";

/// Runs a projector, makes a change to an object `a` with the file `sub/k`, and expects these files.
fn after(change: impl Fn(&Setup), expected: &Tree) {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("k", "1"), ("other", "1")]).target("sub").create();
    let _projector = started(&sidecar(&setup));
    assert_tree(&setup.folder(), &tree! { "sub/k" => "1", "sub/other" => "1" });
    change(&setup);
    setup.settles_at(expected);
}

#[test]
fn keep_1_6_dropped_and_renamed_keys_take_their_files_along() {
    after(|setup| drop(setup.cluster.set_data("a", &[("k", "1")])), &tree! { "sub/k" => "1" });
    after(|setup| drop(setup.cluster.set_data("a", &[("new", "1")])), &tree! { "sub/new" => "1" });
    after(|setup| drop(setup.cluster.patch("configmaps", "a", &json!({"data": Value::Null}))), &tree! {});
}

#[test]
fn keep_1_6_metadata_alone_changes_no_file() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("k", "1")]).create();
    let projector = started(&sidecar(&setup));
    let before = inode(&setup.path("k"));
    setup.cluster.annotate("configmaps", "a", &[("x", Some("y"))]);
    setup.cluster.relabel("configmaps", "a", &[("x", Some("y")), ("find", Some("other"))]);
    setup.settles_at(&tree! { "k" => "1" });
    assert_eq!((inode(&setup.path("k")), count(&projector.output(), "/k (ascii)")), (before, 1), "{}", projector.output());
}

#[test]
fn keep_1_6_annotation_moves_files_and_the_old_ones_go() {
    let files = |folder: &str| tree! { format!("{folder}/k") => "1", format!("{folder}/other") => "1" };
    after(|setup| drop(setup.cluster.annotate("configmaps", "a", &[(ANNOTATION, Some("new"))])), &files("new"));
    let expected = tree! { "k" => "1", "other" => "1" };
    after(|setup| drop(setup.cluster.annotate("configmaps", "a", &[(ANNOTATION, None)])), &expected);
}

#[test]
fn keep_1_6_label_that_goes_takes_the_files_along_and_brings_them_back() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("k", "1")]).create();
    let _projector = started(&sidecar(&setup));
    setup.cluster.relabel("configmaps", "a", &[("find", None)]);
    setup.settles_at(&tree! {});
    setup.cluster.relabel("configmaps", "a", &[("find", Some(""))]);
    setup.settles_at(&tree! { "k" => "1" });
}

#[test]
fn keep_1_6_deleted_object_takes_its_files_along_and_no_foreign_ones() {
    let setup = Setup::new();
    setup.foreign("sub/theirs", "1");
    setup.cluster.configmap("a", &[("k", "1")]).target("sub").create();
    setup.cluster.secret("b", &[("k", "1")]).create();
    let _projector = started(&sidecar(&setup));
    setup.cluster.delete("configmaps", "a");
    setup.settles_at(&tree! { "sub/theirs" => "1", "k" => "1" });
    setup.cluster.delete("secrets", "b");
    setup.settles_at(&tree! { "sub/theirs" => "1" });
}

#[test]
fn fix_1_6_a_other_spelling_of_the_same_folder_changes_nothing() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("k", "1")]).target("sub").create();
    let projector = started(&sidecar(&setup));
    let before = inode(&setup.path("sub/k"));
    let absolute = setup.path("sub").display().to_string();
    for spelling in ["./sub/", "sub//", "sub/.", &absolute] {
        setup.cluster.annotate("configmaps", "a", &[(ANNOTATION, Some(spelling))]);
        setup.settles_at(&tree! { "sub/k" => "1" });
        assert_eq!(inode(&setup.path("sub/k")), before, "{spelling}");
    }
    assert_eq!(count(&projector.output(), "Removing "), 0, "{}", projector.output());
}

/// One file `foo` whose key moves through these forms, again and again.
fn moves(forms: &[(&str, Value)]) {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("foo", "begin")]).create();
    let projector = started(&sidecar(&setup));
    for (content, fields) in forms.iter().chain(forms) {
        let mut patch = vec![json!({"op": "add", "path": "/data", "value": {}}), json!({"op": "add", "path": "/binaryData", "value": {}})];
        patch.extend(
            fields.as_object().unwrap().iter().map(|(field, value)| json!({"op": "add", "path": format!("/{field}"), "value": value})),
        );
        setup.cluster.json_patch("configmaps", "a", &Value::Array(patch)).ok("moving a key");
        setup.holds(&tree! { "foo" => *content });
        setup.settles_at(&tree! { "foo" => *content });
    }
    assert_eq!(count(&projector.output(), "Removing "), 0, "{}", projector.output());
}

#[test]
fn fix_1_6_b_key_that_moves_between_data_and_binary_data_stays() {
    moves(&[("bin", json!({"binaryData": {"foo": "Ymlu"}})), ("text", json!({"data": {"foo": "text"}}))]);
}

#[test]
fn fix_1_6_b_key_that_gains_and_loses_url_stays() {
    let web = WebServer::start();
    web.on("/foo", Answer::ok("far"));
    moves(&[("far", json!({"data": {"foo.url": web.url("/foo")}})), ("near", json!({"data": {"foo": "near"}}))]);
    moves(&[("far", json!({"binaryData": {"foo.url": base64(&web.url("/foo"))}})), ("near", json!({"data": {"foo": "near"}}))]);
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn f24_of_objects_with_kustomizes_hash_suffix_the_newest_is_shown_and_the_log_names_conflict() {
    let setup = Setup::new();
    two_seconds_after(&setup.cluster.configmap("dashboards-5kg2t", &[("k", "first")]).create());
    two_seconds_after(&setup.cluster.configmap("dashboards-h9b7c", &[("k", "second")]).create());
    let projector = started(&sidecar(&setup));
    assert_tree(&setup.folder(), &tree! { "k" => "second" });
    projector.wait_output("another object keeps the path (CONFLICT=newest)");
    two_seconds_after(&setup.cluster.configmap("dashboards-2dd6m", &[("k", "third")]).create());
    setup.holds(&tree! { "k" => "third" });
    setup.cluster.delete("configmaps", "dashboards-2dd6m");
    setup.holds(&tree! { "k" => "second" });
}

#[test]
fn fix_1_6_c_path_of_two_objects_does_not_flip_and_outlives_either() {
    let setup = Setup::new();
    two_seconds_after(&setup.cluster.configmap("b", &[("k", "older")]).create());
    setup.cluster.configmap("a", &[("k", "newer")]).create();
    let projector = started(&sidecar(&setup).env("WATCH_SERVER_TIMEOUT", "1").env("LOG_LEVEL", "DEBUG"));
    let writes = || count(&projector.output(), "/k (ascii)");
    let before = (inode(&setup.path("k")), writes());
    passes(&projector, &setup.path("k"), 3);
    assert_tree(&setup.folder(), &tree! { "k" => "newer" });
    assert_eq!((inode(&setup.path("k")), writes()), before, "{}", projector.output());
    setup.cluster.delete("configmaps", "b");
    setup.settles_at(&tree! { "k" => "newer" });
    two_seconds_after(&setup.cluster.get("configmaps", "a").unwrap());
    setup.cluster.configmap("b", &[("k", "third")]).create();
    setup.holds(&tree! { "k" => "third" });
    setup.cluster.delete("configmaps", "b");
    setup.holds(&tree! { "k" => "newer" });
    assert_eq!(count(&projector.output(), "Removing "), 0, "{}", projector.output());
}

#[test]
fn fix_1_6_d_namespace_and_name_are_not_run_together() {
    let setup = Setup::new();
    let first = setup.cluster.namespace().to_owned();
    let second = format!("{first}x");
    let namespaces = "/api/v1/namespaces";
    setup.cluster.client().post(namespaces, &json!({"metadata": {"name": second}})).ok("creating a namespace");
    setup.cluster.configmap("xc", &[("one", "1")]).create();
    setup.cluster.configmap("c", &[("two", "2")]).in_namespace(&second).create();
    let projector = started(&sidecar(&setup).env("NAMESPACE", &format!("{first},{second}")));
    setup.cluster.set_data("xc", &[("one", "1"), ("three", "3")]);
    setup.settles_at(&tree! { "one" => "1", "two" => "2", "three" => "3" });
    setup.cluster.delete("configmaps", "xc");
    setup.settles_at(&tree! { "two" => "2" });
    drop(projector);
    setup.cluster.client().delete(&format!("{namespaces}/{second}")).ok("deleting a namespace");
}

#[test]
fn fix_1_6_e_url_key_that_goes_is_not_asked_for_once_more() {
    let setup = Setup::new();
    let web = WebServer::start();
    web.on("/a", Answer::ok("1")).on("/b", Answer::ok("2"));
    setup.cluster.configmap("a", &[("a.url", &web.url("/a")), ("b.url", &web.url("/b"))]).create();
    let _projector = started(&sidecar(&setup));
    setup.holds(&tree! { "a" => "1", "b" => "2" });
    web.on("/a", Answer::hang()).on("/b", Answer::hang());
    let asked = web.requests().len();
    setup.cluster.patch("configmaps", "a", &json!({"data": {"a.url": null}}));
    setup.settles_at(&tree! { "b" => "2" });
    setup.cluster.delete("configmaps", "a");
    setup.settles_at(&tree! {});
    assert_eq!(web.requests().len(), asked);
}

#[test]
fn fix_1_6_f_object_that_comes_back_elsewhere_touches_nothing_in_its_old_folder() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("k", "1")]).target("old").create();
    let _projector = started(&sidecar(&setup));
    setup.cluster.delete("configmaps", "a");
    setup.settles_at(&tree! {});
    put(&setup.path("old/k"), "theirs");
    setup.cluster.configmap("a", &[("k", "2")]).target("new").create();
    setup.settles_at(&tree! { "new/k" => "2", "old/k" => "theirs" });
    setup.cluster.set_data("a", &[("k", "3")]);
    setup.settles_at(&tree! { "new/k" => "3", "old/k" => "theirs" });
}

#[test]
fn fix_1_6_g_deletion_in_a_gap_between_watches_is_made_good() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.configmap("b", &[("b", "1")]).create();
    let _projector = started(&sidecar(&setup));
    let (server, namespace) = (setup.cluster.server(), setup.cluster.namespace());
    server.stop();
    server.delete("configmaps", namespace, "a");
    // Whoever goes on where the last watch ended is told 410 now.
    server.compact();
    server.restart();
    setup.settles_at(&tree! { "b" => "1" });
}

#[test]
fn fix_1_6_g_deletion_while_the_container_is_down_is_made_good() {
    for method in ["WATCH", "SLEEP", "LIST"] {
        let setup = Setup::new();
        setup.foreign("theirs", "1");
        setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).create();
        setup.cluster.secret("c", &[("c", "1")]).target("sub").create();
        started(&sidecar(&setup)).kill9();
        setup.cluster.set_data("a", &[("b", "1")]);
        setup.cluster.delete("secrets", "c");
        setup.cluster.wait_gone("secrets", "c");
        let builder = sidecar(&setup).env("METHOD", method);
        let _running = match method {
            "LIST" => {
                assert_eq!(builder.run().code, Some(0));
                None
            }
            _ => Some(started(&builder)),
        };
        setup.holds(&tree! { "theirs" => "1", "b" => "1" });
    }
}
