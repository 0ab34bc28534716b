//! METHOD=WATCH: the initial pass, and one run for each changed object after it.

use super::{Bench, completed, healthy};
use crate::common::count;
use crate::support::*;

/// Waits until so many requests are over: one whose connection is dropped would be sent again.
fn requests_are_over(projector: &Projector, times: usize) {
    wait_for("the end of a request", DEADLINE, || count(&projector.output(), "\"reaction\": \"request\"") == times);
}

#[test]
fn keep_1_7_the_initial_pass_is_told_once_for_each_kind_and_namespace_with_changes() {
    let bench = Bench::new();
    let cluster = &bench.setup.cluster;
    let (other, empty) = (cluster.create_namespace(), cluster.create_namespace());
    cluster.configmap("a", &[("a1", "1"), ("a2", "2")]).create();
    cluster.configmap("b", &[("b", "3")]).create();
    cluster.secret("s", &[("s", "4")]).create();
    cluster.configmap("c", &[("c", "5")]).in_namespace(&other).create();
    let namespaces = format!("{},{other},{empty}", cluster.namespace());
    let projector = healthy(&bench.hooked().env("NAMESPACE", &namespaces));
    bench.ran_only(&[&["a1", "a2", "b"], &["s"], &["c"]]);
    bench.asked(4);
    assert_eq!(projector.health().0, 200);
}

#[test]
fn keep_1_7_an_initial_pass_without_objects_tells_nobody() {
    let bench = Bench::new();
    let _projector = healthy(&bench.hooked());
    bench.ran_only(&[]);
    bench.asked(1);
}

#[test]
fn keep_1_7_each_changed_object_is_told_once() {
    let bench = Bench::new();
    let cluster = &bench.setup.cluster;
    let _projector = healthy(&bench.hooked());
    cluster.configmap("a", &[("a1", "1"), ("a2", "1")]).create();
    bench.ran(&[&["a1", "a2"]]);
    cluster.configmap("b", &[("b", "1")]).create();
    cluster.secret("s", &[("s", "1")]).create();
    bench.ran(&[&["b"], &["s"]]);
    cluster.set_data("a", &[("a1", "2"), ("a2", "2")]);
    bench.ran(&[&["a1", "a2"]]);
    cluster.set_data("a", &[("a1", "2"), ("a2", "3")]);
    cluster.set_data("b", &[("b", "2")]);
    bench.ran_only(&[&["a2"], &["b"]]);
    bench.asked(7);
}

#[test]
fn keep_1_6_a_change_of_metadata_alone_tells_nobody() {
    let bench = Bench::new();
    let cluster = &bench.setup.cluster;
    cluster.configmap("a", &[("a", "1")]).create();
    let _projector = healthy(&bench.hooked());
    bench.ran_only(&[&["a"]]);
    cluster.relabel("configmaps", "a", &[("more", Some("yes"))]);
    cluster.annotate("configmaps", "a", &[("note", Some("x"))]);
    cluster.set_data("a", &[("a", "1")]);
    bench.ran_only(&[]);
    bench.asked(3);
}

#[test]
fn keep_1_6_keys_and_objects_that_go_or_get_another_name_are_told_once() {
    let bench = Bench::new();
    let cluster = &bench.setup.cluster;
    cluster.configmap("a", &[("a", "1"), ("b", "2"), ("c", "3")]).create();
    let _projector = healthy(&bench.hooked());
    bench.ran(&[&["a", "b", "c"]]);
    cluster.set_data("a", &[("a", "1"), ("b", "2")]);
    bench.ran_only(&[&["c"]]);
    cluster.set_data("a", &[("a", "1"), ("d", "2")]);
    bench.ran_only(&[&["b", "d"]]);
    cluster.annotate("configmaps", "a", &[("k8s-sidecar-target-directory", Some("sub"))]);
    bench.ran_only(&[&["a", "d", "sub/a", "sub/d"]]);
    cluster.relabel("configmaps", "a", &[("find", None)]);
    bench.ran_only(&[&["sub/a", "sub/d"]]);
    cluster.relabel("configmaps", "a", &[("find", Some("me"))]);
    bench.ran_only(&[&["sub/a", "sub/d"]]);
    cluster.delete("configmaps", "a");
    bench.ran_only(&[&["sub/a", "sub/d"]]);
    bench.asked(13);
}

#[test]
fn fix_1_6b_a_key_that_moves_between_binary_data_and_data_is_told_only_if_it_changed() {
    let bench = Bench::new();
    let cluster = &bench.setup.cluster;
    cluster.configmap("a", &[]).binary("a", b"1").create();
    let _projector = healthy(&bench.hooked());
    bench.ran(&[&["a"]]);
    let path = cluster.path("configmaps", cluster.namespace(), "a");
    let moved = serde_json::json!({"data": {"a": "1"}, "binaryData": null});
    cluster.client().merge_patch(&path, &moved).ok("moving a key");
    bench.ran_only(&[]);
    assert_eq!(tree(&bench.setup.folder())["a"], b"1");
}

#[test]
fn fix_1_6c_two_objects_on_one_path_are_told_of_once_and_never_again() {
    let bench = Bench::new();
    let cluster = &bench.setup.cluster;
    let first = cluster.configmap("first", &[("a", "1")]).create();
    crate::common::two_seconds_after(&first);
    cluster.configmap("second", &[("a", "2")]).create();
    let _projector = healthy(&bench.hooked().env("WATCH_SERVER_TIMEOUT", "1"));
    bench.ran_only(&[&["a"]]);
    cluster.annotate("configmaps", "first", &[("note", Some("x"))]);
    cluster.set_data("first", &[("a", "3")]);
    bench.ran_only(&[]);
    cluster.delete("configmaps", "second");
    bench.ran_only(&[&["a"]]);
    assert_eq!(tree(&bench.setup.folder())["a"], b"3");
}

#[test]
fn keep_1_7_an_object_with_url_keys_is_told_once_when_they_are_there() {
    let bench = Bench::new();
    bench.web.on("/far", Answer::hang());
    let projector = healthy(&bench.hooked());
    bench.setup.cluster.configmap("a", &[("near", "1"), ("far.url", &bench.web.url("/far"))]).create();
    bench.setup.holds(&tree! { "near" => "1" });
    bench.web.wait_for("/far", 1);
    // Another object is told meanwhile.
    bench.ran_only(&[]);
    bench.web.on("/far", Answer::ok("2"));
    requests_are_over(&projector, 1);
    bench.web.drop_connections();
    bench.ran(&[&["near", "far"]]);
    bench.ran_only(&[]);
    assert_eq!(tree(&bench.setup.folder())["far"], b"2");
    bench.asked(3);
}

#[test]
fn keep_1_7_downloads_of_the_initial_pass_are_told_with_it() {
    let bench = Bench::new();
    bench.web.on("/one", Answer::ok("1")).on("/two", Answer::hang()).on("/three", Answer::ok("3"));
    let cluster = &bench.setup.cluster;
    cluster.configmap("a", &[("near", "1"), ("one.url", &bench.web.url("/one"))]).create();
    cluster.configmap("b", &[("two.url", &bench.web.url("/two"))]).create();
    cluster.configmap("c", &[("c", "1")]).create();
    cluster.secret("s", &[("three.url", &bench.web.url("/three"))]).create();
    let projector = healthy(&bench.hooked());
    bench.setup.holds(&tree! { "near" => "1", "one" => "1", "c" => "1", "three" => "3" });
    // The other kind is told, and so are objects that come later.
    bench.ran(&[&["three"]]);
    bench.ran_only(&[]);
    bench.web.wait_for("/two", 1);
    bench.web.on("/two", Answer::ok("2"));
    requests_are_over(&projector, 2);
    bench.web.drop_connections();
    bench.ran(&[&["near", "one", "two", "c"]]);
    bench.ran_only(&[]);
    bench.asked(4);
}

#[test]
fn fix_1_7_req_skip_init_does_not_hide_downloads_that_end_after_readiness() {
    let bench = Bench::new();
    bench.web.on("/far", Answer::hang());
    bench.setup.cluster.configmap("a", &[("near", "1"), ("far.url", &bench.web.url("/far"))]).create();
    let _projector = healthy(&bench.hooked().env("REQ_SKIP_INIT", "true"));
    bench.web.wait_for("/far", 1);
    bench.web.on("/far", Answer::ok("2"));
    bench.web.drop_connections();
    bench.ran(&[&["near", "far"]]);
    bench.asked(1);
}

#[test]
fn fix_1_7_an_object_whose_url_key_has_failed_is_told_once() {
    let bench = Bench::new();
    bench.web.on("/far", Answer::status(500));
    let _projector = healthy(&bench.hooked().env("REQ_RETRY_TOTAL", "2"));
    bench.setup.cluster.configmap("a", &[("near", "1"), ("far.url", &bench.web.url("/far"))]).create();
    bench.ran(&[&["near", "far"]]);
    assert_eq!(bench.web.count("/far"), 3);
    bench.ran_only(&[]);
    assert_eq!(tree(&bench.setup.folder())["far"], b"");
}

#[test]
fn keep_1_3_a_file_that_was_deleted_by_hand_comes_back_and_is_told() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1"), ("b", "2")]).create();
    let _projector = healthy(&bench.hooked().env("WATCH_SERVER_TIMEOUT", "1"));
    bench.ran(&[&["a", "b"]]);
    std::fs::remove_file(bench.setup.path("a")).unwrap();
    bench.setup.holds(&tree! { "a" => "1", "b" => "2" });
    bench.ran(&[&["a"]]);
    bench.ran_only(&[]);
}

#[test]
fn keep_1_7_req_skip_init_leaves_out_the_first_request_but_not_the_script() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    bench.setup.cluster.secret("s", &[("s", "1")]).create();
    let _projector = healthy(&bench.hooked().env("REQ_SKIP_INIT", "true"));
    bench.ran(&[&["a"], &["s"]]);
    assert_eq!(bench.web.count("/reload"), 0);
    bench.ran_only(&[]);
    bench.asked(1);
}

#[test]
fn fix_1_7_a_restart_on_equal_files_tells_nobody() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    bench.setup.cluster.secret("s", &[("s", "1")]).create();
    let mut projector = healthy(&bench.hooked());
    bench.ran_only(&[&["a"], &["s"]]);
    bench.asked(3);
    assert_eq!(projector.terminate().code(), Some(0));
    let _projector = healthy(&bench.hooked());
    bench.ran_only(&[]);
    bench.asked(4);
}

#[test]
fn fix_1_7_watch_after_list_as_an_init_container_tells_nobody() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    bench.setup.cluster.secret("s", &[("s", "1")]).create();
    completed(&bench.plain().env("METHOD", "LIST"));
    let _projector = healthy(&bench.hooked());
    bench.ran_only(&[]);
    bench.asked(1);
}
