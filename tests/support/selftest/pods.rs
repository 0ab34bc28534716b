//! Pods: equal on both servers unless a name says otherwise.

use serde_json::json;

use crate::support::Cluster;
use crate::support::api::object::text;

#[test]
fn a_pod_is_pending_until_its_status_is_set() {
    let cluster = Cluster::new();
    let created = cluster.pod("a").label("app", "x").create();
    assert_eq!((text(&created, "/status/phase"), text(&created, "/metadata/labels/app")), ("Pending", "x"));
    let ready = cluster.set_ready("a", true);
    assert_eq!((text(&ready, "/status/phase"), text(&ready, "/status/conditions/0/status")), ("Running", "True"));
    let other = cluster.set_status("a", &json!({"podIP": "10.1.0.7"}));
    assert_eq!((text(&other, "/status/podIP"), text(&other, "/status/conditions/0/status")), ("10.1.0.7", "True"));
}

#[test]
fn an_update_of_a_pod_leaves_its_status_and_one_of_its_status_leaves_its_spec() {
    let cluster = Cluster::new();
    cluster.pod("a").ready(true).container("first").container("second").create();
    let merge = json!({"metadata": {"labels": {"new": "1"}}, "status": {"phase": "Failed"}});
    let patched = cluster.patch("pods", "a", &merge);
    assert_eq!((text(&patched, "/status/phase"), text(&patched, "/metadata/labels/new")), ("Running", "1"));
    let path = format!("{}/status", cluster.path("pods", cluster.namespace(), "a"));
    let merge = json!({"metadata": {"labels": {"new": "2"}}, "status": {"phase": "Failed"}, "spec": {"containers": []}});
    let patched = cluster.client().merge_patch(&path, &merge).ok("a status");
    assert_eq!((text(&patched, "/status/phase"), text(&patched, "/metadata/labels/new")), ("Failed", "2"));
    assert_eq!(text(&patched, "/spec/containers/1/name"), "second");
}

#[test]
fn pods_are_watched_by_label() {
    let cluster = Cluster::new();
    let made = cluster.pod("a").label("app", "x").create();
    let query = format!("watch=true&labelSelector=app%3Dx&resourceVersion={}", text(&made, "/metadata/resourceVersion"));
    let mut watch = cluster.client().open(&format!("{}?{query}", cluster.path("pods", cluster.namespace(), ""))).expect("a stream");
    cluster.pod("other").label("app", "y").create();
    cluster.set_ready("a", true);
    let (kind, pod) = watch.event();
    assert_eq!((kind.as_str(), text(&pod, "/metadata/name"), text(&pod, "/status/phase")), ("MODIFIED", "a", "Running"));
    cluster.delete("pods", "a");
    // A real server marks it first.
    let end = std::iter::repeat_with(|| watch.event().0).find(|kind| kind != "MODIFIED");
    assert_eq!(end.as_deref(), Some("DELETED"));
}

#[test]
fn a_pod_with_a_finalizer_terminates_for_as_long_as_it_takes() {
    let cluster = Cluster::new();
    cluster.pod("a").ready(true).finalizer("rig.dev/hold").create();
    cluster.delete("pods", "a");
    let dying = cluster.get("pods", "a").expect("it is held");
    assert_ne!(text(&dying, "/metadata/deletionTimestamp"), "");
    assert_eq!(text(&dying, "/status/phase"), "Running");
}

#[test]
fn a_command_needs_a_pod_an_upgrade_and_rights() {
    let cluster = Cluster::new();
    cluster.pod("a").ready(true).create();
    let path = |pod: &str| format!("{}/exec?command=true&stdout=true", cluster.path("pods", cluster.namespace(), pod));
    assert_eq!(cluster.client().get(&path("a")).status, 400);
    assert_eq!(cluster.client().get(&path("none")).status, 404);
    let account = cluster.restricted(&[("", "pods", &["get"])]);
    let refused = cluster.client().for_token(&account.token).get(&path("a"));
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("cannot get resource \\\"pods/exec\\\""), "{}", refused.text());
}
