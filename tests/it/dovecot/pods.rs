//! Pods that become ready.

use serde_json::json;

use super::Bench;
use crate::common::started;

#[test]
fn a_pod_that_becomes_ready_is_one_run_in_each_director() {
    let bench = Bench::new();
    bench.director("director-1");
    bench.dovecot("dovecot-0").ready(false).create();
    let projector = bench.start();
    bench.cluster().set_ready("dovecot-0", true);
    bench.ran(2);
    let mut pods: Vec<String> = bench.runs().into_iter().map(|(pod, _)| pod).collect();
    pods.sort();
    assert_eq!(pods, ["director-0", "director-1"]);
    projector.wait_output("\"told the application\"");
    bench.marked(&projector, 4, &["Pod/dovecot-0"]);
}

#[test]
fn pods_that_are_ready_at_the_start_are_the_baseline() {
    let bench = Bench::new();
    bench.dovecot("dovecot-0").ready(true).create();
    bench.dovecot("dovecot-1").ready(true).create();
    let projector = bench.start();
    bench.marked(&projector, 1, &[]);
}

#[test]
fn a_status_that_changes_nothing_of_that_is_no_run() {
    let bench = Bench::new();
    bench.dovecot("dovecot-0").ready(true).create();
    let projector = bench.start();
    bench.cluster().set_status("dovecot-0", &json!({"message": "a status and nothing else"}));
    bench.cluster().set_status("dovecot-0", &json!({"containerStatuses": []}));
    bench.cluster().annotate("pods", "dovecot-0", &[("note", Some("new"))]);
    bench.marked(&projector, 1, &[]);
}

#[test]
fn not_ready_and_ready_again_is_a_run() {
    let bench = Bench::new();
    bench.dovecot("dovecot-0").ready(true).create();
    let projector = bench.start();
    bench.cluster().set_ready("dovecot-0", false);
    bench.cluster().set_ready("dovecot-0", true);
    bench.ran(1);
    bench.marked(&projector, 2, &["Pod/dovecot-0"]);
}

#[test]
fn another_address_is_a_run() {
    let bench = Bench::new();
    bench.dovecot("dovecot-0").ready(true).create();
    let projector = bench.start();
    bench.cluster().set_status("dovecot-0", &json!({"podIP": "10.1.0.77"}));
    bench.ran(1);
    bench.marked(&projector, 2, &["Pod/dovecot-0"]);
}

#[test]
fn a_pod_that_ends_goes_or_is_selected_by_nothing_is_no_run() {
    let bench = Bench::new();
    bench.dovecot("gone").ready(true).create();
    bench.dovecot("dying").ready(true).finalizer("rig.dev/hold").create();
    bench.dovecot("done").ready(true).create();
    let projector = bench.start();
    bench.cluster().delete("pods", "gone");
    bench.cluster().delete("pods", "dying");
    bench.cluster().set_status("dying", &json!({"podIP": "10.1.0.77"}));
    bench.cluster().set_status("done", &json!({"phase": "Succeeded", "podIP": "10.1.0.78"}));
    bench.cluster().pod("other").label("app", "other").ready(true).create();
    bench.marked(&projector, 1, &[]);
}

#[test]
fn the_delay_begins_anew_with_another_pod() {
    let bench = Bench::new();
    let _projector = started(&bench.original().env("EXEC_DELAY", "2"));
    bench.dovecot("dovecot-0").ready(true).create();
    bench.dovecot("dovecot-1").ready(true).create();
    let second = super::secrets::now();
    bench.ran(1);
    assert!(bench.runs()[0].1 >= second + 1_900, "{:?} {second}", bench.runs());
}
