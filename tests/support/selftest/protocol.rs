//! Lists, watches, patches, finalizers, rights: equal on both servers unless a name says otherwise.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::object::{rfc3339, text};
use crate::support::http::{Client, Line, Stream};
use crate::support::{ApiServer, Cluster, DEADLINE, wait_until};

/// A streaming list of the ConfigMaps of the namespace.
pub fn stream_list(client: &Client, cluster: &Cluster, more: &str) -> Stream {
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=find%3Dme";
    client.open(&format!("{}?{query}{more}", cluster.path("configmaps", cluster.namespace(), ""))).expect("a stream")
}

/// A plain watch from a resourceVersion.
pub fn watch(client: &Client, cluster: &Cluster, version: &str) -> Stream {
    let query = format!("watch=true&allowWatchBookmarks=true&labelSelector=find%3Dme&resourceVersion={version}");
    client.open(&format!("{}?{query}", cluster.path("configmaps", cluster.namespace(), ""))).expect("a stream")
}

fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

fn number(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().expect("a number")
}

#[test]
fn streaming_list_sends_objects_then_the_end_bookmark_then_changes() {
    let cluster = Cluster::new();
    cluster.configmap("a", &[("k", "1")]).create();
    cluster.configmap("other", &[]).label("find", "not").create();
    let mut stream = stream_list(cluster.client(), &cluster, "");
    let (kind, object) = stream.event();
    assert_eq!((kind.as_str(), name(&object), &object["kind"], &object["data"]), ("ADDED", "a", &json!("ConfigMap"), &json!({"k": "1"})));
    let (kind, mark) = stream.event();
    assert_eq!((kind.as_str(), &mark["kind"]), ("BOOKMARK", &json!("ConfigMap")));
    assert!(number(&mark) >= number(&object));
    cluster.set_data("a", &[("k", "2")]);
    let (kind, object) = stream.event();
    assert_eq!((kind.as_str(), &object["data"]), ("MODIFIED", &json!({"k": "2"})));
    cluster.delete("configmaps", "a");
    assert_eq!(stream.event().0, "DELETED");
}

#[test]
fn leaving_the_selector_is_a_deletion_with_the_old_state_and_a_new_number() {
    let cluster = Cluster::new();
    let made = cluster.configmap("a", &[("k", "1")]).create();
    let mut watch = watch(cluster.client(), &cluster, text(&made, "/metadata/resourceVersion"));
    let left = cluster.patch("configmaps", "a", &json!({"metadata": {"labels": {"find": "not"}}, "data": {"k": "2"}}));
    let (kind, object) = watch.event();
    assert_eq!((kind.as_str(), &object["data"], text(&object, "/metadata/labels/find")), ("DELETED", &json!({"k": "1"}), "me"));
    assert_eq!(number(&object), number(&left));
    cluster.relabel("configmaps", "a", &[("find", Some("me"))]);
    let (kind, object) = watch.event();
    assert_eq!((kind.as_str(), &object["data"]), ("ADDED", &json!({"k": "2"})));
    let same = cluster.patch("configmaps", "a", &json!({}));
    assert_eq!(number(&same), number(&object), "an update that changes nothing is no change");
}

#[test]
fn list_comes_in_pages_of_one_snapshot() {
    let cluster = Cluster::new();
    for name in ["a", "b", "c"] {
        cluster.configmap(name, &[("k", name)]).create();
    }
    let path = format!("{}?labelSelector=find&limit=2", cluster.path("configmaps", cluster.namespace(), ""));
    let first = cluster.client().get(&path).ok("the first page");
    cluster.delete("configmaps", "c");
    let second = cluster.client().get(&format!("{path}&continue={}", text(&first, "/metadata/continue"))).ok("the second page");
    let names = |page: &Value| page["items"].as_array().into_iter().flatten().map(|item| name(item).to_owned()).collect::<Vec<_>>();
    assert_eq!((names(&first), names(&second)), (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]));
    assert_eq!((&first["kind"], &first["items"][0]["kind"]), (&json!("ConfigMapList"), &Value::Null));
    assert_eq!(text(&second, "/metadata/continue"), "");
    let path = cluster.path("configmaps", cluster.namespace(), "");
    assert_eq!(cluster.client().get(&format!("{path}?continue=garbage")).status, 400);
    let named = cluster.client().get(&format!("{path}?fieldSelector=metadata.name%3Db")).ok("one by its field");
    assert_eq!(names(&named), ["b"]);
}

#[test]
fn selectors_tell_the_empty_value_from_any_value() {
    let cluster = Cluster::new();
    cluster.configmap("empty", &[]).label("find", "").create();
    cluster.configmap("full", &[]).create();
    cluster.configmap("none", &[]).unlabelled().create();
    let path = cluster.path("configmaps", cluster.namespace(), "");
    let selected = |selector: &str| -> Vec<String> {
        let list = cluster.client().get(&format!("{path}?labelSelector={selector}")).ok(selector);
        list["items"].as_array().into_iter().flatten().map(|item| name(item).to_owned()).collect()
    };
    assert_eq!(selected("find"), ["empty", "full"]);
    assert_eq!(selected("find%3D"), ["empty"]);
    assert_eq!(selected("find%3Dme"), ["full"]);
    assert_eq!(cluster.client().get(&format!("{path}?labelSelector=%3D%3Dx")).status, 400);
}

#[test]
fn metadata_alone_is_sent_on_demand() {
    let cluster = Cluster::new();
    cluster.configmap("a", &[("k", "1")]).create();
    let get = |path: &str, kind: &str| {
        let accept = format!("application/json;as={kind};g=meta.k8s.io;v=v1");
        cluster.client().send("GET", path, &[("Accept", &accept)], &[]).ok(kind)
    };
    let path = cluster.path("configmaps", cluster.namespace(), "");
    let list = get(&format!("{path}?labelSelector=find"), "PartialObjectMetadataList");
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!((&list["items"][0]["kind"], name(&list["items"][0])), (&json!("PartialObjectMetadata"), "a"));
    assert_eq!(list["items"][0].get("data"), None);
    let one = get(&format!("{path}/a"), "PartialObjectMetadata");
    assert_eq!((&one["kind"], one.get("data")), (&json!("PartialObjectMetadata"), None));
}

#[test]
fn json_patch_tests_before_it_changes() {
    let cluster = Cluster::new();
    cluster.configmap("a", &[]).create();
    let patch = |patch: Value| cluster.json_patch("configmaps", "a", &patch).status;
    let list = "/metadata/finalizers";
    assert_eq!(patch(json!([{"op": "test", "path": list, "value": null}, {"op": "add", "path": list, "value": ["x.dev/a"]}])), 200);
    assert_eq!(patch(json!([{"op": "test", "path": list, "value": null}, {"op": "add", "path": list, "value": ["x.dev/b"]}])), 422);
    assert_eq!(
        patch(
            json!([{"op": "test", "path": list, "value": ["x.dev/a"]}, {"op": "add", "path": "/metadata/finalizers/-", "value": "y.dev/b"}])
        ),
        200
    );
    assert_eq!(
        patch(
            json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "y.dev/b"}, {"op": "remove", "path": "/metadata/finalizers/0"}])
        ),
        422
    );
    assert_eq!(patch(json!([{"op": "remove", "path": "/data/none"}])), 422);
    assert_eq!(patch(json!([{"op": "test", "path": "/none/deeper", "value": null}])), 422);
    assert_eq!(
        patch(
            json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}, {"op": "add", "path": "/metadata/labels/q", "value": "1"}])
        ),
        409
    );
    assert_eq!(patch(json!({"op": "add"})), 400);
    assert_eq!(cluster.finalizers_of("configmaps", "a"), ["x.dev/a", "y.dev/b"]);
    let refused = cluster.json_patch("configmaps", "a", &json!([{"op": "test", "path": "/metadata/uid", "value": "1"}])).json();
    assert_eq!((&refused["kind"], &refused["reason"], &refused["code"]), (&json!("Status"), &json!("Invalid"), &json!(422)));
    cluster.patch("configmaps", "a", &json!({"metadata": {"finalizers": null}}));
}

#[test]
fn finalizers_hold_an_object_until_the_last_is_gone() {
    let cluster = Cluster::new();
    let made = cluster.configmap("a", &[("k", "1")]).finalizer("x.dev/a").create();
    let mut watch = watch(cluster.client(), &cluster, text(&made, "/metadata/resourceVersion"));
    cluster.delete("configmaps", "a");
    let (kind, object) = watch.event();
    assert_eq!((kind.as_str(), text(&object, "/metadata/deletionTimestamp").len()), ("MODIFIED", 20));
    let added = cluster.json_patch("configmaps", "a", &json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "y.dev/b"}]));
    assert_eq!((added.status, added.text().contains("no new finalizers can be added if the object is being deleted")), (422, true));
    cluster.json_patch("configmaps", "a", &json!([{"op": "remove", "path": "/metadata/finalizers/0"}])).ok("releasing");
    let (kind, object) = watch.event();
    assert_eq!((kind.as_str(), &object["metadata"]["finalizers"]), ("DELETED", &json!(["x.dev/a"])));
    cluster.wait_gone("configmaps", "a");
}

#[test]
fn writes_are_checked() {
    let cluster = Cluster::new();
    cluster.configmap("a", &[]).create();
    let code = |response: crate::support::http::Response| response.status;
    assert_eq!(code(cluster.configmap("a", &[]).try_create()), 409);
    assert_eq!(code(cluster.configmap("B_", &[]).try_create()), 422);
    assert_eq!(code(cluster.configmap("b", &[("a/b", "")]).try_create()), 422);
    assert_eq!(code(cluster.configmap("b", &[("a", "")]).binary("a", b"x").try_create()), 422);
    assert_eq!(code(cluster.configmap("b", &[]).finalizer("nodomain").try_create()), 422);
    assert_eq!(code(cluster.configmap("b", &[]).in_namespace("nowhere").try_create()), 404);
    let stale = json!({"metadata": {"name": "a", "resourceVersion": "3"}});
    assert_eq!(cluster.client().put(&cluster.path("configmaps", cluster.namespace(), "a"), &stale).status, 409);
    assert_eq!(cluster.get("configmaps", "none"), None);
    let secret = cluster.secret("s", &[("k", b"\xff\x00")]).create();
    assert_eq!((&secret["type"], &secret["data"]["k"]), (&json!("Opaque"), &json!("/wA=")));
}

#[test]
fn events_of_the_new_group_are_seen_in_both() {
    let cluster = Cluster::new();
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", cluster.namespace());
    let mut event = json!({
        "metadata": {"name": "ev1"}, "eventTime": "2025-01-01T00:00:00.000000Z", "reportingController": "rig", "reportingInstance": "x",
        "action": "Write", "reason": "FilesWritten", "type": "Normal", "note": "hi",
        "regarding": {"kind": "ConfigMap", "apiVersion": "v1", "namespace": cluster.namespace(), "name": "a", "uid": "u"},
    });
    cluster.client().post(&path, &event).ok("an event");
    let series = json!({"series": {"count": 2, "lastObservedTime": "2025-01-01T00:00:01.000000Z"}});
    cluster.client().merge_patch(&format!("{path}/ev1"), &series).ok("a series");
    let seen = cluster.events_for("a");
    assert_eq!((seen.len(), &seen[0]["note"], &seen[0]["series"]["count"]), (1, &json!("hi"), &json!(2)));
    assert_eq!(cluster.reasons_for("a"), ["FilesWritten"]);
    let core = cluster.list("events");
    assert_eq!((&core[0]["message"], text(&core[0], "/involvedObject/name")), (&json!("hi"), "a"));
    event["metadata"]["name"] = "ev2".into();
    event["note"] = "x".repeat(1025).into();
    assert_eq!(cluster.client().post(&path, &event).status, 422);
}

#[test]
fn accounts_may_do_what_they_were_granted_and_no_more() {
    let cluster = Cluster::new();
    let account = cluster.restricted(&[("", "configmaps", &["get", "list", "watch"])]);
    let theirs = cluster.client().for_token(&account.token);
    let (configmaps, secrets) = (cluster.path("configmaps", cluster.namespace(), ""), cluster.path("secrets", cluster.namespace(), ""));
    assert_eq!(theirs.get(&configmaps).status, 200);
    let refused = theirs.get(&secrets);
    let words = format!("cannot list resource \"secrets\" in API group \"\" in the namespace \"{}\"", cluster.namespace());
    assert_eq!((refused.status, refused.text().replace("\\\"", "\"").contains(&words)), (403, true), "{}", refused.text());
    let refused = theirs.get("/api/v1/configmaps").text();
    assert!(refused.contains("at the cluster scope"), "{refused}");
    cluster.grant(&account, &[("", "secrets", &["list"])]);
    assert_eq!((theirs.get(&configmaps).status, theirs.get(&secrets).status), (403, 200));
    assert_eq!(cluster.client().for_token("unknown").get(&configmaps).status, 401);
    let everywhere = cluster.restricted_cluster_wide(&[("", "configmaps", &["list"])]);
    assert_eq!(cluster.client().for_token(&everywhere.token).get("/api/v1/configmaps?limit=1").status, 200);
}

#[test]
fn a_dying_namespace_takes_its_objects_along() {
    let cluster = Cluster::new();
    let other = cluster.create_namespace();
    cluster.configmap("a", &[]).in_namespace(&other).create();
    cluster.configmap("held", &[]).finalizer("x.dev/a").in_namespace(&other).create();
    cluster.client().delete(&format!("/api/v1/namespaces/{other}")).ok("deleting a namespace");
    cluster.wait_gone("configmaps", &format!("{other}/a"));
    assert_eq!(cluster.configmap("b", &[]).in_namespace(&other).try_create().status, 403);
    wait_until("the mark", DEADLINE, || {
        let held = cluster.get("configmaps", &format!("{other}/held")).unwrap_or_default();
        if held["metadata"]["deletionTimestamp"].is_string() { Ok(()) } else { Err(held) }
    });
    cluster.patch("configmaps", &format!("{other}/held"), &json!({"metadata": {"finalizers": null}}));
    cluster.wait_gone("configmaps", &format!("{other}/held"));
}

#[test]
fn a_watch_ends_cleanly_at_its_time() {
    let cluster = Cluster::new();
    let mut stream = stream_list(cluster.client(), &cluster, "&timeoutSeconds=1");
    assert_eq!(stream.event().0, "BOOKMARK");
    let last = std::iter::repeat_with(|| stream.line(DEADLINE)).find(|line| !matches!(line, Line::Text(_)));
    assert_eq!(last, Some(Line::End(Vec::new())));
}

#[test]
fn bookmarks_come_by_themselves_in_process() {
    let server = ApiServer::start();
    let mut stream = server.client().open("/api/v1/configmaps?watch=1&allowWatchBookmarks=true&resourceVersion=0").expect("a stream");
    server.create(&json!({"kind": "Namespace", "metadata": {"name": "elsewhere"}}));
    let newest = server.version().to_string();
    wait_until("a bookmark with the newest number", DEADLINE, || {
        let Line::Text(line) = stream.line(Duration::from_secs(5)) else { panic!("the watch ended") };
        let event: Value = serde_json::from_slice(&line).expect("an event");
        if event["type"] == "BOOKMARK" && text(&event, "/object/metadata/resourceVersion") == newest { Ok(()) } else { Err(event) }
    });
}

#[test]
fn dates_are_right() {
    assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
    assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(rfc3339(1_735_689_599), "2024-12-31T23:59:59Z");
}
