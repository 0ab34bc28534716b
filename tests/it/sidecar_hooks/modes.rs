//! METHOD=LIST and METHOD=SLEEP, and the windows.

use super::{Bench, completed, healthy};
use crate::common::Setup;
use crate::support::*;

#[test]
fn keep_1_7_list_is_told_once_for_each_kind_and_namespace_with_changes() {
    let bench = Bench::new();
    let cluster = &bench.setup.cluster;
    let other = cluster.create_namespace();
    cluster.configmap("a", &[("a", "1")]).create();
    cluster.configmap("b", &[("b", "2")]).create();
    cluster.secret("s", &[("s", "3")]).in_namespace(&other).create();
    let list = bench.hooked().env("METHOD", "LIST").env("NAMESPACE", &format!("{},{other}", cluster.namespace()));
    completed(&list);
    bench.ran(&[&["a", "b"], &["s"]]);
    bench.asked(2);
    completed(&list);
    bench.ran(&[]);
    bench.asked(2);
    cluster.set_data("a", &[("a", "2")]);
    cluster.delete("configmaps", "b");
    completed(&list);
    bench.ran(&[&["a", "b"]]);
    bench.asked(3);
}

#[test]
fn keep_1_7_objects_followed_by_name_are_told_once_for_each_kind_and_namespace() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    bench.setup.cluster.configmap("b", &[("b", "2")]).unlabelled().create();
    bench.setup.cluster.secret("a", &[("s", "3")]).unlabelled().create();
    completed(&bench.hooked().env("METHOD", "LIST").env("RESOURCE_NAME", "a,b"));
    bench.ran(&[&["a", "b"], &["s"]]);
    bench.asked(2);
}

#[test]
fn keep_1_7_list_does_not_know_req_skip_init() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    completed(&bench.hooked().env("METHOD", "LIST").env("REQ_SKIP_INIT", "true"));
    bench.ran(&[&["a"]]);
    bench.asked(1);
}

#[test]
fn fix_1_7_list_waits_for_downloads_within_their_bounds_then_tells_and_ends() {
    let bench = Bench::new();
    bench.web.on_each("/far", vec![Answer::status(503), Answer::ok("1")]).on("/dead", Answer::status(500));
    let urls = [("far.url", bench.web.url("/far")), ("dead.url", bench.web.url("/dead"))];
    let data: Vec<_> = urls.iter().map(|(key, url)| (*key, url.as_str())).chain([("near", "2")]).collect();
    bench.setup.cluster.configmap("a", &data).create();
    completed(&bench.hooked().env("METHOD", "LIST").env("REQ_RETRY_TOTAL", "2"));
    assert_tree(&bench.setup.folder(), &tree! { "near" => "2", "far" => "1", "dead" => "" });
    bench.ran(&[&["near", "far", "dead"]]);
    bench.asked(1);
    assert_eq!((bench.web.count("/far"), bench.web.count("/dead")), (2, 3));
}

#[test]
fn fix_1_7_list_ends_well_when_the_application_is_not_there_yet() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let nobody = format!("http://127.0.0.1:{}/reload", free_port());
    let finished = completed(&bench.hooked().env("METHOD", "LIST").env("REQ_URL", &nobody).env("REQ_RETRY_TOTAL", "1"));
    assert_eq!(crate::common::count(&finished.stderr, &format!("Max retries exceeded for URL {nobody}")), 1, "{}", finished.stderr);
    // It was not told: the one who comes after it tells.
    let _projector = healthy(&bench.hooked());
    bench.asked(1);
}

#[test]
fn keep_1_7_each_round_of_sleep_is_told_once_for_each_kind_with_changes() {
    let bench = Bench::on(Setup::in_process());
    let cluster = &bench.setup.cluster;
    cluster.configmap("a", &[("a", "1")]).create();
    cluster.configmap("b", &[("b", "1")]).create();
    cluster.secret("s", &[("s", "1")]).create();
    let _projector = healthy(&bench.hooked().env("METHOD", "SLEEP").env("SLEEP_TIME", "1"));
    bench.ran(&[&["a", "b"], &["s"]]);
    bench.asked(2);
    // No round sees one change without the others.
    let closed = cluster.server().fault(Matcher::reads(""), Times::Always, Fault::status(503));
    wait_for("a round that fails", DEADLINE, || cluster.server().hits(closed) > 1);
    cluster.set_data("a", &[("a", "2")]);
    cluster.delete("configmaps", "b");
    cluster.configmap("c", &[("c", "1")]).create();
    cluster.server().clear(closed);
    bench.ran(&[&["a", "b", "c"]]);
    cluster.set_secret("s", &[("s", "2")]);
    bench.ran(&[&["s"]]);
    bench.asked(4);
}

#[test]
fn keep_1_7_req_skip_init_leaves_out_the_request_of_the_first_round_of_sleep() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = healthy(&bench.hooked().env("METHOD", "SLEEP").env("SLEEP_TIME", "1").env("REQ_SKIP_INIT", "true"));
    bench.ran(&[&["a"]]);
    bench.setup.cluster.set_data("a", &[("a", "2")]);
    bench.ran(&[&["a"]]);
    bench.asked(1);
}

#[test]
fn fix_327_once_per_batch_is_one_run_for_the_initial_pass_of_all_kinds_and_namespaces() {
    for window in [("REQ_ONCE_PER_BATCH", "true"), ("REACT_WINDOW", "0.5")] {
        let bench = Bench::new();
        let cluster = &bench.setup.cluster;
        let other = cluster.create_namespace();
        cluster.configmap("a", &[("a", "1")]).create();
        cluster.secret("s", &[("s", "1")]).create();
        cluster.configmap("b", &[("b", "1")]).in_namespace(&other).create();
        let namespaces = format!("{},{other}", cluster.namespace());
        let _projector = healthy(&bench.hooked().env("NAMESPACE", &namespaces).env(window.0, window.1));
        bench.ran(&[&["a", "b", "s"]]);
        bench.ran_only(&[]);
        bench.asked(2);
    }
}

#[test]
fn fix_327_a_window_that_ends_where_it_began_tells_nobody() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = healthy(&bench.hooked().env("REACT_WINDOW", "3"));
    bench.ran(&[&["a"]]);
    // What changes while the application is told is told again.
    projector.wait_output(r#""reaction": "request""#);
    bench.setup.cluster.set_data("a", &[("a", "2")]);
    bench.setup.holds(&tree! { "a" => "2" });
    bench.setup.cluster.set_data("a", &[("a", "1")]);
    bench.setup.holds(&tree! { "a" => "1" });
    bench.ran_only(&[]);
}

#[test]
fn fix_327_a_window_is_told_of_downloads_that_end_in_it() {
    let bench = Bench::new();
    bench.web.on_each("/far", vec![Answer::status(503), Answer::status(503), Answer::ok("1")]);
    bench.setup.cluster.configmap("a", &[("near", "1"), ("far.url", &bench.web.url("/far"))]).create();
    let _projector = healthy(&bench.hooked().env("REACT_WINDOW", "3"));
    bench.ran(&[&["near", "far"]]);
    bench.ran_only(&[]);
}
