//! The server's own misfortunes, and what tests may do to it.

use std::time::Duration;

use serde_json::json;

use super::faults::{QUIET, setup};
use super::protocol::{stream_list, watch};
use crate::support::api::object::text;
use crate::support::http::Line;
use crate::support::{Cluster, Counts, DEADLINE, Fault, Matcher, Options, PROJECTOR_TOKEN, Rule, Times, Verb, wait_for};

#[test]
fn a_stale_cache_shows_the_past_until_it_is_cleared() {
    let (cluster, client, path) = setup();
    let server = cluster.server();
    let old = server.snapshot();
    cluster.delete("configmaps", "a");
    cluster.set_data("b", &[("k", "new")]);
    server.fault(Matcher::reads("configmaps"), Times::Always, Fault::Stale(old.version));
    let list = client.get(&path).ok("a stale list");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(text(&list, "/metadata/resourceVersion"), old.version.to_string());
    assert_eq!(client.get(&format!("{path}&resourceVersion={}&resourceVersionMatch=NotOlderThan", server.version())).status, 504);
    let mut stream = stream_list(&client, &cluster, "");
    let names: Vec<_> = (0..4).map(|_| stream.event().0).collect();
    assert_eq!(names, ["ADDED", "ADDED", "ADDED", "BOOKMARK"]);
    assert_eq!(stream.line(QUIET), Line::Quiet);
    server.clear_faults();
    assert_eq!((stream.event().0, stream.event().0), ("DELETED".to_owned(), "MODIFIED".to_owned()));
}

#[test]
fn a_restored_server_counts_backwards_and_says_nothing() {
    let (cluster, client, path) = setup();
    let server = cluster.server();
    let old = server.snapshot();
    cluster.delete("configmaps", "a");
    let mut open = watch(&client, &cluster, &server.version().to_string());
    server.restore(&old);
    assert_eq!(server.version(), old.version);
    cluster.configmap("d", &[]).create();
    assert_eq!(open.line(QUIET), Line::Quiet, "its number comes again only later");
    assert_eq!(client.get(&path).ok("a list")["items"].as_array().map(Vec::len), Some(4));
}

#[test]
fn stop_freeze_and_drop() {
    let (cluster, client, path) = setup();
    let server = cluster.server();
    let mut open = watch(&client, &cluster, &server.version().to_string());
    server.stop();
    assert!(matches!(open.line(DEADLINE), Line::Broken(_)));
    assert!(client.try_send("GET", &path, &[], &[]).is_err());
    server.restart();
    assert_eq!(client.get(&path).ok("a list after the restart")["items"].as_array().map(Vec::len), Some(3));
    let mut open = watch(&client, &cluster, &server.version().to_string());
    server.freeze();
    cluster.configmap("d", &[]).create();
    assert_eq!(open.line(QUIET), Line::Quiet);
    server.thaw();
    assert_eq!(open.event().0, "ADDED");
    server.drop_connections();
    assert!(matches!(open.line(DEADLINE), Line::Broken(_)));
}

#[test]
fn a_slow_reader_is_cut_without_a_word() {
    let cluster = Cluster::in_process_with(Options { slow_reader_cut: Some(Duration::from_millis(100)), ..Options::default() });
    let server = cluster.server();
    let big = "x".repeat(900_000);
    for number in 0..20 {
        cluster.configmap(&format!("big-{number}"), &[("k", &big)]).create();
    }
    let mut stream = stream_list(&server.client_for(PROJECTOR_TOKEN), &cluster, "");
    wait_for("the end of the stream", DEADLINE, || server.open_watches("configmaps") == 0);
    let lines = std::iter::repeat_with(|| stream.line(DEADLINE)).take_while(|line| matches!(line, Line::Text(_))).count();
    assert!(lines < 20, "{lines} of 20 objects came through");
}

#[test]
fn tokens_and_rights_change_at_once() {
    let (cluster, client, path) = setup();
    let server = cluster.server();
    server.set_rbac(PROJECTOR_TOKEN, &[Rule::new("", "secrets", "*", "*")]);
    let review = |resource: &str| {
        let body = json!({"spec": {"resourceAttributes": {"verb": "list", "resource": resource}}});
        client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body).ok("a review")["status"]["allowed"].clone()
    };
    assert_eq!((client.get(&path).status, review("configmaps"), review("secrets")), (403, json!(false), json!(true)));
    server.revoke_token(PROJECTOR_TOKEN);
    assert_eq!(client.get(&path).status, 401);
    server.set_tokens(&["new"]);
    assert_eq!(client.for_token("new").get(&path).status, 200);
    server.allow_all(PROJECTOR_TOKEN);
    assert_eq!(client.get(&path).status, 200);
}

#[test]
fn requests_are_logged_with_what_they_cost() {
    let (cluster, client, path) = setup();
    let server = cluster.server();
    let body = client.get(&path).body.len();
    client.merge_patch(&cluster.path("configmaps", cluster.namespace(), "a"), &json!({"data": {"k": "2"}})).ok("a patch");
    let log = server.requests();
    assert_eq!(log.iter().map(|request| (request.verb, request.status)).collect::<Vec<_>>(), [(Verb::List, 200), (Verb::Patch, 200)]);
    assert_eq!((log[0].bytes_sent, log[0].resource.as_str(), log[0].open), (body as u64, "configmaps", false));
    assert_eq!(log[1].body, r#"{"data":{"k":"2"}}"#);
    server.clear_requests();
    assert_eq!(server.counts(), Counts::default());
}

#[test]
fn tests_set_ages_and_break_rules() {
    let (cluster, _, _) = setup();
    let server = cluster.server();
    let metadata = json!({"name": "old", "namespace": cluster.namespace(), "creationTimestamp": "2020-01-01T00:00:00Z"});
    server.create(&json!({"kind": "ConfigMap", "metadata": metadata}));
    let old = cluster.get("configmaps", "old").expect("it is there");
    assert_eq!(text(&old, "/metadata/creationTimestamp"), "2020-01-01T00:00:00Z");
    server.put_raw(&json!({"kind": "Secret", "metadata": {"name": "bad", "namespace": cluster.namespace()}, "data": {"..": "%%%"}}));
    assert_eq!(cluster.get("secrets", "bad").expect("it is there")["data"], json!({"..": "%%%"}));
    server.patch("configmaps", cluster.namespace(), "old", &json!({"metadata": {"finalizers": ["x.dev/a"]}}));
    assert!(!server.delete("configmaps", cluster.namespace(), "old"));
    assert!(server.get("configmaps", cluster.namespace(), "old").is_some());
    assert_eq!(server.list("configmaps").len(), 4);
}
